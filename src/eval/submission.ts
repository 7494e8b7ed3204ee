import { createWriteStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ZipFile } from 'yazl';
import { AtomicFile, writeFileAtomic } from '../files/atomic-output.js';
import { makeFolder } from '../files/make-folder.js';
import { toOutputError } from '../files/output-error.js';
import type { Mask } from '../masks/mask.js';
import { encodeMaskPng } from '../masks/png.js';

const topFolder = 'Annotations';

/**
 * Masks in the layout that the evaluation server of Refer-YouTube-VOS takes (model-spec §9.3):
 * `Annotations/<video>/<expression>/<frame>.png`, 0/255, in one ZIP file.
 */
export class Submission {
  constructor(private readonly folder: string) {}

  /** Writes one frame's mask. Names were checked to be plain names. Throws `RvosError` DISK_FULL, OUTPUT_NOT_WRITABLE. */
  async add(video: string, expression: string, frame: string, mask: Mask): Promise<void> {
    const folder = join(this.folder, topFolder, video, expression);
    await makeFolder(folder);
    await writeFileAtomic(join(folder, `${frame}.png`), await encodeMaskPng(mask), { force: true });
  }

  /** Makes `submission.zip` of all masks; returns its path and the number of masks. */
  async pack(): Promise<{ path: string; masks: number }> {
    const path = join(this.folder, 'submission.zip');
    const entries = await readdir(join(this.folder, topFolder), { recursive: true });
    const names = entries.filter((name) => name.endsWith('.png') && !name.includes('.partial')).sort();
    const zip = new ZipFile();
    // PNGs are compressed already; a fixed time makes equal masks an equal file.
    const options = { compress: false, mtime: new Date('2000-01-01T00:00:00') };
    for (const name of names)
      zip.addFile(join(this.folder, topFolder, name), `${topFolder}/${name.replaceAll('\\', '/')}`, options);
    zip.end();
    await using output = await AtomicFile.create(path, { force: true });
    try {
      await pipeline(zip.outputStream, createWriteStream(output.temporaryPath));
    } catch (error) {
      throw toOutputError(error, path);
    }
    await output.finish();
    return { path, masks: names.length };
  }
}
