import { randomUUID } from 'node:crypto';
import { RvosError } from '../../errors.js';
import { installCommand, isClone, peer, remedies } from '../../installation.js';
import type { Mask } from '../../masks/mask.js';
import type { Box } from '../../masks/statistics.js';
import { badAnnotation, maxAnnotationPixels, maxObjects } from './bad-annotation.js';
import { columnMajorMask } from './column-major-mask.js';

/** The objects annotated in one frame of A2D-Sentences (model-spec §9.1). */
export interface AnnotatedObjects {
  /** Instance ids, in the file's order. */
  readonly instances: readonly number[];
  readonly masks: readonly Mask[];
  /** [x, y, width, height] in pixels. */
  readonly boxes: readonly Box[];
}

interface NumericArray {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

/**
 * Reads `instance`, `reMask` ([n,W,H], or [W,H] for one object) and `reBBox` ([4,n] of x1, y1, x2, y2) of an A2D-Sentences
 * frame. The HDF5 library runs inside WebAssembly: a malformed file can reach nothing outside it. Throws `RvosError`
 * BAD_DATA_SET naming `path`.
 */
export async function readHdf5Masks(bytes: Buffer, path: string): Promise<AnnotatedObjects> {
  const hdf5 = await loadHdf5();
  const library = await hdf5.ready;
  // Else the library prints its errors and goes on with invalid handles.
  library.activate_throwing_error_handler();
  const { FS } = library;
  const name = `${randomUUID()}.h5`;
  FS.writeFile(name, bytes);
  try {
    const file = new hdf5.File(name, 'r');
    try {
      const array = (key: string): NumericArray => {
        const entity = file.get(key);
        if (!(entity instanceof hdf5.Dataset)) throw badAnnotation(path, `has no array ${key}`);
        return numericArray(entity.shape, entity.value, key, path);
      };
      return arrange(array('instance'), array('reMask'), array('reBBox'), path);
    } finally {
      file.close();
    }
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'RvosError') throw cause;
    throw badAnnotation(path, 'is no readable HDF5 file', cause);
  } finally {
    FS.unlink(name);
  }
}

/** Loaded late, and an optional package (15 MB): half a second and a WebAssembly heap that only A2D-Sentences needs. */
async function loadHdf5(): Promise<typeof import('h5wasm')['default']> {
  try {
    return (await import('h5wasm')).default;
  } catch (cause) {
    throw new RvosError(
      'NOT_FOUND',
      'A2D-Sentences are HDF5 files, and the package that reads them, h5wasm, is not installed',
      isClone ? remedies.reinstall : `Install it with "${installCommand(peer('h5wasm'))}".`,
      { cause },
    );
  }
}

function numericArray(shape: readonly number[] | null, value: unknown, key: string, path: string): NumericArray {
  const size = (shape ?? []).reduce((product, n) => product * n, 1);
  if (size > maxAnnotationPixels * 4) throw badAnnotation(path, `array ${key} is too large`);
  const values = typeof value === 'number' || typeof value === 'bigint' ? [Number(value)] : value;
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
    return { shape: shape ?? [], values: Array.from(values, Number) };
  }
  if (!(ArrayBuffer.isView(values) && !(values instanceof DataView)) && !Array.isArray(values)) {
    throw badAnnotation(path, `array ${key} holds no numbers`);
  }
  return { shape: shape ?? [], values: values as ArrayLike<number> };
}

function arrange(instance: NumericArray, masks: NumericArray, boxes: NumericArray, path: string): AnnotatedObjects {
  const instances = Array.from(instance.values, Number);
  const count = instances.length;
  const [width, height] = masks.shape.slice(-2) as [number, number];
  const stacked = masks.shape.length === 3 ? masks.shape[0] : 1;
  if (masks.shape.length < 2 || masks.shape.length > 3 || stacked !== count || count > maxObjects) {
    throw badAnnotation(path, `has ${count} instances and masks of shape [${masks.shape.join(', ')}]`);
  }
  if (boxes.values.length !== 4 * count) throw badAnnotation(path, 'does not have four box numbers an instance');
  return {
    instances,
    masks: instances.map((_, i) =>
      columnMajorMask((index) => Number(masks.values[i * width * height + index]), width, height),
    ),
    boxes: instances.map((_, i) => {
      const [x1, y1, x2, y2] = [0, 1, 2, 3].map((side) => Number(boxes.values[side * count + i])) as [
        number,
        number,
        number,
        number,
      ];
      return [x1, y1, x2 - x1, y2 - y1];
    }),
  };
}
