import { existsSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTensorRt } from '../../../../src/native/load-tensorrt.js';
import type { BuildProgress, EngineBuild, TensorRtAddon } from '../../../../src/native/tensorrt-addon.js';
import {
  backboneProfile,
  buildUntil,
  engineSize,
  failedBuild,
  failureOf,
  textProfile,
  writeEngineGraph,
} from '../../../support/engine-builds.js';
import { openGoldenModel } from '../../../support/golden-model.js';

let golden: Awaited<ReturnType<typeof openGoldenModel>>;
let addon: TensorRtAddon;
let textGraph: string;
let backboneGraph: string;
let folder: string;

beforeAll(async () => {
  golden = await openGoldenModel('fp16');
  ({ addon } = await loadTensorRt('tensorrt-rtx'));
  textGraph = await writeEngineGraph(golden.model, 'text-encoder');
  backboneGraph = await writeEngineGraph(golden.model, 'backbone');
  folder = await mkdtemp(join(golden.scratch, 'engines-'));
});
afterAll(() => golden.remove());

let number = 0;
function textBuild(more: Partial<EngineBuild> = {}): EngineBuild {
  return {
    graph: textGraph,
    output: join(folder, `${++number}.engine`),
    profiles: [textProfile],
    targets: [86],
    ...more,
  };
}

function backboneBuild(more: Partial<EngineBuild> = {}): EngineBuild {
  return textBuild({ graph: backboneGraph, profiles: [backboneProfile()], ...more });
}

describe('a build', () => {
  it('writes an engine and reports it, with its progress on the way', async () => {
    const seen: BuildProgress[] = [];
    const build = backboneBuild({ onProgress: (progress) => seen.push(progress) });
    const before = process.memoryUsage.rss();
    const report = await addon.buildEngine(build).done;
    expect(report.engineBytes).toBe(statSync(build.output).size);
    expect(report.engineBytes).toBeGreaterThan(100_000);
    expect(report.seconds).toBeGreaterThan(0);
    expect(report.scratchBytes).toBeGreaterThan(0);
    expect(report.peakHostBytes).toBeGreaterThan(before / 2);
    const { height, width } = engineSize;
    const level = (i: number) => [-1, 8, 24 * 2 ** i, height / 2 ** (i + 2), width / 2 ** (i + 2)];
    expect(report.tensors).toEqual([
      { name: 'frames', mode: 'input', dtype: 'float16', shape: [-1, 8, 3, height, width] },
      { name: 'frame_count', mode: 'input', dtype: 'int32', shape: [-1] },
      { name: 'level0', mode: 'output', dtype: 'float16', shape: level(0) },
      { name: 'level1', mode: 'output', dtype: 'float16', shape: level(1) },
      { name: 'level2', mode: 'output', dtype: 'float16', shape: level(2) },
    ]);

    expect(seen.length).toBeGreaterThan(0);
    for (const { phase, step, steps, parents } of seen) {
      expect(phase).not.toBe('');
      expect(step).toBeGreaterThanOrEqual(0);
      expect(step).toBeLessThanOrEqual(steps);
      expect(parents).not.toContain(phase);
    }
    expect(seen.some(({ parents }) => parents.length > 0)).toBe(true);
    // At most every 50 ms.
    expect(seen.length).toBeLessThanOrEqual(report.seconds * 20 + 2);
  });

  it('shares the process with another, and the event loop goes on', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    const builds = [textBuild(), textBuild({ targets: [75, 120] })];
    const reports = await Promise.all(builds.map((build) => addon.buildEngine(build).done));
    clearInterval(timer);
    expect(turns).toBeGreaterThan(10);
    expect(reports[0]!.tensors).toEqual(reports[1]!.tensors);
    for (const [i, { output }] of builds.entries()) expect(statSync(output).size).toBe(reports[i]!.engineBytes);
  });

  it('keeps no timing cache with TensorRT-RTX, which times nothing while it builds', async () => {
    const timingCache = join(folder, 'timing.cache');
    const { warnings } = await addon.buildEngine(textBuild({ timingCache })).done;
    expect(warnings.filter((warning) => warning.includes('timing cache'))).toEqual([]);
    expect(existsSync(timingCache)).toBe(false);
  });
});

describe('cancelling', () => {
  it('ends the build within 2 s and leaves nothing', async () => {
    const outermost = (progress: BuildProgress) => progress.parents.length === 0;
    for (const wanted of [outermost, (progress: BuildProgress) => !outermost(progress)]) {
      const build = backboneBuild();
      const task = await buildUntil(addon, build, wanted);
      const start = performance.now();
      task.cancel();
      task.cancel();
      const { code } = failureOf(await task.done.catch((error: unknown) => error));
      expect(code).toBe('CANCELLED');
      expect(performance.now() - start).toBeLessThan(2000);
      expect(existsSync(build.output)).toBe(false);
    }
    // And the next build is a good one.
    const again = textBuild();
    expect((await addon.buildEngine(again).done).engineBytes).toBe(statSync(again.output).size);
  });

  it('works at once, and does nothing to a build that has ended', async () => {
    const build = textBuild();
    const task = addon.buildEngine(build);
    task.cancel();
    expect(failureOf(await task.done.catch((error: unknown) => error)).code).toBe('CANCELLED');
    expect(existsSync(build.output)).toBe(false);

    const ended = textBuild();
    const finished = addon.buildEngine(ended);
    await finished.done;
    finished.cancel();
    expect(existsSync(ended.output)).toBe(true);
  });
});

