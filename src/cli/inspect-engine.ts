import { relative } from 'node:path';
import { capabilityLabel, type EngineManifest } from '../engines/engine-manifest.js';
import { describeVerification } from '../engines/engine-verification.js';
import type { EngineFolderInspection, EngineInspection, ListedEngine } from '../engines/inspect-engine.js';
import { flavorName } from '../native/tensorrt-flavor.js';

/** One engine as lines of text. */
export function engineLines({ path, manifest, differences, contents, problem }: EngineInspection): string[] {
  const { build, file, tensorrt, model } = manifest;
  const names = { input: 'input ', output: 'output' };
  return [
    `engine ${path}: complete, checksum right`,
    `  engine        ${manifest.engine}, ${manifest.precision}, of model ${oneLine(model.name)}`,
    `  made with     ${flavorName(tensorrt.flavor)} ${tensorrt.version} by rvos ${manifest.rvos}, for ${targetLabel(manifest)}`,
    `  made          ${build.finished} in ${build.seconds.toFixed(1)} s, ${megabytes(build.peak_host_bytes)} of memory at most`,
    `  file          ${megabytes(file.bytes)}, SHA-256 ${file.sha256}`,
    `  activations   ${build.scratch_bytes === null ? 'unknown' : `${megabytes(build.scratch_bytes)} on the GPU`}`,
    `  made from     weights ${model.weights_sha256}`,
    `                graph   ${manifest.graph_sha256}`,
    `  compared      ${manifest.verified ? describeVerification(manifest.verified) : 'not yet: its first opening on a GPU does'}`,
    ...build.warnings.map((warning) => `  warning       ${oneLine(warning)}`),
    `  this machine  ${differences.length === 0 ? 'can run it' : `cannot run it: ${differences.join('; ')}`}`,
    '  tensors',
    ...manifest.tensors.map((tensor) => {
      return `    ${names[tensor.mode]}  ${tensor.name.padEnd(18)} ${tensor.dtype.padEnd(8)} [${shapeLabel(tensor.shape)}]`;
    }),
    ...manifest.profiles.flatMap(profileLines),
    ...layerLines(contents, problem),
  ];
}

/** All engines of a folder, one a line. */
export function engineFolderLines({ path, engines }: EngineFolderInspection): string[] {
  const sound = engines.filter(({ problem }) => problem === null).length;
  return [
    `folder of engines ${path}: ${sound} of ${engines.length} sound`,
    ...engines.map((engine) => `  ${relative(path, engine.path)}  ${state(engine)}`),
  ];
}

function state({ manifest, differences, problem }: ListedEngine): string {
  if (problem !== null || manifest === null) return `DAMAGED: ${problem}`;
  const fit = differences.length === 0 ? 'runs here' : `does not run here: ${differences.join('; ')}`;
  return `${megabytes(manifest.file.bytes)}, ${fit}`;
}

export function targetLabel({ target }: EngineManifest): string {
  return target.kind === 'device'
    ? `${target.name} (${capabilityLabel(target.compute_capability)})`
    : `compute capability ${target.compute_capabilities.map(capabilityLabel).join(', ')}`;
}

function profileLines(profile: EngineManifest['profiles'][number], index: number): string[] {
  const rows = Object.entries(profile).map(([name, { min, opt, max }]) => {
    return `    ${name.padEnd(18)} [${shapeLabel(min)}] … [${shapeLabel(max)}], best at [${shapeLabel(opt)}]`;
  });
  return [`  profile ${index}`, ...rows];
}

function layerLines(contents: EngineInspection['contents'], problem: string | null): string[] {
  if (!contents) return [`  layers        not listed, as the engine cannot be opened here: ${problem}`];
  const { layers } = contents;
  const fused = layers.filter(({ fusedAttention }) => fusedAttention).length;
  return [
    `  layers        ${layers.length}, of which ${fused} fused attention`,
    ...layers.map(({ name, type, fusedAttention }) => {
      return `    ${type.padEnd(18)} ${fusedAttention ? 'fused attention  ' : ''}${oneLine(name)}`;
    }),
  ];
}

function shapeLabel(shape: readonly number[]): string {
  return shape.map((n) => (n < 0 ? '*' : n)).join(',');
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\s]+/gu, ' ').slice(0, 300);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
