import { extname } from 'node:path';
import { ContactSheetSink } from './contact-sheet.js';
import { CutOutPngSink, CutOutVideoSink } from './cut-outs.js';
import type { SinkOpener } from './frame-sink.js';
import { MaskedVideoSink } from './masked-video.js';
import { MasksJsonSink } from './masks-json.js';
import { MasksPngSink } from './masks-png.js';

export interface OutputOptions {
  /** Replace what is there. */
  readonly force?: boolean | undefined;
}

/** MP4 with the masks painted over the frames, captions above, the sound kept. */
export function maskedVideoOutput(path: string, options: OutputOptions = {}): SinkOpener {
  return (context) => MaskedVideoSink.open(path, context, options);
}

/** COCO run lengths if the name ends in `.json`, else a folder `<query>/<frame>.png`. */
export function masksOutput(path: string, options: OutputOptions = {}): SinkOpener {
  return (context) => (hasEnding(path, '.json') ? MasksJsonSink : MasksPngSink).open(path, context, options);
}

/** PNG: frames in columns, sentences in rows. */
export function contactSheetOutput(path: string, options: OutputOptions = {}): SinkOpener {
  return (context) => ContactSheetSink.open(path, context, options);
}

/** One sentence's object alone: WebM with alpha if the name ends in `.webm`, else a folder of PNGs with alpha. */
export function cutOutsOutput(query: number, path: string, options: OutputOptions = {}): SinkOpener {
  if (!hasEnding(path, '.webm')) return () => CutOutPngSink.open(query, path, options);
  return (context) => CutOutVideoSink.open(query, path, context, options);
}

export function hasEnding(path: string, ending: string): boolean {
  return extname(path).toLowerCase() === ending;
}
