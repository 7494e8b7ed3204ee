// What is installed on this machine: the CUDA compiler, and TensorRT or TensorRT-RTX as libraries with or without headers.
// A folder that is named (option or variable) is used or refused, never passed over.
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { output, SetupError } from '../run.mjs';

const architecture = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';

export const products = {
  tensorrt: {
    title: 'TensorRT',
    option: '--tensorrt',
    variable: 'TENSORRT_ROOT',
    infer: 'libnvinfer.so',
    parser: 'libnvonnxparser.so',
    module: 'tensorrt_libs',
  },
  'tensorrt-rtx': {
    title: 'TensorRT-RTX',
    option: '--tensorrt-rtx',
    variable: 'TENSORRT_RTX_ROOT',
    infer: 'libtensorrt_rtx.so',
    parser: 'libtensorrt_onnxparser_rtx.so',
    module: 'tensorrt_rtx_libs',
  },
};

/** { root, version, nvcc } of the CUDA compiler that is named or lies in a usual place; undefined if there is none. */
export function systemCuda(named) {
  const variable = ['CUDA_HOME', 'CUDA_PATH'].find((name) => process.env[name]);
  const folder = named ?? (variable && process.env[variable]);
  if (folder) {
    const found = cudaIn(resolve(folder));
    if (found) return found;
    throw new SetupError(
      `${named ? '--cuda' : variable}: ${folder} has no working CUDA compiler (bin/nvcc with libcudart_static.a). Name the folder of a whole toolkit, or leave it out and add --kit.`,
    );
  }
  const onPath = (process.env.PATH ?? '').split(':').map((entry) => join(entry, 'nvcc'));
  const fromPath = onPath.filter(existsSync).map((file) => dirname(dirname(realpathSync(file))));
  const usual = [
    '/usr/local/cuda',
    ...versioned('/usr/local', /^cuda-\d/),
    '/opt/cuda',
    '/usr/lib/nvidia-cuda-toolkit',
  ];
  for (const root of [...fromPath, ...usual]) {
    const found = cudaIn(root);
    if (found) return found;
  }
  return undefined;
}

function cudaIn(root) {
  const nvcc = join(root, 'bin', 'nvcc');
  if (!existsSync(nvcc)) return undefined;
  const version = /release (\d+\.\d+)/.exec(output(nvcc, ['--version']) ?? '')?.[1];
  const folders = ['lib64', 'lib', 'targets/x86_64-linux/lib', 'targets/sbsa-linux/lib', `../${architecture}`];
  const runtime = [...folders.map((folder) => join(root, folder)), `/usr/lib/${architecture}`];
  if (!version || !runtime.some((folder) => existsSync(join(folder, 'libcudart_static.a')))) return undefined;
  return { root, version, nvcc };
}

/**
 * { infer, parser, major, minor?, include? } of a flavour: paths of the libraries, their major version by file name, and the
 * folder of headers of the same major version if there is one. Undefined if the flavour is not installed.
 */
export function systemTensorRt(flavor, named) {
  const product = products[flavor];
  const folder = named ?? process.env[product.variable];
  if (folder) {
    const found = librariesIn(product, libraryFolders(resolve(folder)));
    if (found) return { ...found, include: headersIn(flavor, headerFolders(resolve(folder)), found) };
    throw new SetupError(
      `${named ? product.option : product.variable}: ${folder} has no ${product.infer} with its ${product.parser}. Name the folder that ${product.title} was unpacked in.`,
    );
  }
  const roots = [`/usr/local/${flavor}`, ...versioned('/usr/local', namesOf(flavor)), `/opt/${flavor}`];
  const places = [
    ...roots.map((root) => [libraryFolders(root), headerFolders(root)]),
    [[`/usr/lib/${architecture}`, '/usr/lib64', '/usr/lib', ...loaderFolders(product)], headerFolders('/usr')],
    [pythonFolders(product), []],
  ];
  for (const [libraries, headers] of places) {
    const found = librariesIn(product, libraries);
    if (found) return { ...found, include: headersIn(flavor, headers, found) };
  }
  return undefined;
}

function namesOf(flavor) {
  return flavor === 'tensorrt' ? /^TensorRT-\d/i : /^TensorRT-RTX-\d/i;
}

function versioned(folder, pattern) {
  try {
    return readdirSync(folder)
      .filter((name) => pattern.test(name))
      .sort()
      .reverse()
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

function libraryFolders(root) {
  return [root, 'lib', 'lib64', `lib/${architecture}`, `targets/${architecture}/lib`].map((name) =>
    resolve(root, name),
  );
}

function headerFolders(root) {
  return ['include', `include/${architecture}`, `../include`].map((name) => join(root, name));
}

/** Folders of the product's library in the dynamic loader's cache. */
function loaderFolders({ infer }) {
  const cache = output('ldconfig', ['-p']) ?? output('/sbin/ldconfig', ['-p']) ?? '';
  return cache
    .split('\n')
    .filter((line) => line.trim().startsWith(infer))
    .map((line) => dirname(line.split('=> ').at(-1).trim()));
}

/** Folder of the libraries that a Python package brought. */
function pythonFolders({ module }) {
  const code = `import importlib.util as u; s = u.find_spec('${module}'); print('\\n'.join(s.submodule_search_locations) if s else '')`;
  const answer = output('python3', ['-c', code], { stdio: ['ignore', 'pipe', 'ignore'] }) ?? '';
  return answer.split('\n').filter(Boolean);
}

function librariesIn({ infer, parser }, folders) {
  for (const folder of folders.filter(existsSync)) {
    const names = readdirSync(folder);
    const [found, ofParser] = [newest(names, infer), newest(names, parser)];
    if (!found || !ofParser || found.major !== ofParser.major) continue;
    const full = basename(realpathSync(join(folder, found.name)));
    const [, major, minor] = /\.so\.(\d+)(?:\.(\d+))?/.exec(full) ?? [];
    return {
      infer: join(folder, found.name),
      parser: join(folder, ofParser.name),
      major: Number(major ?? found.major),
      minor: minor === undefined ? undefined : Number(minor),
    };
  }
  return undefined;
}

/** `libx.so.11` before `libx.so.11.4.0` of the same major version: the name that other libraries ask for. */
function newest(names, library) {
  return names
    .filter((name) => name.startsWith(`${library}.`))
    .map((name) => ({ name, major: Number(/\.so\.(\d+)/.exec(name)?.[1]) }))
    .filter(({ major }) => major > 0)
    .sort((a, b) => b.major - a.major || a.name.length - b.name.length)[0];
}

function headersIn(flavor, folders, { major }) {
  return folders.find((folder) => {
    const headers = headerVersion(folder);
    return headers?.flavor === flavor && headers.major === major;
  });
}

/** { flavor, major, minor, text } of the TensorRT headers in a folder; undefined if there are none. */
export function headerVersion(folder) {
  const file = join(folder, 'NvInferVersion.h');
  if (!existsSync(file) || !existsSync(join(folder, 'NvOnnxParser.h'))) return undefined;
  const text = readFileSync(file, 'utf8');
  const numbers = ['MAJOR', 'MINOR', 'PATCH'].map((part) =>
    Number(new RegExp(`#define (?:NV_TENSORRT_${part}|TRT_${part}_[A-Z]+) (\\d+)`).exec(text)?.[1] ?? 0),
  );
  const [major, minor] = numbers;
  return {
    flavor: text.includes('TRT_MAJOR_RTX') ? 'tensorrt-rtx' : 'tensorrt',
    major,
    minor,
    text: numbers.join('.'),
  };
}
