/** A pickle of protocol 2, opcode by opcode, as torch.save writes it; also for pickles that no library would write. */
export class PickleWriter {
  readonly #parts: Buffer[] = [Buffer.from([0x80, 2])];

  op(...bytes: number[]): this {
    this.#parts.push(Buffer.from(bytes));
    return this;
  }

  raw(bytes: Uint8Array | string): this {
    this.#parts.push(Buffer.from(bytes as Uint8Array));
    return this;
  }

  text(value: string): this {
    const bytes = Buffer.from(value);
    return this.op(0x58).raw(uint32(bytes.length)).raw(bytes);
  }

  integer(value: number): this {
    if (value >= -(2 ** 31) && value < 2 ** 31) return this.op(0x4a).raw(int32(value));
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    return this.op(0x8a, 8).raw(bytes);
  }

  global(module: string, name: string): this {
    return this.raw(`c${module}\n${name}\n`);
  }

  tuple(items: readonly (() => void)[]): this {
    this.op(0x28);
    for (const item of items) item();
    return this.op(0x74);
  }

  /** REDUCE of a global with arguments. */
  call(module: string, name: string, args: readonly (() => void)[]): this {
    return this.global(module, name).tuple(args).op(0x52);
  }

  /** An OrderedDict of items, or with `plain` a dict. */
  dict(items: readonly [string, () => void][], plain = false): this {
    if (plain) this.op(0x7d);
    else this.call('collections', 'OrderedDict', []);
    this.op(0x28);
    for (const [key, value] of items) {
      this.text(key);
      value();
    }
    return this.op(0x75);
  }

  integers(values: readonly number[]): this {
    return this.tuple(values.map((value) => () => this.integer(value)));
  }

  tensor(tensor: TorchTensorRecord): this {
    return this.call('torch._utils', '_rebuild_tensor_v2', [
      () => {
        this.tuple([
          () => this.text('storage'),
          () => this.global('torch', tensor.storageType),
          () => this.text(tensor.key),
          () => this.text(tensor.location ?? 'cpu'),
          () => this.integer(tensor.length),
        ]).op(0x51);
      },
      () => this.integer(tensor.offset ?? 0),
      () => this.integers(tensor.shape),
      () => this.integers(tensor.stride ?? contiguous(tensor.shape)),
      () => this.op(0x89),
      () => this.call('collections', 'OrderedDict', []),
    ]);
  }

  /** The pickle, ended with STOP. */
  end(): Buffer {
    return Buffer.concat([...this.#parts, Buffer.from('.')]);
  }
}

export interface TorchTensorRecord {
  readonly storageType: string;
  readonly key: string;
  /** Elements of the storage. */
  readonly length: number;
  readonly location?: string;
  readonly offset?: number;
  readonly shape: readonly number[];
  readonly stride?: readonly number[];
}

function contiguous(shape: readonly number[]): number[] {
  const stride = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) stride[i] = stride[i + 1]! * shape[i + 1]!;
  return stride;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
