// What TensorRT's inspector says of each engine in a folder: node inspect-engines.mjs FOLDER FILE. The layers go to FILE; printed are
// how many there are and how many of them are fused attention.
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspectEngines } from '../dist/engines/inspect-engine.js';

const [folder, file] = process.argv.slice(2);
const contents = {};
const facts = {};
for (const name of readdirSync(folder).filter((each) => each.endsWith('.engine'))) {
  const found = await inspectEngines(join(folder, name));
  const engine = name.replace(/\.engine$/, '');
  contents[engine] = found.contents ?? { problem: found.problem };
  facts[engine] = found.contents
    ? {
        layers: found.contents.layers.length,
        fusedAttention: found.contents.layers.filter(({ fusedAttention }) => fusedAttention).length,
      }
    : { problem: found.problem };
}
writeFileSync(file, `${JSON.stringify(contents, null, 2)}\n`);
process.stdout.write(`${JSON.stringify(facts)}\n`);
