import { z } from 'zod';
import { maxNetworkSide } from '../preprocess/size-rule.js';
import { architectureSchema } from './architecture.js';
import { architectureProblem, maxTokensOf } from './check-architecture.js';

/** Names of files in a model folder: flat, so that nothing outside the folder can be meant. */
const fileName = z
  .string()
  .max(200)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'a plain file name is expected');
const side = z.number().int().min(1).max(maxNetworkSide);
const channels = z.tuple([z.number(), z.number(), z.number()]);
const digest = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hexadecimal is expected');
const line = z.string().max(1000);

/** The contents of `model.json` (docs/model-folder.md). */
export const modelDescriptionSchema = z
  .object({
    format: z.literal('rvos-model'),
    version: z.literal(1),
    name: line,
    architecture: architectureSchema,
    preprocessing: z
      .object({
        /** Pixels; the size rule of model-spec §8.3. */
        short_side: side,
        long_side: side,
        antialias: z.boolean(),
        mean: channels,
        std: channels.refine((std) => std.every((value) => value > 0), 'must be positive'),
      })
      .refine((p) => p.long_side > p.short_side, 'long_side must exceed short_side'),
    /** Frames. */
    windows: z
      .object({ length: z.number().int().min(1).max(256), overlap: z.number().int().min(0) })
      .refine((w) => w.overlap < w.length, 'overlap must be less than length'),
    tokenizer: z.object({
      file: fileName,
      max_tokens: z
        .number()
        .int()
        .min(2)
        .max(1 << 16),
    }),
    /** Windows whose best referred score is below this give empty masks. */
    min_score: z.number().min(0).max(1),
    /** How `weights.bin` stores floats. */
    precision: z.enum(['fp32', 'fp16']),
    licence: line,
    provenance: z.object({
      /** File name of what was imported. */
      source: line,
      format: line,
      bytes: z.number().int().nonnegative(),
      sha256: digest,
    }),
    files: z.record(fileName, z.object({ bytes: z.number().int().nonnegative(), sha256: digest })),
  })
  .superRefine((model, context) => {
    const problem = architectureProblem(model.architecture);
    if (problem !== undefined) context.addIssue({ code: 'custom', path: ['architecture'], message: problem });
    if (model.tokenizer.max_tokens > maxTokensOf(model.architecture.roberta)) {
      context.addIssue({ code: 'custom', path: ['tokenizer', 'max_tokens'], message: 'more than there are positions' });
    }
    for (const name of [weightsFile, model.tokenizer.file]) {
      if (!Object.hasOwn(model.files, name)) {
        context.addIssue({ code: 'custom', path: ['files'], message: `${name} is not listed` });
      }
    }
  });

export type ModelDescription = z.infer<typeof modelDescriptionSchema>;

export const descriptionFile = 'model.json';
export const weightsFile = 'weights.bin';
export const tokenizerFile = 'tokenizer.json';
