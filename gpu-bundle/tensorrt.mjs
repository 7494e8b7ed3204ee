// NVIDIA's libraries for the steps that need them: those of TENSORRT_ROOT, else those of the bundle's own parts, which are
// unpacked as soon as all are there. A bundle can be brought piece by piece: until then such steps are skipped.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress } from 'node:zlib';

/** { folder, infer, parser, version? } or { missing: why }. */
export async function findTensorRt({ root, parts, work, say }) {
  const named = process.env.TENSORRT_ROOT;
  if (named) {
    const found = [named, join(named, 'lib'), join(named, 'lib64')].map(librariesIn).find(Boolean);
    return found ?? { missing: `TENSORRT_ROOT: ${named} has no libnvinfer.so with its libnvonnxparser.so` };
  }
  const { tensorRt: version } = JSON.parse(readFileSync(join(root, 'bundle.json'), 'utf8'));
  if (!version) return { missing: 'the bundle was made with --no-tensorrt, and TENSORRT_ROOT names no other' };
  const place = join(work, `tensorrt-${version}`);
  if (!existsSync(place)) {
    const listed = readFileSync(join(parts, 'parts.sha256'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/));
    const own = listed.filter(([, name]) => name.startsWith('tensorrt.tar.br.'));
    const absent = own.filter(([, name]) => !existsSync(join(parts, name)));
    if (absent.length > 0) return { missing: `${absent.length} of TensorRT's ${own.length} parts are not here yet` };
    say(`unpacking TensorRT ${version} …`);
    for (const [sha256, name] of own) {
      const hash = createHash('sha256');
      await pipeline(createReadStream(join(parts, name)), hash);
      if (hash.digest('hex') !== sha256) return { missing: `part ${name} is damaged: copy it again` };
    }
    await unpack(
      own.map(([, name]) => join(parts, name)),
      place,
    );
  }
  return { version, ...librariesIn(join(place, 'lib')) };
}

function librariesIn(folder) {
  if (!existsSync(folder)) return undefined;
  const names = readdirSync(folder).sort((a, b) => a.length - b.length);
  const find = (name) => names.find((each) => each.startsWith(`${name}.`)) ?? names.find((each) => each === name);
  const [infer, parser] = [find('libnvinfer.so'), find('libnvonnxparser.so')];
  return infer && parser ? { folder, infer: join(folder, infer), parser: join(folder, parser) } : undefined;
}

async function unpack(files, place) {
  const unfinished = `${place}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  const tar = spawn('tar', ['--extract', '--directory', unfinished], { stdio: ['pipe', 'ignore', 'inherit'] });
  const ended = new Promise((done, fail) => {
    tar.once('error', fail);
    tar.once('close', (status) => (status === 0 ? done() : fail(new Error(`tar ended with ${status}`))));
  });
  async function* all() {
    for (const file of files) yield* createReadStream(file, { highWaterMark: 1 << 20 });
  }
  // tar may end before it has read the padding at the end; whether it has all of the rest is for tar to say.
  const fed = pipeline(Readable.from(all()), createBrotliDecompress(), tar.stdin).catch((error) => {
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  });
  await Promise.all([fed, ended]);
  renameSync(unfinished, place);
}
