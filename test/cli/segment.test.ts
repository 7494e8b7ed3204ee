import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { hasNvidiaDriver } from '../../src/native/nvidia-driver.js';
import { goldenModel } from '../support/golden-model.js';
import { expectSchema } from '../support/json-schema.js';
import { openVinoLibrary } from '../support/openvino.js';
import { alive } from '../support/processes.js';
import { goldenPath } from '../support/safetensors.js';
import { ffmpeg } from '../support/videos.js';

const entry = new URL('../../dist/cli/main.js', import.meta.url).pathname;
const clip = goldenPath('e2e/clip_rgb_lossless.mp4');
const small = ['--short-side', '64', '--long-side', '120'];
let scratch: string;
let model: string;
let temporary: string;
let remove: () => Promise<void>;
const at = (name: string) => join(scratch, name);

beforeAll(async () => {
  const golden = await goldenModel();
  scratch = golden.scratch;
  model = golden.folder;
  remove = golden.remove;
  temporary = at('tmp');
  await mkdir(temporary);
  await ffmpeg('-f', 'lavfi', '-i', 'sine=d=1', at('audio.mp4'));
  await ffmpeg(
    '-f',
    'lavfi',
    '-i',
    'testsrc2=s=64x48:r=10:d=0.5',
    '-vf',
    'format=rgb24,scale=1:1',
    '-c:v',
    'png',
    at('pixel.mkv'),
  );
  await ffmpeg('-f', 'lavfi', '-i', 'testsrc2=s=64x48:r=10:d=0.1', '-c:v', 'ffv1', at('one.mkv'));
  await ffmpeg('-f', 'lavfi', '-i', 'color=red:s=2000x2:r=10:d=0.3', '-c:v', 'png', at('thin.mkv'));
  await ffmpeg('-f', 'lavfi', '-i', 'testsrc2=s=7680x4320:r=1:d=1', '-c:v', 'mjpeg', at('8k.mkv'));
  await ffmpeg(
    '-f',
    'lavfi',
    '-i',
    'testsrc2=s=320x180:r=25:d=8',
    '-c:v',
    'libx264',
    '-preset',
    'ultrafast',
    at('long.mkv'),
  );
  const bytes = await readFile(at('long.mkv'));
  await writeFile(at('cut.mkv'), bytes.subarray(0, Math.floor(bytes.length * 0.3)));
  await writeFile(at('text.mp4'), 'this is no video');
  await writeFile(at('empty.mp4'), '');
  await writeFile(at('exists.json'), 'mine');
  await mkdir(at('images'));
  for (let i = 0; i < 5; i++) {
    const create = { width: 40, height: 30, channels: 3, background: { r: 40 * i, g: 10, b: 99 } } as const;
    await sharp({ create })
      .png()
      .toFile(at(`images/${i}.png`));
  }
  await mkdir(at('nothing'));
  await cp(model, at('damaged'), { recursive: true });
  const weights = await readFile(join(model, 'weights.bin'));
  weights[1000]! ^= 1;
  await writeFile(at('damaged/weights.bin'), weights);
  await cp(model, at('incomplete'), { recursive: true });
  await rm(at('incomplete/tokenizer.json'));
});
afterAll(() => remove());

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  stdin: 'ignore' | 'pipe' = 'ignore',
): ChildProcess {
  // `auto` is ONNX Runtime here, whether this machine has OpenVINO or not.
  const environment = { ...process.env, RVOS_KIT: at('no-kit'), TMPDIR: temporary, ...env };
  return spawn(process.execPath, [entry, ...args], { env: environment, stdio: [stdin, 'pipe', 'pipe'] });
}

async function finished(child: ChildProcess): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, stdout, stderr };
}

function rvos(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  return finished(start(args, env));
}

const segment = (...args: string[]) => rvos(['segment', '--model', model, ...small, ...args]);

