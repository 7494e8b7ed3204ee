import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { RvosError } from '../../errors.js';
import { naturalOrder } from './natural-order.js';
import type { PicturePath } from './picture.js';

const readable = ['png', 'jpg', 'webp', 'bmp', 'tif', 'avif', 'gif'];
const sameEnding: Record<string, string> = { jpeg: 'jpg', jfif: 'jpg', tiff: 'tif' };

/** Pictures that neither sharp's library nor every ffmpeg reads, and what turns them into PNG. */
const convertible: Record<string, string> = {
  heic: 'heif-convert in.heic out.png',
  heif: 'heif-convert in.heif out.png',
  jxl: 'djxl in.jxl out.png',
};

export interface PictureFolder {
  /** In natural order of names. */
  readonly pictures: readonly PicturePath[];
  readonly warnings: readonly string[];
}

/**
 * The pictures of a folder by their endings, in natural order. Whatever is no file is ignored without being opened, other
 * endings and hidden files as well. Throws NOT_FOUND if the folder cannot be listed or a link leads nowhere, NO_FRAMES without
 * pictures, NOT_A_VIDEO for pictures that have to be converted first.
 */
export async function listPictures(folder: string | Buffer, name: string): Promise<PictureFolder> {
  const entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' }).catch(
    (error: NodeJS.ErrnoException) => {
      throw new RvosError('NOT_FOUND', `${name} cannot be listed (${error.code})`, 'Check its permissions.');
    },
  );
  const paths = new Map<string, PicturePath>();
  const counts = new Map<string, number>();
  for (const entry of entries as unknown as Dirent<Buffer>[]) {
    // As text it is shown and sorted; as bytes it is opened.
    const shown = entry.name.toString('utf8');
    const ending = endingOf(shown);
    if (shown.startsWith('.') || (!readable.includes(ending) && !(ending in convertible))) continue;
    const whole = join(name, shown);
    const path =
      Buffer.from(shown).equals(entry.name) && typeof folder === 'string'
        ? join(folder, shown)
        : under(folder, entry.name);
    if (!entry.isFile() && !(await leadsToFile(path, whole, entry))) continue;
    if (ending in convertible) {
      throw new RvosError(
        'NOT_A_VIDEO',
        `${whole}: ${ending.toUpperCase()} pictures are not read`,
        `Convert them first, for example: ${convertible[ending]}`,
      );
    }
    // Two names may look the same once they are text.
    let key = shown;
    while (paths.has(key)) key += '\0';
    paths.set(key, { path, name: whole });
    counts.set(ending, (counts.get(ending) ?? 0) + 1);
  }
  if (paths.size === 0) {
    throw new RvosError(
      'NO_FRAMES',
      `folder ${name} holds no images`,
      'Images end in .png, .jpg, .jpeg, .webp, .bmp, .tif, .tiff, .avif or .gif.',
    );
  }
  const kinds = [...counts].map(([ending, count]) => `${count} .${ending}`);
  return {
    pictures: naturalOrder([...paths.keys()]).map((key) => paths.get(key)!),
    warnings:
      kinds.length > 1 ? [`${name} holds ${kinds.join(', ')}: all are frames, in the order of their names`] : [],
  };
}

function endingOf(name: string): string {
  const ending = /\.([^.]+)$/.exec(name)?.[1]?.toLowerCase() ?? '';
  return sameEnding[ending] ?? ending;
}

function under(folder: string | Buffer, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(folder), Buffer.from(sep), name]);
}

/** Links to files count as files; some file systems do not say what an entry is. */
async function leadsToFile(path: string | Buffer, name: string, entry: Dirent<Buffer>): Promise<boolean> {
  if (entry.isDirectory() || entry.isFIFO() || entry.isSocket() || entry.isCharacterDevice() || entry.isBlockDevice()) {
    return false;
  }
  try {
    return (await stat(path)).isFile();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const what = code === 'ENOENT' ? 'is a link that leads nowhere' : `cannot be read (${code})`;
    throw new RvosError('NOT_FOUND', `${name} ${what}`, 'Remove or replace it.', { cause });
  }
}
