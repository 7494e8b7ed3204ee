import { cp, mkdir, mkdtemp, readFile, rename, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type BuiltEngines, buildEngines } from '../../src/engines/build-engines.js';
import type { EngineHost } from '../../src/engines/engine-fit.js';
import { modelFolderName } from '../../src/engines/engine-folder.js';
import { type EngineManifest, readEngineManifest } from '../../src/engines/engine-manifest.js';
import { EngineStore } from '../../src/engines/engine-store.js';
import { sha256 } from '../../src/files/digest.js';
import { type ModelFolder, openModelFolder } from '../../src/model/model-folder.js';
import { FakeEngineAddon } from '../support/fake-engine-addon.js';

const size = { height: 60, width: 108 };
const device = { name: 'NVIDIA H200', computeCapability: 90 };
const host: EngineHost = { flavor: 'tensorrt', libraryVersion: '11.4.0.1', device };
const name = 'backbone-long-60x108';

let scratch: string;
let pristine: string;
let root: string;
let model: ModelFolder;
let built: BuiltEngines;
let store: EngineStore;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rvos-engines-'));
  pristine = join(scratch, 'pristine');
  model = await openModelFolder('compact');
  built = await build(pristine, new FakeEngineAddon());
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

let count = 0;
beforeEach(async () => {
  root = join(scratch, `engines ${count++}`);
  await cp(pristine, root, { recursive: true, preserveTimestamps: true });
  store = new EngineStore(root);
});

function build(into: string, addon: FakeEngineAddon, libraryVersion = '11.4.0.1'): Promise<BuiltEngines> {
  const target = { kind: 'device', device } as const;
  return buildEngines({ model, sizes: [size], builder: { addon, libraryVersion }, target, root: into });
}

const folder = () => join(root, 'compact', built.key);
const enginePath = () => join(folder(), `${name}.engine`);
const manifestPath = () => join(folder(), `${name}.json`);

async function editManifest(edit: (manifest: EngineManifest) => unknown): Promise<void> {
  const manifest = await readEngineManifest(manifestPath(), '');
  await writeFile(`${manifestPath()}.new`, JSON.stringify(edit(manifest) ?? manifest));
  await rename(`${manifestPath()}.new`, manifestPath());
}

describe('engines that fit', () => {
  it('are found with their limits, checked', async () => {
    const found = await store.findSize(model, size, host);
    expect(found.short.path).toBe(join(folder(), 'backbone-short-60x108.engine'));
    expect(found.long?.path).toBe(enginePath());
    expect(found.transformer.manifest.profiles).toHaveLength(2);
    expect(found.limits).toEqual({ windows: 2, sentences: 8, tokens: 64 });
    const text = await store.findTextEncoder(model, host);
    expect(text.name).toBe('text-encoder');
    expect(text.limits).toMatchObject({ sentences: 8, tokens: 64 });
  });

  it('are read once a process', async () => {
    const { mtime } = await stat(enginePath());
    const whole = new Date(Math.floor(mtime.getTime() / 1000) * 1000);
    await utimes(enginePath(), whole, whole);
    await store.findSize(model, size, host);
    // Same size, time and inode: not read again. The check is against damage, nobody can be locked out by it.
    const bytes = await readFile(enginePath());
    bytes[0]! ^= 1;
    await writeFile(enginePath(), bytes);
    await utimes(enginePath(), whole, whole);
    await store.findSize(model, size, host);
    await utimes(enginePath(), new Date(), new Date());
    await expect(store.findSize(model, size, host)).rejects.toMatchObject({ code: 'BAD_ENGINE' });
  });

  it('are found while another process puts new ones in their places', async () => {
    const bytes = Buffer.concat([await readFile(enginePath()), Buffer.from('built anew')]);
    await writeFile(enginePath(), bytes);
    const finding = store.findSize(model, size, host);
    await sleep(60);
    await editManifest((m) => {
      m.file = { bytes: bytes.length, sha256: sha256(bytes) };
      m.build.seconds = 99;
    });
    expect((await finding).long?.manifest).toMatchObject({ build: { seconds: 99 }, file: { bytes: bytes.length } });
  });

  it('built ahead of time are found by compute capability', async () => {
    const target = { kind: 'ahead-of-time', computeCapabilities: [86, 89] } as const;
    const builder = { addon: new FakeEngineAddon('tensorrt-rtx'), libraryVersion: '1.7.1' };
    await buildEngines({ model, sizes: [size], builder, target, root });
    const rtx = { flavor: 'tensorrt-rtx', libraryVersion: '1.7.1' } as const;
    const ada = { ...rtx, device: { name: 'NVIDIA RTX 4090', computeCapability: 89 } };
    expect((await store.findSize(model, size, ada)).short.path).toContain('tensorrt-rtx-1.7.1-sm86-sm89');
    const turing = { ...rtx, device: { name: 'NVIDIA RTX 2080', computeCapability: 75 } };
    await expect(store.findSize(model, size, turing)).rejects.toMatchObject({
      code: 'BAD_ENGINE',
      message: expect.stringMatching(/compute capability 8\.6, 8\.9, this GPU is NVIDIA RTX 2080 \(7\.5\)/),
      hint: expect.stringContaining('--flavor tensorrt-rtx'),
    });
  });
});

