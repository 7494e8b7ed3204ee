import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTensorRt } from '../../../../src/native/load-tensorrt.js';
import type { TensorRtFiles } from '../../../../src/native/tensorrt-flavor.js';
import { backboneProfile, textProfile, writeEngineGraph } from '../../../support/engine-builds.js';
import { openGoldenModel } from '../../../support/golden-model.js';

let golden: Awaited<ReturnType<typeof openGoldenModel>>;
let files: TensorRtFiles;
let text: string;
let backbone: string;
let hasDevice: boolean;

beforeAll(async () => {
  golden = await openGoldenModel('fp16');
  const { addon, probe } = await loadTensorRt('tensorrt-rtx');
  expect(addon.flavor).toBe('tensorrt-rtx');
  hasDevice = probe.learnt.devices.length > 0;
  ({ files } = probe);
  text = await writeEngineGraph(golden.model, 'text-encoder');
  backbone = await writeEngineGraph(golden.model, 'backbone');
});
afterAll(() => golden.remove());

interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly seconds: number;
}

/**
 * Runs a script in a process of its own: a crash there is a failed expectation here. It has the addon as `addon` (not
 * loaded), `load()`, and `builds` of a text encoder and a backbone.
 */
function runScript(script: string): Promise<Ended> {
  const builds = {
    text: { graph: text, output: join(golden.scratch, 'text.engine'), profiles: [textProfile], targets: [86] },
    backbone: {
      graph: backbone,
      output: join(golden.scratch, 'backbone.engine'),
      profiles: [backboneProfile()],
      targets: [86],
    },
  };
  const preamble = `
    const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
    const files = ${JSON.stringify(files)};
    const builds = ${JSON.stringify(builds)};
    const addon = require(files.addon);
    const load = (infer = files.infer, parser = files.parser) => addon.load({ infer, parser });
    const say = (value) => process.stdout.write(JSON.stringify(value) + '\\n');
    const failure = (error) => ({ code: error.code, message: error.message });`;
  const path = join(golden.scratch, `script-${++number}.cjs`);
  return new Promise((resolve, reject) => {
    writeFile(path, `${preamble}\n${script}`).then(() => {
      const start = performance.now();
      const child = spawn(process.execPath, [path], { stdio: ['ignore', 'pipe', 'inherit'] });
      let out = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        out += chunk;
      });
      child.once('error', reject);
      child.once('close', (status, signal) =>
        resolve({ status, signal, out, seconds: (performance.now() - start) / 1000 }),
      );
    }, reject);
  });
}
let number = 0;

