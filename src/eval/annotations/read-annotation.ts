import type { FileHandle } from 'node:fs/promises';
import { openRegularFile } from '../../files/open-regular-file.js';
import { badAnnotation, maxAnnotationBytes } from './bad-annotation.js';

/** The bytes of an annotation file. Throws `RvosError` BAD_DATA_SET naming the file when it is absent or far too large. */
export async function readAnnotation(path: string): Promise<Buffer> {
  let handle: FileHandle | undefined;
  try {
    handle = await openRegularFile(path);
  } catch (cause) {
    throw badAnnotation(path, 'cannot be read', cause);
  }
  if (!handle) throw badAnnotation(path, 'is missing');
  try {
    const { size } = await handle.stat();
    if (size > maxAnnotationBytes) throw badAnnotation(path, `has ${size} bytes: it is no annotation`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}
