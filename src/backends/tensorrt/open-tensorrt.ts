import type { EngineBuildProgress } from '../../engines/build-engines.js';
import { buildCommand } from '../../engines/engine-folder.js';
import { EngineStore } from '../../engines/engine-store.js';
import { RvosError } from '../../errors.js';
import type { ModelFolder } from '../../model/model-folder.js';
import { loadTensorRt, preferredFlavor, probeTensorRt, runsHere } from '../../native/load-tensorrt.js';
import type { NativeDevice } from '../../native/tensorrt-addon.js';
import { type FlavorProbe, flavorName } from '../../native/tensorrt-flavor.js';
import { TensorRtBackend } from '../tensorrt.js';
import { StoredEngines } from './stored-engines.js';
import { VerifiedEngines } from './verified-engines.js';

export interface TensorRtChoice {
  readonly model: ModelFolder;
  /** Folder `engines`; default `$RVOS_ENGINES`, else `engines` in the working folder. */
  readonly engines?: string | undefined;
  /** Build engines that are missing. */
  readonly build?: boolean | undefined;
  readonly onBuildProgress?: ((progress: EngineBuildProgress) => void) | undefined;
}

export interface OpenedTensorRt {
  readonly backend: TensorRtBackend;
  /** Library and GPU, in words. */
  readonly reason: string;
}

/**
 * TensorRT on this machine's GPU. Throws `RvosError`: ADDON_MISSING (not built), BACKEND_UNAVAILABLE with the reason (no
 * usable library, driver or GPU).
 */
export async function openTensorRt(choice: TensorRtChoice): Promise<OpenedTensorRt> {
  return open(choice, requireUsable(await probeTensorRt()));
}

/**
 * The same for `auto`: only where there are engines of the model that fit (or are to be built); else why not, in words.
 * Nothing is loaded or tried where no addon is built or no engine is there.
 */
export async function tryTensorRt(choice: TensorRtChoice): Promise<OpenedTensorRt | string> {
  const { model, engines, build } = choice;
  const store = new EngineStore(engines);
  if (!build && (await store.keyFolders(model)).length === 0)
    return `no TensorRT engines of ${model.name} in ${store.root}`;
  try {
    const usable = requireUsable(await probeTensorRt());
    if (!build) {
      const { libraryVersion } = usable.probe.learnt;
      await store.findTextEncoder(model, { flavor: usable.probe.flavor, libraryVersion, device: usable.device });
    }
    return await open(choice, usable, 'or use --backend onnxruntime');
  } catch (error) {
    if (error instanceof RvosError) return error.message;
    throw error;
  }
}

export interface Usable {
  readonly probe: FlavorProbe & { readonly usable: true };
  readonly device: NativeDevice;
}

async function open(choice: TensorRtChoice, { probe, device }: Usable, orElse?: string): Promise<OpenedTensorRt> {
  const { model, engines, build, onBuildProgress } = choice;
  const { addon, flavor, libraryVersion } = await loadTensorRt(probe.flavor);
  const ending = new AbortController();
  const source = new StoredEngines({
    model,
    store: new EngineStore(engines),
    host: { flavor, libraryVersion, device },
    ...(orElse && { orElse }),
    ...(build && {
      build: {
        builder: { addon, libraryVersion },
        signal: ending.signal,
        ...(onBuildProgress && { onProgress: onBuildProgress }),
      },
    }),
  });
  const verified = new VerifiedEngines({
    ...{ model, addon, device, engines: source, signal: ending.signal },
    command: (size) => buildCommand({ model, size, flavor, root: source.root }),
  });
  const backend = new TensorRtBackend({ model, addon, device: device.index, engines: verified, ending });
  return { backend, reason: `${flavorName(flavor)} ${libraryVersion} on ${device.name}` };
}

/** The flavour and GPU to use. Throws the `RvosError` that says why there is none. */
export function requireUsable(probes: readonly FlavorProbe[]): Usable {
  const flavor = preferredFlavor(probes);
  const probe = probes.find((candidate) => candidate.flavor === flavor);
  if (!probe?.usable) throw new Error(`${flavor} was preferred, but is not usable`);
  const { devices, deviceProblem, aheadOfTimeTargets } = probe.learnt;
  if (!runsHere(probe)) {
    const [device] = devices;
    const why = device
      ? `it has no engines for ${device.name}, its targets are ${aheadOfTimeTargets.join(', ')}`
      : (deviceProblem?.message ?? 'there is no GPU');
    throw new RvosError(
      'BACKEND_UNAVAILABLE',
      `${flavorName(flavor)} cannot run here: ${why.replace(/\.$/, '')}`,
      'Use --backend onnxruntime; rvos doctor says what is found.',
    );
  }
  const device = devices.find(
    ({ computeCapability }) => flavor !== 'tensorrt-rtx' || aheadOfTimeTargets.includes(computeCapability),
  );
  return { probe, device: device! };
}
