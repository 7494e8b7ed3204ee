// NVIDIA's TensorRT libraries from their public package, the redistributable jar that org.bytedeco puts on Maven's
// repository, fetched with Maven as it is set up on this machine. Only the builder, its resources and the ONNX parser are kept.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { openPromise } from 'yauzl';
import { runChild } from '../native-kit/child.mjs';
import { SetupError, works } from '../run.mjs';
import { installTools } from '../system-tools.mjs';

const known = {
  /** The only builder resources in it are PTX, from which kernels of any GPU are compiled when an engine is built. */
  '11.2-1.5.14': { sha256: '909dea6c768a0db60ab53d76d9f089c78cada1b55ad5d3d78b308b140f669f6d' },
  /** Resources for all GPUs of its time; built with CUDA 12. */
  '10.6-1.5.11': { sha256: 'e7979693541f996bc284335b05f5e890a82b8b3aba50d680e1343a139cf291c4' },
};
export const tensorRtPackages = Object.keys(known);
export const defaultTensorRt = '11.2-1.5.14';

const libraries = /^(libnvinfer|libnvonnxparser|libnvinfer_builder_resource(_ptx)?)\.so(\.\d+)*$/;

/** Unpacks the libraries into `folder`/lib; resolves to { version, folder }. Throws SetupError. */
export async function fetchTensorRt(version, { folder, say, signal, yes }) {
  if (!works('mvn', ['--version'])) installTools(['Maven'], { yes });
  const download = `${folder}-download`;
  mkdirSync(download, { recursive: true });
  say(`fetching TensorRT ${version} …`);
  const artifact = `org.bytedeco:tensorrt:${version}:jar:linux-x86_64-redist`;
  const args = ['-q', '-B', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${download}`];
  // Its own repository folder: hundreds of megabytes would otherwise stay in the user's home.
  const { status, text } = await runChild('mvn', [...args, `-Dmaven.repo.local=${join(download, 'repository')}`], {
    signal,
  });
  const jar = readdirSync(download).find((name) => name.endsWith('.jar'));
  if (status !== 0 || !jar) {
    const told = text.split('\n').find((line) => line.includes('[ERROR]')) ?? `exit code ${status}`;
    throw new SetupError(
      `bundle:gpu: TensorRT could not be fetched with Maven: ${told.trim()}. Check the network and the settings of mvn, or use --no-tensorrt.`,
    );
  }
  const hash = createHash('sha256');
  await pipeline(createReadStream(join(download, jar)), hash, { signal });
  const digest = hash.digest('hex');
  if (digest !== known[version].sha256) {
    throw new SetupError(`bundle:gpu: the package of TensorRT ${version} is not the one expected: SHA-256 ${digest}.`);
  }
  const lib = join(folder, 'lib');
  mkdirSync(lib, { recursive: true });
  await unpackLibraries(join(download, jar), lib, signal);
  rmSync(download, { recursive: true });
  const names = readdirSync(lib);
  for (const name of ['libnvinfer.so', 'libnvonnxparser.so', 'libnvinfer_builder_resource']) {
    if (names.some((each) => each.startsWith(name))) continue;
    throw new SetupError(`bundle:gpu: the package of TensorRT ${version} has no ${name}.`);
  }
  return { version, folder };
}

async function unpackLibraries(jar, lib, signal) {
  const zip = await openPromise(jar);
  try {
    for await (const entry of zip.eachEntry()) {
      const name = basename(entry.fileName);
      if (!libraries.test(name)) continue;
      await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(join(lib, name), { mode: 0o755 }), {
        signal,
      });
    }
  } finally {
    zip.close();
  }
}
