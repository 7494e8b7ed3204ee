import { RvosError } from '../errors.js';
import { remedies } from '../installation.js';
import { loadTensorRt, probeTensorRt, runsHere } from '../native/load-tensorrt.js';
import type { NativeDevice, TensorRtAddon, TensorRtFlavor } from '../native/tensorrt-addon.js';
import { type FlavorProbe, flavorName } from '../native/tensorrt-flavor.js';
import type { EngineBuilder } from './build-engines.js';
import type { EngineTarget } from './engine-folder.js';
import { capabilityLabel } from './engine-manifest.js';

export const flavorChoices = ['auto', 'tensorrt', 'tensorrt-rtx'] as const;

/** `auto`: TensorRT with a usable GPU, else TensorRT-RTX. */
export type FlavorChoice = (typeof flavorChoices)[number];

export interface BuilderRequest {
  readonly flavor?: FlavorChoice | undefined;
  /** Compute capabilities (as 86) to build for ahead of time; left out: the GPU present, else all the flavour knows. */
  readonly targets?: readonly number[] | undefined;
}

export interface ChosenBuilder {
  readonly flavor: TensorRtFlavor;
  readonly target: EngineTarget;
  /** What was chosen and why, in words. */
  readonly reason: string;
}

/** The TensorRT that builds, loaded. */
export interface OpenedBuilder extends ChosenBuilder {
  readonly builder: EngineBuilder;
  readonly addon: TensorRtAddon;
  /** The GPU that is built for, where that is one of this machine's. */
  readonly device: NativeDevice | undefined;
}

type Usable = FlavorProbe & { readonly usable: true };

const setUp = `Run "${remedies.tensorRtKit}"; rvos doctor says what is found.`;

/**
 * Loads the TensorRT that builds what is asked for. Throws `RvosError`: BAD_ARGUMENT (target unknown), ADDON_MISSING,
 * BACKEND_UNAVAILABLE naming the set-up's command.
 */
export async function openBuilder(request: BuilderRequest): Promise<OpenedBuilder> {
  const chosen = chooseBuilder(await probeTensorRt(), request);
  const { addon, libraryVersion, probe } = await loadTensorRt(chosen.flavor);
  const { target } = chosen;
  const device =
    target.kind === 'device' ? probe.learnt.devices.find(({ index }) => index === target.device.index) : undefined;
  return { ...chosen, builder: { addon, libraryVersion }, addon, device };
}

/** The choice alone, made from what was found; same errors. */
export function chooseBuilder(
  found: readonly FlavorProbe[],
  { flavor = 'auto', targets }: BuilderRequest,
): ChosenBuilder {
  const probe = flavor === 'auto' ? automatic(found, targets !== undefined) : named(found, flavor);
  const { learnt } = probe;
  const name = `${flavorName(probe.flavor)} ${learnt.libraryVersion}`;
  const known = [...learnt.aheadOfTimeTargets].sort((a, b) => a - b);
  if (targets !== undefined) return aheadOfTime(probe, checkedTargets(probe, known, targets), `${name}: as asked for`);
  const device = gpuOf(probe);
  if (device)
    return { flavor: probe.flavor, target: { kind: 'device', device }, reason: `${name}: for ${device.name}` };
  if (known.length > 0) {
    const [gpu] = learnt.devices;
    const why = gpu ? `it does not run on ${gpu.name}` : 'there is no GPU here';
    return aheadOfTime(probe, known, `${name}: ahead of time, as ${why}`);
  }
  const reason = learnt.deviceProblem?.message ?? 'no GPU was found';
  throw new RvosError(
    'BACKEND_UNAVAILABLE',
    `${name} builds engines only on the GPU they are for: ${reason}`,
    'Run it on that machine, or build for RTX GPUs anywhere with --flavor tensorrt-rtx.',
  );
}

function automatic(found: readonly FlavorProbe[], withTargets: boolean): Usable {
  const usable = found.filter((probe): probe is Usable => probe.usable);
  const simulated = usable.find(({ flavor }) => flavor === 'simulated');
  const classic = usable.find((probe) => probe.flavor === 'tensorrt' && runsHere(probe));
  const rtx = usable.find(({ flavor }) => flavor === 'tensorrt-rtx');
  const chosen = simulated ?? (withTargets ? rtx : (classic ?? rtx));
  if (chosen) return chosen;
  const reasons = found.map((probe) => {
    if (!probe.usable) return probe.error.message;
    return `${flavorName(probe.flavor)} builds only on the GPU that engines are for (${probe.learnt.deviceProblem?.message ?? 'no GPU was found'})`;
  });
  throw new RvosError('BACKEND_UNAVAILABLE', `nothing here builds engines: ${reasons.join('; ')}`, setUp);
}

function named(found: readonly FlavorProbe[], flavor: TensorRtFlavor): Usable {
  const probe = found.find((each) => each.flavor === flavor);
  if (probe?.usable) return probe;
  if (probe) throw new RvosError(probe.error.code, probe.error.message, setUp, { cause: probe.error });
  throw new RvosError('BACKEND_UNAVAILABLE', `${flavorName(flavor)} was not looked for`, 'Unset RVOS_TENSORRT_FLAVOR.');
}

function gpuOf(probe: Usable): NativeDevice | undefined {
  if (!runsHere(probe)) return undefined;
  const { devices, aheadOfTimeTargets } = probe.learnt;
  return probe.flavor === 'tensorrt-rtx'
    ? devices.find(({ computeCapability }) => aheadOfTimeTargets.includes(computeCapability))
    : devices[0];
}

function aheadOfTime({ flavor }: Usable, computeCapabilities: readonly number[], why: string): ChosenBuilder {
  const labels = computeCapabilities.map(capabilityLabel).join(', ');
  return { flavor, target: { kind: 'ahead-of-time', computeCapabilities }, reason: `${why}: ${labels}` };
}

function checkedTargets({ flavor }: Usable, known: readonly number[], targets: readonly number[]): number[] {
  const name = flavorName(flavor);
  if (known.length === 0) {
    throw new RvosError(
      'BAD_ARGUMENT',
      `${name} cannot build for other GPUs than the one that is present`,
      'Leave out --target, or give --flavor tensorrt-rtx.',
    );
  }
  const unknown = targets.find((target) => !known.includes(target));
  if (unknown !== undefined) {
    const list = known.map(capabilityLabel).join(', ');
    throw new RvosError(
      'BAD_ARGUMENT',
      `${name} does not build for compute capability ${capabilityLabel(unknown)}`,
      `It builds for ${list}.`,
    );
  }
  return [...new Set(targets)].sort((a, b) => a - b);
}
