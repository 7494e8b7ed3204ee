import { isDeepStrictEqual } from 'node:util';
import { RvosError } from '../errors.js';
import type { Precision } from '../model/architecture.js';
import type { NativeDevice, TensorRtFlavor } from '../native/tensorrt-addon.js';
import { flavorName } from '../native/tensorrt-flavor.js';
import { capabilityLabel, type EngineManifest } from './engine-manifest.js';
import { type EngineLimits, engineLimits, type PlannedEngine, type PlannedModel, planProfiles } from './engine-plan.js';

/** What would run an engine: a loaded TensorRT and the GPU. */
export interface EngineHost {
  readonly flavor: TensorRtFlavor;
  /** Full version of the library, as `load` of the addon gives it. */
  readonly libraryVersion: string;
  /** Null: there is none. */
  readonly device: Pick<NativeDevice, 'name' | 'computeCapability'> | null;
}

/** What an engine must have been made from. */
export interface ExpectedEngine {
  readonly model: PlannedModel & { readonly name: string; readonly weightsSha256: string };
  readonly planned: PlannedEngine;
  readonly graphSha256: string;
  readonly precision: Precision;
}

/** What makes an engine unusable on a machine, each in words; empty if it fits. */
export function hostDifferences(manifest: EngineManifest, host: EngineHost): string[] {
  const { flavor, version } = manifest.tensorrt;
  const differences: string[] = [];
  if (flavor !== host.flavor) {
    differences.push(`it is for ${flavorName(flavor)}, ${flavorName(host.flavor)} would run it`);
  } else if (version !== host.libraryVersion) {
    differences.push(`it is of ${flavorName(flavor)} ${version}, here is ${host.libraryVersion}`);
  }
  const { device } = host;
  if (!device) return [...differences, 'there is no GPU here'];
  const { target } = manifest;
  const here = `this GPU is ${device.name} (${capabilityLabel(device.computeCapability)})`;
  if (target.kind === 'ahead-of-time') {
    const made = target.compute_capabilities;
    if (!made.includes(device.computeCapability)) {
      differences.push(`it is for compute capability ${made.map(capabilityLabel).join(', ')}, ${here}`);
    }
    return differences;
  }
  // TensorRT's kernels are chosen for one GPU model; TensorRT-RTX finishes its own on the machine that runs them.
  const sameName = flavor === 'tensorrt-rtx' || target.name === device.name;
  if (target.compute_capability !== device.computeCapability || !sameName) {
    differences.push(`it is for ${target.name} (${capabilityLabel(target.compute_capability)}), ${here}`);
  }
  return differences;
}

/** In what an engine is not what the model needs, each in words; empty if it is. */
export function sourceDifferences(manifest: EngineManifest, expected: ExpectedEngine): string[] {
  const { model, planned, graphSha256, precision } = expected;
  const differences: string[] = [];
  const { engine, stage } = manifest;
  if (engine !== planned.name || stage !== planned.stage)
    differences.push(`its manifest is that of ${engine} (${stage})`);
  if (manifest.model.weights_sha256 !== model.weightsSha256) {
    differences.push(
      `it is of another model: weights ${manifest.model.weights_sha256.slice(0, 12)}…, ${model.name} has ${model.weightsSha256.slice(0, 12)}…`,
    );
  } else if (manifest.graph_sha256 !== graphSha256) {
    differences.push(`its graph, made by rvos ${manifest.rvos}, is not the one this version makes`);
  }
  if (manifest.precision !== precision) differences.push(`it computes in ${manifest.precision}, not in ${precision}`);
  if (differences.length > 0) return differences;
  if (!profilesFit(manifest, model, planned)) differences.push('its profiles are not those that the model needs');
  return differences;
}

function profilesFit(manifest: EngineManifest, model: PlannedModel, planned: PlannedEngine): boolean {
  try {
    const limits = engineLimits(model, manifestLimits(manifest));
    return isDeepStrictEqual(manifest.profiles, planProfiles(model, planned, limits));
  } catch (error) {
    if (error instanceof RvosError) return false; // limits no build would have taken
    throw error;
  }
}

/** Limits an engine was built with; those that its stage does not depend on are left out. */
export function manifestLimits({ profiles }: EngineManifest): Partial<EngineLimits> {
  // The last one allows most.
  const largest = (tensor: string, axis: number): number | undefined => profiles.at(-1)?.[tensor]?.max[axis];
  const windows = largest('frame_count', 0);
  const sentences = largest('attention_mask', 0);
  const tokens = largest('attention_mask', 1);
  return {
    ...(windows !== undefined && { windows }),
    ...(sentences !== undefined && { sentences }),
    ...(tokens !== undefined && { tokens }),
  };
}
