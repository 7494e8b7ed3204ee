import { fstat as fstatCallback, type Stats } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { promisify } from 'node:util';
import { RvosError } from '../errors.js';
import { inputText, isVideoBytes, isVideoPath, type VideoInput } from '../video/video-input.js';
import type { PlannedOutput } from './planned-output.js';

const fstat = promisify(fstatCallback);

/**
 * Refuses, before there is work to lose, outputs that exist or cannot lie where they are to, that are the input (also by a
 * link), or that are in each other's way. Throws BAD_ARGUMENT, OUTPUT_EXISTS, OUTPUT_NOT_WRITABLE.
 */
export async function checkOutputs(outputs: readonly PlannedOutput[], input?: VideoInput): Promise<void> {
  const given = await inputFiles(input);
  const seen: { readonly output: PlannedOutput; readonly path: string; readonly id: string | undefined }[] = [];
  for (const output of outputs) {
    const found = await stat(output.path).catch(() => undefined);
    const id = found && idOf(found);
    if (id !== undefined && given.ids.has(id)) throw isInput(output);
    // Told before what is there already: --force would not help.
    for (const other of seen) if (id !== undefined && id === other.id) throw sameOutput(output, other.output);
    const path = await output.check();
    if (output.isFolder && given.path !== undefined && isInside(given.path, path)) throw isInput(output);
    for (const other of seen) {
      if (path === other.path) throw sameOutput(output, other.output);
      for (const [outer, inner] of [
        [other, { output, path }],
        [{ output, path }, other],
      ] as const) {
        if (outer.output.isFolder && isInside(inner.path, outer.path)) throw insideOther(inner.output, outer.output);
      }
    }
    seen.push({ output, path, id });
  }
}

interface InputFiles {
  /** Where it lies, links followed; undefined for what has no name. */
  readonly path: string | undefined;
  /** The file, or the folder and the files in it. */
  readonly ids: ReadonlySet<string>;
}

async function inputFiles(input: VideoInput | undefined): Promise<InputFiles> {
  const nothing = { path: undefined, ids: new Set<string>() };
  if (input === undefined || isVideoBytes(input)) return nothing;
  const name = isVideoPath(input) ? Buffer.from(input.path) : inputText(input);
  if (name === '-') {
    const found = await fstat(0).catch(() => undefined);
    return { path: undefined, ids: new Set(found?.isFile() ? [idOf(found)] : []) };
  }
  const found = await stat(name).catch(() => undefined);
  if (!found) return nothing;
  const path = await realpath(name).catch(() => undefined);
  const ids = new Set([idOf(found)]);
  if (found.isDirectory() && path !== undefined) {
    for (const entry of await readdir(path).catch(() => [])) {
      const picture = await stat(join(path, entry)).catch(() => undefined);
      if (picture) ids.add(idOf(picture));
    }
  }
  return { path, ids };
}

function idOf({ dev, ino }: Stats): string {
  return `${dev} ${ino}`;
}

function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

function isInput(output: PlannedOutput): RvosError {
  return new RvosError(
    'BAD_ARGUMENT',
    `the ${output.what} would replace the video that is read, ${output.path}`,
    'Give another name; --force does not allow this.',
  );
}

function sameOutput(output: PlannedOutput, other: PlannedOutput): RvosError {
  return new RvosError(
    'BAD_ARGUMENT',
    `${other.what} and ${output.what} would both be written to ${output.path}`,
    'Give each output its own name.',
  );
}

function insideOther(inner: PlannedOutput, outer: PlannedOutput): RvosError {
  return new RvosError(
    'BAD_ARGUMENT',
    `the ${inner.what} would lie in the folder of the ${outer.what}, ${outer.path}`,
    'Give each output a place of its own.',
  );
}