describe('rvos segment', () => {
  it('writes what is asked for and prints where it lies, with the score of each sentence', async () => {
    const outputs = ['--masked-video', at('o.mp4'), '--masks', at('o.json'), '--contact-sheet', at('o.png')];
    const { code, stdout, stderr } = await segment(clip, 'a red ball', 'the white car', ...outputs);
    expect(stderr).not.toMatch(/rvos:/);
    // Nothing about TensorRT where no NVIDIA GPU is.
    expect(stderr).toMatch(/^backend: onnxruntime \(.*OpenVINO.*\)$/m);
    if (!hasNvidiaDriver()) expect(stderr).not.toMatch(/TensorRT/);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^score 0\.\d{3} {2}a red ball\nscore 0\.\d{3} {2}the white car\n/);
    for (const name of ['o.mp4', 'o.json', 'o.png']) expect(stdout).toContain(at(name));
    const json = JSON.parse(await readFile(at('o.json'), 'utf8'));
    await expectSchema('masks.schema.json', json);
    expect(json.masks.map((masks: unknown[]) => masks.length)).toEqual([40, 40]);
  });

  it('runs on OpenVINO where it is named, in the precision asked for', async () => {
    const env = { RVOS_OPENVINO_LIBRARY: openVinoLibrary(), RVOS_HOME: at('openvino-home') };
    const args = ['segment', '--model', model, ...small, clip, 'a red ball', '--json', '--quiet', '--masks', at('v')];
    const found = await rvos([...args, '--backend', 'openvino', '--precision', 'fp32'], env);
    expect({ code: found.code, stderr: found.stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(found.stdout)).toMatchObject({
      backend: 'openvino',
      backend_reason: expect.stringMatching(/^OpenVINO \d.*RVOS_OPENVINO_LIBRARY; fp32: it was asked for$/),
    });
    const never = await rvos([...args, '--force', '--backend', 'onnxruntime', '--precision', 'bf16'], env);
    expect(never.code).toBe(2);
  });

  it('prints one JSON value and nothing else with --json, and no progress with --quiet', async () => {
    const { code, stdout, stderr } = await segment(clip, 'a red ball', '--json', '--quiet', '--masks', at('p'));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    await expectSchema('segment.schema.json', JSON.parse(stdout));
    expect(JSON.parse(stdout)).toMatchObject({
      backend: 'onnxruntime',
      backend_reason: expect.stringMatching(/OpenVINO/),
      video: { width: 96, height: 64, frame_rate: 12, frames: 40 },
      queries: [
        {
          text: 'a red ball',
          windows: [
            { start: 0, end: 24 },
            { start: 18, end: 40 },
            { start: 36, end: 40 },
          ],
        },
      ],
      outputs: { masks: at('p') },
      warnings: [],
    });
    expect(await readdir(at('p/0'))).toHaveLength(40);
  });

  it('heeds tail, time and sizes', async () => {
    const options = ['--tail', 'anchored', '--start', '0.5', '--end', '3', '--antialias', 'off', '--threads', '1'];
    const { stdout } = await segment(clip, 'a red ball', ...options, '--link-windows', '--json');
    const { video, queries } = JSON.parse(stdout);
    expect(video.frames).toBe(30);
    expect(queries[0].windows).toMatchObject([
      { start: 0, end: 24 },
      { start: 6, end: 30 },
    ]);
  });

  it('empties masks below the minimum score, and says that nothing was found', async () => {
    const { stdout } = await segment(clip, 'a red ball', '--min-score', '1', '--masks', at('none.json'));
    expect(stdout).toMatch(/^score 0\.\d{3}, nothing found {2}a red ball$/m);
    const { boxes, queries } = JSON.parse(await readFile(at('none.json'), 'utf8'));
    expect(boxes[0]).toEqual(Array(40).fill([0, 0, 0, 0]));
    expect(queries[0].score).toBeGreaterThan(0);
  });

  it('writes what each sentence means alone, as pictures or as videos', async () => {
    const words = ['a red ball', 'the white car'];
    const pictures = await segment(clip, ...words, '--json', '--cut-outs', at('alone'));
    await expectSchema('segment.schema.json', JSON.parse(pictures.stdout));
    expect(JSON.parse(pictures.stdout).outputs).toEqual({ cut_outs: at('alone') });
    const names = Array.from({ length: 40 }, (_, i) => `${String(i).padStart(5, '0')}.png`);
    for (const sentence of ['0', '1']) expect((await readdir(at(`alone/${sentence}`))).sort()).toEqual(names);
    const { channels, width, height } = await sharp(at('alone/1/00039.png')).metadata();
    expect({ channels, width, height }).toEqual({ channels: 4, width: 96, height: 64 });

    const videos = await segment(clip, ...words, '--cut-outs', at('films'), '--cut-outs-format', 'webm');
    expect(videos.stdout).toMatch(new RegExp(`^cut-outs: ${at('films')}$`, 'm'));
    expect((await readdir(at('films'))).sort()).toEqual(['0.webm', '1.webm']);
    // What is there stays without --force.
    const again = await segment(clip, ...words, '--cut-outs', at('films'), '--cut-outs-format', 'webm');
    expect({ code: again.code, stdout: again.stdout }).toEqual({ code: 1, stdout: '' });
    expect(again.stderr).toMatch(/0\.webm.*--force/);
  });

  it('leaves no folder for cut-outs that did not come about', async () => {
    const { code } = await segment(at('text.mp4'), 'a red ball', '--cut-outs', at('never'));
    expect(code).toBe(1);
    expect(await readdir(scratch)).not.toContain('never');
    expect((await segment(at('text.mp4'), 'a red ball', '--cut-outs', at('nothing'))).code).toBe(1);
    expect(await readdir(scratch)).toContain('nothing');
  });

  it('takes the frame rate of a folder of images', async () => {
    const { stdout } = await segment(at('images'), 'a red ball', '--json', '--frame-rate', '12.5');
    expect(JSON.parse(stdout).video).toMatchObject({ frames: 5, frame_rate: 12.5 });
  });

  it.each([
    ['100', 'xterm', /segmenting .*█.* frames/],
    // No room for a bar.
    ['24', 'xterm', /\d+\/200/],
    ['100', 'dumb', /^segmenting: \d+ of \d+ frames done/m],
  ])('shows progress on a terminal of %s columns, TERM=%s', async (columns, term, shown) => {
    const command = [process.execPath, entry, 'segment', '--model', model, ...small, at('long.mkv'), 'a red ball'];
    const words = command.map((word) => `'${word}'`).join(' ');
    const env = { ...process.env, RVOS_KIT: at('no-kit'), TMPDIR: temporary, TERM: term };
    const args = ['-qec', `stty cols ${columns}; ${words}`, '/dev/null'];
    const { stdout, code } = await finished(spawn('script', args, { env, stdio: ['ignore', 'pipe', 'pipe'] }));
    expect(code).toBe(0);
    expect(stdout).toMatch(shown);
    expect(stdout).not.toMatch(/\b0s left/);
    if (term === 'dumb') expect(stdout).not.toContain('\u001b');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal gets
    const drawn = stdout.split(/[\r\n]|\u001b\[[\d?;]*[A-Za-z]/).filter((line) => /\d+\/\d+/.test(line));
    for (const line of drawn) expect(line.length).toBeLessThanOrEqual(Number(columns));
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const)('a named pipe that nobody writes into is waited for until %s', async (name, code) => {
    const pipe = at(`pipe-${name}`);
    execFileSync('mkfifo', [pipe]);
    const child = start(['segment', '--model', model, ...small, pipe, 'a red ball']);
    const ended = finished(child);
    // The model is open by then, and the pipe waited for.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(child.exitCode).toBeNull();
    const asked = performance.now();
    child.kill(name);
    expect((await ended).code).toBe(code);
    expect(performance.now() - asked).toBeLessThan(5000);
  });

  it('a named pipe is read however late somebody writes into it', async () => {
    const pipe = at('late-pipe');
    execFileSync('mkfifo', [pipe]);
    const ended = segment(pipe, 'a red ball', '--json');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const writer = spawn('sh', ['-c', 'cat "$0" > "$1"', clip, pipe]);
    const { code, stdout, stderr } = await ended;
    writer.kill();
    expect({ code, stderr: stderr.includes('rvos: ') && !stderr.includes('warning') }).toEqual({
      code: 0,
      stderr: false,
    });
    expect(JSON.parse(stdout).video.frames).toBe(40);
  });

  it('reads standard input, image folders, single frames, single pixels and 8K', async () => {
    const piped = start(['segment', '--model', model, ...small, '-', 'a red ball', '--json'], {}, 'pipe');
    createReadStream(at('one.mkv')).pipe(piped.stdin!);
    expect(JSON.parse((await finished(piped)).stdout).video.frames).toBe(1);
    const frames = async (name: string) =>
      JSON.parse((await segment(at(name), 'a red ball', '--json')).stdout).video.frames;
    expect(await frames('images')).toBe(5);
    expect(await frames('one.mkv')).toBe(1);
    expect(await frames('pixel.mkv')).toBe(5);
    expect(await frames('8k.mkv')).toBe(1);
  });

  it('segments what can be decoded of a truncated file, and says so', async () => {
    const { code, stdout, stderr } = await segment(at('cut.mkv'), 'a red ball', '--json', '--quiet');
    expect(code).toBe(0);
    expect(stderr).toMatch(/^rvos: warning: .*cut\.mkv.*\n$/);
    const { video, warnings } = JSON.parse(stdout);
    expect(video.frames).toBeGreaterThan(10);
    expect(video.frames).toBeLessThan(200);
    expect(warnings).toHaveLength(1);
  });
});

describe('bad input gives one line: what, where, remedy', () => {
  type Case = [name: string, code: number, message: RegExp, args: () => string[], env?: () => NodeJS.ProcessEnv];
  const withModel = (...args: string[]) => ['segment', '--model', model, ...args];
  const cases: Case[] = [
    ['no such video', 1, /absent\.mp4.*no such file/, () => withModel(at('absent.mp4'), 'a')],
    ['not a video', 1, /text\.mp4/, () => withModel(at('text.mp4'), 'a')],
    ['an empty file', 1, /empty\.mp4 is empty/, () => withModel(at('empty.mp4'), 'a')],
    ['audio only', 1, /audio\.mp4.*sound/, () => withModel(at('audio.mp4'), 'a')],
    ['a folder without images', 1, /nothing/, () => withModel(at('nothing'), 'a')],
    ['frames too long and thin', 1, /2000x2 pixels are too long and thin/, () => withModel(at('thin.mkv'), 'a')],
    ['an empty sentence', 2, /a sentence is empty/, () => withModel(clip, ' ')],
    ['10,000 characters', 1, /tokens/, () => withModel(clip, 'word '.repeat(2000))],
    ['513 tokens', 1, /513 tokens/, () => withModel(clip, ', '.repeat(256))],
    ['no such model', 2, /no model nowhere\. Known are/, () => ['segment', '--model', 'nowhere', clip, 'a']],
    ['no such model folder', 1, /no model .*nowhere/, () => ['segment', '--model', at('nowhere'), clip, 'a']],
    ['a folder that is no model', 1, /model\.json/, () => ['segment', '--model', at('images'), clip, 'a']],
    [
      'a model with a wrong checksum',
      1,
      /weights\.bin is damaged/,
      () => ['segment', '--model', at('damaged'), clip, 'a'],
    ],
    ['an incomplete model', 1, /tokenizer\.json is missing/, () => ['segment', '--model', at('incomplete'), clip, 'a']],
    [
      'an output that exists',
      1,
      /exists\.json exists already.*--force/,
      () => withModel(clip, 'a', '--masks', at('exists.json')),
    ],
    [
      'an output folder that is absent',
      1,
      /does not exist/,
      () => withModel(clip, 'a', '--masks', at('no/masks.json')),
    ],
    [
      'an output on a read-only file system',
      1,
      /cannot write/,
      () => withModel(clip, 'a', '--masks', '/sys/masks.json'),
    ],
    [
      'an output that is a device',
      1,
      /\/dev\/full: it is not a regular file/,
      () => withModel(clip, 'a', '--contact-sheet', '/dev/full', '--force'),
    ],
    [
      'TensorRT without TensorRT',
      1,
      /the addon for TensorRT .*setup:native/,
      () => withModel(clip, 'a', '--backend', 'tensorrt'),
      () => ({ RVOS_TENSORRT_ADDONS: at('nothing') }),
    ],
    ['no ffmpeg', 1, /ffmpeg.*[Ii]nstall/, () => withModel(clip, 'a'), () => ({ RVOS_FFMPEG: at('no-ffmpeg') })],
    ['no video', 2, /missing required argument 'video'/, () => ['segment']],
    ['no command', 2, /no command was given.*--help/, () => []],
    ['no sentence', 2, /missing required argument 'sentences'/, () => ['segment', clip]],
    ['an unknown option', 2, /unknown option '--colour'/, () => withModel(clip, 'a', '--colour')],
    ['an unknown command', 2, /unknown command 'segmnt'/, () => ['segmnt']],
    ['start after end', 2, /start 3 s is not before end 2 s/, () => withModel(clip, 'a', '--start', '3', '--end', '2')],
    ['a start that is no number', 2, /--start.*[Ss]econds are expected/, () => withModel(clip, 'a', '--start', 'soon')],
    ['a negative size', 2, /--short-side.*whole number/, () => withModel(clip, 'a', '--short-side', '-5')],
    [
      'limits the wrong way round',
      2,
      /short side 640/,
      () => withModel(clip, 'a', '--short-side', '640', '--long-side', '360'),
    ],
    ['a minimum score above 1', 2, /--min-score.*from 0 to 1/, () => withModel(clip, 'a', '--min-score', '2')],
    [
      'an unknown backend',
      2,
      /--backend.*auto, tensorrt, openvino, onnxruntime/,
      () => withModel(clip, 'a', '--backend', 'cuda'),
    ],
    [
      'two outputs of one name',
      2,
      /both be written/,
      () => withModel(clip, 'a', '--masks', at('x'), '--masked-video', at('x')),
    ],
    [
      'another format',
      2,
      /a\.webm: MP4 is the only format/,
      () => withModel(clip, 'a', '--masked-video', at('a.webm')),
    ],
    ['standard output as output', 2, /standard output/, () => withModel(clip, 'a', '--masks', '-')],
    [
      'the input as output',
      2,
      /would replace the video that is read/,
      () => withModel(at('images'), 'a', '--masks', at('images'), '--force'),
    ],
    [
      'an output that exists, before a model that is absent is looked for',
      1,
      /exists already/,
      () => ['segment', '--model', 'nowhere', clip, 'a', '--masks', at('exists.json')],
    ],
  ];

  it.each(cases)('%s: exit code %i', async (_, expected, message, args, env) => {
    const { code, stdout, stderr } = await rvos(args(), env?.());
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^rvos: .*\n$/);
    expect(code).toBe(expected);
    expect(stdout).toBe('');
    expect(await readdir(temporary)).toEqual([]);
  });

  it('a start beyond the end of the video', async () => {
    const { code, stderr } = await segment(clip, 'a', '--start', '60');
    expect({ code, one: stderr.split('\n').length }).toEqual({ code: 1, one: 2 });
    expect(stderr).toMatch(/beyond the last frame/);
  });
});

describe('Ctrl-C', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('(%s) removes partial output within a second and exits with %i', async (signal, expected) => {
    const before = await readdir(scratch);
    const outputs = ['--masked-video', at('c.mp4'), '--masks', at('c.json'), '--contact-sheet', at('c.png')];
    const child = start(['segment', '--model', model, at('long.mkv'), 'a red ball', 'the white car', ...outputs]);
    const outcome = finished(child);
    // The network's process and the decoder run, every output has begun.
    await vi.waitFor(
      async () => {
        const begun = (await readdir(scratch)).filter((name) => name.endsWith('.partial'));
        expect(begun).toHaveLength(outputs.length / 2);
        expect(descendants(child.pid!).length).toBeGreaterThanOrEqual(2);
      },
      { timeout: 30_000, interval: 50 },
    );
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const others = descendants(child.pid!);
    const sent = performance.now();
    child.kill(signal);
    const { code, stderr } = await outcome;
    expect(performance.now() - sent).toBeLessThan(1000);
    expect(code).toBe(expected);
    expect(stderr).toMatch(/interrupted/);
    expect(await readdir(scratch)).toEqual(before);
    expect(await readdir(temporary)).toEqual([]);
    expect(others.filter(alive)).toEqual([]);
  });
});

describe('help', () => {
  it('names every option of the command, with examples', async () => {
    const { code, stdout } = await rvos(['segment', '--help']);
    expect(code).toBe(0);
    for (const option of ['--model', '--masked-video', '--masks', '--contact-sheet', '--link-windows', '--json']) {
      expect(stdout).toContain(option);
    }
    expect(stdout).toContain('Examples:');
  });

  it('prints the version', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await rvos(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

/** Process ids below `root`, by /proc or ps. */
function descendants(root: number): number[] {
  const { stdout } = spawnSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' });
  const parents = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number]);
  const found = new Set([root]);
  for (let grown = true; grown; ) {
    grown = false;
    for (const [pid, parent] of parents) {
      if (found.has(parent) && !found.has(pid)) grown = Boolean(found.add(pid));
    }
  }
  found.delete(root);
  return [...found].filter(alive);
}
