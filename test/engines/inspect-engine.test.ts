import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { engineFolderLines, engineLines } from '../../src/cli/inspect-engine.js';
import { type BuiltEngines, buildEngines } from '../../src/engines/build-engines.js';
import { readEngineManifest } from '../../src/engines/engine-manifest.js';
import { limitsOfManifests, manifestSets } from '../../src/engines/engine-memory.js';
import { type EngineInspection, inspectEngines, isEnginePath } from '../../src/engines/inspect-engine.js';
import { openModelFolder } from '../../src/model/model-folder.js';
import { loadTensorRt } from '../../src/native/load-tensorrt.js';
import type { NativeEngineInspection } from '../../src/native/tensorrt-addon.js';
import { nativeError } from '../support/fake-engine-addon.js';
import { type SimulatedAddon, simulatedAddon } from '../support/simulated-device.js';

/* What is done with the addon's inspection of an engine that fits; the engines are those of the simulated device. */

let scratch: string;
let addon: SimulatedAddon;
let built: BuiltEngines;
beforeAll(async () => {
  process.env.RVOS_TENSORRT_FLAVOR = 'simulated';
  scratch = await mkdtemp(join(tmpdir(), 'rvos-inspect-'));
  simulatedAddon();
  addon = (await loadTensorRt('simulated')).addon as SimulatedAddon;
  const model = await openModelFolder('compact');
  const builder = { addon, libraryVersion: addon.version };
  const [device] = addon.devices();
  const sizes = [{ height: 60, width: 108 }];
  built = await buildEngines({ model, sizes, builder, target: { kind: 'device', device: device! }, root: scratch });
});
afterEach(() => vi.restoreAllMocks());
afterAll(async () => {
  delete process.env.RVOS_TENSORRT_FLAVOR;
  await rm(scratch, { recursive: true, force: true });
});

const contents: NativeEngineInspection = {
  tensors: [],
  profiles: [],
  scratchBytes: 10,
  layers: [
    { name: '_gemm_mha_v2_0x1', type: 'kgen', fusedAttention: true },
    { name: 'backbone.norm\n1', type: 'kgen', fusedAttention: false },
  ],
};

describe('an engine that fits this machine', () => {
  it('is opened, and its layers are listed, fused attention named', async () => {
    const open = vi.spyOn(addon, 'inspectEngine').mockResolvedValue(contents);
    const found = (await inspectEngines(built.engines[1]!.path)) as EngineInspection;
    expect(open).toHaveBeenCalledWith(built.engines[1]!.path, 0);
    expect(found).toMatchObject({ kind: 'engine', differences: [], contents, problem: null });
    const text = engineLines(found).join('\n');
    expect(text).toContain('this machine  can run it');
    expect(text).toContain('layers        2, of which 1 fused attention');
    expect(text).toMatch(/kgen +fused attention +_gemm_mha_v2_0x1\n/);
    expect(text).toMatch(/kgen +backbone\.norm 1$/);
  });

  it('whose inspection fails for want of memory is still described', async () => {
    vi.spyOn(addon, 'inspectEngine').mockRejectedValue(nativeError('OUT_OF_MEMORY', 'no memory'));
    const found = (await inspectEngines(built.engines[1]!.path)) as EngineInspection;
    expect(found.contents).toBeNull();
    expect(found.problem).toMatch(/no memory/);
  });

  it('that TensorRT refuses is an error', async () => {
    vi.spyOn(addon, 'inspectEngine').mockRejectedValue(nativeError('BAD_ENGINE', 'serialization version'));
    await expect(inspectEngines(built.engines[1]!.path)).rejects.toMatchObject({ code: 'BAD_ENGINE' });
  });
});

it('an engine that is damaged is never given to TensorRT, nor one without its manifest', async () => {
  const open = vi.spyOn(addon, 'inspectEngine').mockResolvedValue(contents);
  const { path } = built.engines[2]!;
  const bytes = await readFile(path);
  const manifest = await readFile(path.replace(/engine$/, 'json'));
  const changed = Buffer.from(bytes);
  changed[40]! ^= 1;
  await writeFile(path, changed);
  await expect(inspectEngines(path)).rejects.toMatchObject({ code: 'BAD_ENGINE' });
  await writeFile(path, bytes);
  await rm(path.replace(/engine$/, 'json'));
  await expect(inspectEngines(path)).rejects.toMatchObject({
    code: 'BAD_ENGINE',
    message: expect.stringMatching(/no manifest/),
    hint: expect.stringContaining('rvos build --model compact --size 60x108'),
  });
  const listed = await inspectEngines(scratch);
  if (listed.kind !== 'engines') throw new Error('a folder was expected');
  expect(engineFolderLines(listed).join('\n')).toMatch(/3 of 4 sound(.|\n)*backbone-long-60x108\.engine +DAMAGED: /);
  await writeFile(path.replace(/engine$/, 'json'), manifest);
  expect(open).not.toHaveBeenCalled();
});

it('engines, their manifests and folders are told from other things', async () => {
  const { path } = built.engines[0]!;
  for (const each of [path, path.replace(/engine$/, 'json'), built.folder, scratch]) {
    expect(await isEnginePath(each), each).toBe(true);
  }
  await writeFile(join(scratch, 'other.json'), '{}');
  for (const each of [join(scratch, 'other.json'), 'models/compact', 'src', 'nowhere', 'package.json']) {
    expect(await isEnginePath(each), each).toBe(false);
  }
});

it('manifests alone tell what a pipeline is laid out for', async () => {
  const paths = built.engines.map(({ path }) => path.replace(/engine$/, 'json'));
  const manifests = await Promise.all(paths.map((path) => readEngineManifest(path, '')));
  const [set, ...more] = manifestSets(manifests);
  expect(more).toEqual([]);
  expect(manifestSets(manifests.slice(0, 2))).toEqual([]);
  const { swin, mttr } = (await openModelFolder('compact')).architecture;
  const lanes = (windows: number) => ({ inFlight: 2, streams: windows });
  expect(limitsOfManifests(set!, lanes)).toMatchObject({
    ...{ height: 60, width: 108, levelChannels: swin.embed_dim, objectQueries: mttr.num_queries },
    ...{ kernelSize: mttr.mask_kernels_dim, textFeatures: mttr.d_model },
    ...{ shortFrames: 8, longFrames: 24, windows: 2, sentences: 8, tokens: 64, inFlight: 2, streams: 2 },
  });
  expect(limitsOfManifests({ ...set!, transformer: { ...set!.transformer, tensors: [] } }, lanes)).toBeUndefined();
});
