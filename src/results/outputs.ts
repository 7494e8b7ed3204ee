import { extname } from 'node:path';
import { AtomicFile, AtomicFolder } from '../files/atomic-output.js';
import { ContactSheetSink } from './contact-sheet.js';
import { CutOutPngSink, CutOutVideoSink, isCutOutName } from './cut-outs.js';
import type { SinkOpener } from './frame-sink.js';
import { MaskedVideoSink } from './masked-video.js';
import type { MaskedVideoStyle } from './masked-video-style.js';
import { MasksJsonSink } from './masks-json.js';
import { isMasksName, MasksPngSink } from './masks-png.js';
import { checkFileEnding, checkFolderEnding } from './output-endings.js';
import { type OutputBytes, type OutputExtent, type PlannedOutput, plannedOutput } from './planned-output.js';

export interface OutputOptions {
  /** Replace what is there. */
  readonly force?: boolean | undefined;
}

/** The opener of an output, which says what it is going to write and where. */
export type OutputOpener = SinkOpener & { readonly output: PlannedOutput };

/** Space that a file takes at least. */
const block = 4096;

/** MP4 with the masks painted over the frames, captions above, the sound kept. Throws BAD_ARGUMENT for the ending of another format. */
export function maskedVideoOutput(path: string, options: OutputOptions & MaskedVideoStyle = {}): OutputOpener {
  const what = 'masked video';
  checkFileEnding(what, path, ['.mp4', '.m4v']);
  const output = fileOutput(what, path, options, (extent) => ({ output: 0.03 * pixels(extent) }));
  return plannedOutput(output, (context) => MaskedVideoSink.open(path, context, options));
}

/**
 * COCO run lengths if the name ends in `.json`, else a folder `<query>/<frame>.png`. Throws BAD_ARGUMENT for the ending of another
 * format.
 */
export function masksOutput(path: string, options: OutputOptions = {}): OutputOpener {
  const what = 'masks';
  if (hasEnding(path, '.json')) {
    const bytes = (extent: OutputExtent) => ({ ...spoolBytes(extent), output: outlineBytes(extent) });
    const output = fileOutput(what, path, options, bytes);
    return plannedOutput(output, (context) => MasksJsonSink.open(path, context, options));
  }
  checkFolderEnding(what, path, '.json');
  const output = folderOutput(what, path, { ...options, owned: isMasksName }, (extent) => ({
    output: extent.frames * extent.sentences * Math.max(block, (extent.width * extent.height) / 400),
  }));
  return plannedOutput(output, (context) => MasksPngSink.open(path, context, options));
}

/** PNG: frames in columns, sentences in rows. Throws BAD_ARGUMENT for the ending of another format. */
export function contactSheetOutput(path: string, options: OutputOptions = {}): OutputOpener {
  const what = 'contact sheet';
  checkFileEnding(what, path, ['.png']);
  const output = fileOutput(what, path, options, ({ sentences }) => ({ output: 300_000 * (1 + sentences) }));
  return plannedOutput(output, (context) => ContactSheetSink.open(path, context, options));
}

/**
 * One sentence's object alone: WebM with alpha if the name ends in `.webm`, else a folder of PNGs with alpha. Throws BAD_ARGUMENT
 * for the ending of another format.
 */
export function cutOutsOutput(query: number, path: string, options: OutputOptions = {}): OutputOpener {
  const what = 'cut-outs';
  if (hasEnding(path, '.webm')) {
    const output = fileOutput(what, path, options, (extent) => ({ output: 0.02 * pixels(extent) }));
    return plannedOutput(output, (context) => CutOutVideoSink.open(query, path, context, options));
  }
  checkFolderEnding(what, path, '.webm');
  const output = folderOutput(what, path, { ...options, owned: isCutOutName }, (extent) => ({
    output: extent.frames * Math.max(block, 0.3 * extent.width * extent.height),
  }));
  return plannedOutput(output, () => CutOutPngSink.open(query, path, options));
}

export function hasEnding(path: string, ending: string): boolean {
  return extname(path).toLowerCase() === ending;
}

/** What the spool of a run's masks takes in the temporary directory. */
export function spoolBytes(extent: OutputExtent): OutputBytes {
  return { output: 0, temporary: outlineBytes(extent) };
}

/** Run lengths of masks whose outline crosses half of the columns twice, in two characters each. */
function outlineBytes({ width, sentences, frames }: OutputExtent): number {
  return frames * sentences * (100 + 2 * width);
}

function pixels({ width, height, frames }: OutputExtent): number {
  return width * height * frames;
}

function fileOutput(what: string, path: string, { force = false }: OutputOptions, bytes: PlannedOutput['bytes']) {
  return { what, path, isFolder: false, check: () => AtomicFile.check(path, { force }), bytes };
}

function folderOutput(
  what: string,
  path: string,
  { force = false, owned }: OutputOptions & { readonly owned: (name: string) => boolean },
  bytes: PlannedOutput['bytes'],
) {
  return { what, path, isFolder: true, check: () => AtomicFolder.check(path, { force, owned }), bytes };
}
