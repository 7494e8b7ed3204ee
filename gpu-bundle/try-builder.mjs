// Opens TensorRT and builds an engine of one small product: what every build needs. Prints one JSON value.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Operators } from '../dist/model/onnx/operators.js';
import { loadTensorRt, probeTensorRt } from '../dist/native/load-tensorrt.js';

const facts = { built: false };
const folder = mkdtempSync(join(tmpdir(), 'rvos-builder-'));
try {
  const [probe] = await probeTensorRt();
  if (!probe.usable) throw probe.error;
  Object.assign(facts, {
    library: probe.learnt.libraryVersion,
    computeCapability: probe.learnt.devices[0]?.computeCapability,
  });
  const { addon } = await loadTensorRt(probe.flavor);
  const n = 256;
  const g = new Operators({ name: 'product', opset: 20, stored: 'fp16', compute: 'fp16', weights: new Map() });
  g.output('y', g.matmul(g.input('a', 'float16', [n, n]), g.input('b', 'float16', [n, n])));
  const graph = join(folder, 'product.onnx');
  writeFileSync(graph, g.build());
  const shape = { min: [n, n], opt: [n, n], max: [n, n] };
  const log = join(folder, 'log.txt');
  try {
    const report = await addon.buildEngine({
      graph,
      output: join(folder, 'product.engine'),
      profiles: [{ a: shape, b: shape }],
      log,
    }).done;
    Object.assign(facts, { built: true, seconds: report.seconds, engineBytes: report.engineBytes });
  } finally {
    try {
      process.stderr.write(readFileSync(log, 'utf8'));
    } catch {}
  }
} catch (error) {
  facts.reason = error.message;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.stdout.write(`${JSON.stringify(facts)}\n`);
