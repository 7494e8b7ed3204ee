import { capabilityLabel } from '../../engines/engine-manifest.js';
import { runsHere } from '../../native/load-tensorrt.js';
import { type FlavorProbe, flavorName } from '../../native/tensorrt-flavor.js';
import type { Finding } from './finding.js';

/** One flavour of TensorRT: why its addon is or is not loaded, what it can build and what it can run. */
export function tensorRt(probe: FlavorProbe): Finding {
  const part = flavorName(probe.flavor);
  if (!probe.usable) {
    const { message, hint, code } = probe.error;
    return {
      part,
      state: 'optional',
      detail: message,
      remedy: hint,
      facts: { flavor: probe.flavor, usable: false, code },
    };
  }
  const { libraryVersion, headerVersion, cudaVersion, aheadOfTimeTargets, devices, deviceProblem } = probe.learnt;
  const runs = runsHere(probe);
  const targets = [...aheadOfTimeTargets].sort((a, b) => a - b).map(capabilityLabel);
  const builds = [...(runs ? ['for the GPU here'] : []), ...(targets.length > 0 ? [`for ${targets.join(', ')}`] : [])];
  const whyNot = devices.length > 0 ? `it does not run on ${devices[0]?.name}` : 'there is no GPU it can use';
  const able = `builds ${builds.join(' and ') || 'nothing here'}; ${runs ? 'runs here' : `runs nothing here: ${whyNot}`}`;
  const usable = runs || targets.length > 0;
  return {
    part,
    state: usable ? 'ok' : 'optional',
    detail: `${libraryVersion} (addon: headers ${headerVersion}, CUDA ${cudaVersion}); ${able}`,
    remedy: usable ? undefined : gpuRemedy(deviceProblem?.code ?? null),
    facts: { flavor: probe.flavor, usable: true, ...probe.files, ...probe.learnt, runs, builds: usable },
  };
}

export function gpuRemedy(code: string | null): string {
  return code === 'DRIVER_TOO_OLD'
    ? 'Install a newer NVIDIA driver (nvidia-smi says which there is); until then use --backend onnxruntime.'
    : 'Use a machine with an NVIDIA GPU and its driver, or --backend onnxruntime.';
}