describe('profiles', () => {
  it.each([
    ['leaves out an input', { input_ids: textProfile.input_ids! }, 'attention_mask: its shape [-1, -1] varies'],
    [
      'names an unknown input',
      { ...textProfile, pixels: textProfile.input_ids! },
      'pixels: the graph has no such input',
    ],
    ['has opt above max', { ...textProfile, input_ids: { min: [1, 2], opt: [1, 70], max: [8, 64] } }, '2, 70, 64'],
    ['allows nothing', { ...textProfile, input_ids: { min: [0, 2], opt: [1, 16], max: [8, 64] } }, 'axis 0 needs 1'],
    ['has too few axes', { ...textProfile, input_ids: { min: [1], opt: [1], max: [8] } }, 'another rank'],
    [
      'contradicts itself',
      { ...textProfile, attention_mask: { min: [1, 2], opt: [1, 17], max: [8, 64] } },
      'Dimensions with name S must be equal',
    ],
  ])('one that %s is BAD_PROFILE', async (_, profile, words) => {
    const { code, message } = await failedBuild(addon, textBuild({ profiles: [profile] }));
    expect(code).toBe('BAD_PROFILE');
    expect(message).toContain(words);
    expect(message).toContain('rofile');
  });

  it('one that the graph’s fixed extents rule out is BAD_PROFILE, whichever it is', async () => {
    const profiles = [backboneProfile(), backboneProfile(24)];
    const { code, message } = await failedBuild(addon, backboneBuild({ profiles }));
    expect(code).toBe('BAD_PROFILE');
    expect(message).toContain('profile 1, input frames: axis 1 is 8 in the graph, the profile asks for 24 to 24');
  });

  it('none at all is BAD_PROFILE for a graph with variable shapes', async () => {
    expect((await failedBuild(addon, textBuild({ profiles: [] }))).code).toBe('BAD_PROFILE');
  });
});

describe('targets', () => {
  it('an unknown one is BAD_TARGET, which names those that exist', async () => {
    expect(addon.aheadOfTimeTargets()).toEqual(expect.arrayContaining([75, 86, 89, 120]));
    for (const targets of [[90], [86, 3], [-1]]) {
      const { code, message } = await failedBuild(addon, textBuild({ targets }));
      expect(code).toBe('BAD_TARGET');
      expect(message).toContain('it knows 75,');
    }
  });

  it('none means the GPU that is present, or NO_DEVICE', async () => {
    const build = textBuild({ targets: undefined });
    const [device] = devicesOrNone();
    if (device && addon.aheadOfTimeTargets().includes(device.computeCapability)) {
      expect((await addon.buildEngine(build).done).engineBytes).toBeGreaterThan(0);
    } else if (!device) {
      const { code, message } = await failedBuild(addon, build);
      expect(['NO_DEVICE', 'DRIVER_TOO_OLD']).toContain(code);
      expect(message).toMatch(/driver/);
    } else {
      // A GPU that TensorRT-RTX does not run on.
      expect((await failedBuild(addon, build)).code).toMatch(/BAD_TARGET|BUILD_FAILED|NO_DEVICE/);
    }
  });
});

describe('where the engine goes', () => {
  it('a folder that does not exist, or a folder in its place, is NOT_WRITABLE', async () => {
    const absent = join(folder, 'absent', 'a.engine');
    expect(await failedBuild(addon, textBuild({ output: absent }))).toMatchObject({
      code: 'NOT_WRITABLE',
      message: expect.stringContaining(absent),
    });
    const taken = join(folder, 'taken');
    await mkdir(taken);
    const failure = await addon.buildEngine(textBuild({ output: taken })).done.catch((error: unknown) => error);
    expect(failureOf(failure).code).toBe('NOT_WRITABLE');
    await rm(taken, { recursive: true });
  });

  it('a full disk is DISK_FULL, and a device is never removed', async () => {
    const { code, message } = await failedBuild(addon, textBuild({ output: '/dev/full' }));
    expect(code).toBe('DISK_FULL');
    expect(message).toContain('/dev/full');
    expect(statSync('/dev/full').isCharacterDevice()).toBe(true);
  });
});

it('what is not of the contract’s form is BAD_ARGUMENT', () => {
  const wrong = [
    undefined,
    {},
    { ...textBuild(), graph: 7 },
    { ...textBuild(), output: '' },
    { ...textBuild(), profiles: {} },
    { ...textBuild(), profiles: [{ input_ids: { min: [1.5, 2], opt: [2, 2], max: [2, 2] } }] },
    { ...textBuild(), profiles: [{ input_ids: { min: [1, 2] } }] },
    { ...textBuild(), targets: ['86'] },
    { ...textBuild(), timingCache: 3 },
  ];
  for (const build of wrong) {
    let failure: unknown;
    try {
      addon.buildEngine(build as EngineBuild);
    } catch (error) {
      failure = error;
    }
    expect(failureOf(failure), JSON.stringify(build)).toMatchObject({ code: 'BAD_ARGUMENT' });
  }
});

function devicesOrNone() {
  try {
    return addon.devices();
  } catch (error) {
    const { code, message } = failureOf(error);
    expect(['NO_DEVICE', 'DRIVER_TOO_OLD']).toContain(code);
    expect(message).toMatch(/driver/);
    return [];
  }
}

it('the devices are described, or the reason why there is none', () => {
  for (const [i, device] of devicesOrNone().entries()) {
    expect(device.index).toBe(i);
    expect(device.name).not.toBe('');
    expect(device.computeCapability).toBeGreaterThanOrEqual(50);
    expect(device.freeBytes).toBeLessThanOrEqual(device.totalBytes);
    expect(device.driverCudaVersion).toMatch(/^\d+\.\d+$/);
    expect(device.multiprocessors).toBeGreaterThan(0);
  }
});

it('nothing but finished engines is left in the folder', async () => {
  for (const name of await readdir(folder)) expect(name).toMatch(/^\d+\.engine$/);
});
