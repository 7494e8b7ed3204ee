import { createReadStream } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { RvosError } from '../errors.js';
import { writeFileAtomic } from '../files/atomic-output.js';
import { toOutputError } from '../files/output-error.js';
import type { DataSetProblem } from './data-set.js';
import type { FrameRecord } from './frame-sample.js';
import type { TrackRecord } from './track-sample.js';

export type SampleRecord = FrameRecord | TrackRecord;

/** What an evaluation is of: a journal of another one is never continued. */
export interface EvaluationSettings {
  readonly data_set: string;
  readonly split: string | null;
  readonly protocol: string;
  readonly model: string;
  readonly weights_sha256: string;
  readonly backend: string;
  /** What products were computed in, where the backend tells. */
  readonly precision?: string | null;
  /** Everything else that changes results, as text. */
  readonly options: string;
}

const fileName = 'samples.jsonl';

/**
 * The results of each sample, one line of JSON each, written as soon as the sample is done: an evaluation that was
 * interrupted goes on where it stopped. A line that was cut off by a crash is dropped.
 */
export class EvaluationJournal {
  readonly records: SampleRecord[] = [];
  readonly #done = new Set<string>();

  private constructor(readonly path: string) {}

  /** Throws `RvosError` OUTPUT_EXISTS when the folder holds the journal of another evaluation. */
  static async open(
    folder: string,
    settings: EvaluationSettings,
    options: { fresh: boolean },
  ): Promise<EvaluationJournal> {
    const journal = new EvaluationJournal(join(folder, fileName));
    const kept: string[] = [];
    try {
      if (!options.fresh) {
        for await (const line of lines(journal.path)) {
          const value = parse(line);
          if (value === undefined) break;
          if (kept.length === 0 && JSON.stringify(value) !== JSON.stringify(settings)) throw otherEvaluation(folder);
          kept.push(line);
          if (kept.length > 1) journal.#note(value as SampleRecord);
        }
      }
      if (kept.length === 0) kept.push(JSON.stringify(settings));
      await writeFileAtomic(journal.path, `${kept.join('\n')}\n`, { force: true });
    } catch (error) {
      throw toOutputError(error, journal.path);
    }
    return journal;
  }

  isDone(id: string): boolean {
    return this.#done.has(id);
  }

  async append(record: SampleRecord): Promise<void> {
    try {
      await appendFile(this.path, `${JSON.stringify(record)}\n`);
    } catch (error) {
      throw toOutputError(error, this.path);
    }
    this.#note(record);
  }

  #note(record: SampleRecord): void {
    this.records.push(record);
    this.#done.add(record.id);
  }
}

async function* lines(path: string): AsyncGenerator<string, void, undefined> {
  const input = createReadStream(path, { encoding: 'utf8' });
  try {
    yield* createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  } finally {
    input.destroy();
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function otherEvaluation(folder: string): RvosError {
  return new RvosError(
    'OUTPUT_EXISTS',
    `${folder} holds an evaluation of another model, data set or setting`,
    'Choose another --out, or --force to begin anew.',
  );
}

/** Problems of one run, in the order they were found; the same one is kept once. */
export class ProblemList {
  readonly all: DataSetProblem[] = [];
  readonly #seen = new Set<string>();

  add(problem: DataSetProblem): void {
    const key = JSON.stringify(problem);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.all.push(problem);
  }
}
