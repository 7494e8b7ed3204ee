import { existsSync } from 'node:fs';

/** What the kernel shows where NVIDIA's driver is loaded, in a container and in WSL too. */
const signs = ['/proc/driver/nvidia/version', '/dev/nvidiactl', '/dev/dxg'];

/** Whether this machine may have an NVIDIA GPU. Where it has none, nobody wants to hear about TensorRT. */
export function hasNvidiaDriver(): boolean {
  return signs.some((path) => existsSync(path));
}
