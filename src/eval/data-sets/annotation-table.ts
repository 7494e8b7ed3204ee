import { parse } from 'csv-parse/sync';
import { badAnnotation } from '../annotations/bad-annotation.js';
import { readAnnotation } from '../annotations/read-annotation.js';

/** One record of a table, with the line it stands on. */
export interface TableRow {
  readonly line: number;
  readonly fields: readonly string[];
}

/** The records of a CSV file; a first record that equals `header` is left out. Throws `RvosError` BAD_DATA_SET. */
export async function readTable(path: string, header: readonly string[] = []): Promise<TableRow[]> {
  const bytes = await readAnnotation(path);
  let rows: unknown;
  try {
    rows = parse(bytes, { bom: true, info: true, relax_column_count: true, skip_empty_lines: true, trim: true });
  } catch (cause) {
    throw badAnnotation(path, `is no readable CSV (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  }
  const all = (rows as { record: string[]; info: { lines: number } }[]).map(({ record, info }) => ({
    line: info.lines,
    fields: record,
  }));
  const isHeader = header.length > 0 && header.every((name, i) => all[0]?.fields[i]?.toLowerCase() === name);
  return isHeader ? all.slice(1) : all;
}

/** The first of several places where versions of a data set keep the same thing. */
export function anyOf<T>(candidates: readonly T[], exists: (candidate: T) => boolean, what: string, root: string): T {
  const found = candidates.find(exists);
  if (found === undefined) {
    throw badAnnotation(root, `has no ${what} (looked for ${candidates.join(', ')})`);
  }
  return found;
}
