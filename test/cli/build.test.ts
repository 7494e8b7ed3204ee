import { spawn, spawnSync } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engineManifestSchema } from '../../src/engines/engine-manifest.js';
import { sha256OfFile } from '../../src/files/digest.js';
import { openModelFolder } from '../../src/model/model-folder.js';
import { goldenModel, type TemporaryModel } from '../support/golden-model.js';

/*
 * The command line with a real builder: TensorRT-RTX, which builds engines on any machine (npm run setup:native -- --kit).
 */

const entry = new URL('../../dist/cli/main.js', import.meta.url).pathname;
const targets = ['--target', '8.6,8.9'];

let scratch: string;
let engines: string;
let golden: TemporaryModel;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rvos-cli-build-'));
  engines = join(scratch, 'engines');
  golden = await goldenModel();
});
afterAll(async () => {
  await golden.remove();
  await rm(scratch, { recursive: true, force: true });
});

function rvos(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  // What GPU this machine may have must make no difference.
  const all = { ...process.env, CUDA_VISIBLE_DEVICES: '-1', ...env };
  const options = { encoding: 'utf8', cwd: scratch, env: all, maxBuffer: 1 << 26 } as const;
  return spawnSync(process.execPath, [entry, ...args], options);
}

function build(...args: string[]) {
  return rvos(['build', '--flavor', 'tensorrt-rtx', '--out', engines, ...targets, ...args]);
}

interface BuildJson {
  readonly sizes: string[];
  readonly folder: string;
  readonly key: string;
  readonly flavor: string;
  readonly engines: { name: string; path: string; reused: boolean; bytes: number; scratch_bytes: number | null }[];
  readonly seconds: number;
}

function built(run: ReturnType<typeof rvos>): BuildJson {
  expect(run.stderr).not.toMatch(/^rvos: /m);
  expect(run.status).toBe(0);
  return JSON.parse(run.stdout);
}

/** Engines of the compact model; built by the first test that needs them. */
let first: ReturnType<typeof rvos> | undefined;
function compactEngines(): BuildJson {
  first ??= build('--json');
  return built(first);
}

