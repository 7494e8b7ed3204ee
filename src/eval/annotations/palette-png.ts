import { decode } from 'fast-png';
import type { Mask } from '../../masks/mask.js';
import { maskFromPixels } from '../../masks/pixels.js';
import { badAnnotation, maxAnnotationPixels } from './bad-annotation.js';

/** A picture whose levels are object ids, 0 = background. */
export interface ObjectMap {
  readonly width: number;
  readonly height: number;
  /** uint8 [height, width] */
  readonly ids: Uint8Array;
}

/**
 * Object ids of an annotation PNG (Refer-YouTube-VOS, DAVIS): the palette's indices, not its colours, or the levels of a
 * grey picture. Throws `RvosError` BAD_DATA_SET naming `path`.
 */
export function readObjectMap(bytes: Uint8Array, path: string): ObjectMap {
  checkHeader(bytes, path);
  let png: ReturnType<typeof decode>;
  try {
    png = decode(bytes);
  } catch (cause) {
    throw badAnnotation(path, 'is no readable PNG', cause);
  }
  const { width, height, channels, depth, data } = png;
  if (channels !== 1 || depth > 8)
    throw badAnnotation(path, 'is a colour picture: object ids are indices of a palette');
  return { width, height, ids: depth === 8 ? Uint8Array.from(data) : unpack(data, width, height, depth) };
}

export function objectMask({ width, height, ids }: ObjectMap, id: number): Mask {
  const pixels = ids.map((value) => (value === id ? 1 : 0));
  return maskFromPixels(pixels, width, height, 1);
}

/** The size is read before anything is decoded, so that a few bytes cannot ask for gigabytes. */
function checkHeader(bytes: Uint8Array, path: string): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 33 || view.getUint32(0) !== 0x89504e47) throw badAnnotation(path, 'is no PNG');
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  if (width * height > maxAnnotationPixels) throw badAnnotation(path, `has ${width}×${height} pixels: too many`);
}

/** 1, 2 or 4 bits a pixel, rows padded to bytes. */
function unpack(data: ArrayLike<number>, width: number, height: number, depth: number): Uint8Array {
  if (data.length === width * height) return Uint8Array.from(data);
  const ids = new Uint8Array(width * height);
  const row = Math.ceil((width * depth) / 8);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      ids[y * width + x] = (data[y * row + (bit >> 3)]! >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
    }
  }
  return ids;
}
