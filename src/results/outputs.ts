import { extname } from 'node:path';

export interface OutputOptions {
  /** Replace what is there. */
  readonly force?: boolean;
}

/** Masks go to a JSON file if the name says so, else to a folder of pictures. */
export function isJson(path: string): boolean {
  return extname(path).toLowerCase() === '.json';
}