describe('rvos build', () => {
  it('builds real engines of all stages of the compact model, at the size of 16:9 frames', async () => {
    const { sizes, flavor, key, folder, engines: made } = compactEngines();
    expect({ sizes, flavor }).toEqual({ sizes: ['60x108'], flavor: 'tensorrt-rtx' });
    expect(key).toMatch(/^tensorrt-rtx-1\.\d+(\.\d+)+-sm86-sm89$/);
    expect(made.map(({ name }) => name)).toEqual([
      'text-encoder',
      'backbone-short-60x108',
      'backbone-long-60x108',
      'transformer-60x108',
    ]);
    expect((await readdir(folder)).sort()).toEqual(
      made.flatMap(({ name }) => [`${name}.engine`, `${name}.json`]).sort(),
    );
    for (const { path, bytes, scratch_bytes } of made) {
      const manifest = engineManifestSchema.parse(JSON.parse(await readFile(path.replace(/engine$/, 'json'), 'utf8')));
      expect(manifest.file).toEqual({ bytes, sha256: await sha256OfFile(path) });
      expect(manifest.target).toEqual({ kind: 'ahead-of-time', compute_capabilities: [86, 89] });
      expect(scratch_bytes).toBeGreaterThan(0);
      expect(manifest.build.peak_host_bytes).toBeGreaterThan(1e7);
      for (const input of Object.keys(manifest.profiles[0]!)) {
        expect(manifest.tensors).toContainEqual(expect.objectContaining({ name: input, mode: 'input' }));
      }
    }
  });

  it('takes and gives features of the backbone as float16', async () => {
    const { folder } = compactEngines();
    const channels = (await openModelFolder('compact')).architecture.swin.embed_dim;
    const manifest = JSON.parse(await readFile(join(folder, 'backbone-long-60x108.json'), 'utf8'));
    expect(manifest.tensors).toEqual(
      expect.arrayContaining([
        { name: 'frames', mode: 'input', dtype: 'float16', shape: [-1, 24, 3, 60, 108] },
        { name: 'frame_count', mode: 'input', dtype: 'int32', shape: [-1] },
        { name: 'level2', mode: 'output', dtype: 'float16', shape: [-1, 24, 4 * channels, 4, 7] },
      ]),
    );
  });

  it('keeps the engines of an unchanged key, in an instant', () => {
    compactEngines();
    const again = built(build('--json'));
    expect(again.engines.every(({ reused }) => reused)).toBe(true);
    expect(again.seconds).toBeLessThan(5);
    const { stdout } = build('--quiet');
    expect(stdout).toMatch(/backbone-short-60x108 +\d.* MB, .* of activations, unchanged\n/);
    expect(stdout).toMatch(/0 built, 4 kept/);
  });

  it('builds real engines of the golden model, at several sizes, one of which needs padding', () => {
    const args = ['--model', golden.folder, '--size', '90x150', '--size', '61x107'];
    const { engines: made } = built(build(...args, '--windows', '1', '--sentences', '2', '--json'));
    expect(made).toHaveLength(7);
    expect(made.every(({ bytes }) => bytes > 10_000)).toBe(true);
  });

  it('says which phase of which engine it is in', () => {
    compactEngines();
    const { stderr } = first!;
    expect(stderr).toMatch(/^TensorRT-RTX [\d.]+: as asked for: 8\.6, 8\.9$/m);
    for (const name of ['text-encoder', 'backbone-long-60x108', 'transformer-60x108']) {
      expect(stderr).toMatch(new RegExp(`^building ${name} \\(\\d of 4\\): .+, step \\d+ of \\d+, \\d+ s$`, 'm'));
    }
  });

  it('ends within 2 s of Ctrl-C with 130 and leaves nothing half-written', async () => {
    const root = join(scratch, 'interrupted');
    const args = ['build', '--flavor', 'tensorrt-rtx', '--out', root, '--size', '120x216', ...targets];
    const child = spawn(process.execPath, [entry, ...args], { cwd: scratch, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    let interrupted = 0;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      if (interrupted === 0 && stderr.includes('building backbone-long')) {
        interrupted = performance.now();
        child.kill('SIGINT');
      }
    });
    const status = await new Promise((resolve) => child.once('close', resolve));
    expect(performance.now() - interrupted).toBeLessThan(2000);
    expect(stderr).toMatch(/^rvos: interrupted; partial output was removed$/m);
    expect(status).toBe(130);
    const [key] = await readdir(join(root, 'compact'));
    expect((await readdir(join(root, 'compact', key!))).sort()).toEqual(
      ['backbone-short-120x216', 'text-encoder'].flatMap((name) => [`${name}.engine`, `${name}.json`]),
    );
  });

  it.each([
    ['a size that is none', 2, ['--size', '60'], /HEIGHTxWIDTH/],
    ['a size beyond the largest', 2, ['--size', '60x5000'], /from 1 to 4096/],
    ['more tokens than the model has positions for', 2, ['--tokens', '513'], /from 2 to 512/],
    ['a target that is none', 2, ['--target', 'sm86'], /as 8\.6,8\.9/],
    ['an unknown target', 2, ['--target', '9.0'], /does not build for compute capability 9\.0.*It builds for .*8\.9/],
    ['an unknown flavour', 2, ['--flavor', 'rtx'], /Allowed choices are auto, tensorrt, tensorrt-rtx/],
    ['a model that is not there', 2, ['--model', 'nowhere'], /no model nowhere/],
    [
      'a folder that cannot be made',
      1,
      ['--out', join(entry, 'engines')],
      /cannot write .*: a part of its path is not a folder/,
    ],
  ])('refuses %s in one line', (_, status, args, message) => {
    const run = build(...args);
    expect(run.status).toBe(status);
    expect(run.stderr).toMatch(message);
    expect(run.stdout).toBe('');
  });

  it('is scripts/build-engine, too', () => {
    const script = new URL('../../scripts/build-engine', import.meta.url).pathname;
    const run = spawnSync(script, ['--size', '60'], { encoding: 'utf8' });
    expect(run.status).toBe(2);
    expect(run.stderr).toMatch(/--size.*HEIGHTxWIDTH/);
    expect(spawnSync(script, ['--help'], { encoding: 'utf8' }).stdout).toMatch(/^Usage: rvos build/);
  });

  it('names the set-up where there is no TensorRT', () => {
    const run = rvos(['build', '--out', engines], { RVOS_TENSORRT_ADDONS: scratch });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^rvos: nothing here builds engines: .*npm run setup:native.*\n$/);
  });
});

