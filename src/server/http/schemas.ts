import { z } from 'zod';
import { priorities } from '../../scheduling/priority.js';
import { type Job, jobOutputs, jobStates } from '../job.js';
import type { LiveJob } from '../live-job.js';

/** A number as JSON has it, or as a field of a form. */
const number = z.union([
  z.number(),
  z
    .string()
    .regex(/^-?\d+(\.\d+)?$/)
    .transform(Number),
]);
const seconds = number.pipe(z.number().min(0).max(1e9));
const pixels = number.pipe(z.number().int().min(1).max(4096));
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);
const outputs = z.union([
  z.array(z.enum(jobOutputs)).max(jobOutputs.length),
  z.enum(jobOutputs).transform((one) => [one]),
]);

/** Options of a segmentation, named as those of `rvos segment`. */
export const optionsSchema = z.strictObject({
  start: seconds.optional().describe('Begin here, in seconds from the first frame'),
  end: seconds.optional().describe('End before this time, in seconds'),
  short_side: pixels.optional().describe("Network size: the frame's shorter side"),
  long_side: pixels.optional().describe('Network size: limit of the longer side'),
  antialias: z.enum(['on', 'off']).optional().describe('Smooth when shrinking frames'),
  tail: z.enum(['published', 'anchored']).optional().describe('The last window: short, or moved back until it is full'),
  link_windows: flag.optional().describe('Keep the same object from window to window'),
  min_score: number.pipe(z.number().min(0).max(1)).optional().describe('Windows with a lower score give empty masks'),
  video_stream: number
    .pipe(z.number().int().min(0).max(65535))
    .optional()
    .describe("Which pictures, by ffprobe's index"),
  audio_stream: z
    .union([z.literal('none'), number.pipe(z.number().int().min(0).max(65535))])
    .optional()
    .describe("Which sound goes along, by ffprobe's index, or none"),
  deinterlace: flag.optional().describe('Make whole pictures of interlaced fields'),
  priority: z.enum(priorities).optional().describe('Share of the device while others wait too'),
  deadline: number.pipe(z.number().positive().max(1e6)).optional().describe('Seconds after which the job fails'),
  outputs: outputs.optional().describe('What is made; default all'),
});

export function requestSchema(limits: { readonly maxSentences: number; readonly maxCharacters: number }) {
  const sentence = z
    .string()
    .max(limits.maxCharacters)
    .refine((text) => text.trim() !== '', 'a sentence is empty');
  const sentences = z.union([z.array(sentence).min(1).max(limits.maxSentences), sentence.transform((one) => [one])]);
  return optionsSchema.extend({
    sentences: sentences.describe('What to segment, one sentence for each object'),
    url: z.string().max(2048).optional().describe('Address of the video, where the server allows that'),
  });
}

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string(),
  })
  .describe('RFC 9457');

const progress = z.object({ frames: z.number().int(), total_frames: z.number().int().nullable() });
const window = z.object({
  start: z.number().int(),
  end: z.number().int(),
  object_query: z.number().int(),
  score: z.number(),
});

export const segmentationSchema = z.object({
  id: z.string(),
  state: z.enum(jobStates),
  created: z.string(),
  started: z.string().optional(),
  ended: z.string().optional(),
  sentences: z.array(z.string()),
  progress: progress.optional(),
  video: z
    .object({
      width: z.number().int(),
      height: z.number().int(),
      frame_rate: z.number().nullable(),
      frames: z.number().int(),
    })
    .optional(),
  queries: z.array(z.object({ text: z.string(), score: z.number(), windows: z.array(window) })).optional(),
  warnings: z.array(z.string()).optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
  links: z.record(z.string(), z.string()),
});
export type Segmentation = z.infer<typeof segmentationSchema>;

export const pageSchema = z.object({
  segmentations: z.array(segmentationSchema),
  next: z.string().nullable().describe('Address of the next page'),
});

export const modelsSchema = z.object({
  models: z.array(
    z.object({
      name: z.string(),
      backend: z.string(),
      short_side: z.number().int(),
      long_side: z.number().int(),
      window: z.object({ length: z.number().int(), overlap: z.number().int() }),
      min_score: z.number(),
    }),
  ),
});

export const healthSchema = z.object({ status: z.enum(['ok', 'unavailable']), reasons: z.array(z.string()) });

/** A job as the API tells it. */
export function segmentation(job: Job, live: LiveJob | undefined): Segmentation {
  const self = `/v1/segmentations/${job.id}`;
  const links: Record<string, string> = { self, events: `${self}/events` };
  if (job.state === 'done') {
    for (const output of job.outputs)
      links[output] = `${self}/${output === 'contact_sheet' ? 'contact-sheet' : output}`;
  }
  const time = (milliseconds: number) => new Date(milliseconds).toISOString();
  return {
    id: job.id,
    state: job.state,
    created: time(job.created),
    ...(job.started !== undefined && { started: time(job.started) }),
    ...(job.ended !== undefined && { ended: time(job.ended) }),
    sentences: [...job.sentences],
    ...(live && { progress: { frames: live.progress.frames, total_frames: live.progress.totalFrames } }),
    ...(job.result && { progress: { frames: job.result.video.frames, total_frames: job.result.video.frames } }),
    ...(job.result && {
      video: {
        width: job.result.video.width,
        height: job.result.video.height,
        frame_rate: job.result.video.frameRate,
        frames: job.result.video.frames,
      },
      queries: job.result.queries.map(({ text, score, windows }) => ({
        text,
        score,
        windows: windows.map(({ start, end, objectQuery, score }) => ({
          start,
          end,
          object_query: objectQuery,
          score,
        })),
      })),
      warnings: [...job.result.warnings],
    }),
    ...(job.error && { error: { code: job.error.code, message: job.error.message } }),
    links,
  };
}
