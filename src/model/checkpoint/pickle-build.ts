import {
  PickleDict,
  type PickleGlobal,
  PickleInert,
  PickleTuple,
  type PickleValue,
  TorchStorage,
  TorchTensor,
} from './pickle-values.js';

const maxDimensions = 64;

/** What is wrong with a pickle, and where; the reader of the file makes an `RvosError` of it. */
export class PickleProblem extends Error {
  override readonly name = 'PickleProblem';
  /** Byte within the pickle. */
  position: number | undefined;

  constructor(
    message: string,
    /** The pickle asks for code rather than data. */
    readonly asksForCode = false,
  ) {
    super(message);
  }

  /** Sets the position unless it is known more exactly. */
  at(position: number): this {
    this.position ??= position;
    return this;
  }
}

export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** What a global of the allow-list and its arguments stand for. */
export function buildObject(callee: PickleGlobal, args: readonly PickleValue[]): PickleValue {
  switch (callee.role.kind) {
    case 'dict':
      return dict(callee, args);
    case 'tensor':
      return tensor(args);
    case 'parameter': {
      const [data] = args;
      if (!(data instanceof TorchTensor)) throw new PickleProblem('has a parameter without a tensor');
      return data;
    }
    case 'size': {
      const [items] = args;
      if (!(items instanceof PickleTuple)) throw new PickleProblem('has a size that is not a tuple');
      return items;
    }
    case 'inert':
      return new PickleInert(callee.name);
    case 'storage':
      throw new PickleProblem(`calls ${callee.name}`);
  }
}

/** `OrderedDict()`, `OrderedDict([(key, value), …])`, `Counter({…})`. */
function dict(callee: PickleGlobal, [source]: readonly PickleValue[]): PickleDict {
  const result = new PickleDict();
  if (source === undefined) return result;
  if (source instanceof PickleDict) {
    for (const [key, value] of source.entries) result.entries.set(key, value);
    return result;
  }
  if (!Array.isArray(source)) throw new PickleProblem(`makes a ${callee.name} of something else than items`);
  for (const pair of source) {
    const items = pair instanceof PickleTuple ? pair.items : Array.isArray(pair) ? pair : [];
    if (items.length !== 2) throw new PickleProblem(`makes a ${callee.name} of something else than pairs`);
    result.entries.set(items[0]!, items[1]!);
  }
  return result;
}

/** `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])`; v1 ends after `stride`. */
function tensor([storage, offset, size, stride]: readonly PickleValue[]): TorchTensor {
  if (!(storage instanceof TorchStorage)) throw new PickleProblem('has a tensor without a storage');
  const shape = counts(size);
  const steps = counts(stride);
  if (!isCount(offset) || shape.length !== steps.length) throw new PickleProblem('has a tensor of impossible form');
  if (!shape.includes(0)) {
    const last = shape.reduce((sum, length, i) => sum + (length - 1) * steps[i]!, offset);
    if (!(last < storage.length)) throw new PickleProblem('has a tensor that reaches beyond its storage');
  }
  return new TorchTensor(storage, offset, shape, steps);
}

function counts(value: PickleValue | undefined): readonly number[] {
  const items = value instanceof PickleTuple ? value.items : Array.isArray(value) ? value : undefined;
  if (!items || items.length > maxDimensions || !items.every(isCount)) {
    throw new PickleProblem('has a tensor of impossible form');
  }
  return items as readonly number[];
}
