import { clipForms } from '../../engines/engine-plan.js';
import type { SizeEngines } from '../../engines/engine-store.js';
import type { ModelFolder } from '../../model/model-folder.js';
import type { PipelineLimits } from '../../native/tensorrt-addon.js';

/** Batches under way at once: while one is computed, the next one's frames go up and the last one's masks come down. */
export const defaultInFlight = 2;

/** Videos that wait for their next window may keep the last one on the GPU, beside those whose windows are under way. */
const idleStreams = 2;

/** Batches under way, and videos that keep frames on the GPU, in a pipeline for so many windows in a batch. */
export function lanes(windows: number, inFlight = defaultInFlight): Pick<PipelineLimits, 'inFlight' | 'streams'> {
  return { inFlight, streams: inFlight * windows + idleStreams };
}

/** What a pipeline over these engines is laid out for. */
export function pipelineLimits(
  model: Pick<ModelFolder, 'architecture' | 'windows'>,
  { size, limits, short, long, transformer }: SizeEngines,
  inFlight = defaultInFlight,
): PipelineLimits {
  const { swin, mttr } = model.architecture;
  const forms = clipForms(model);
  return {
    ...size,
    levelChannels: swin.embed_dim,
    objectQueries: mttr.num_queries,
    kernelSize: mttr.mask_kernels_dim,
    textFeatures: mttr.d_model,
    shortFrames: forms.short,
    longFrames: forms.long,
    ...limits,
    ...lanes(limits.windows, inFlight),
    scratchBytes: {
      short: short.manifest.build.scratch_bytes ?? 0,
      long: long?.manifest.build.scratch_bytes ?? 0,
      transformer: transformer.manifest.build.scratch_bytes ?? 0,
    },
  };
}
