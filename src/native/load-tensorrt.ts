import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { RvosError } from '../errors.js';
import { remedies } from '../installation.js';
import { compiledFolder } from './compiled-folder.js';
import type { TensorRtAddon, TensorRtFlavor } from './tensorrt-addon.js';
import { toRvosError } from './tensorrt-errors.js';
import { type FlavorProbe, flavorName, probeFlavor } from './tensorrt-flavor.js';

export interface LoadedTensorRt {
  readonly flavor: TensorRtFlavor;
  /** Its libraries are open. */
  readonly addon: TensorRtAddon;
  /** Full version of the inference library, `1.7.1.116`. */
  readonly libraryVersion: string;
  readonly probe: FlavorProbe & { readonly usable: true };
}

const probes = new Map<TensorRtFlavor, Promise<FlavorProbe>>();
const loaded = new Map<TensorRtFlavor, Promise<LoadedTensorRt>>();

/**
 * What can be used here: each flavour is tried in a child process, once a process. RVOS_TENSORRT_FLAVOR narrows it to one,
 * `simulated` among them. Never rejects because of what is found.
 */
export async function probeTensorRt(): Promise<readonly FlavorProbe[]> {
  return Promise.all(candidates().map(probe));
}

/**
 * Loads a flavour's addon and libraries into this process, after a trial in another. Without a flavour: the one that
 * `preferredFlavor` names. Throws `RvosError`: ADDON_MISSING (not built, damaged, of another version of rvos),
 * BACKEND_UNAVAILABLE (a library or the driver does not work; the message says what happened).
 */
export async function loadTensorRt(flavor?: TensorRtFlavor): Promise<LoadedTensorRt> {
  const wanted = flavor ?? preferredFlavor(await probeTensorRt());
  let loading = loaded.get(wanted);
  if (!loading) {
    loading = load(wanted);
    loaded.set(wanted, loading);
  }
  return loading;
}

/**
 * TensorRT where there is a GPU for it, else TensorRT-RTX, which also builds engines for GPUs that are elsewhere. Throws the
 * `RvosError` of what is nearest to working if no flavour is usable.
 */
export function preferredFlavor(found: readonly FlavorProbe[]): TensorRtFlavor {
  const rank = (candidate: FlavorProbe) => {
    if (!candidate.usable) return 0;
    if (runsHere(candidate)) return candidate.flavor === 'tensorrt-rtx' ? 3 : 4;
    return candidate.flavor === 'tensorrt-rtx' ? 2 : 1;
  };
  const [best] = [...found].sort((a, b) => rank(b) - rank(a));
  if (best?.usable) return best.flavor;
  throw nothingUsable(found);
}

/** Whether there is a GPU that this flavour's engines run on. */
export function runsHere(candidate: FlavorProbe): boolean {
  if (!candidate.usable) return false;
  const { devices, aheadOfTimeTargets } = candidate.learnt;
  // TensorRT-RTX leaves out some kinds of GPU; those it builds for are those it runs on.
  return devices.some(
    ({ computeCapability }) => candidate.flavor !== 'tensorrt-rtx' || aheadOfTimeTargets.includes(computeCapability),
  );
}

function candidates(): TensorRtFlavor[] {
  const named = process.env.RVOS_TENSORRT_FLAVOR;
  if (!named) return ['tensorrt', 'tensorrt-rtx'];
  if (named === 'tensorrt' || named === 'tensorrt-rtx' || named === 'simulated') return [named];
  throw new RvosError(
    'BAD_ARGUMENT',
    `RVOS_TENSORRT_FLAVOR is "${named}"`,
    'Set it to tensorrt or tensorrt-rtx, or leave it unset.',
  );
}

function probe(flavor: TensorRtFlavor): Promise<FlavorProbe> {
  let result = probes.get(flavor);
  if (!result) {
    // RVOS_TENSORRT_ADDONS: a folder like build/tensorrt in another place.
    const addons = process.env.RVOS_TENSORRT_ADDONS;
    const folder = addons ? resolve(addons) : join(compiledFolder(), 'tensorrt');
    result = probeFlavor(flavor, join(folder, flavor));
    probes.set(flavor, result);
  }
  return result;
}

async function load(flavor: TensorRtFlavor): Promise<LoadedTensorRt> {
  const tried = await probe(flavor);
  if (!tried.usable) throw tried.error;
  const { addon: file, infer, parser } = tried.files;
  try {
    const addon = createRequire(import.meta.url)(file) as TensorRtAddon;
    const { libraryVersion } = addon.load({ infer, parser });
    return { flavor, addon, libraryVersion, probe: tried };
  } catch (error) {
    throw toRvosError(error, { what: `${flavorName(flavor)} cannot be loaded` });
  }
}

/** The error of the one flavour that is built or, where several could be, all reasons in one line. */
function nothingUsable(found: readonly FlavorProbe[]): RvosError {
  const broken = found.filter((candidate) => !candidate.usable && candidate.built);
  const errors = (broken.length > 0 ? broken : found).flatMap((candidate) =>
    candidate.usable ? [] : [candidate.error],
  );
  const [first] = errors;
  if (first && errors.length === 1) return first;
  if (first && broken.length > 0) {
    return new RvosError(first.code, errors.map(({ message }) => message).join('; '), first.hint);
  }
  return new RvosError(
    'ADDON_MISSING',
    'neither the addon for TensorRT nor that for TensorRT-RTX is built',
    `Run "${remedies.tensorRtKit}".`,
  );
}
