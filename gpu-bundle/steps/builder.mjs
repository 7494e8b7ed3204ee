// The first thing that can go wrong with TensorRT: its builder. From 10.8 on the library asks for builder resources of the very
// GPU, and public packages bring those in PTX form alone. Then these are offered under the GPU's name, which a later step shows to be
// enough or not; what was done is in the step's line.
import { existsSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Found } from '../run-step.mjs';
import { lastValue } from './pipeline.mjs';
import { environment } from './programs.mjs';

export async function builder(context) {
  const { exec, root, tensorRt, simulated, out } = context;
  const script = join(root, 'gpu-bundle', 'try-builder.mjs');
  const attempt = async () => {
    const { status, stdout } = await exec(process.execPath, [script], { env: environment(context) });
    return lastValue(stdout) ?? { built: false, reason: `ended with ${status}` };
  };
  const first = await attempt();
  const attempts = [first];
  if (!first.built && !simulated && first.computeCapability) {
    const alias = aliasResource(tensorRt.folder, first.computeCapability);
    if (alias) {
      attempts.push({ alias, ...(await attempt()) });
      if (!attempts.at(-1).built) rmSync(join(tensorRt.folder, alias));
    }
  }
  writeFileSync(join(out, 'builder.json'), `${JSON.stringify(attempts, null, 2)}\n`);
  const last = attempts.at(-1);
  if (!last.built) throw new Found(last.reason, { attempts });
  return { attempts };
}

/** Name of a new link from the GPU's own resources to those in PTX form; undefined where there is nothing to link or it exists. */
function aliasResource(folder, computeCapability) {
  const ptx = readdirSync(folder).find((name) => name.startsWith('libnvinfer_builder_resource_ptx.so'));
  if (!ptx) return undefined;
  const alias = ptx.replace('_ptx', `_sm${computeCapability}`);
  if (existsSync(join(folder, alias))) return undefined;
  symlinkSync(ptx, join(folder, alias));
  return alias;
}
