import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { describeError, type RvosError } from '../../src/errors.js';
import type { TensorRtFlavor } from '../../src/native/tensorrt-addon.js';
import { type FlavorProbe, probeFlavor } from '../../src/native/tensorrt-flavor.js';
import { packageRoot, packageVersion } from '../../src/package-root.js';

let built: string;
let addons: string;

/** Compiles the fake addon; a second, empty library for the one that needs it. */
beforeAll(() => {
  built = mkdtempSync(join(tmpdir(), 'rvos-fake-addon-'));
  const source = join(packageRoot, 'test/native/fake-tensorrt-addon.c');
  const include = `-I${join(packageRoot, 'node_modules/node-api-headers/include')}`;
  const compile = (...args: string[]) => execFileSync('cc', ['-shared', '-fPIC', include, ...args]);
  const addon = (name: string, version: string, ...args: string[]) =>
    compile(source, '-o', join(built, name), `-DVERSION="${version}"`, ...args);
  addon('good.node', packageVersion());
  addon('old.node', '0.0.1');
  writeFileSync(join(built, 'library.c'), 'int function_of_a_library(void) { return 0; }\n');
  compile(join(built, 'library.c'), '-o', join(built, 'libabsent.so'));
  addon('linked.node', packageVersion(), '-DNEEDS_LIBRARY', `-L${built}`, '-labsent');
});
afterAll(() => rmSync(built, { recursive: true, force: true }));

beforeEach(() => {
  addons = mkdtempSync(join(tmpdir(), 'rvos-addons-'));
  vi.stubEnv('RVOS_TENSORRT_ADDONS', addons);
  vi.stubEnv('RVOS_TENSORRT_FLAVOR', undefined);
  vi.resetModules();
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(addons, { recursive: true, force: true });
});

/** Puts a flavour in its place, as setup:native would. */
function place(flavor: TensorRtFlavor, infer: string, { parser = 'none', addon = 'good.node' } = {}): string {
  const folder = join(addons, flavor);
  mkdirSync(folder);
  copyFileSync(join(built, addon), join(folder, 'rvos_tensorrt.node'));
  writeFileSync(join(folder, 'libraries.json'), JSON.stringify({ flavor, infer, parser }));
  return folder;
}

function problem(found: FlavorProbe): RvosError {
  if (found.usable) throw new Error('it is usable');
  expect(describeError(found.error)).not.toContain('\n');
  return found.error;
}

/** The module as a process sees it that has not loaded anything yet. */
async function fresh() {
  return import('../../src/native/load-tensorrt.js');
}

describe('a flavour tried in a child process', () => {
  it('that works tells versions, targets and why there is no GPU', async () => {
    const folder = place('tensorrt-rtx', 'works');
    const found = await probeFlavor('tensorrt-rtx', folder);
    expect(found).toMatchObject({
      usable: true,
      files: { infer: 'works', parser: 'none' },
      learnt: {
        addonVersion: packageVersion(),
        libraryVersion: '1.7.1.116',
        headerVersion: '1.7.1',
        cudaVersion: '13.0',
        aheadOfTimeTargets: [86],
        devices: [],
        deviceProblem: { code: 'NO_DEVICE', message: 'no NVIDIA GPU was found' },
      },
    });
  });

  it('that is not built is ADDON_MISSING with the command', async () => {
    const found = await probeFlavor('tensorrt', join(addons, 'tensorrt'));
    expect(found).toMatchObject({ usable: false, built: false });
    expect(problem(found)).toMatchObject({
      code: 'ADDON_MISSING',
      hint: expect.stringContaining('npm run setup:native'),
    });
  });

  it.each([
    ['crashes in the library', 'crash', 'none', /SIGSEGV while opening the libraries/, /setup:native/],
    ['crashes in the driver', 'works', 'crash', /SIGABRT while asking the driver for GPUs/, /nvidia-smi/],
    ['lacks a library', 'missing', 'none', /cannot open libnvinfer\.so\.11/, /setup:native/],
    ['has a library of another version', 'version', 'none', /is version 9\.1/, /setup:native/],
  ])('that %s is BACKEND_UNAVAILABLE with the reason', async (_, infer, parser, reason, remedy) => {
    const error = problem(await probeFlavor('tensorrt', place('tensorrt', infer, { parser })));
    expect(error.code).toBe('BACKEND_UNAVAILABLE');
    expect(error.message).toMatch(reason);
    expect(error.hint).toMatch(remedy);
  });

  it('that hangs is ended', async () => {
    const error = problem(await probeFlavor('tensorrt', place('tensorrt', 'hang'), { timeout: 1500 }));
    expect(error).toMatchObject({ code: 'BACKEND_UNAVAILABLE', message: expect.stringContaining('hung for 1.5 s') });
  });

  it('whose own libraries are missing is ADDON_MISSING', async () => {
    const error = problem(await probeFlavor('tensorrt', place('tensorrt', 'works', { addon: 'linked.node' })));
    expect(error).toMatchObject({ code: 'ADDON_MISSING', message: expect.stringContaining('libabsent.so') });
  });

  it('of another version of rvos is ADDON_MISSING', async () => {
    const error = problem(await probeFlavor('tensorrt', place('tensorrt', 'works', { addon: 'old.node' })));
    expect(error).toMatchObject({ code: 'ADDON_MISSING', message: expect.stringContaining('is of rvos 0.0.1') });
  });

  it('with a damaged record of its libraries is ADDON_MISSING', async () => {
    const folder = place('tensorrt', 'works');
    writeFileSync(join(folder, 'libraries.json'), '{"infer":');
    expect(problem(await probeFlavor('tensorrt', folder)).code).toBe('ADDON_MISSING');
  });

  it('with a damaged addon is ADDON_MISSING', async () => {
    const folder = place('tensorrt', 'works');
    const file = join(folder, 'rvos_tensorrt.node');
    writeFileSync(file, readFileSync(file).subarray(0, 5000));
    expect(problem(await probeFlavor('tensorrt', folder)).code).toBe('ADDON_MISSING');
  });

  it('takes libraries from the environment', async () => {
    const folder = place('tensorrt-rtx', 'missing');
    vi.stubEnv('RVOS_TENSORRT_RTX_LIBRARY', 'works');
    vi.stubEnv('RVOS_TENSORRT_RTX_PARSER', 'gpu-86');
    const found = await probeFlavor('tensorrt-rtx', folder);
    expect(found).toMatchObject({ usable: true, files: { infer: 'works', parser: 'gpu-86' } });
  });
});

