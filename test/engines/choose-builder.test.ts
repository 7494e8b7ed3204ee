import { describe, expect, it } from 'vitest';
import { chooseBuilder } from '../../src/engines/choose-builder.js';
import { RvosError } from '../../src/errors.js';
import type { NativeDevice, TensorRtFlavor } from '../../src/native/tensorrt-addon.js';
import type { FlavorProbe } from '../../src/native/tensorrt-flavor.js';

function gpu(name: string, computeCapability: number): NativeDevice {
  const memory = { totalBytes: 2 ** 34, freeBytes: 2 ** 34 };
  return { index: 0, name, computeCapability, ...memory, driverCudaVersion: '13.0', multiprocessors: 100 };
}

const hopper = gpu('NVIDIA H200', 90);
const ada = gpu('NVIDIA RTX 4090', 89);
const rtxTargets = [120, 75, 86, 89];

function usable(
  flavor: TensorRtFlavor,
  devices: readonly NativeDevice[],
  aheadOfTimeTargets: readonly number[] = [],
): FlavorProbe {
  return {
    ...{ flavor, addon: `/addons/${flavor}`, usable: true },
    files: { addon: '', infer: '', parser: '' },
    learnt: {
      ...{ addonVersion: '0.1.0', headerVersion: '11.4.0', cudaVersion: '13.0', libraryVersion: '11.4.0.1' },
      ...{ aheadOfTimeTargets, devices },
      deviceProblem: devices.length > 0 ? null : { code: 'NO_DEVICE', message: 'no CUDA-capable device is detected' },
    },
  };
}

function absent(flavor: TensorRtFlavor): FlavorProbe {
  const error = new RvosError('ADDON_MISSING', `the addon for ${flavor} is not built`, 'Build it.');
  return { flavor, addon: '', usable: false, built: false, error };
}

describe('auto', () => {
  it('takes TensorRT where there is a GPU for it', () => {
    const found = [usable('tensorrt', [hopper]), usable('tensorrt-rtx', [hopper], rtxTargets)];
    expect(chooseBuilder(found, {})).toMatchObject({ flavor: 'tensorrt', target: { kind: 'device', device: hopper } });
  });

  it('takes TensorRT-RTX where there is none, for all targets it knows', () => {
    const found = [usable('tensorrt', []), usable('tensorrt-rtx', [], rtxTargets)];
    const chosen = chooseBuilder(found, { flavor: 'auto' });
    expect(chosen.flavor).toBe('tensorrt-rtx');
    expect(chosen.target).toEqual({ kind: 'ahead-of-time', computeCapabilities: [75, 86, 89, 120] });
    expect(chosen.reason).toMatch(
      /TensorRT-RTX 11\.4\.0\.1: ahead of time, as there is no GPU here: 7\.5, 8\.6, 8\.9, 12\.0/,
    );
  });

  it('takes TensorRT-RTX for targets that are named, even beside a GPU of TensorRT', () => {
    const found = [usable('tensorrt', [ada]), usable('tensorrt-rtx', [ada], rtxTargets)];
    const chosen = chooseBuilder(found, { targets: [89, 86, 89] });
    expect(chosen).toMatchObject({
      flavor: 'tensorrt-rtx',
      target: { kind: 'ahead-of-time', computeCapabilities: [86, 89] },
    });
  });

  it('says what is wrong with each flavour where nothing builds, and names the set-up', () => {
    const found = [usable('tensorrt', []), absent('tensorrt-rtx')];
    expect(() => chooseBuilder(found, {})).toThrowError(
      expect.objectContaining({
        code: 'BACKEND_UNAVAILABLE',
        message: expect.stringMatching(/no CUDA-capable device.*addon for tensorrt-rtx is not built/),
        hint: expect.stringContaining('npm run setup:native'),
      }),
    );
  });
});

describe('a flavour that is named', () => {
  it('builds for the GPU it runs on', () => {
    const found = [absent('tensorrt'), usable('tensorrt-rtx', [ada], rtxTargets)];
    expect(chooseBuilder(found, { flavor: 'tensorrt-rtx' }).target).toEqual({ kind: 'device', device: ada });
  });

  it('builds ahead of time beside a GPU that it leaves out', () => {
    const found = [usable('tensorrt', [hopper]), usable('tensorrt-rtx', [hopper], rtxTargets)];
    const chosen = chooseBuilder(found, { flavor: 'tensorrt-rtx' });
    expect(chosen.target.kind).toBe('ahead-of-time');
    expect(chosen.reason).toContain('does not run on NVIDIA H200');
  });

  it('is an error where it is not usable, however usable the other is', () => {
    const found = [absent('tensorrt'), usable('tensorrt-rtx', [ada], rtxTargets)];
    expect(() => chooseBuilder(found, { flavor: 'tensorrt' })).toThrowError(
      expect.objectContaining({ code: 'ADDON_MISSING', hint: expect.stringContaining('npm run setup:native') }),
    );
  });

  it('TensorRT without a GPU is an error with the reason', () => {
    expect(() => chooseBuilder([usable('tensorrt', [])], { flavor: 'tensorrt' })).toThrowError(
      expect.objectContaining({
        code: 'BACKEND_UNAVAILABLE',
        message: expect.stringMatching(/only on the GPU they are for: no CUDA-capable device/),
      }),
    );
  });

  it.each([
    ['tensorrt-rtx', [90], /does not build for compute capability 9\.0/, /8\.9, 12\.0/],
    ['tensorrt', [90], /cannot build for other GPUs/, /--flavor tensorrt-rtx/],
  ] as const)('%s refuses targets %o', (flavor, targets, message, hint) => {
    const found = [usable('tensorrt', [hopper]), usable('tensorrt-rtx', [hopper], rtxTargets)];
    expect(() => chooseBuilder(found, { flavor, targets })).toThrowError(
      expect.objectContaining({
        code: 'BAD_ARGUMENT',
        message: expect.stringMatching(message),
        hint: expect.stringMatching(hint),
      }),
    );
  });
});
