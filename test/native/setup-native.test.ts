import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { packageRoot } from '../../src/package-root.js';

let place: string;
let kit: string;

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'rvos-setup-'));
  kit = join(place, 'kit');
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

function write(path: string, text = ''): string {
  const file = join(place, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

/** A program for PATH, as a shell script. */
function program(name: string, script: string): void {
  chmodSync(write(`bin/${name}`, `#!/bin/sh\n${script}\n`), 0o755);
}

/** A CUDA toolkit as far as it is looked at. */
function toolkit(): string {
  chmodSync(write('cuda/bin/nvcc', '#!/bin/sh\necho "Cuda compilation tools, release 12.8, V12.8.93"\n'), 0o755);
  write('cuda/lib64/libcudart_static.a');
  return join(place, 'cuda');
}

function libraries(folder: string, version: string, [infer, parser] = ['libnvinfer', 'libnvonnxparser']): string {
  for (const name of [infer, parser]) write(`${folder}/lib/${name}.so.${version}`);
  return join(place, folder);
}

const rtx: [string, string] = ['libtensorrt_rtx', 'libtensorrt_onnxparser_rtx'];

function headers(folder: string, version: [number, number, number], suffix = 'ENTERPRISE'): void {
  const lines = ['MAJOR', 'MINOR', 'PATCH'].map((part, i) => `#define TRT_${part}_${suffix} ${version[i]}\n`);
  write(`${folder}/include/NvInferVersion.h`, lines.join(''));
  write(`${folder}/include/NvOnnxParser.h`);
}

interface Ended {
  readonly status: number | null;
  readonly output: string;
}

function start(options: string[], env: Record<string, string> = {}): { child: ChildProcess; ended: Promise<Ended> } {
  const { CI, CUDA_HOME, CUDA_PATH, TENSORRT_ROOT, TENSORRT_RTX_ROOT, ...inherited } = process.env;
  const child = spawn(process.execPath, [join(packageRoot, 'scripts/setup-native.mjs'), ...options], {
    env: { ...inherited, PATH: `${join(place, 'bin')}:${inherited.PATH}`, RVOS_KIT: kit, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return { child, ended: new Promise((resolve) => child.once('close', (status) => resolve({ status, output }))) };
}

async function setUp(options: string[], env: Record<string, string> = {}): Promise<Ended> {
  return start(options, env).ended;
}

describe('setup:native finds', () => {
  it('libraries and headers of a folder, and a CUDA toolkit', async () => {
    const root = libraries('trt', '11.2.0');
    headers('trt', [11, 2, 0]);
    const { status, output } = await setUp(['--find', '--flavors', 'tensorrt'], {
      TENSORRT_ROOT: root,
      CUDA_HOME: toolkit(),
    });
    expect(output).toBe(
      `setup:native: CUDA 12.8 in ${place}/cuda\n` +
        `setup:native: TensorRT: ${root}/lib/libnvinfer.so.11.2.0, headers 11.2.0 in ${root}/include\n`,
    );
    expect(status).toBe(0);
  });

  it.each([
    ['--tensorrt', 'tensorrt', '11.2.0', undefined, 'tensorrt-11.4'],
    ['--tensorrt', 'tensorrt', '10', undefined, 'tensorrt-10.16'],
    ['--tensorrt-rtx', 'tensorrt-rtx', '1.7.1', rtx, 'tensorrt-rtx-1.7'],
    ['--tensorrt-rtx', 'tensorrt-rtx', '1.3.0', rtx, 'tensorrt-rtx-1.4'],
  ])('for a bare library, %s %s %s, the headers of its kind', async (option, flavor, version, names, expected) => {
    const root = libraries('bare', version, names);
    const args = ['--find', '--kit', '--flavors', flavor, option, root];
    const { status, output } = await setUp(args, { CUDA_HOME: toolkit() });
    expect(output).toContain(join(kit, 'headers-'));
    expect(output).toMatch(new RegExp(`/${expected}\n`));
    expect(status).toBe(0);
    expect(existsSync(kit)).toBe(false);
  });

  it('no use in headers of another major version or flavour', async () => {
    const root = libraries('trt', '11.2.0');
    headers('trt', [10, 16, 0]);
    const args = ['--find', '--flavors', 'tensorrt', '--tensorrt', root];
    const other = await setUp(args, { CUDA_HOME: toolkit() });
    headers('trt', [11, 7, 0], 'RTX');
    for (const { status, output } of [other, await setUp(args, { CUDA_HOME: toolkit() })]) {
      expect(status).toBe(1);
      expect(output).toMatch(/^setup:native: .*libnvinfer\.so\.11\.2\.0 has no headers .*Add --kit .*\n$/);
    }
  });

  it.each([
    [
      'a folder without TensorRT',
      ['--tensorrt', '/nonexistent'],
      /^setup:native: --tensorrt: .* has no libnvinfer\.so .*\n$/,
    ],
    [
      'a folder without CUDA',
      ['--tensorrt', 'LIBRARY', '--cuda', '/nonexistent'],
      /^setup:native: --cuda: .* no working CUDA .*\n$/,
    ],
    [
      'a version that nobody knows',
      ['--tensorrt', 'OLD', '--kit'],
      /^setup:native: .* is of version 9, .* Use TensorRT 10\.6 to 11\.x .*\n$/,
    ],
  ])('an error in %s', async (_, options, expected) => {
    const folders: Record<string, string> = { LIBRARY: libraries('a', '11'), OLD: libraries('b', '9.1') };
    headers('a', [11, 4, 0]);
    const args = ['--find', '--flavors', 'tensorrt', ...options.map((option) => folders[option] ?? option)];
    const { status, output } = await setUp(args);
    expect(output).toMatch(expected);
    expect(status).toBe(1);
  });

  it.each([['--frobnicate'], ['--flavors=tensorrt,tensorflow']])('no option %s', async (option) => {
    const { status, output } = await setUp([option]);
    expect(output).toMatch(/^setup:native: .*(frobnicate|tensorflow).*\n$/);
    expect(status).toBe(2);
  });
});

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('a kit', () => {
  /** pip that works: what it would install is the part of the folder tree that counts; it notes that it was called. */
  const pip = (install: string) =>
    program(
      'python3',
      `[ "$1 $2" = "-m pip" ] || exit 0
[ "$3" = install ] || exit 0
echo called >> ${place}/calls
while [ $# -gt 1 ]; do [ "$1" = --target ] && target=$2; shift; done
mkdir -p $target/tensorrt_rtx_libs && touch $target/tensorrt_rtx_libs/libtensorrt_rtx.so.1
${install}`,
    );
  const part = 'tensorrt-rtx-1.7.1.116';
  const args = ['--kit', '--flavors', 'tensorrt-rtx'];

  it('keeps a part that is whole, says why another cannot be had, and leaves nothing unfinished', async () => {
    pip('exit 0');
    program(
      'cargo',
      '[ "$1" = --version ] && echo "cargo 1.95.0" && exit 0\necho "error: no route to the index" >&2\nexit 101',
    );
    for (const _ of [1, 2]) {
      const { status, output } = await setUp(args);
      expect(status).toBe(1);
      expect(output).toMatch(
        /setup:native: TensorRT headers could not be fetched with cargo: error: no route to the index\. .*\n$/,
      );
      expect(readdirSync(kit)).toEqual([part]);
    }
    // The second time there was nothing to fetch.
    expect(readFileSync(join(place, 'calls'), 'utf8')).toBe('called\n');
  });

  it('does not count a part that pip did not finish', async () => {
    pip('echo "ERROR: hash mismatch" >&2; exit 1');
    const { status, output } = await setUp(args);
    expect(status).toBe(1);
    expect(output).toMatch(/TensorRT-RTX libraries could not be fetched with pip: ERROR: hash mismatch/);
    expect(readdirSync(kit)).toEqual([]);
  });

  it('leaves nothing half-made when interrupted, nor what a killed one left', async () => {
    pip('sleep 60');
    write('kit/partial-999999999-cuda/half');
    const { child, ended } = start(args);
    await expect.poll(() => existsSync(join(place, 'calls')), { timeout: 20_000 }).toBe(true);
    const interrupted = performance.now();
    child.kill('SIGINT');
    const { status, output } = await ended;
    expect(status).toBe(130);
    expect(performance.now() - interrupted).toBeLessThan(5000);
    expect(output).toMatch(/setup:native: interrupted.*\n$/);
    expect(readdirSync(kit)).toEqual([]);
  });
});
