// The bundle's folder: two archives in parts, their hashes, run.sh. The first archive, with Node in it, needs nothing but tar and
// gzip; NVIDIA's libraries are the second, packed closer (brotli), which the first one's Node unpacks.
import { spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compose } from 'node:stream';
import { constants, createBrotliCompress, createGzip } from 'node:zlib';
import { root, SetupError } from '../run.mjs';
import { writeParts } from './parts.mjs';

export async function writeBundle(folder, { contents, tensorRt, partSize, say, signal }) {
  mkdirSync(folder);
  say('packing rvos …');
  const parts = await archive('rvos.tar.gz', contents, createGzip({ level: 6 }), { folder, partSize, signal });
  if (tensorRt) {
    say('packing TensorRT; its libraries are large, this takes minutes …');
    const { BROTLI_PARAM_QUALITY: quality, BROTLI_PARAM_LGWIN: window } = constants;
    const packer = createBrotliCompress({ params: { [quality]: 6, [window]: 24 } });
    parts.push(...(await archive('tensorrt.tar.br', tensorRt.folder, packer, { folder, partSize, signal })));
  }
  writeFileSync(join(folder, 'parts.sha256'), parts.map(({ file, sha256 }) => `${sha256}  ${file}\n`).join(''));
  copyFileSync(join(root, 'gpu-bundle', 'run.sh'), join(folder, 'run.sh'));
  chmodSync(join(folder, 'run.sh'), 0o755);
  return parts;
}

/** tar's output of what lies in `from`, through `packer`, in parts. */
async function archive(name, from, packer, { folder, partSize, signal }) {
  const args = [
    '--create',
    '--sort=name',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--mtime=@0',
    '--directory',
    from,
    '.',
  ];
  const tar = spawn('tar', args, { stdio: ['ignore', 'pipe', 'pipe'], signal });
  let said = '';
  tar.stderr.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  const ended = new Promise((done, fail) => {
    tar.once('error', fail);
    tar.once('close', (status) =>
      status === 0 ? done() : fail(new SetupError(`bundle:gpu: tar failed (${said.trim() || status}).`)),
    );
  });
  const [parts] = await Promise.all([writeParts(compose(tar.stdout, packer), { folder, name, partSize }), ended]);
  return parts;
}