function linesOf({ out }: Ended): unknown[] {
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

describe('threads and processes', () => {
  it('a worker builds; one that is terminated while it does leaves nothing and ends in 2 s', async () => {
    const ended = await runScript(`
      if (isMainThread) (async () => {
        const work = (what) => new Promise((resolve, reject) => {
          const worker = new Worker(__filename, { workerData: what });
          worker.once('error', reject).once('message', (message) => resolve({ worker, message }));
        });
        const { worker: first, message } = await work('text');
        say(message.engineBytes);
        await first.terminate();
        const { worker } = await work('backbone');
        const start = performance.now();
        await worker.terminate();
        say((performance.now() - start) / 1000);
        say(require('node:fs').existsSync(builds.backbone.output));
        // The process goes on, with the same libraries.
        load();
        const report = await addon.buildEngine(builds.text).done;
        say(report.engineBytes);
        process.exit(7);
      })();
      else {
        load();
        const progress = workerData === 'backbone' ? { onProgress: (p) => parentPort.postMessage(p) } : {};
        addon.buildEngine({ ...builds[workerData], ...progress }).done.then((report) => parentPort.postMessage(report));
      }`);
    expect(ended).toMatchObject({ status: 7, signal: null });
    const [first, seconds, left, second] = linesOf(ended);
    expect(first).toBeGreaterThan(100_000);
    expect(seconds).toBeLessThan(2);
    expect(left).toBe(false);
    expect(second).toBeGreaterThan(100_000);
  });

  it('a process that exits while it builds ends in 2 s with its own exit code', async () => {
    const ended = await runScript(`
      load();
      let exiting = false;
      addon.buildEngine({ ...builds.backbone, onProgress: () => {
        if (exiting) return;
        exiting = true;
        say(Date.now());
        process.exit(130);
      } });`);
    const end = Date.now();
    expect(ended).toMatchObject({ status: 130, signal: null });
    expect(end - (linesOf(ended)[0] as number)).toBeLessThan(2500);
    expect(existsSync(join(golden.scratch, 'backbone.engine'))).toBe(false);
  });

  it('a cancelled build does not hold up the end of the process', async () => {
    const ended = await runScript(`
      load();
      const task = addon.buildEngine({ ...builds.backbone, onProgress: () => task.cancel() });
      task.done.catch((error) => say(failure(error)));`);
    expect(ended).toMatchObject({ status: 0, signal: null });
    expect(linesOf(ended)).toEqual([{ code: 'CANCELLED', message: 'the engine build was cancelled' }]);
  });

  it('nothing is left of the builds that were ended', async () => {
    const names = await readdir(golden.scratch);
    expect(names.filter((name) => name.includes('engine'))).toEqual(['text.engine']);
  });
});

describe('libraries', () => {
  /** A library that tells its version and has, beyond that, the C functions `more`. */
  function fakeLibrary(version: string, more = ''): string {
    const [major, minor, patch] = version.split('.');
    const library = join(golden.scratch, `libfake-${version}.so`);
    const lines = { Major: major, Minor: minor, Patch: patch, Build: '5' };
    const functions = Object.entries(lines).map(([part, n]) => `int getInferLib${part}Version(void) { return ${n}; }`);
    execFileSync('cc', ['-shared', '-fPIC', '-x', 'c', '-', '-o', library], { input: [...functions, more].join('\n') });
    return library;
  }

  it('are opened once a process; another pair needs another process', async () => {
    const ended = await runScript(`
      const first = load();
      say(first);
      say(load());
      try { load(files.infer, 'other.so'); } catch (error) { say(failure(error)); }`);
    const [first, second, other] = linesOf(ended);
    expect(first).toEqual({ libraryVersion: expect.stringMatching(/^1\.\d+\.\d+\.\d+$/) });
    expect(second).toEqual(first);
    expect(other).toMatchObject({ code: 'BAD_ARGUMENT' });
  });

  it('that are missing are LIBRARY_MISSING, and can be opened when they are found', async () => {
    const ended = await runScript(`
      for (const names of [['libabsent.so.1'], [files.infer, 'libabsent.so.2']]) {
        try { load(...names); } catch (error) { say(failure(error)); }
      }
      addon.buildEngine(builds.text).done.catch((error) => say(failure(error))).then(() => say(load()));`);
    const [infer, parser, early, late] = linesOf(ended);
    expect(infer).toMatchObject({ code: 'LIBRARY_MISSING', message: expect.stringContaining('libabsent.so.1') });
    expect(parser).toMatchObject({ code: 'LIBRARY_MISSING', message: expect.stringContaining('libabsent.so.2') });
    expect(early).toMatchObject({ code: 'LIBRARY_MISSING', message: expect.stringContaining('load') });
    expect(late).toHaveProperty('libraryVersion');
  });

  it.each(['11.2.1', '10.6.0', '1.4.0'])(
    'of version %s are LIBRARY_VERSION, which says what differs',
    async (version) => {
      const ended = await runScript(`
      try { load(${JSON.stringify(fakeLibrary(version))}); } catch (error) { say({ ...failure(error), headers: addon.headerVersion }); }`);
      const [refused] = linesOf(ended) as [{ code: string; message: string; headers: string }];
      expect(refused.code).toBe('LIBRARY_VERSION');
      expect(refused.message).toContain(`version ${version}.5`);
      expect(refused.message).toContain(refused.headers);
    },
  );

  it('that give nothing to work with are typed errors, even if they give something else than null', async () => {
    // TensorRT 11 gives such an address where CUDA does not start.
    const useless = `
      void* createInferBuilder_INTERNAL(void* logger, int version) { return 0; }
      void* createInferRuntime_INTERNAL(void* logger, int version) { return (void*)0x228; }
      void* createNvOnnxParser_INTERNAL(void* network, void* logger, int version) { return 0; }`;
    const library = JSON.stringify(fakeLibrary('1.7.0', useless));
    const ended = await runScript(`
      load(${library}, ${library});
      const tell = (error) => say(failure(error));
      addon.buildEngine(builds.text).done.catch(tell).then(() => addon.inspectEngine(files.addon)).catch(tell);`);
    expect(ended).toMatchObject({ status: 0, signal: null });
    const codes = (linesOf(ended) as { code: string }[]).map(({ code }) => code);
    expect(codes[0]).toMatch(hasDevice ? /BUILD_FAILED/ : /NO_DEVICE|DRIVER_TOO_OLD/);
    expect(codes[1]).toMatch(hasDevice ? /DEVICE_FAILED/ : /NO_DEVICE|DRIVER_TOO_OLD/);
  });

  it('that are something else are LIBRARY_VERSION', async () => {
    const ended = await runScript(`
      try { load(files.parser); } catch (error) { say(failure(error)); }`);
    expect(linesOf(ended)[0]).toMatchObject({
      code: 'LIBRARY_VERSION',
      message: expect.stringContaining('getInferLibVersion'),
    });
  });
});