describe('without engines', () => {
  const command = () => `rvos build --model compact --size 60x108 --out '${root}'`;

  it('the error names the command that builds them', async () => {
    await rm(join(root, 'compact'), { recursive: true });
    await expect(store.findSize(model, size, host)).rejects.toMatchObject({
      code: 'ENGINE_MISSING',
      message: expect.stringMatching(/no TensorRT engine of compact for 60x108/),
      hint: expect.stringContaining(command()),
    });
  });

  it('of this size the error says so: another size is never used', async () => {
    await expect(store.findSize(model, { height: 64, width: 112 }, host)).rejects.toMatchObject({
      code: 'ENGINE_MISSING',
      hint: expect.stringContaining('--size 64x112'),
    });
  });

  it('of one stage the error names it', async () => {
    await rm(manifestPath());
    await expect(store.findSize(model, size, host)).rejects.toMatchObject({
      code: 'ENGINE_MISSING',
      message: expect.stringMatching(/: backbone-long-60x108$/),
    });
  });
});

describe('an engine that is wrong is refused with what differs and the command', () => {
  const refused = (message: RegExp, as: EngineHost = host) =>
    expect(store.findSize(model, size, as)).rejects.toMatchObject({
      code: 'BAD_ENGINE',
      message: expect.stringMatching(message),
      hint: expect.stringContaining('rvos build --model compact --size 60x108'),
    });

  it('foreign GPU', () =>
    refused(/is for NVIDIA H200 \(9\.0\), this GPU is NVIDIA H100 \(9\.0\)/, {
      ...host,
      device: { name: 'NVIDIA H100', computeCapability: 90 },
    }));
  it('no GPU', () => refused(/no GPU here/, { ...host, device: null }));
  it('other version', () =>
    refused(/is of TensorRT 11\.4\.0\.1, here is 11\.2\.0\.0/, { ...host, libraryVersion: '11.2.0.0' }));
  it('other flavour', () => refused(/for TensorRT, TensorRT-RTX would run it/, { ...host, flavor: 'tensorrt-rtx' }));
  it('other weights', async () => {
    await editManifest((m) => {
      m.model.weights_sha256 = '0'.repeat(64);
    });
    await refused(/another model: weights 000000000000…/);
  });
  it('other graph', async () => {
    await editManifest((m) => {
      m.graph_sha256 = '0'.repeat(64);
    });
    await refused(/graph, made by rvos .*, is not the one/);
  });
  it('other precision', async () => {
    await editManifest((m) => {
      m.precision = 'fp32';
    });
    await refused(/computes in fp32/);
  });
  it('other profiles', async () => {
    await editManifest((m) => {
      m.profiles[0]!.frames!.max[1] = 25;
    });
    await refused(/profiles are not/);
  });
  it('limits that nobody builds', async () => {
    await editManifest((m) => {
      m.profiles[0]!.frame_count!.max[0] = 100_000;
    });
    await refused(/profiles are not/);
  });
  it('truncated', async () => {
    const { size: bytes } = await stat(enginePath());
    await truncate(enginePath(), bytes - 1);
    await refused(new RegExp(`damaged: ${bytes - 1} bytes instead of ${bytes}`));
  });
  it('a flipped bit', async () => {
    const bytes = await readFile(enginePath());
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(enginePath(), bytes);
    await refused(/damaged: its SHA-256/);
  });
  it('missing beside its manifest', async () => {
    await rm(enginePath());
    await refused(/\.engine is missing/);
  });
  it('a link to a file elsewhere', async () => {
    await rename(enginePath(), join(root, 'elsewhere'));
    await symlink(join(root, 'elsewhere'), enginePath());
    await refused(/no regular file/);
  });
  it('a manifest under another name', async () => {
    await cp(join(folder(), 'backbone-short-60x108.json'), manifestPath());
    await refused(/manifest is that of backbone-short-60x108/);
  });
  it('a manifest that names a path', async () => {
    await editManifest((m) => ({ ...m, engine: '../../../etc/passwd' }));
    await refused(/engine: no name of an engine/);
  });
  it('a manifest that is no JSON', async () => {
    await writeFile(manifestPath(), '{"format":');
    await refused(/cannot be read as JSON/);
  });
  it('a manifest of another form', async () => {
    await writeFile(manifestPath(), '{"format":"rvos-engine","version":2}');
    await refused(/version: /);
  });
  it('a manifest that is too large', async () => {
    await writeFile(manifestPath(), ' '.repeat(2 ** 20 + 1));
    await refused(/larger than a manifest/);
  });
  it('a manifest that would write more than a line to the terminal', async () => {
    await editManifest((m) => {
      m.tensorrt.version = 'evil\n\u001b[2J';
    });
    await refused(/tensorrt\.version: control characters/);
  });
  it('a manifest that is a folder', async () => {
    await rm(manifestPath());
    await mkdir(manifestPath());
    await refused(/no regular file/);
  });
});

it('keeps models of any name inside the folder of engines', () => {
  expect(modelFolderName('compact')).toBe('compact');
  for (const name of ['../../etc', '/etc', '..', '.', '.hidden', 'a/b', 'ü', '', 'x'.repeat(500)]) {
    expect(modelFolderName(name)).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_-]*-[0-9a-f]{8}$/);
  }
  expect(modelFolderName('a/b')).not.toBe(modelFolderName('a.b/'));
});

it('a manifest comes back as it was written', async () => {
  const manifest = await readEngineManifest(manifestPath(), '');
  expect(manifest).toEqual(built.engines.find((engine) => engine.name === name)!.manifest);
  expect(manifest).toMatchObject({
    model: { name: 'compact', weights_sha256: model.weightsSha256 },
    tensorrt: { flavor: 'tensorrt', version: '11.4.0.1' },
    target: { kind: 'device', name: 'NVIDIA H200', compute_capability: 90 },
    precision: 'fp16',
    build: { seconds: 0.01, scratch_bytes: 1000, peak_host_bytes: 2000, warnings: ['something to know'] },
  });
});
