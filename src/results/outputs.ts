import { extname } from 'node:path';
import type { SinkOpener } from './frame-sink.js';
import { MasksJsonSink } from './masks-json.js';
import { MasksPngSink } from './masks-png.js';

export interface OutputOptions {
  /** Replace what is there. */
  readonly force?: boolean | undefined;
}

/** Masks go to a JSON file if the name says so, else to a folder of pictures. */
export function isJson(path: string): boolean {
  return extname(path).toLowerCase() === '.json';
}

/** COCO run lengths if the name ends in `.json`, else a folder `<query>/<frame>.png`. */
export function masksOutput(path: string, options: OutputOptions = {}): SinkOpener {
  return (context) => (isJson(path) ? MasksJsonSink : MasksPngSink).open(path, context, options);
}
