// Loaded before a program's own code (node --import): stages of the simulated device are run by ONNX Runtime, which is
// loaded when the first one is asked for.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const addons = process.env.RVOS_TENSORRT_ADDONS ?? join(root, 'build', 'tensorrt');
let stages;
createRequire(import.meta.url)(join(addons, 'simulated', 'rvos_tensorrt.node')).setStageRunner(async (call) => {
  stages ??= import('../test/support/onnx-stages.mjs').then(({ OnnxStages }) => new OnnxStages());
  return (await stages).run(call);
});
