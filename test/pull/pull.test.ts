import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openModelFolder } from '../../src/model/model-folder.js';
import { endpoints } from '../../src/pull/hubs/endpoints.js';
import { type PullProgress, pullModel } from '../../src/pull/pull-model.js';
import { pulledModels } from '../../src/pull/pulled-models.js';
import { Segmenter } from '../../src/segmenter.js';
import { type ImitationHub, smallModelscopeFiles, startImitationHub } from '../support/imitation-hub.mjs';
import { goldenPath } from '../support/safetensors.js';

const main = new URL('../../dist/cli/main.js', import.meta.url).pathname;
const files = smallModelscopeFiles();
const clip = new URL('../../examples/demo.mp4', import.meta.url).pathname;

let hub: ImitationHub;
let home: string;
beforeEach(async () => {
  hub = await startImitationHub({ files: { ...files } });
  home = await mkdtemp(join(tmpdir(), 'rvos-pull-'));
  vi.stubEnv('RVOS_HOME', home);
  vi.stubEnv('MODELSCOPE_ENDPOINT', hub.address);
  vi.stubEnv('HF_ENDPOINT', hub.address);
  for (const name of ['MODELSCOPE_API_TOKEN', 'HF_TOKEN', 'http_proxy', 'HTTP_PROXY']) vi.stubEnv(name, '');
  vi.stubEnv('HF_HOME', join(home, 'huggingface'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  await rm(home, { recursive: true });
});

const rvos = async (...args: string[]) => {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data) => {
    stdout += data;
  });
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
};
const downloads = (name: string) =>
  hub.seen.filter(({ query, path }) => query.FilePath === name || path.endsWith(name));
const quick = { firstPauseSeconds: 0.01 };

