import { join } from 'node:path';
import { type ModelFolder, openModelFolder } from '../../src/model/model-folder.js';
import { networkSize, type Size } from '../../src/preprocess/size-rule.js';

/** Everything `npm run test:gpu` builds; kept, so that a second run starts at once. */
export const workFolder = join(import.meta.dirname, '../../build/test-gpu');
export const enginesFolder = join(workFolder, 'engines');
export const goldenFolder = join(workFolder, 'golden');

/** Sizes of the goldens' cases with their frames, and of their video. */
export const caseSizes = { a_T8_96x160: { height: 96, width: 160 }, c_T24_64x112: { height: 64, width: 112 } } as const;
export const videoRule = { shortSide: 64, longSide: 120 };
export const videoSize: Size = networkSize({ height: 64, width: 96 }, videoRule);

/** The demo clip's size as the compact model sees it. */
export function demoSize({ preprocessing }: ModelFolder): Size {
  return networkSize({ height: 320, width: 480 }, preprocessing);
}

export function openGolden(): Promise<ModelFolder> {
  return openModelFolder(goldenFolder);
}

export function openCompact(): Promise<ModelFolder> {
  return openModelFolder('compact');
}
