import { z } from 'zod';
import { RvosError } from '../errors.js';
import { openRegularFile } from '../files/open-regular-file.js';
import { readExactly } from '../files/read-exactly.js';
import { type Precision, type StageName, stageNames } from '../model/architecture.js';

export const manifestFormat = 'rvos-engine';
export const manifestVersion = 1;

/** A manifest is some kilobytes; nothing much larger is read. */
const maxManifestBytes = 2 ** 20;

const line = z
  .string()
  .min(1)
  .max(300)
  // One line on a terminal, whatever an untrusted file says.
  .regex(/^[^\p{Cc}]*$/u, 'control characters');
const digest = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hexadecimal is expected');
const bytes = z.number().int().nonnegative();
const shape = z.array(z.number().int().min(-1)).max(8);
const capability = z.number().int().min(10).max(999);
const tensorName = z.string().regex(/^[A-Za-z0-9_]{1,64}$/, 'a tensor name is expected');

/** A plain name: never a path. @internal */
export const engineName = z
  .string()
  .max(100)
  .regex(
    /^(text-encoder|(backbone-short|backbone-long|transformer)-[1-9]\d{0,3}x[1-9]\d{0,3})$/,
    'no name of an engine',
  );

/** Sizes of one input of an engine: the smallest, the one it is tuned for, the largest; -1 is a size of the run. */
export interface EngineProfile {
  min: number[];
  opt: number[];
  max: number[];
}

/**
 * The contents of `<name>.json` beside `<name>.engine` (docs/engines.md). It says all that an engine depends on, so that
 * a wrong one is refused before TensorRT sees a byte of it. It holds no path: the files are found by their names.
 */
export interface EngineManifest {
  format: 'rvos-engine';
  version: 1;
  engine: string;
  stage: StageName;
  /** The model that it was built from; digests are SHA-256 in hexadecimal. */
  model: { name: string; weights_sha256: string };
  graph_sha256: string;
  /** Version of rvos that built it. */
  rvos: string;
  tensorrt: { flavor: 'tensorrt' | 'tensorrt-rtx' | 'simulated'; version: string };
  /** Built on the GPU it is for, or ahead of time; compute capability 90 is 9.0. */
  target:
    | { kind: 'device'; name: string; compute_capability: number }
    | { kind: 'ahead-of-time'; compute_capabilities: number[] };
  /** What matrix products compute in. */
  precision: Precision;
  /** By name of the input. */
  profiles: Record<string, EngineProfile>[];
  tensors: {
    name: string;
    mode: 'input' | 'output';
    dtype: 'float32' | 'float16' | 'int32' | 'int64' | 'bool';
    shape: number[];
  }[];
  build: {
    /** When it ended, ISO 8601. */
    finished: string;
    seconds: number;
    /** Activation memory on the device as the builder reported it; null if it did not. */
    scratch_bytes: number | null;
    peak_host_bytes: number;
    warnings: string[];
  };
  file: { bytes: number; sha256: string };
  /**
   * What running it on a GPU showed, against FP32 on the CPU (engine-verification.ts); null: nobody has run it yet, as with
   * engines built ahead of time, which their first opening verifies. Engines of one size are verified together.
   */
  verified: {
    state: 'passed' | 'refused' | 'skipped';
    /** ISO 8601. */
    when: string;
    device: string | null;
    driver_cuda: string | null;
    mask_iou: number | null;
    score_error: number | null;
    text_error: number | null;
  } | null;
}

/** @internal */
export const engineManifestSchema = z.object({
  format: z.literal(manifestFormat),
  version: z.literal(manifestVersion),
  engine: engineName,
  stage: z.enum(stageNames),
  model: z.object({ name: z.string().max(1000), weights_sha256: digest }),
  graph_sha256: digest,
  rvos: line,
  tensorrt: z.object({ flavor: z.enum(['tensorrt', 'tensorrt-rtx', 'simulated']), version: line }),
  target: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('device'), name: line, compute_capability: capability }),
    z.object({ kind: z.literal('ahead-of-time'), compute_capabilities: z.array(capability).min(1).max(32) }),
  ]),
  precision: z.enum(['fp16', 'fp32']),
  profiles: z
    .array(z.record(tensorName, z.object({ min: shape, opt: shape, max: shape })))
    .min(1)
    .max(8),
  tensors: z
    .array(
      z.object({
        name: tensorName,
        mode: z.enum(['input', 'output']),
        dtype: z.enum(['float32', 'float16', 'int32', 'int64', 'bool']),
        shape,
      }),
    )
    .max(64),
  build: z.object({
    finished: z.iso.datetime(),
    seconds: z.number().nonnegative(),
    scratch_bytes: bytes.nullable(),
    peak_host_bytes: bytes,
    warnings: z.array(z.string().max(2000)).max(50),
  }),
  file: z.object({ bytes, sha256: digest }),
  // Manifests of earlier versions have none.
  verified: z
    .object({
      state: z.enum(['passed', 'refused', 'skipped']),
      when: z.iso.datetime(),
      device: line.nullable(),
      driver_cuda: line.nullable(),
      mask_iou: z.number().nullable(),
      score_error: z.number().nullable(),
      text_error: z.number().nullable(),
    })
    .nullable()
    .default(null),
}) satisfies z.ZodType<EngineManifest>;

/**
 * Reads a manifest of whatever origin. Throws `RvosError` NOT_FOUND if there is none; BAD_ENGINE, with `hint` as the
 * remedy, if it is none of ours.
 */
export async function readEngineManifest(path: string, hint: string): Promise<EngineManifest> {
  const bad = (why: string, cause?: unknown) => new RvosError('BAD_ENGINE', `${path} ${why}`, hint, { cause });
  const handle = await openRegularFile(path);
  if (!handle) throw bad('is no regular file');
  let value: unknown;
  try {
    const { size } = await handle.stat();
    if (size > maxManifestBytes) throw bad('is larger than a manifest of an engine can be');
    const text = new Uint8Array(size);
    const read = await readExactly(handle, text, 0);
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text.subarray(0, read)));
  } catch (cause) {
    if (cause instanceof RvosError) throw cause;
    throw bad('cannot be read as JSON', cause);
  } finally {
    await handle.close();
  }
  const parsed = engineManifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue?.path.map(String).join('.').slice(0, 100) || 'contents';
  throw bad(`is no manifest of an engine: ${where}: ${issue?.message.slice(0, 200)}`);
}

/** Compute capability 90 → `9.0`, 120 → `12.0`. */
export function capabilityLabel(capability: number): string {
  return `${Math.floor(capability / 10)}.${capability % 10}`;
}
