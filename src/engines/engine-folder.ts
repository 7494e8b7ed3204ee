import { basename, dirname, join, relative, resolve } from 'node:path';
import { sha256 } from '../files/digest.js';
import type { Precision } from '../model/architecture.js';
import type { ModelFolder } from '../model/model-folder.js';
import type { NativeDevice, TensorRtFlavor } from '../native/tensorrt-addon.js';
import { packageRoot } from '../package-root.js';
import type { Size } from '../preprocess/size-rule.js';
import type { EngineManifest } from './engine-manifest.js';
import { type EngineLimits, sizeLabel } from './engine-plan.js';

/** What an engine is built for: the GPU that is present, or compute capabilities (as 86) ahead of time. */
export type EngineTarget =
  | {
      readonly kind: 'device';
      /** `index`: which of the GPUs of this machine; the first if it is left out. */
      readonly device: Pick<NativeDevice, 'name' | 'computeCapability'> & { readonly index?: number };
    }
  | { readonly kind: 'ahead-of-time'; readonly computeCapabilities: readonly number[] };

/** Where engines are looked for and built unless somebody says otherwise: `$RVOS_ENGINES`, else `engines` here. */
export function defaultEnginesFolder(): string {
  return resolve(process.env.RVOS_ENGINES || 'engines');
}

/** Name of a model's folder: its own name where that is a plain one, else made plain and told apart by a hash. */
export function modelFolderName(name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name)) return name;
  const plain = name.replace(/[^A-Za-z0-9_-]+/g, '-').slice(0, 80) || 'model';
  return `${plain.replace(/^-/, 'm-')}-${sha256(name).slice(0, 8)}`;
}

/** `tensorrt-11.4.0-sm90-nvidia-h200`, `tensorrt-rtx-1.7.1-sm86-sm89`: engines of one key fit the same machines. */
export function engineKey(
  library: { readonly flavor: TensorRtFlavor; readonly version: string },
  target: EngineTarget,
  precision: Precision = 'fp16',
): string {
  const machines =
    target.kind === 'device'
      ? [`sm${target.device.computeCapability}`, target.device.name]
      : target.computeCapabilities.map((capability) => `sm${capability}`);
  const parts = [library.flavor, library.version, ...machines, ...(precision === 'fp32' ? ['fp32'] : [])];
  return parts.map((part) => part.toLowerCase().replace(/[^a-z0-9.]+/g, '-')).join('-');
}

export function manifestTarget(target: EngineTarget): EngineManifest['target'] {
  return target.kind === 'device'
    ? { kind: 'device', name: target.device.name, compute_capability: target.device.computeCapability }
    : { kind: 'ahead-of-time', compute_capabilities: [...target.computeCapabilities] };
}

/** The two files of an engine. */
export function enginePaths(folder: string, name: string): { readonly engine: string; readonly manifest: string } {
  return { engine: join(folder, `${name}.engine`), manifest: join(folder, `${name}.json`) };
}

export interface BuildCommand {
  readonly model: Pick<ModelFolder, 'path'>;
  readonly size?: Size | null | undefined;
  readonly flavor?: TensorRtFlavor | undefined;
  /** Limits that must be higher than the usual ones. */
  readonly limits?: Partial<EngineLimits> | undefined;
  /** Folder the engines go to. */
  readonly root: string;
}

/** The command line that builds the engines of a model (and size), ready to be pasted. */
export function buildCommand({ model, size, flavor, limits = {}, root }: BuildCommand): string {
  const words = ['rvos build --model', shellWord(modelArgument(model.path))];
  if (size) words.push('--size', sizeLabel(size));
  for (const [name, value] of Object.entries(limits)) words.push(`--${name}`, `${value}`);
  if (flavor === 'tensorrt-rtx') words.push('--flavor', flavor);
  if (resolve(root) !== resolve('engines')) words.push('--out', shellWord(root));
  return words.join(' ');
}

/** The same for an engine file, from its place alone: `<root>/<model>/<key>/<name>.engine`. */
export function engineCommand(path: string): string {
  const folder = dirname(dirname(path));
  const size = /-([1-9]\d{0,3})x([1-9]\d{0,3})\.engine$/.exec(path);
  return buildCommand({
    model: { path: join(packageRoot, 'models', basename(folder)) },
    size: size && { height: Number(size[1]), width: Number(size[2]) },
    flavor: basename(dirname(path)).startsWith('tensorrt-rtx-') ? 'tensorrt-rtx' : 'tensorrt',
    root: dirname(folder),
  });
}

/** A shipped model goes by its name. */
function modelArgument(path: string): string {
  if (dirname(path) === join(packageRoot, 'models')) return basename(path);
  const near = relative(process.cwd(), path);
  return near !== '' && !near.startsWith('..') ? near : path;
}

function shellWord(text: string): string {
  return /^[A-Za-z0-9_./~-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
