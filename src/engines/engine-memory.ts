import type { MemoryPlan, PipelineLimits, TensorRtAddon } from '../native/tensorrt-addon.js';
import type { EngineManifest } from './engine-manifest.js';

/** Manifests of the engines of one size, from one key's folder. */
export interface ManifestSet {
  readonly size: string;
  readonly short: EngineManifest;
  readonly long: EngineManifest | null;
  readonly transformer: EngineManifest;
}

/** The complete sets among the manifests of one folder, one for each size. */
export function manifestSets(manifests: readonly EngineManifest[]): ManifestSet[] {
  const named = new Map(manifests.map((manifest) => [manifest.engine, manifest]));
  return manifests.flatMap((transformer) => {
    const size = /^transformer-(.+)$/.exec(transformer.engine)?.[1];
    const short = size && named.get(`backbone-short-${size}`);
    if (!size || !short) return [];
    const long = named.get(`backbone-long-${size}`) ?? null;
    return long || transformer.profiles.length === 1 ? [{ size, short, long, transformer }] : [];
  });
}

/**
 * What a pipeline over such engines is laid out for, from the manifests alone; undefined if they do not say all of it.
 * `lanes`: batches under way at once, and videos that keep frames on the GPU.
 */
export function limitsOfManifests(
  { short, long, transformer }: ManifestSet,
  lanes: (windows: number) => Pick<PipelineLimits, 'inFlight' | 'streams'>,
): PipelineLimits | undefined {
  const clip = short.profiles.at(-1)?.frames?.max;
  const [profile] = transformer.profiles;
  const level0 = profile?.level0?.max;
  const text = profile?.text_features?.max;
  const kernels = transformer.tensors.find(({ name }) => name === 'all_mask_kernels')?.shape;
  if (clip?.length !== 5 || level0?.length !== 5 || text?.length !== 3 || kernels?.length !== 4) return undefined;
  const windows = clip[0]!;
  return {
    height: clip[3]!,
    width: clip[4]!,
    levelChannels: level0[2]!,
    objectQueries: kernels[2]!,
    kernelSize: kernels[3]!,
    textFeatures: text[2]!,
    shortFrames: clip[1]!,
    longFrames: long?.profiles[0]?.frames?.max[1] ?? 0,
    windows,
    sentences: text[0]!,
    tokens: text[1]!,
    ...lanes(windows),
    scratchBytes: {
      short: short.build.scratch_bytes ?? 0,
      long: long?.build.scratch_bytes ?? 0,
      transformer: transformer.build.scratch_bytes ?? 0,
    },
  };
}

/** Device memory that a pipeline over these engines takes, undefined where their manifests do not say enough. */
export function plannedMemory(
  addon: Pick<TensorRtAddon, 'planMemory'>,
  set: ManifestSet,
  lanes: (windows: number) => Pick<PipelineLimits, 'inFlight' | 'streams'>,
): MemoryPlan | undefined {
  const limits = limitsOfManifests(set, lanes);
  return limits && addon.planMemory(limits);
}
