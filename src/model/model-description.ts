import { z } from 'zod';
import { maxNetworkSide } from '../preprocess/size-rule.js';
import { type Architecture, architectureSchema, type Precision } from './architecture.js';
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
export interface ModelDescription {
  format: 'rvos-model';
  version: 1;
  name: string;
  architecture: Architecture;
  /** Pixels, and mean and deviation of red, green, blue in 0…1. */
  preprocessing: {
    short_side: number;
    long_side: number;
    antialias: boolean;
    mean: [number, number, number];
    std: [number, number, number];
  };
  /** Frames. */
  windows: { length: number; overlap: number };
  /** Its file, and the longest sequence of ids that the network takes. */
  tokenizer: { file: string; max_tokens: number };
  /** Windows whose best referred score is below this give empty masks. */
  min_score: number;
  /** How `weights.bin` stores floats. */
  precision: Precision;
  licence: string;
  /** What was imported: name of the file, its form, size in bytes, SHA-256 in hexadecimal. */
  provenance: { source: string; format: string; bytes: number; sha256: string };
  /** All other files of the folder by name. */
  files: Record<string, { bytes: number; sha256: string }>;
}

/** @internal */
export const modelDescriptionSchema = z
  .object({
    format: z.literal('rvos-model'),
    version: z.literal(1),
    name: line,
    architecture: architectureSchema,
    preprocessing: z
      .object({
        // The size rule of model-spec §8.3.
        short_side: side,
        long_side: side,
        antialias: z.boolean(),
        mean: channels,
        std: channels.refine((std) => std.every((value) => value > 0), 'must be positive'),
      })
      .refine((p) => p.long_side > p.short_side, 'long_side must exceed short_side'),
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
    min_score: z.number().min(0).max(1),
    precision: z.enum(['fp32', 'fp16']),
    licence: line,
    provenance: z.object({
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
  }) satisfies z.ZodType<ModelDescription>;

export const descriptionFile = 'model.json';
export const weightsFile = 'weights.bin';
export const tokenizerFile = 'tokenizer.json';
