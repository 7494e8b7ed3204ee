import { existsSync } from 'node:fs';
import { rmdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { ComputePrecision } from '../backends/cpu/precision.js';
import { type BackendChoice, backendChoices } from '../backends/open-backend.js';
import { configure } from '../configure.js';
import { makeFolder } from '../files/make-folder.js';
import { maxNetworkSide } from '../preprocess/size-rule.js';
import { checkOutputs } from '../results/check-outputs.js';
import { drainInto } from '../results/frame-sink.js';
import { queriesJson, videoJson } from '../results/masks-json.js';
import {
  contactSheetOutput,
  cutOutsOutput,
  maskedVideoOutput,
  masksOutput,
  type OutputOpener,
} from '../results/outputs.js';
import type { SegmentSummary } from '../results/segmented-frame.js';
import { Segmenter } from '../segmenter.js';
import type { WindowTail } from '../windows.js';
import { buildDisplay } from './build-progress.js';
import { interruption } from './interruption.js';
import {
  audioStreamOption,
  checkNoEmptySentence,
  integerOption,
  numberOption,
  precisionOption,
  timeOption,
} from './option-values.js';
import { progressDisplay } from './progress.js';
import { print } from './standard-output.js';

interface SegmentCommandOptions {
  readonly model: string;
  readonly backend: BackendChoice;
  readonly precision: ComputePrecision;
  readonly build?: boolean;
  readonly start?: number;
  readonly end?: number;
  readonly videoStream?: number;
  readonly audioStream?: number | 'none';
  readonly deinterlace?: boolean;
  readonly shortSide?: number;
  readonly longSide?: number;
  readonly antialias?: 'on' | 'off';
  readonly tail: WindowTail;
  readonly linkWindows?: boolean;
  readonly decoder: 'ffmpeg' | 'opencv';
  readonly allowPrivateUrls?: boolean;
  readonly urlProxy?: boolean;
  readonly minScore?: number;
  readonly maskedVideo?: string;
  readonly masks?: string;
  readonly contactSheet?: string;
  readonly cutOuts?: string;
  readonly cutOutsFormat: 'png' | 'webm';
  readonly frameRate?: number;
  readonly threads?: number;
  readonly maxFrameMemory?: string;
  readonly maxSpool?: string;
  readonly force?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

export function registerSegment(program: Command): void {
  program
    .command('segment')
    .summary('segment what sentences describe in a video')
    .description(
      'Finds what each sentence describes and follows it through the video. Outputs are a video with the masks painted in, the masks themselves and a contact sheet; any of them may be asked for at once.',
    )
    .argument('<video>', 'a video file, a folder of images, - for standard input, or an http(s) URL')
    .argument('<sentences...>', 'what to segment, one quoted sentence for each object')
    .option(
      '--model <folder or name>',
      'model folder made by `rvos import`, or a model that comes with rvos',
      'compact',
    )
    .addOption(new Option('--backend <name>', 'what runs the network').choices(backendChoices).default('auto'))
    .addOption(precisionOption())
    .option('--build', 'build TensorRT engines that are missing, else they are an error')
    .option('--start <time>', 'begin here, as 62.5 or 1:02.5; times count from the first frame', timeOption)
    .option('--end <time>', 'end before this time', timeOption)
    .option(
      '--video-stream <n>',
      "which pictures, by ffprobe's index (default: the stream that players take)",
      integerOption(0, 9999),
    )
    .option(
      '--audio-stream <n|none>',
      "which sound goes along, by ffprobe's index (default: the one that belongs to the pictures)",
      audioStreamOption,
    )
    .option('--deinterlace', 'make whole pictures of interlaced fields')
    .option(
      '--short-side <pixels>',
      "network size: the frame's shorter side (default: the model's)",
      integerOption(1, maxNetworkSide),
    )
    .option(
      '--long-side <pixels>',
      "network size: limit of the longer side (default: the model's)",
      integerOption(1, maxNetworkSide),
    )
    .addOption(
      new Option('--antialias <on|off>', "smooth when shrinking frames (default: the model's)").choices(['on', 'off']),
    )
    .addOption(
      new Option('--tail <kind>', 'the last window: short, as published, or moved back until it is full')
        .choices(['published', 'anchored'])
        .default('published'),
    )
    .option('--link-windows', 'keep the same object from window to window')
    .addOption(new Option('--decoder <name>', 'what decodes the video').choices(['ffmpeg', 'opencv']).default('ffmpeg'))
    .option(
      '--allow-private-urls',
      'download also from this machine and private networks; proxy variables are followed',
    )
    .option('--url-proxy', 'follow the proxy variables of the environment for a URL')
    .option(
      '--min-score <0…1>',
      "windows with a lower score give empty masks (default: the model's)",
      numberOption(0, 1),
    )
    .option('--masked-video <out.mp4>', 'write the video with the masks painted in')
    .option('--masks <out.json or folder>', 'write the masks: COCO run lengths, or one PNG for each frame and sentence')
    .option('--contact-sheet <out.png>', 'write a picture: frames in columns, sentences in rows')
    .option('--cut-outs <folder>', 'write each object alone, with alpha: <folder>/<sentence>/<frame>.png, both from 0')
    .addOption(
      new Option('--cut-outs-format <kind>', 'png, or webm: <folder>/<sentence>.webm')
        .choices(['png', 'webm'])
        .default('png'),
    )
    .option('--frame-rate <fps>', 'frames a second of a folder of images (default: 25)', numberOption(0.001, 1000))
    .option('--threads <n>', 'CPU threads (default: all cores)', integerOption(1, 1024))
    .option('--max-spool <size>', 'most bytes kept on disk of a video that comes through a pipe (default: 4GB)')
    .option('--max-frame-memory <size>', 'decoded frames held in memory, as 512MB or 1GiB (default: 512MB)')
    .option('--force', 'replace outputs that exist')
    .option('--quiet', 'no progress')
    .option('--json', 'print one JSON value with scores and outputs')
    .addHelpText(
      'after',
      `
Examples:
  rvos segment street.mp4 "the red car" "a man crossing" --masked-video out.mp4
  rvos segment street.mp4 "the red car" --start 2 --end 6 --masks masks.json --json
  rvos segment frames/ "the dog" --contact-sheet sheet.png --link-windows --frame-rate 12.5
  rvos segment dance.mp4 "the dancer" --cut-outs dancer/ --cut-outs-format webm
  ffmpeg -i in.mkv -f matroska - | rvos segment - "the cat" --masks masks/`,
    )
    .action(async (video: string, sentences: string[], options: SegmentCommandOptions) => {
      await segment(video, sentences, options);
    });
}

async function segment(video: string, sentences: readonly string[], options: SegmentCommandOptions): Promise<void> {
  const began = performance.now();
  const signal = interruption();
  checkNoEmptySentence(sentences);
  configure({ maxFrameMemory: options.maxFrameMemory });
  const outputs = wantedOutputs(options, sentences.length);
  // Before the model is opened, or engines are built.
  await using _ = await cutOutsFolder(options.cutOuts);
  await checkOutputs(
    outputs.map(({ output }) => output),
    video,
  );
  const { model, backend, precision, build, threads, antialias, quiet } = options;
  const building = buildDisplay(quiet ?? false);
  const onBuildProgress = building.update.bind(building);
  const segmenter = await Segmenter.open({ model, backend, precision, build, threads, signal, onBuildProgress });
  const { name, precision: computed = null } = segmenter.backend;
  const progress = progressDisplay(quiet ?? false);
  // Once the first window shows that it works: an error stays a single line.
  let told = quiet || backend !== 'auto';
  const tellBackend = () => {
    building.stop();
    if (!told) process.stderr.write(`backend: ${name} (${segmenter.backendReason})\n`);
    told = true;
  };
  try {
    const { start, end, videoStream, audioStream, deinterlace, maxSpool, allowPrivateUrls, urlProxy } = options;
    const { shortSide, longSide, tail, linkWindows, decoder, minScore } = options;
    const stream = segmenter.stream(video, sentences, {
      ...{ start, end, videoStream, audioStream, deinterlace, maxSpool, allowPrivateUrls, urlProxy },
      standardInput: true,
      ...{ shortSide, longSide, tail, linkWindows, decoder, minScore, signal },
      imageFrameRate: options.frameRate,
      antialias: antialias === undefined ? undefined : antialias === 'on',
      onProgress: (state) => {
        tellBackend();
        progress.update(state);
      },
    });
    const warned = new Set<string>();
    const warn = (warning: string) => {
      if (!warned.has(warning)) process.stderr.write(`rvos: warning: ${warning}\n`);
      warned.add(warning);
    };
    const summary = await drainInto(stream, outputs, { onWarning: warn });
    progress.stop();
    summary.warnings.forEach(warn);
    const seconds = (performance.now() - began) / 1000;
    const used = {
      model: segmenter.model.name,
      backend: name,
      precision: computed,
      backend_reason: segmenter.backendReason ?? null,
    };
    const places = writtenPlaces(options);
    const least = minScore ?? segmenter.model.minScore;
    if (options.json) printJson(used, summary, places, seconds);
    else printText(summary, places, { least, backend: computed ? `${name}, ${computed}` : name, seconds });
  } finally {
    building.stop();
    progress.stop();
    await segmenter.dispose();
  }
}

function wantedOutputs(options: SegmentCommandOptions, sentences: number): OutputOpener[] {
  const { force, maskedVideo, masks, contactSheet, cutOuts, cutOutsFormat } = options;
  const outputs: OutputOpener[] = [];
  if (maskedVideo !== undefined) outputs.push(maskedVideoOutput(maskedVideo, { force }));
  if (masks !== undefined) outputs.push(masksOutput(masks, { force }));
  if (contactSheet !== undefined) outputs.push(contactSheetOutput(contactSheet, { force }));
  for (let i = 0; cutOuts !== undefined && i < sentences; i++) {
    outputs.push(cutOutsOutput(i, join(cutOuts, cutOutsFormat === 'webm' ? `${i}.webm` : `${i}`), { force }));
  }
  return outputs;
}

/** The folder that holds those of each sentence, made if it is not there; one that was made and stays empty goes again. */
async function cutOutsFolder(path: string | undefined): Promise<AsyncDisposable> {
  const made = path !== undefined && !existsSync(path);
  if (path !== undefined) await makeFolder(path);
  return {
    async [Symbol.asyncDispose]() {
      if (made) await rmdir(path).catch(() => undefined);
    },
  };
}

/** Where the outputs are, by what they are. */
function writtenPlaces({ maskedVideo, masks, contactSheet, cutOuts }: SegmentCommandOptions): Map<string, string> {
  const wanted = { 'masked video': maskedVideo, masks, 'contact sheet': contactSheet, 'cut outs': cutOuts };
  return new Map(Object.entries(wanted).flatMap(([what, path]) => (path === undefined ? [] : [[what, path]])));
}

function printJson(
  used: Readonly<Record<'model' | 'backend', string> & Record<'precision' | 'backend_reason', string | null>>,
  summary: SegmentSummary,
  places: ReadonlyMap<string, string>,
  seconds: number,
): void {
  const value = {
    ...used,
    video: { source: summary.video.source, ...videoJson(summary) },
    queries: queriesJson(summary),
    outputs: Object.fromEntries([...places].map(([what, path]) => [what.replaceAll(' ', '_'), resolve(path)])),
    warnings: summary.warnings,
    seconds,
  };
  print(`${JSON.stringify(value)}\n`);
}

function printText(
  summary: SegmentSummary,
  places: ReadonlyMap<string, string>,
  { least, backend, seconds }: { readonly least: number; readonly backend: string; readonly seconds: number },
): void {
  const lines = summary.queries.map(({ text, score, windows }) => {
    // A window whose score is too low has no masks.
    const found = windows.some((window) => window.score >= least);
    return `score ${score.toFixed(3)}${found ? '' : ', nothing found'}  ${oneLine(text)}`;
  });
  for (const [what, path] of places) lines.push(`${what.replace('cut outs', 'cut-outs')}: ${path}`);
  lines.push(`${summary.video.frames} frames in ${seconds.toFixed(1)} s (${backend})`);
  print(`${lines.join('\n')}\n`);
  if (places.size === 0) {
    process.stderr.write('rvos: nothing was written: add --masked-video, --masks, --contact-sheet or --cut-outs\n');
  }
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
