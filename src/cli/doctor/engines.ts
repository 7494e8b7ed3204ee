import { basename, dirname, relative } from 'node:path';
import { lanes } from '../../backends/tensorrt/pipeline-limits.js';
import { defaultEnginesFolder, engineCommand } from '../../engines/engine-folder.js';
import type { EngineManifest } from '../../engines/engine-manifest.js';
import { manifestSets, plannedMemory } from '../../engines/engine-memory.js';
import { engineFiles, type ListedEngine, listEngine } from '../../engines/inspect-engine.js';
import { loadTensorRt } from '../../native/load-tensorrt.js';
import type { MemoryPlan } from '../../native/tensorrt-addon.js';
import type { FlavorProbe } from '../../native/tensorrt-flavor.js';
import { type Finding, gigabytes } from './finding.js';

/** All of it fits on one screen. */
const mostKeys = 6;

/** Built engines, a line for each key: whether they fit this machine, and what memory of the GPU they will take. */
export async function engines(probes: readonly FlavorProbe[], signal?: AbortSignal): Promise<Finding[]> {
  const root = defaultEnginesFolder();
  const files = await engineFiles(root);
  if (files.length === 0) {
    const able = probes.some((probe) => probe.usable);
    const remedy = able ? 'Build them: rvos build --model compact' : undefined;
    return [{ part: 'engines', state: 'optional', detail: `none in ${root}`, remedy, facts: { root, keys: [] } }];
  }
  const keys = new Map<string, string[]>();
  for (const file of files) keys.set(dirname(file), [...(keys.get(dirname(file)) ?? []), file]);
  const withGpu = probes.some((probe) => probe.usable && probe.learnt.devices.length > 0);
  const findings: Finding[] = [];
  for (const [folder, paths] of [...keys].slice(0, mostKeys)) {
    const listed: ListedEngine[] = [];
    for (const path of paths) listed.push(await listEngine(path, probes, signal));
    findings.push(await keyFinding(folder, listed, withGpu));
  }
  if (keys.size <= mostKeys) return findings;
  const detail = `${keys.size - mostKeys} more in ${root}`;
  return [...findings, { part: 'engines', state: 'ok', detail, remedy: `All of them: rvos inspect ${root}` }];
}

async function keyFinding(folder: string, listed: readonly ListedEngine[], withGpu: boolean): Promise<Finding> {
  const near = relative(process.cwd(), folder);
  const name = near.startsWith('..') ? `${basename(dirname(folder))}/${basename(folder)}` : near;
  const memory = await memoryOf(listed);
  const facts = { folder, engines: listed, memory };
  const broken = listed.find(({ problem }) => problem !== null);
  if (broken) return { part: 'engines', state: 'broken', detail: `${name}: ${broken.problem}`, facts };
  const detail = `${name}: ${listed.length}${memory.map(memoryLabel).join('')}`;
  const foreign = listed.find(({ differences }) => differences.length > 0);
  if (!foreign) return { part: 'engines', state: 'ok', detail: `${detail}; run here`, facts };
  const why = foreign.differences.join('; ');
  const remedy = withGpu ? `For this machine: ${engineCommand(foreign.path)}` : undefined;
  return { part: 'engines', state: 'optional', detail: `${detail}; do not run here: ${why}`, remedy, facts };
}

interface SetMemory {
  readonly size: string;
  readonly plan: MemoryPlan;
}

/** The plan needs the addon, though no GPU; where it cannot be loaded there is none. */
async function memoryOf(listed: readonly ListedEngine[]): Promise<SetMemory[]> {
  const manifests = listed.flatMap(({ manifest }): EngineManifest[] => (manifest ? [manifest] : []));
  const flavor = manifests[0]?.tensorrt.flavor;
  if (flavor === undefined) return [];
  try {
    const { addon } = await loadTensorRt(flavor);
    return manifestSets(manifests).flatMap((set) => {
      const plan = plannedMemory(addon, set, lanes);
      return plan ? [{ size: set.size, plan }] : [];
    });
  } catch {
    return []; // why is in the finding of that flavour
  }
}

function memoryLabel({ size, plan }: SetMemory): string {
  return `, ${size} takes ${gigabytes(plan.deviceBytes)} of the GPU`;
}
