import { extname } from 'node:path';
import { RvosError } from '../errors.js';

/** Endings of files: whoever gives one to a folder means another format. */
const filesOfOtherKinds = new Set(
  [
    '.png .jpg .jpeg .gif .webp .avif .tif .tiff .bmp .svg .mp4 .m4v .mkv .mov .avi .webm .ts .flv .ogv .mpg .mpeg',
    '.npy .npz .mat .h5 .hdf5 .pkl .pt .pth .safetensors .parquet .csv .tsv .txt .xml .yaml .yml .json .jsonl .ndjson',
    '.zip .tar .gz .tgz .bz2 .xz .zst .7z .rar',
  ].flatMap((line) => line.split(' ')),
);

/** A file of one format: its own endings, or none. Throws BAD_ARGUMENT. */
export function checkFileEnding(what: string, path: string, endings: readonly string[]): void {
  checkName(what, path);
  const ending = extname(path).toLowerCase();
  if (ending === '' || endings.includes(ending)) return;
  throw new RvosError(
    'BAD_ARGUMENT',
    `the ${what} cannot be written to ${path}: ${endings[0]!.slice(1).toUpperCase()} is the only format`,
    `Give a name that ends in ${endings[0]}.`,
  );
}

/** A folder, `instead` being the ending of the one file that may stand for it. Throws BAD_ARGUMENT. */
export function checkFolderEnding(what: string, path: string, instead: string): void {
  checkName(what, path);
  if (/[/\\]$/.test(path) || !filesOfOtherKinds.has(extname(path).toLowerCase())) return;
  throw new RvosError(
    'BAD_ARGUMENT',
    `the ${what} cannot be written to ${path}: they are one file ending in ${instead}, or a folder`,
    `Give a name that ends in ${instead}, or that of a folder (${path}/ if it is to be called so).`,
  );
}

function checkName(what: string, path: string): void {
  if (path === '') throw new RvosError('BAD_ARGUMENT', `the ${what} has no name`, 'Give each output its own name.');
  if (path !== '-') return;
  throw new RvosError(
    'BAD_ARGUMENT',
    `the ${what} cannot be written to standard output`,
    'Give the name of a file, ./- for one of that name.',
  );
}
