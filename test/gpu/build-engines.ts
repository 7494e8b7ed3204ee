import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { buildEngines } from '../../src/engines/build-engines.js';
import { importModel } from '../../src/model/import.js';
import type { ModelFolder } from '../../src/model/model-folder.js';
import type { Size } from '../../src/preprocess/size-rule.js';
import { goldenPath } from '../support/safetensors.js';
import { openGpu } from './gpu.js';
import {
  caseSizes,
  demoSize,
  enginesFolder,
  goldenFolder,
  openCompact,
  openGolden,
  videoSize,
  workFolder,
} from './models.js';

/** Global set-up: engines of the golden and the compact model for the GPU that is present; unchanged ones are kept. */
export default async function buildTestEngines(): Promise<void> {
  await mkdir(workFolder, { recursive: true });
  if (!(await stat(join(goldenFolder, 'model.json')).catch(() => undefined))) {
    await importModel({
      source: goldenPath('model.safetensors'),
      architecture: goldenPath('config.json'),
      tokenizer: goldenPath('tokenizer'),
      out: goldenFolder,
    });
  }
  const { addon, libraryVersion, device } = await openGpu();
  const build = async (model: ModelFolder, sizes: readonly Size[]) => {
    const { engines } = await buildEngines({
      model,
      sizes,
      builder: { addon, libraryVersion },
      target: { kind: 'device', device },
      root: enginesFolder,
    });
    const built = engines.filter(({ reused }) => !reused);
    const seconds = built.reduce((sum, { manifest }) => sum + manifest.build.seconds, 0);
    process.stdout.write(
      `${model.name}: ${built.length} of ${engines.length} engines built in ${seconds.toFixed(0)} s\n`,
    );
  };
  await build(await openGolden(), [...Object.values(caseSizes), videoSize]);
  const compact = await openCompact();
  await build(compact, [demoSize(compact)]);
}