describe('loadTensorRt', () => {
  it('loads what works and leaves out what crashes', async () => {
    place('tensorrt', 'crash');
    place('tensorrt-rtx', 'works', { parser: 'gpu-86' });
    const { loadTensorRt, probeTensorRt } = await fresh();
    const found = await probeTensorRt();
    expect(found.map(({ flavor, usable }) => [flavor, usable])).toEqual([
      ['tensorrt', false],
      ['tensorrt-rtx', true],
    ]);
    const { flavor, addon, libraryVersion } = await loadTensorRt();
    expect({ flavor, libraryVersion }).toEqual({ flavor: 'tensorrt-rtx', libraryVersion: '1.7.1.116' });
    expect(addon.devices()).toEqual([{ name: 'a GPU', computeCapability: 86 }]);
    await expect(loadTensorRt('tensorrt')).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  });

  it.each([
    ['TensorRT on any GPU', 'gpu-90', 'gpu-90', 'tensorrt'],
    ['TensorRT-RTX on a GPU that TensorRT does not see', 'none', 'gpu-86', 'tensorrt-rtx'],
    ['TensorRT-RTX without a GPU, which builds ahead of time', 'none', 'none', 'tensorrt-rtx'],
    ['TensorRT-RTX rather than TensorRT where no GPU fits', 'none', 'gpu-90', 'tensorrt-rtx'],
  ])('prefers %s', async (_, tensorrt, rtx, expected) => {
    place('tensorrt', 'works', { parser: tensorrt });
    place('tensorrt-rtx', 'works', { parser: rtx });
    const { preferredFlavor, probeTensorRt } = await fresh();
    expect(preferredFlavor(await probeTensorRt())).toBe(expected);
  });

  it('says all reasons in one line when nothing works', async () => {
    place('tensorrt', 'missing');
    place('tensorrt-rtx', 'crash');
    const { loadTensorRt } = await fresh();
    await expect(loadTensorRt()).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringMatching(/TensorRT cannot be used: cannot open.*; TensorRT-RTX cannot be used: .*SIGSEGV/),
    });
  });

  it('names the command when nothing is built', async () => {
    const { loadTensorRt } = await fresh();
    await expect(loadTensorRt()).rejects.toMatchObject({
      code: 'ADDON_MISSING',
      hint: expect.stringContaining('setup:native'),
    });
  });

  it('tries once a process', async () => {
    const folder = place('tensorrt-rtx', 'works');
    const { loadTensorRt, probeTensorRt } = await fresh();
    await loadTensorRt('tensorrt-rtx');
    rmSync(folder, { recursive: true });
    expect((await probeTensorRt())[1]).toMatchObject({ usable: true });
    await expect(loadTensorRt('tensorrt-rtx')).resolves.toMatchObject({ flavor: 'tensorrt-rtx' });
  });

  it('is narrowed by RVOS_TENSORRT_FLAVOR, for tests to the simulated device', async () => {
    place('tensorrt', 'works', { parser: 'gpu-90' });
    place('simulated', 'works');
    vi.stubEnv('RVOS_TENSORRT_FLAVOR', 'simulated');
    const { loadTensorRt } = await fresh();
    expect((await loadTensorRt()).flavor).toBe('simulated');
    vi.stubEnv('RVOS_TENSORRT_FLAVOR', 'tensorflow');
    vi.resetModules();
    await expect((await fresh()).loadTensorRt()).rejects.toMatchObject({ code: 'BAD_ARGUMENT' });
  });
});
