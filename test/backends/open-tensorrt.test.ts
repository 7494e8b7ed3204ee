import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { chooseBackend } from '../../src/backends/open-backend.js';
import { requireUsable, tryTensorRt } from '../../src/backends/tensorrt/open-tensorrt.js';
import { StoredEngines } from '../../src/backends/tensorrt/stored-engines.js';
import { TensorRtBackend } from '../../src/backends/tensorrt.js';
import { EngineStore } from '../../src/engines/engine-store.js';
import { RvosError } from '../../src/errors.js';
import type { ModelFolder } from '../../src/model/model-folder.js';
import * as loading from '../../src/native/load-tensorrt.js';
import type { NativeDevice } from '../../src/native/tensorrt-addon.js';
import type { FlavorProbe } from '../../src/native/tensorrt-flavor.js';
import { FakeAddon, nativeError } from '../support/fake-tensorrt.js';
import { openGoldenModel } from '../support/golden-model.js';

// Reasons are told where there is an NVIDIA GPU, which this machine need not have.
vi.mock('../../src/native/nvidia-driver.js', () => ({ hasNvidiaDriver: () => true }));

const code = (name: string) =>
  expect.objectContaining({ name: name === 'ABORTED' ? 'AbortError' : 'RvosError', code: name });
const h200: NativeDevice = {
  ...{ index: 0, name: 'NVIDIA H200', computeCapability: 90, totalBytes: 1, freeBytes: 1 },
  ...{ driverCudaVersion: '13.0', multiprocessors: 132 },
};

function probed(flavor: 'tensorrt' | 'tensorrt-rtx', devices: NativeDevice[], problem?: string): FlavorProbe {
  return {
    ...{ flavor, addon: 'addon.node', usable: true, files: { addon: 'addon.node', infer: 'i', parser: 'p' } },
    learnt: {
      ...{ addonVersion: '0', headerVersion: '11.4.0', cudaVersion: '13.0', libraryVersion: '11.4.0', devices },
      aheadOfTimeTargets: flavor === 'tensorrt-rtx' ? [86, 89, 120] : [],
      deviceProblem: problem ? { code: 'NO_DEVICE', message: problem } : null,
    },
  };
}

function absent(flavor: 'tensorrt' | 'tensorrt-rtx', built = false): FlavorProbe {
  const error = built
    ? new RvosError('BACKEND_UNAVAILABLE', 'libnvinfer.so.11 cannot be opened', 'Install it.')
    : new RvosError('ADDON_MISSING', `the addon for ${flavor} is not built`, 'Run npm run setup:native.');
  return { flavor, addon: 'addon.node', usable: false, built, error };
}

let model: ModelFolder;
let scratch: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ model, remove } = await openGoldenModel());
  scratch = await mkdtemp(join(tmpdir(), 'rvos-open-'));
});
afterAll(async () => {
  await remove();
  await rm(scratch, { recursive: true, force: true });
});
afterEach(() => vi.restoreAllMocks());

describe('what TensorRT runs on', () => {
  it('is the flavour that has a GPU', () => {
    const { probe, device } = requireUsable([probed('tensorrt', [h200]), probed('tensorrt-rtx', [h200])]);
    expect([probe.flavor, device.name]).toEqual(['tensorrt', 'NVIDIA H200']);
    const rtx = { ...h200, index: 1, name: 'RTX 4090', computeCapability: 89 };
    const other = requireUsable([absent('tensorrt'), probed('tensorrt-rtx', [h200, rtx])]);
    expect([other.probe.flavor, other.device.index]).toEqual(['tensorrt-rtx', 1]);
  });

  it.each<[string, FlavorProbe[], string, RegExp]>([
    ['nothing is built', [absent('tensorrt'), absent('tensorrt-rtx')], 'ADDON_MISSING', /neither .* is built/],
    ['a library is missing', [absent('tensorrt', true), absent('tensorrt-rtx')], 'BACKEND_UNAVAILABLE', /libnvinfer/],
    ['there is no GPU', [probed('tensorrt', [], 'no CUDA device')], 'BACKEND_UNAVAILABLE', /no CUDA device/],
    ['the GPU is of another kind', [probed('tensorrt-rtx', [h200])], 'BACKEND_UNAVAILABLE', /NVIDIA H200.*86, 89, 120/],
  ])('is told where %s', (_, probes, expected, message) => {
    expect(() => requireUsable(probes)).toThrow(code(expected));
    expect(() => requireUsable(probes)).toThrow(message);
  });
});

describe('auto', () => {
  it('tries nothing where there are no engines of the model', async () => {
    const probe = vi.spyOn(loading, 'probeTensorRt');
    expect(await tryTensorRt({ model, engines: join(scratch, 'none') })).toMatch(
      /^no TensorRT engines of .* in .*none$/,
    );
    expect(probe).not.toHaveBeenCalled();
  });

  it('takes ONNX Runtime and tells why where TensorRT cannot run; tensorrt fails for the same reason', async () => {
    const engines = join(scratch, 'some');
    await mkdir(join(new EngineStore(engines).modelFolder(model), 'tensorrt-11.4.0-sm90'), { recursive: true });
    vi.stubEnv('RVOS_TENSORRT_ADDONS', join(scratch, 'nowhere'));
    // Where OpenVINO would be looked for.
    vi.stubEnv('RVOS_KIT', join(scratch, 'no-kit'));
    try {
      const { backend, reason } = await chooseBackend('auto', { model, engines, threads: 1 });
      await backend.dispose();
      expect([backend.name, reason]).toEqual(['onnxruntime', expect.stringMatching(/TensorRT .* is built/)]);
      await expect(chooseBackend('tensorrt', { model, engines })).rejects.toThrow(code('ADDON_MISSING'));
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

it('a build that a call waits for ends with the backend', async () => {
  let cancelled = 0;
  const buildEngine = () => {
    let fail: (error: Error) => void = () => undefined;
    const done = new Promise<never>((_, reject) => {
      fail = reject;
    });
    const cancel = () => {
      cancelled++;
      fail(nativeError('CANCELLED'));
    };
    return { done, cancel };
  };
  const ending = new AbortController();
  const builder = { addon: { flavor: 'tensorrt' as const, buildEngine }, libraryVersion: '11.4.0' };
  const engines = new StoredEngines({
    model,
    store: new EngineStore(join(scratch, 'building')),
    host: { flavor: 'tensorrt', libraryVersion: '11.4.0', device: h200 },
    build: { builder, signal: ending.signal },
  });
  const backend = new TensorRtBackend({ model, addon: new FakeAddon(), device: 0, engines, ending });
  const encoding = backend.encodeText([{ text: 'a', ids: [0, 5, 2] }]);
  const outcome = encoding.catch((error: unknown) => error);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const began = performance.now();
  await backend.dispose();
  expect(await outcome).toEqual(code('ABORTED'));
  expect(performance.now() - began).toBeLessThan(2000);
  expect(cancelled).toBe(1);
});
