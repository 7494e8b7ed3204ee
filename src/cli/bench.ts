import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { type BackendChoice, backendChoices } from '../backends/open-backend.js';
import { RvosError } from '../errors.js';
import { Segmenter } from '../segmenter.js';
import type { RgbFrame } from '../video/frame.js';
import { interruption } from './interruption.js';
import { integerOption, precisionOption } from './option-values.js';
import { print } from './standard-output.js';

interface BenchOptions {
  readonly model: string;
  readonly backend?: BackendChoice;
  readonly precision?: 'auto' | 'fp32' | 'bf16';
  readonly frames: number;
  readonly sentences: number;
  readonly width: number;
  readonly height: number;
  readonly threads?: number;
  readonly json?: boolean;
}

/** What one backend makes of the clip. */
interface Measured {
  readonly backend: string;
  readonly precision: string | null;
  readonly reason: string;
  /** Frames of the clip for each second of work, all sentences together. */
  readonly frames_per_second: number;
  /** Minutes of work for one minute of video of 25 frames/s. */
  readonly minutes_per_minute: number;
  /** Seconds from the start of opening to the first mask. */
  readonly first_mask_seconds: number;
  /** Most memory that this process and its child held; null where the system does not tell. */
  readonly peak_bytes: number | null;
}

interface Unusable {
  readonly backend: string;
  readonly unusable: string;
}

const videoRate = 25;

/** `rvos bench`: how fast this machine is, without any other software. */
export function registerBench(program: Command): void {
  program
    .command('bench')
    .summary('measure how fast this machine is')
    .description(
      'Segments a made-up clip that lies in memory with each backend that works here, and says frames a second, minutes for a minute of video, and memory. The first window, in which sizes are compiled, is not counted.',
    )
    .option('--model <folder or name>', 'what to measure', 'compact')
    .addOption(new Option('--backend <name>', 'this one alone (default: all that work)').choices(backendChoices))
    .addOption(precisionOption())
    .option('--frames <n>', 'frames of the clip', integerOption(24, 100000), 96)
    .option('--sentences <n>', 'how many sentences', integerOption(1, 64), 2)
    .option('--width <pixels>', 'width of the frames', integerOption(16, 8192), 640)
    .option('--height <pixels>', 'height of the frames', integerOption(16, 8192), 360)
    .option('--threads <n>', 'CPU threads (default: all cores)', integerOption(1, 1024))
    .option('--json', 'print one JSON value')
    .addHelpText('after', '\nExample:\n  rvos bench --backend onnxruntime --sentences 1 --json')
    .action(bench);
}

async function bench(options: BenchOptions): Promise<void> {
  const signal = interruption();
  const asked = options.backend;
  const names = asked === undefined ? (['tensorrt', 'openvino', 'onnxruntime'] as const) : [asked];
  const results: (Measured | Unusable)[] = [];
  for (const backend of names) {
    try {
      const measured = await measure(backend, options, signal);
      results.push(measured);
      if (!options.json) print(describe(measured));
    } catch (error) {
      const unusable = error instanceof RvosError && unusableCodes.has(error.code);
      if (asked !== undefined || !unusable) throw error;
      results.push({ backend, unusable: error.message });
      if (!options.json) print(`${backend.padEnd(12)} not usable: ${error.message}\n`);
    }
  }
  const { model, frames, sentences, width, height } = options;
  if (options.json) print(`${JSON.stringify({ model, frames, sentences, width, height, results })}\n`);
}

const unusableCodes = new Set(['BACKEND_UNAVAILABLE', 'ADDON_MISSING', 'ENGINE_MISSING', 'BAD_ARGUMENT']);

async function measure(backend: BackendChoice, options: BenchOptions, signal: AbortSignal): Promise<Measured> {
  const began = performance.now();
  const { model, precision, threads } = options;
  await using segmenter = await Segmenter.open({ model, backend, precision, threads, signal });
  const texts = Array.from({ length: options.sentences }, (_, i) => `the bright square number ${i + 1} moving right`);
  const { length } = segmenter.model.windows;
  let first = 0;
  // A window in front, so that sizes are compiled and nothing waits for its first use.
  for await (const _ of segmenter.segmentFrames(clip(length, options), texts, { signal })) {
    first ||= performance.now() - began;
  }
  const start = performance.now();
  let frames = 0;
  for await (const _ of segmenter.segmentFrames(clip(options.frames, options), texts, { signal })) frames++;
  const seconds = (performance.now() - start) / 1000;
  const { name, precision: taken = null, pid } = segmenter.backend;
  return {
    backend: name,
    precision: taken,
    reason: segmenter.backendReason ?? 'it was named',
    frames_per_second: frames / seconds,
    minutes_per_minute: (seconds / frames) * videoRate,
    first_mask_seconds: first / 1000,
    peak_bytes: await peakBytes([process.pid, ...(pid === undefined ? [] : [pid])]),
  };
}

/** A bright square that moves over a slope of grey. */
function* clip(count: number, { width, height }: BenchOptions): Generator<RgbFrame> {
  const still = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) still.fill(40 + Math.floor((120 * y) / height), y * width * 3, (y + 1) * width * 3);
  const side = Math.max(2, Math.floor(height / 5));
  for (let t = 0; t < count; t++) {
    const data = still.slice();
    const left = Math.floor((t * 4) % Math.max(1, width - side));
    for (let y = side; y < 2 * side; y++) data.fill(230, (y * width + left) * 3, (y * width + left + side) * 3);
    yield { width, height, data, time: t / videoRate };
  }
}

/** The kernel's own high-water marks, added up. */
async function peakBytes(pids: readonly number[]): Promise<number | null> {
  let sum = 0;
  for (const pid of pids) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
    if (kilobytes === undefined) return null;
    sum += Number(kilobytes) * 1024;
  }
  return sum;
}

function describe({ backend, precision, reason, ...figures }: Measured): string {
  const memory = figures.peak_bytes === null ? '' : `, ${(figures.peak_bytes / 1e9).toFixed(2)} GB`;
  const speed = `${figures.frames_per_second.toFixed(1)} frames/s`;
  const video = `${figures.minutes_per_minute.toFixed(2)} minutes for a minute of video`;
  const cold = `first mask after ${figures.first_mask_seconds.toFixed(1)} s`;
  return `${backend.padEnd(12)} ${speed}, ${video}${memory}, ${cold}   (${precision ?? ''}${precision ? '; ' : ''}${reason})\n`;
}
