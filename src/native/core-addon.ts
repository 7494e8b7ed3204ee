import type { OpenVinoLibrary } from './openvino-library.js';

/** The whole contract of `rvos_core.node`: the CPU core. All functions check sizes and throw TypeError/RangeError; the
 * async ones run on libuv's thread pool, hold references to their buffers until done, and never touch JavaScript meanwhile.
 * Buffers may be longer than needed. While a job runs its buffers must not be transferred or resized. */
export interface CoreAddon {
  readonly version: string;
  /**
   * Opens OpenVINO's C library (`libopenvino_c`), with its siblings beside it, and sets properties of its CPU plugin. Throws
   * an Error that says in one line why it cannot be used: not a library, another version than 2026, no CPU plugin.
   */
  openVino(library: string, properties: Readonly<Record<string, string>>): OpenVinoLibrary;
  /** uint8 [H,W,3] → uint8 [h,w,3]; bilinear, antialias as torchvision's, float32 arithmetic, round half to even. */
  resize(job: {
    source: Uint8Array;
    height: number;
    width: number;
    target: Uint8Array;
    targetHeight: number;
    targetWidth: number;
    antialias: boolean;
  }): Promise<void>;
  /** uint8 [T,h,w,3] → float32 [T,3,h,w]: (x/255 − mean)/std. */
  normalise(job: {
    source: Uint8Array;
    frames: number;
    height: number;
    width: number;
    mean: readonly number[];
    std: readonly number[];
    target: Float32Array;
  }): Promise<void>;
  /**
   * kernels float32 [T,K], features float32 [T,K,fh,fw] → T bit-packed masks of H×W, one after another (each
   * ceil(H·W/8) bytes): kernel · features, bilinear to the padded size, > 0, crop to the resized size, nearest to H×W.
   */
  maskHead(
    job: MaskHeadSizes & {
      kernels: Float32Array;
      features: Float32Array;
      frames: number;
      target: Uint8Array;
    },
  ): Promise<void>;
  /**
   * What the preprocess kernel does on a GPU: uint8 frames of one size, one after another, rows `pitch` bytes apart → resize
   * → normalise → planes [positions,3,h,w], float16 bits or float32 after the target's type. Equal to `resize` and
   * `normalise`, then rounded to the half, to nearest even.
   */
  preprocessBatch(job: {
    /** [T] frames of (rows − 1)·pitch + row bytes; NV12: H rows of Y, then ⌈H/2⌉ of UV. */
    source: Uint8Array;
    frames: number;
    format: 'rgb' | 'bgr' | 'nv12';
    /** For NV12, limited range: chroma is not interpolated, RGB is rounded to levels before the resize. */
    matrix: 'bt601' | 'bt709';
    height: number;
    width: number;
    pitch: number;
    target: Uint16Array | Float32Array;
    targetHeight: number;
    targetWidth: number;
    antialias: boolean;
    mean: readonly number[];
    std: readonly number[];
    /** [T]: where in the target each frame goes, −1: nowhere; left out: 0, 1, 2, … */
    positions?: Int32Array;
  }): Promise<void>;
  /**
   * What the mask-head kernel does on a GPU: kernels float32 [P,T,N,K], features float16 bits or float32 [P,T,K,fh,fw] →
   * bit-packed masks [P,Q,T], each ceil(H·W/8) bytes. Equal to `maskHead` of the features as float32.
   */
  maskHeadBatch(
    job: MaskHeadSizes & {
      kernels: Float32Array;
      features: Uint16Array | Float32Array;
      sentences: number;
      frames: number;
      objectQueries: number;
      /** [P]: the object query of each sentence (Q = 1); left out: all (Q = N). */
      chosen?: Int32Array;
      /** Frames made of sentence p: frameCount[window ? window[p] : p], the masks of others are empty; left out: all. */
      frameCount?: Int32Array;
      window?: Int32Array;
      target: Uint8Array;
    },
  ): Promise<void>;
  /** COCO's compressed run-length string (column-major) of a bit-packed row-major mask. */
  rleEncode(bits: Uint8Array, height: number, width: number): string;
  /** The reverse; throws on a malformed or too long string. */
  rleDecode(counts: string, height: number, width: number): Uint8Array;
  /** Pixels set, bounding box [x, y, width, height] (all 0 when empty). */
  maskStatistics(
    bits: Uint8Array,
    height: number,
    width: number,
  ): { area: number; box: [number, number, number, number] };
  /** Intersection and union in pixels of two masks of one size. */
  maskOverlap(a: Uint8Array, b: Uint8Array): { intersection: number; union: number };
  /**
   * Paints masks over a copy of the frame: for each sentence in turn img = color·(alpha·m) + img·(1−alpha·m) in float,
   * ×255 truncated to uint8 (model-spec §8.3). Colours are uint8 RGB triples, one a mask.
   */
  overlay(job: {
    source: Uint8Array;
    height: number;
    width: number;
    masks: readonly Uint8Array[];
    colors: Uint8Array;
    alpha: number;
    target: Uint8Array;
  }): Promise<void>;
}

/** K, the features' size fh × fw, and the sizes masks pass: padded, its part that is not padding, and their own. */
export interface MaskHeadSizes {
  readonly kernelSize: number;
  readonly featureHeight: number;
  readonly featureWidth: number;
  readonly paddedHeight: number;
  readonly paddedWidth: number;
  readonly resizedHeight: number;
  readonly resizedWidth: number;
  readonly height: number;
  readonly width: number;
}
