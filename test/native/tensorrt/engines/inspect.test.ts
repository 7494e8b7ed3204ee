import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadTensorRt, runsHere } from '../../../../src/native/load-tensorrt.js';
import type { EngineBuildReport, TensorRtAddon } from '../../../../src/native/tensorrt-addon.js';
import { failureOf, textProfile, writeEngineGraph } from '../../../support/engine-builds.js';
import { openGoldenModel } from '../../../support/golden-model.js';

let golden: Awaited<ReturnType<typeof openGoldenModel>>;
let addon: TensorRtAddon;
let gpu: boolean;
let engine: string;
let report: EngineBuildReport;

beforeAll(async () => {
  golden = await openGoldenModel('fp16');
  const loaded = await loadTensorRt('tensorrt-rtx');
  ({ addon } = loaded);
  gpu = runsHere(loaded.probe);
  engine = join(golden.scratch, 'text.engine');
  const graph = await writeEngineGraph(golden.model, 'text-encoder');
  const targets = addon.aheadOfTimeTargets();
  report = await addon.buildEngine({ graph, output: engine, profiles: [textProfile], targets }).done;
});
afterAll(() => golden.remove());

async function refusal(path: string) {
  return failureOf(
    await addon.inspectEngine(path).then(
      () => new Error('it was opened'),
      (error: unknown) => error,
    ),
  );
}

it('a good engine is described where there is a GPU for it, else the reason is that there is none', async () => {
  if (!gpu) {
    const { code, message } = await refusal(engine);
    expect(['NO_DEVICE', 'DRIVER_TOO_OLD']).toContain(code);
    expect(message).toMatch(/driver/);
    return;
  }
  const found = await addon.inspectEngine(engine);
  expect(found.tensors).toEqual(report.tensors);
  expect(found.profiles).toEqual([textProfile]);
  expect(found.scratchBytes).toBeGreaterThan(0);
  expect(found.layers.length).toBeGreaterThan(0);
  for (const { name } of found.layers) expect(name).not.toBe('');
});

it('a file that is no engine, or the beginning of one, is BAD_ENGINE, GPU or not', async () => {
  const bytes = readFileSync(engine);
  const damaged = Buffer.from(bytes);
  damaged[0]! ^= 0xff;
  for (const broken of [Buffer.alloc(0), Buffer.alloc(5000, 7), bytes.subarray(0, 40), damaged]) {
    const path = join(golden.scratch, 'broken.engine');
    await writeFile(path, broken);
    const { code, message } = await refusal(path);
    expect(code).toBe('BAD_ENGINE');
    expect(message).toContain(path);
    expect(message).not.toContain('\n');
  }
});

it('a file that is not there, or a folder, is BAD_ENGINE', async () => {
  for (const path of [join(golden.scratch, 'absent.engine'), golden.scratch]) {
    expect(await refusal(path)).toMatchObject({ code: 'BAD_ENGINE', message: expect.stringContaining(path) });
  }
});

it('what is no path is BAD_ARGUMENT', () => {
  expect(() => addon.inspectEngine(7 as unknown as string)).toThrow(
    expect.objectContaining({ code: 'BAD_ARGUMENT' }) as Error,
  );
});
