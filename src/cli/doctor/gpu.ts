import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { capabilityLabel } from '../../engines/engine-manifest.js';
import { remedies } from '../../installation.js';
import type { NativeDevice } from '../../native/tensorrt-addon.js';
import type { FlavorProbe } from '../../native/tensorrt-flavor.js';
import { type Finding, gigabytes } from './finding.js';
import { gpuRemedy } from './tensorrt.js';

/** GPUs of this machine, the driver and the CUDA it supports: as the addon sees them, else as nvidia-smi does. */
export async function gpus(probes: readonly FlavorProbe[]): Promise<Finding> {
  const part = 'GPU';
  const driver = await driverVersion();
  const learnt = probes.flatMap((probe) => (probe.usable ? [probe.learnt] : []));
  const devices = learnt.find((each) => each.devices.length > 0)?.devices ?? [];
  if (devices.length > 0) {
    const cuda = devices[0]?.driverCudaVersion;
    const detail = `${devices.map(deviceLabel).join('; ')}; driver ${driver ?? 'unknown'}, CUDA up to ${cuda}`;
    return { part, state: 'ok', detail, facts: { devices, driver, cuda } };
  }
  const problem = learnt.find((each) => each.deviceProblem !== null)?.deviceProblem;
  const named = problem ? undefined : await nvidiaSmi();
  if (named && named.length > 0) {
    const detail = `${named.join('; ')}; driver ${driver ?? 'unknown'}; no addon that could use it`;
    const remedy = `Run "${remedies.tensorRt}", which compiles the addon for TensorRT.`;
    return { part, state: 'optional', detail, remedy, facts: { devices: named, driver } };
  }
  const detail = problem?.message ?? (driver ? 'none found' : 'none found, and no NVIDIA driver');
  const known = driver ? `; driver ${driver}` : '';
  const remedy = gpuRemedy(problem?.code ?? null);
  return {
    part,
    state: 'optional',
    detail: `${detail}${known}`,
    remedy,
    facts: { devices: [], driver: driver ?? null },
  };
}

function deviceLabel({ index, name, computeCapability, totalBytes, freeBytes }: NativeDevice): string {
  const memory =
    freeBytes === null
      ? `${gigabytes(totalBytes)}, does not tell how much is free: nvidia-smi says what is wrong with it`
      : `${gigabytes(freeBytes)} of ${gigabytes(totalBytes)} free`;
  return `${index}: ${name} (${capabilityLabel(computeCapability)}), ${memory}`;
}

async function driverVersion(): Promise<string | undefined> {
  const text = await readFile('/proc/driver/nvidia/version', 'utf8').catch(() => '');
  const kernel = /Kernel Module\s.*?\s(\d+(?:\.\d+)+)\s/.exec(text)?.[1];
  return kernel ?? (await querySmi('driver_version'))[0];
}

async function nvidiaSmi(): Promise<string[]> {
  return querySmi('name,compute_cap,memory.total');
}

/** Lines of an nvidia-smi query; none where there is no nvidia-smi. */
function querySmi(fields: string): Promise<string[]> {
  return new Promise((resolve) => {
    execFile('nvidia-smi', [`--query-gpu=${fields}`, '--format=csv,noheader'], { timeout: 10_000 }, (error, stdout) => {
      const lines = stdout.split('\n').map((line) => line.trim());
      resolve(error ? [] : lines.filter((line) => line !== ''));
    });
  });
}
