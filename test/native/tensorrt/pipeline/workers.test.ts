import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import ts from 'typescript';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PipelineSentenceResult } from '../../../../src/native/tensorrt-addon.js';
import { compileSource } from '../../../support/compiled-source.js';
import { NoiseVideo, normalisation, plainWindow, sentence, source } from '../../../support/plain-pipeline.js';
import { type SimulatedAddon, simulatedAddon, simulatedAddonPath } from '../../../support/simulated-device.js';
import { writeSyntheticEngines } from '../../../support/synthetic-engines.js';
import { limits, runSynthetic } from '../../../support/synthetic-network.js';

/* Each worker thread has pipelines of its own; one that ends in the middle of its work takes nothing else with it. */

let addon: SimulatedAddon;
let folder: string;
let compiled: ReturnType<typeof compileSource>;
let engines: Awaited<ReturnType<typeof writeSyntheticEngines>>;

beforeAll(async () => {
  addon = simulatedAddon();
  addon.setStageRunner(runSynthetic);
  folder = await mkdtemp(join(tmpdir(), 'rvos-pipeline-'));
  engines = await writeSyntheticEngines(folder);
  compiled = compileSource();
  const network = readFileSync(join(import.meta.dirname, '../../../support/synthetic-network.ts'), 'utf8');
  const { outputText } = ts.transpileModule(network.replaceAll('../../src/', './'), {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
  });
  writeFileSync(join(compiled.folder, 'network.js'), outputText);
});
afterAll(async () => {
  compiled.remove();
  await rm(folder, { recursive: true, force: true });
});

const script = `
  const { parentPort, workerData } = require('node:worker_threads');
  const addon = require(workerData.addon);
  (async () => {
    const { runSynthetic } = await import(workerData.network);
    // Sometimes as a promise, so that an answer is under way when the thread ends.
    let calls = 0;
    addon.setStageRunner((call) => (calls++ % 2 ? runSynthetic(call) : new Promise((done) => setTimeout(() => done(runSynthetic(call)), 2))));
    const pipeline = await addon.openPipeline(workerData.options);
    do {
      const results = await Promise.all(workerData.batches.map((batch) => pipeline.run(batch).done));
      parentPort.postMessage(results);
    } while (workerData.endless);
    await pipeline.dispose();
  })();`;

function batches(video: NoiseVideo) {
  return [0, 18, 36].map((start) => ({
    windows: [video.window(start, 24, start > 0 ? 6 : 0)],
    sentences: [{ window: 0, ...sentence(video.stream) }],
    source: { ...source, format: 'rgb' as const, pitch: 3 * source.width },
    antialias: true,
    queries: 'best' as const,
  }));
}

function worker(video: NoiseVideo, endless: boolean): Worker {
  const options = { ...limits, ...normalisation, device: 0, engines };
  return new Worker(script, {
    eval: true,
    workerData: {
      addon: simulatedAddonPath,
      network: join(compiled.folder, 'network.js'),
      options,
      batches: batches(video),
      endless,
    },
  });
}

function answer(from: Worker): Promise<PipelineSentenceResult[][]> {
  return new Promise((resolve, reject) => from.once('message', resolve).once('error', reject));
}

it('two worker threads and the main one work at once', async () => {
  const videos = [70, 71, 72].map((stream) => new NoiseVideo(stream, 60));
  const others = videos.slice(1).map((video) => worker(video, false));
  const exits = others.map((other) => new Promise((resolve) => other.once('exit', resolve)));
  const pipeline = await addon.openPipeline({ ...limits, ...normalisation, device: 0, engines });
  const own = Promise.all(batches(videos[0]!).map((batch) => pipeline.run(batch).done));
  const results = await Promise.all([own, ...others.map(answer)]);
  for (const [i, video] of videos.entries()) {
    for (const [round, start] of [0, 18, 36].entries()) {
      expect(results[i]![round]![0]).toEqual(await plainWindow(video, start, 24, sentence(video.stream)));
    }
  }
  await pipeline.dispose();
  expect(await Promise.all(exits)).toEqual([0, 0]);
  expect(addon.simulatedDevice.counters()).toMatchObject({ deviceBytes: 0, pinnedBytes: 0 });
});

it('a worker thread that is terminated in the middle of its windows frees what it had', async () => {
  const pipeline = await addon.openPipeline({ ...limits, ...normalisation, device: 0, engines });
  const before = addon.simulatedDevice.counters();
  const video = new NoiseVideo(73, 60);
  for (let i = 0; i < 4; i++) {
    const ending = worker(video, true);
    await answer(ending);
    await ending.terminate();
  }
  const { deviceBytes, pinnedBytes } = before;
  expect(addon.simulatedDevice.counters()).toMatchObject({ deviceBytes, pinnedBytes });
  const [batch] = batches(video);
  expect((await pipeline.run(batch!).done)[0]).toEqual(await plainWindow(video, 0, 24, sentence(73)));
  await pipeline.dispose();
});