describe('rvos inspect', () => {
  const lineOf = (text: string, name: string) =>
    text.split('\n').find((line) => line.trimStart().startsWith(name)) ?? '';

  it('shows manifest, tensors and profiles, and says why there are no layers', async () => {
    const { engines: made } = compactEngines();
    const level0 = `${(await openModelFolder('compact')).architecture.swin.embed_dim},15,27`;
    const { path } = made[3]!;
    for (const given of [path, path.replace(/engine$/, 'json')]) {
      const { stdout, status } = rvos(['inspect', given]);
      expect(status).toBe(0);
      expect(lineOf(stdout, 'engine  ')).toContain('transformer-60x108, fp16, of model compact');
      expect(lineOf(stdout, 'made with')).toMatch(
        /TensorRT-RTX 1\.[\d.]+ by rvos .*, for compute capability 8\.6, 8\.9/,
      );
      expect(stdout).toMatch(new RegExp(`input +level0 +float16 +\\[\\*,\\*,${level0}\\]`));
      expect(stdout).toMatch(new RegExp(`profile 1\n.*level0 +\\[1,24,${level0}\\] … \\[2,24,${level0}\\]`));
      expect(lineOf(stdout, 'layers')).toMatch(/not listed, as the engine cannot be opened here: .+/);
    }
  });

  it('gives all of it with --json', () => {
    const { engines: made } = compactEngines();
    const found = JSON.parse(rvos(['inspect', made[0]!.path, '--json']).stdout);
    expect(found).toMatchObject({ kind: 'engine', manifest: { engine: 'text-encoder' }, contents: null });
    expect(found.problem).toMatch(/./);
  });

  it('lists a folder of engines, and fails for one that holds a damaged one', async () => {
    const { folder } = compactEngines();
    const copy = join(scratch, 'copy', 'compact', 'key');
    await cp(folder, copy, { recursive: true });
    const sound = rvos(['inspect', join(scratch, 'copy')]);
    expect(sound.status).toBe(0);
    expect(sound.stdout).toMatch(/4 of 4 sound/);

    const engine = join(copy, 'text-encoder.engine');
    const bytes = await readFile(engine);
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(engine, bytes);
    await truncate(join(copy, 'backbone-short-60x108.engine'), 1000);
    await rm(join(copy, 'transformer-60x108.json'));
    const damaged = rvos(['inspect', join(scratch, 'copy')]);
    expect(damaged.status).toBe(1);
    expect(damaged.stdout).toMatch(/text-encoder\.engine +DAMAGED: .*SHA-256.* rvos build --model/);
    expect(damaged.stdout).toMatch(/backbone-short-60x108\.engine +DAMAGED: .*1000 bytes instead of/);
    expect(damaged.stdout).toMatch(/transformer-60x108\.engine +DAMAGED: .*no manifest/);
    expect(damaged.stderr).toMatch(/^rvos: 3 of 4 engines in .* are damaged\..*\n$/);

    const one = rvos(['inspect', engine]);
    expect(one).toMatchObject({ status: 1, stdout: '' });
    expect(one.stderr).toMatch(/^rvos: .*damaged: its SHA-256.*rvos build --model compact.*\n$/);
  });
});

describe('rvos doctor', () => {
  it('says which flavour builds for what, whether engines run here and what memory they take', () => {
    compactEngines();
    const { stdout } = rvos(['doctor', '--json'], { RVOS_ENGINES: engines });
    const findings = JSON.parse(stdout) as { part: string; state: string; detail: string; facts?: unknown }[];
    const of = (part: string) => findings.filter((finding) => finding.part === part);
    expect(of('TensorRT-RTX')[0]).toMatchObject({
      state: 'ok',
      detail: expect.stringMatching(/^1\.\d.*builds .*8\.6, 8\.9/),
    });
    expect(of('GPU')[0]).toMatchObject({ detail: expect.stringMatching(/driver/) });
    expect(of('engines').length).toBeGreaterThan(0);
    expect(of('engines').some(({ detail }) => /60x108 takes \d+\.\d GB of the GPU/.test(detail))).toBe(true);
  });

  it('fails for damaged engines, naming the remedy', async () => {
    const root = join(scratch, 'doctor');
    await cp(compactEngines().folder, join(root, 'compact', 'tensorrt-rtx-1.0-sm86'), { recursive: true });
    await truncate(join(root, 'compact', 'tensorrt-rtx-1.0-sm86', 'text-encoder.engine'), 10);
    const { stdout, stderr, status } = rvos(['doctor'], { RVOS_ENGINES: root });
    expect(status).toBe(1);
    expect(stdout).toMatch(
      /BROKEN +engines .*text-encoder\.engine is damaged.*rvos build --model compact --flavor tensorrt-rtx/,
    );
    expect(stderr).toMatch(/^rvos: broken: engines\./);
  });
});
