import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openModelFolder } from '../../src/model/model-folder.js';
import { byteLevelTokenizer } from '../support/byte-tokenizer.js';
import { compileSource } from '../support/compiled-source.js';
import { publishedArchitecture, writeRandomTorchCheckpoint } from '../support/random-checkpoint.js';

let folder: string;
const compiled = compileSource();
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rvos-full-size-'));
});
afterAll(async () => {
  compiled.remove();
  await rm(folder, { recursive: true });
});

/** Runs a script in a process of its own; returns what it prints as JSON. */
function runScript(script: string): Promise<{ seconds: number; peakMiB: number }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(JSON.parse(text)) : reject(new Error(`exit code ${code}`))));
  });
}

it('imports the published network, 146.5 million parameters, in under 60 s and 3 GB', async () => {
  const source = join(folder, 'checkpoint.pth.tar');
  await writeRandomTorchCheckpoint(source, publishedArchitecture);
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(byteLevelTokenizer()));
  const out = join(folder, 'model');
  const measured = await runScript(`
    import { importModel } from ${JSON.stringify(join(compiled.folder, 'model/import.js'))};
    const start = performance.now();
    await importModel({ source: ${JSON.stringify(source)}, out: ${JSON.stringify(out)} });
    const seconds = (performance.now() - start) / 1000;
    console.log(JSON.stringify({ seconds, peakMiB: process.resourceUsage().maxRSS / 1024 }));`);
  console.log(`full-size import: ${measured.seconds.toFixed(1)} s, peak ${measured.peakMiB.toFixed(0)} MiB`);
  expect(measured.seconds).toBeLessThan(60);
  expect(measured.peakMiB).toBeLessThan(3 * 1024);

  const description = JSON.parse(await readFile(join(out, 'model.json'), 'utf8'));
  expect(description.architecture).toEqual(publishedArchitecture);
  expect(description.files['weights.bin'].bytes).toBeGreaterThan(4 * 146.4e6);
  await rm(source);
  expect((await openModelFolder(out)).precision).toBe('fp32');
});