describe('rvos pull', () => {
  it('brings the published model, tries it, and says how to use it; segment finds it by name', async () => {
    const pulled = await rvos('pull', 'mttr');
    expect(pulled).toMatchObject({
      code: 0,
      stdout: 'Ready: rvos segment VIDEO "a sentence" --model mttr --masked-video out.mp4\n',
    });
    expect(pulled.stderr).toContain('importing\ntrying it on the sample clip\n');
    // Only what the pipeline reads, once, and nothing is left of the download.
    expect(hub.seen.map(({ query }) => query.FilePath).filter(Boolean)).toEqual([
      'configuration.json',
      'pytorch_model.pt',
      'transformer_cfg_dir/config.json',
      'transformer_cfg_dir/vocab.json',
      'transformer_cfg_dir/merges.txt',
    ]);
    expect(await readdir(join(home, 'models', '.downloads'))).toEqual([]);
    const masks = join(home, 'masks.json');
    const run = await rvos('segment', clip, 'the heart', '--model', 'mttr', '--end', '0.2', '--masks', masks, '--json');
    expect(JSON.parse(run.stdout)).toMatchObject({ model: 'mttr' });

    const requests = hub.seen.length;
    expect((await rvos('pull', 'mttr')).stdout).toContain('There already: ');
    expect(hub.seen).toHaveLength(requests);

    const [listed] = JSON.parse((await rvos('models', '--json')).stdout).pulled;
    expect(listed).toMatchObject({
      name: 'mttr',
      source: 'modelscope:damo/cv_swin-t_referring_video-object-segmentation',
      licence: expect.stringContaining('not stated'),
    });
    expect(Date.now() - Date.parse(listed.pulled)).toBeLessThan(60_000);
    expect(await rvos('models', 'verify')).toMatchObject({ code: 0, stdout: 'mttr: complete, checksums right\n' });
    const weights = join(home, 'models', 'mttr', 'weights.bin');
    const bytes = await readFile(weights);
    bytes[1000]! ^= 1;
    await writeFile(weights, bytes);
    expect(await rvos('models', 'verify', 'mttr')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('rvos pull mttr --force'),
    });
    expect((await rvos('pull', 'mttr', '--force', '--json')).code).toBe(0);
    expect((await rvos('models', 'verify', 'mttr')).code).toBe(0);
    expect(await rvos('models', 'remove', 'other')).toMatchObject({ code: 1 });
    expect((await rvos('models', 'remove', 'mttr')).stdout).toMatch(/^removed mttr, /);
    expect(await pulledModels()).toEqual([]);
  });

  it('of names: known and not there is a failure with the command, unknown is wrong usage with those known', async () => {
    const missing = await rvos('segment', clip, 'x', '--model', 'mttr-a2d-w8');
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('rvos pull mttr-a2d-w8') });
    for (const command of [
      ['segment', clip, 'x', '--model', 'mtr'],
      ['pull', 'mtr'],
    ]) {
      const unknown = await rvos(...command);
      expect(unknown).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/^rvos: no model mtr\. Known are compact, mttr, [^\n]*\n$/),
      });
    }
    expect((await rvos('pull', 'hf:nonsense')).code).toBe(2);
  });

  it('goes on after Ctrl-C where it was', async () => {
    hub.fault = ({ query, count }) =>
      query.FilePath === 'pytorch_model.pt' && count === 0 ? { stall: 3_000_000 } : undefined;
    const child = spawn(process.execPath, [main, 'pull', 'mttr', '--quiet'], { stdio: 'ignore' });
    while (downloads('pytorch_model.pt').length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise((resolve) => setTimeout(resolve, 300));
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([130, null]);
    expect(await pulledModels()).toEqual([]);
    expect((await rvos('pull', 'mttr')).code).toBe(0);
    expect(downloads('pytorch_model.pt').map(({ range }) => range)).toEqual(['bytes=0-', 'bytes=3000000-']);
    expect(downloads('configuration.json')).toHaveLength(1);
  });

  it('shares one download with another process, and takes over from a dead one', async () => {
    const both = await Promise.all([rvos('pull', 'mttr'), rvos('pull', 'mttr')]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(downloads('pytorch_model.pt')).toHaveLength(1);
    await rvos('models', 'remove', 'mttr');
    hub.fault = ({ query }) => (query.FilePath === 'pytorch_model.pt' ? { stall: 1000 } : undefined);
    const child = spawn(process.execPath, [main, 'pull', 'mttr', '--quiet'], { stdio: 'ignore' });
    while (downloads('pytorch_model.pt').length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGKILL');
    await once(child, 'exit');
    hub.fault = () => undefined;
    expect((await rvos('pull', 'mttr')).code).toBe(0);
  });
});

describe('pullModel', () => {
  it('sends tokens to the hub that they are for, and not to the store that it redirects to', async () => {
    vi.stubEnv('MODELSCOPE_API_TOKEN', 'ms-secret');
    const store = await startImitationHub({ files: { ...files } });
    hub.redirectTo = store.address;
    await pullModel({ model: 'mttr' });
    await store.close();
    expect(new Set(hub.seen.map(({ authorization, cookie }) => `${authorization} ${cookie}`))).toEqual(
      new Set(['Bearer ms-secret m_session_id=ms-secret']),
    );
    expect(store.seen.length).toBeGreaterThan(4);
    expect(store.seen.filter(({ authorization, cookie }) => authorization || cookie)).toEqual([]);
  });

  it('reads the token file of Hugging Face, and gives it to no other host', async () => {
    await mkdir(join(home, 'huggingface'));
    await writeFile(join(home, 'huggingface', 'token'), 'hf-secret\n');
    const { headers } = endpoints();
    expect(headers(new URL(`${hub.address}/owner/name/resolve/main/x`))).toEqual({ authorization: 'Bearer hf-secret' });
    expect(headers(new URL('https://cdn.example/owner/name'))).toEqual({});
  });

  it('tries the other name of the organisation where the first is gone', async () => {
    await hub.close();
    hub = await startImitationHub({ files, id: 'iic/cv_swin-t_referring_video-object-segmentation' });
    const { source } = await pullModel({ model: 'mttr', endpoint: hub.address });
    expect(source).toBe('modelscope:iic/cv_swin-t_referring_video-object-segmentation');
  });

  it('takes a repository of Hugging Face, page by page, with the checkpoint that is named', async () => {
    hub.files = {
      'a/model.pth.tar': files['pytorch_model.pt']!,
      'a/vocab.json': files['transformer_cfg_dir/vocab.json']!,
      'a/merges.txt': files['transformer_cfg_dir/merges.txt']!,
      'b.bin': Buffer.from('other weights'),
    };
    await expect(pullModel({ model: 'hf:owner/name' })).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
      hint: 'Choose one: hf:owner/name:a/model.pth.tar, hf:owner/name:b.bin',
    });
    const result = await pullModel({ model: 'hf:owner/name:a/model.pth.tar' });
    expect(result.name).toBe('hf-owner-name-a-model.pth.tar');
    expect((await openModelFolder(result.name)).name).toBe(result.name);
  });

  it('takes a file of Google Drive by the form on its page, and tells a refusal', async () => {
    const id = '1evEmZyv82vHHpY-chvoVDjUWWW1disun';
    const page = `<form id="download-form" action="${hub.address}/real" method="get"><input type="hidden" name="id" value="${id}"><input type="hidden" name="uuid" value="a&amp;b"></form>`;
    const html: Record<string, string> = { 'content-type': 'text/html' };
    let refused = true;
    hub.fault = ({ path }) => {
      if (path === '/download' && refused) {
        return {
          status: 200,
          headers: html,
          body: '<p class="uc-error-caption">Sorry</p><p class="uc-error-subcaption">Too many users have <b>viewed</b> it.</p>',
        };
      }
      if (path === '/download')
        return { status: 200, headers: { ...html, 'set-cookie': 'warning=1; Path=/' }, body: page };
      // Its tokenizer comes from Hugging Face, with a known hash that nothing on this machine has.
      return path === '/real'
        ? { bytes: files['pytorch_model.pt']!, headers: { 'content-disposition': 'attachment' } }
        : undefined;
    };
    const pulling = () => pullModel({ model: 'mttr-a2d-w10', endpoint: hub.address, transfer: quick });
    await expect(pulling()).rejects.toMatchObject({
      message: expect.stringContaining('Too many users have viewed it.'),
    });
    refused = false;
    await expect(pulling()).rejects.toMatchObject({
      message: expect.stringMatching(/^tokenizer\.json: the server answers 404/),
    });
    const real = hub.seen.find(({ path }) => path === '/real');
    expect(real).toMatchObject({ query: { id, uuid: 'a&b' }, cookie: 'warning=1' });
  });

  it('goes to Google Drive for the original release where the Space does not have it any more', async () => {
    hub.fault = ({ path }) =>
      path === '/download'
        ? { status: 200, headers: { 'content-type': 'text/html' }, body: '<p class="uc-error-subcaption">Later</p>' }
        : undefined;
    const pulling = pullModel({ model: 'mttr-refer-youtube-vos', endpoint: hub.address });
    await expect(pulling).rejects.toMatchObject({ message: expect.stringContaining('Google Drive refuses: Later') });
    expect(hub.seen[0]!.path).toBe(
      '/spaces/MTTR/MTTR-Referring-Video-Object-Segmentation/resolve/7cdba56c2a3669956d2872ee83acd30d259bae29/refer-youtube-vos_window-12.pth.tar',
    );
  });

  it('never takes a checkpoint of another hash than the one that is known', async () => {
    hub.files['refer-youtube-vos_window-12.pth.tar'] = files['pytorch_model.pt']!;
    const pulling = pullModel({ model: 'mttr-refer-youtube-vos', endpoint: hub.address });
    await expect(pulling).rejects.toMatchObject({ message: expect.stringContaining('instead of ee299bc1170a6f2c') });
    expect(await pulledModels()).toEqual([]);
  });

  it('remembers the first hash of what has none, and tells that it changed', async () => {
    const folder = join(home, 'url');
    hub.list = (entries) => entries.map(({ Path, Type }) => ({ Path, Type }));
    await pullModel({ model: 'mttr', out: folder });
    hub.files['configuration.json'] = Buffer.from(`${files['configuration.json']!.toString()}\n`);
    await expect(pullModel({ model: 'mttr', out: `${folder}2` })).rejects.toMatchObject({
      message: expect.stringContaining('is another file than when it was first pulled'),
    });
    expect((await pullModel({ model: 'mttr', out: folder, force: true })).model).toBe(folder);
  });

  it('imports a checkpoint that lies here', async () => {
    const local = join(home, 'local');
    await cp(goldenPath('tokenizer'), local, { recursive: true });
    await cp(goldenPath('checkpoint.pth.tar'), join(local, 'mine.pth.tar'));
    const { path } = await pullModel({ model: join(local, 'mine.pth.tar'), out: join(home, 'made') });
    expect((await openModelFolder(path)).description.provenance.source).toBe('mine.pth.tar');
    expect(hub.seen).toEqual([]);
  });

  it('refuses paths that lead out of the folder, and lists of another form', async () => {
    for (const Path of ['../../evil', 'transformer_cfg_dir/../../../evil.json', '/etc/passwd.json']) {
      hub.list = (entries) => [...entries, { Path: `transformer_cfg_dir/${Path}.json`, Size: 1, Type: 'blob' }];
      await expect(pullModel({ model: 'mttr' })).rejects.toMatchObject({ hint: 'It is not to be trusted.' });
    }
    hub.fault = () => ({ status: 200, body: '<html>a login page</html>' });
    await expect(pullModel({ model: 'mttr' })).rejects.toMatchObject({ message: expect.stringContaining('no JSON') });
    hub.fault = () => ({ status: 403, body: '{"Message":"no access"}' });
    await expect(pullModel({ model: 'mttr' })).rejects.toMatchObject({
      message: expect.stringContaining('answers 403 (no access)'),
      hint: expect.stringContaining('MODELSCOPE_API_TOKEN'),
    });
    expect(await pulledModels()).toEqual([]);
  });

  it('looks for room on the disk before it begins', async () => {
    hub.list = (entries) => entries.map((entry) => ({ ...entry, Size: 1e15 }));
    await expect(pullModel({ model: 'mttr' })).rejects.toMatchObject({
      code: 'DISK_FULL',
      message: expect.stringMatching(/\(\d[\d,]* bytes\)/),
    });
    expect(downloads('pytorch_model.pt')).toEqual([]);
  });
});

it('Segmenter.open pulls what is not there, if told, and says how far it is', async () => {
  await expect(Segmenter.open({ model: 'mttr' })).rejects.toMatchObject({
    code: 'NOT_FOUND',
    hint: 'Fetch it: rvos pull mttr',
  });
  const cacheFolder = join(home, 'another');
  const seen: PullProgress[] = [];
  const onPullProgress = (progress: PullProgress) => seen.push(progress);
  for (const _ of ['pulled', 'found']) {
    await using segmenter = await Segmenter.open({ model: 'mttr', pull: true, cacheFolder, onPullProgress });
    expect(segmenter.model.name).toBe('mttr');
  }
  expect(await readdir(join(cacheFolder, 'models'))).toContain('mttr');
  expect(new Set(seen.map(({ phase }) => phase))).toEqual(
    new Set(['listing', 'downloading', 'verifying', 'importing', 'trying']),
  );
  const total = seen.find(({ totalBytes }) => totalBytes !== null)!.totalBytes;
  expect(Math.max(...seen.map(({ bytes }) => bytes))).toBe(total);
  expect(downloads('pytorch_model.pt')).toHaveLength(1);
});
