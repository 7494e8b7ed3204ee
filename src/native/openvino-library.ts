/** A tensor with its name; memory is read and written in place. */
export interface NamedTensor {
  readonly name: string;
  readonly dtype: 'F32' | 'I32' | 'I64';
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | BigInt64Array;
}

/** OpenVINO as the native core opens it; errors are one line each, and begin with what failed. */
export interface OpenVinoLibrary {
  /** As "2026.4.1". */
  readonly version: string;
  /** A property of the CPU plugin, as FULL_DEVICE_NAME. */
  property(key: string): string;
  /**
   * Reads an ONNX graph with its external data, fixes the shapes of the inputs named, and compiles it for this processor.
   * `properties` stay set. One at a time.
   */
  compile(job: {
    readonly graph: string;
    readonly shapes: Readonly<Record<string, readonly number[]>>;
    readonly properties: Readonly<Record<string, string>>;
  }): Promise<OpenVinoModel>;
  /** What `exportTo` wrote, made ready with the same properties. */
  importModel(stored: Uint8Array, properties: Readonly<Record<string, string>>): Promise<OpenVinoModel>;
}

export interface OpenVinoModel {
  /** −1 where a run decides. */
  readonly outputs: readonly Pick<NamedTensor, 'name' | 'dtype' | 'shape'>[];
  /** What the compiled model took, as INFERENCE_PRECISION_HINT. */
  property(key: string): string;
  exportTo(file: string): Promise<void>;
  /** Resolves to the outputs that `outputs` gives no memory for. Rejects with "the run was cancelled" after `cancel`. */
  infer(inputs: readonly NamedTensor[], outputs: readonly NamedTensor[]): Promise<NamedTensor[]>;
  /** Ends the run under way, if there is one. */
  cancel(): void;
  /** Throws while a run is under way. */
  release(): void;
}
