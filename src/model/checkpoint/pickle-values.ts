import type { Dtype } from '../../tensors/tensor.js';

/** What a pickle may hold: plain data, never a live object. Lists are arrays; bytes are Uint8Arrays. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | PickleTuple
  | PickleDict
  | PickleGlobal
  | PickleInert
  | TorchStorage
  | TorchTensor;

export class PickleTuple {
  constructor(readonly items: readonly PickleValue[]) {}
}

/** A dict of any kind. Keys that are not scalars are told apart by identity, which is enough to ignore them. */
export class PickleDict {
  readonly entries = new Map<PickleValue, PickleValue>();
}

/** The name of a class or function on the allow-list. */
export class PickleGlobal {
  constructor(
    readonly name: string,
    readonly role: GlobalRole,
  ) {}
}

/** Something allowed in a checkpoint that nobody looks at, such as a NumPy scalar; its parts are dropped. */
export class PickleInert {
  constructor(readonly name: string) {}
}

/** Raw values in the archive entry `data/<key>`. */
export class TorchStorage {
  constructor(
    readonly dtype: Dtype,
    readonly key: string,
    /** Elements. */
    readonly length: number,
  ) {}
}

/** A view of a storage: element [i, j, …] is at offset + i·stride[0] + j·stride[1] + … */
export class TorchTensor {
  constructor(
    readonly storage: TorchStorage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly stride: readonly number[],
  ) {}
}

/** What "calling" a global with arguments builds. */
export type GlobalRole =
  | { readonly kind: 'dict' }
  | { readonly kind: 'tensor' }
  | { readonly kind: 'parameter' }
  | { readonly kind: 'storage'; readonly dtype: Dtype }
  | { readonly kind: 'size' }
  | { readonly kind: 'inert' };

const storages: Record<string, Dtype> = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
};

const roles = new Map<string, GlobalRole>([
  ['collections.OrderedDict', { kind: 'dict' }],
  ['collections.Counter', { kind: 'dict' }],
  ['torch._utils._rebuild_tensor', { kind: 'tensor' }],
  ['torch._utils._rebuild_tensor_v2', { kind: 'tensor' }],
  ['torch._utils._rebuild_parameter', { kind: 'parameter' }],
  ['torch._utils._rebuild_parameter_with_state', { kind: 'parameter' }],
  ['torch.Size', { kind: 'size' }],
  ...Object.entries(storages).map(([name, dtype]) => [`torch.${name}`, { kind: 'storage', dtype }] as const),
  // Training state beside the weights: best metrics as NumPy scalars, options, sets.
  ...[
    'torch.device',
    'torch.float16',
    'torch.bfloat16',
    'torch.float32',
    'torch.float64',
    'torch.int64',
    'collections.defaultdict',
    'argparse.Namespace',
    '_codecs.encode',
    'numpy.dtype',
    'numpy.ndarray',
    'numpy.core.multiarray.scalar',
    'numpy.core.multiarray._reconstruct',
    'numpy._core.multiarray.scalar',
    'numpy._core.multiarray._reconstruct',
    'builtins.dict',
    'builtins.list',
    'builtins.set',
    'builtins.frozenset',
    'builtins.int',
    'builtins.float',
    '__builtin__.dict',
    '__builtin__.list',
    '__builtin__.set',
    '__builtin__.frozenset',
    '__builtin__.int',
    '__builtin__.float',
  ].map((name) => [name, { kind: 'inert' }] as const),
]);

/** The global on the allow-list, or undefined. */
export function allowedGlobal(module: string, name: string): PickleGlobal | undefined {
  // Neither part may hold the dot that would move the border between them.
  if (name.includes('.')) return undefined;
  const full = `${module}.${name}`;
  const role = roles.get(full);
  return role && new PickleGlobal(full, role);
}
