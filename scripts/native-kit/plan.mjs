// What will be compiled and with what: the system's CUDA and TensorRT where there are any, the kit for what is missing
// where that is allowed.
import { join } from 'node:path';
import { SetupError } from '../run.mjs';
import { kitCuda, kitHeaders, kitRtx } from './kit.mjs';
import { cuda as kitCudaPackages, headers as kitHeaderPackages, rtx as kitRtxPackages } from './packages.mjs';
import { headerVersion, products, systemCuda, systemTensorRt } from './system.mjs';

/**
 * Resolves to { cuda?: { root, version, nvcc }, flavors: [{ flavor, infer, parser, include }], lines }: `lines` say what was
 * found, what was not, and what that means. `named`: folders by 'cuda', 'tensorrt', 'tensorrt-rtx'. `only`: flavours that
 * must be there; otherwise those that are found. With `kit` what is missing is fetched. With `headersOnly` the flavour
 * `tensorrt` needs no library here: it is compiled with the kit's newest headers, and looks for its library when it is opened.
 */
export async function makePlan({ named, only, kit, headersOnly, fetch }) {
  const lines = [];
  const wanted = only ?? Object.keys(products);
  const found = Object.fromEntries(
    Object.keys(products)
      .filter((flavor) => wanted.includes(flavor))
      .map((flavor) => [flavor, systemTensorRt(flavor, named[flavor])]),
  );
  const flavors = [];
  for (const [flavor, library] of Object.entries(found)) {
    const usable = library ?? (await withoutLibrary(flavor, { kit, headersOnly, fetch }));
    if (usable)
      flavors.push({ flavor, ...usable, include: usable.include ?? (await headersOfKit(flavor, usable, kit, fetch)) });
    else if (only) throw new SetupError(missing(flavor, kit));
    else lines.push(`${products[flavor].title}: not found, ${consequence(flavor)}`);
  }
  if (flavors.length === 0 && !wanted.includes('simulated')) {
    throw new SetupError(
      'neither TensorRT nor TensorRT-RTX was found. Name its folder in TENSORRT_ROOT or TENSORRT_RTX_ROOT, or add --kit to fetch TensorRT-RTX and the CUDA compiler from public packages.',
    );
  }
  const cuda = flavors.length === 0 ? undefined : await cudaFor(named.cuda, kit, fetch);
  if (cuda) lines.unshift(`CUDA ${cuda.version} in ${cuda.root}`);
  for (const { flavor, infer, include } of flavors) {
    lines.push(
      `${products[flavor].title}: ${infer}, headers ${headerVersion(include)?.text ?? 'to be fetched'} in ${include}`,
    );
  }
  if (wanted.includes('simulated')) flavors.push({ flavor: 'simulated' });
  return { cuda, flavors, lines };
}

function missing(flavor, kit) {
  const { title, variable, option } = products[flavor];
  const orKit = flavor === 'tensorrt-rtx' && !kit ? ', or add --kit' : '';
  return `${title} was not found. Name the folder that it was unpacked in with ${option} or ${variable}${orKit}.`;
}

function consequence(flavor) {
  return flavor === 'tensorrt'
    ? 'so no engines for data centre GPUs such as H100 and H200. Its folder can be named in TENSORRT_ROOT.'
    : 'so no engines on machines without a GPU. Its folder can be named in TENSORRT_RTX_ROOT, or add --kit.';
}

async function cudaFor(named, kit, fetch) {
  const found = systemCuda(named);
  if (found) return found;
  if (!kit) {
    throw new SetupError(
      'no CUDA compiler was found (CUDA_HOME, PATH, /usr/local/cuda). Install the CUDA toolkit, or add --kit to fetch the compiler from public packages.',
    );
  }
  const root = await kitCuda(fetch);
  return { root, version: kitCudaPackages.version, nvcc: join(root, 'bin', 'nvcc') };
}

/** What a flavour is compiled for whose library is not on this machine. */
async function withoutLibrary(flavor, { kit, headersOnly, fetch }) {
  if (kit && flavor === 'tensorrt-rtx') return rtxOfKit(fetch);
  if (!headersOnly || flavor !== 'tensorrt') return undefined;
  const { infer, parser } = products.tensorrt;
  const newest = Math.max(...headerSets().flatMap((set) => (set.flavor === flavor ? [set.major] : [])));
  return { infer, parser, major: newest };
}

async function rtxOfKit(fetch) {
  const folder = await kitRtx(fetch);
  const [major, minor] = kitRtxPackages.version.split('.').map(Number);
  const { infer, parser } = products['tensorrt-rtx'];
  return { infer: join(folder, `${infer}.${major}`), parser: join(folder, `${parser}.${major}`), major, minor };
}

/** A library that came without headers is compiled for with the kit's: interfaces are kept within a major version. */
async function headersOfKit(flavor, { infer, major, minor }, kit, fetch) {
  const known = headerSets()
    .filter((set) => set.flavor === flavor && set.major === major)
    .sort((a, b) => b.minor - a.minor);
  // Interfaces of TensorRT-RTX changed once within version 1: older libraries take the older headers.
  const set =
    known.find(
      (candidate) => flavor !== 'tensorrt-rtx' || minor === undefined || candidate.minor <= Math.max(minor, 4),
    ) ?? known[0];
  if (!set) {
    throw new SetupError(
      `${infer} is of version ${major}, and rvos knows no headers for that. Use TensorRT 10.6 to 11.x or TensorRT-RTX 1.x, or one that was unpacked with its headers.`,
    );
  }
  if (!kit) {
    throw new SetupError(
      `${infer} has no headers (include/NvInfer.h). Add --kit to fetch those of ${products[flavor].title} ${set.major}.${set.minor}, or name a folder that has them.`,
    );
  }
  return join(await kitHeaders(fetch), set.folder);
}

/** The kit's sets of headers: { folder, flavor, major, minor }. */
export function headerSets() {
  return kitHeaderPackages.crates
    .flatMap(({ folders }) => Object.values(folders))
    .map((folder) => {
      const [, flavor, major, minor] = /^(.*)-(\d+)\.(\d+)$/.exec(folder);
      return { folder, flavor, major: Number(major), minor: Number(minor) };
    });
}
