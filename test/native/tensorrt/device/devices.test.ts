import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { simulatedAddon, simulatedAddonPath } from '../../../support/simulated-device.js';
import { writeSyntheticEngines } from '../../../support/synthetic-engines.js';
import { limits } from '../../../support/synthetic-network.js';

/* Machines with several GPUs, one of them broken; each case has a process of its own, as the devices are the process's. */

let folder: string;
let engines: { short: string; long: string; transformer: string };
beforeAll(async () => {
  simulatedAddon();
  folder = mkdtempSync(join(tmpdir(), 'rvos-devices-'));
  engines = await writeSyntheticEngines(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What `code` says, a value of JSON a line; `addon` is the addon. */
function run(code: string, env: Record<string, string>): unknown[] {
  const source = `
    const addon = require(${JSON.stringify(simulatedAddonPath)});
    const say = (value) => process.stdout.write(JSON.stringify(value) + '\\n');
    const failure = ({ code, message }) => ({ code, message });
    (async () => { ${code} })().catch((error) => say(failure(error)));`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', source], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  expect(status, stderr).toBe(0);
  return stdout
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown);
}

describe('GPUs', () => {
  const list =
    'say(addon.devices().map(({ index, freeBytes }) => [index, freeBytes === null ? null : freeBytes > 0]));';

  it('are all listed', () => {
    expect(run(list, { RVOS_SIMULATED_GPUS: '3' })).toEqual([
      [
        [0, true],
        [1, true],
        [2, true],
      ],
    ]);
  });

  it('that cannot be used are listed without free memory, and hide no other', () => {
    expect(run(list, { RVOS_SIMULATED_GPUS: '3', RVOS_SIMULATED_BROKEN_GPU: '1' })).toEqual([
      [
        [0, true],
        [1, null],
        [2, true],
      ],
    ]);
  });

  it('that do not even say what they are hide no other', () => {
    expect(run(list, { RVOS_SIMULATED_GPUS: '3', RVOS_SIMULATED_MUTE_GPU: '0' })).toEqual([
      [
        [1, true],
        [2, true],
      ],
    ]);
  });

  it('of which none answers are an error that says why', () => {
    expect(run(list, { RVOS_SIMULATED_GPUS: '1', RVOS_SIMULATED_MUTE_GPU: '0' })).toEqual([
      { code: 'DEVICE_FAILED', message: expect.stringMatching(/GPU 0.*unavailable/) },
    ]);
  });
});

describe('the GPU that is named', () => {
  const graph = () =>
    JSON.stringify({ graph: join(folder, 'none.onnx'), output: join(folder, 'none.engine'), profiles: [] });

  it('is the one that a build, an inspection and a pipeline use', () => {
    const said = run(
      `
      for (const device of [0, 1, 2]) {
        await addon.buildEngine({ ...${graph()}, device }).done.catch((error) => say(['build', device, error.code]));
        await addon.inspectEngine(${JSON.stringify(engines.short)}, device).then(
          () => say(['inspect', device, 'done']), (error) => say(['inspect', device, error.code]));
        await addon.openPipeline({ ...${JSON.stringify(limits)}, device, engines: ${JSON.stringify(engines)},
          mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }).then(
          (pipeline) => { say(['pipeline', device, 'done']); return pipeline.dispose(); },
          (error) => say(['pipeline', device, error.code]));
      }`,
      { RVOS_SIMULATED_GPUS: '3', RVOS_SIMULATED_BROKEN_GPU: '1' },
    );
    expect(said).toEqual([
      // There is no such graph: it got as far as reading it.
      ['build', 0, 'BAD_GRAPH'],
      ['inspect', 0, 'done'],
      ['pipeline', 0, 'done'],
      ['build', 1, 'DEVICE_FAILED'],
      ['inspect', 1, 'DEVICE_FAILED'],
      ['pipeline', 1, 'DEVICE_FAILED'],
      ['build', 2, 'BAD_GRAPH'],
      ['inspect', 2, 'done'],
      ['pipeline', 2, 'done'],
    ]);
  });
});
