// The GPU and the TensorRT that `test:gpu` and `bench:gpu` run on; where there is none, the reason and what to do.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, SetupError } from './run.mjs';

/** The probe of the flavour that runs here and its GPU. Throws SetupError. */
export async function requireGpu(what) {
  const dist = join(root, 'dist');
  if (!existsSync(join(dist, 'index.js'))) throw new SetupError(`${what}: dist/ is not built. Run npm run build.`);
  const module = (path) => import(pathToFileURL(join(dist, path)).href);
  const { probeTensorRt } = await module('native/load-tensorrt.js');
  const { requireUsable } = await module('backends/tensorrt/open-tensorrt.js');
  try {
    return requireUsable(await probeTensorRt());
  } catch (error) {
    if (error?.name !== 'RvosError') throw error;
    throw new SetupError(
      `${what} needs an NVIDIA GPU and a TensorRT that builds engines for it: ${error.message}.\n` +
        `${error.hint}\n` +
        'On a machine with both: npm ci && npm run build && npm run setup:native; docs/gpu.md has the details.',
    );
  }
}
