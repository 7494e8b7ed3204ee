// The GPU's FP16 matrix rate: one large product, built as an engine by the same builder, so that the same library decides
// how it runs. No other library is needed.
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Operators } from '../../dist/model/onnx/operators.js';
import { median } from './statistics.mjs';

/** FLOP a second of [n,n]·[n,n] in FP16. The engine is kept for this library and GPU; another one builds its own. */
export async function measureMatrixRate({ addon, host, folder, n, runs = 40 }) {
  const { flavor, libraryVersion, device } = host;
  const square = [n, n];
  const key = `${flavor}-${libraryVersion}-${device.name}-${n}`.toLowerCase().replace(/[^a-z0-9.]+/g, '-');
  const graph = join(folder, `product-${n}.onnx`);
  const engine = join(folder, `product-${key}.engine`);
  if (!(await stat(engine).catch(() => undefined))) {
    const g = new Operators({ name: 'product', opset: 20, stored: 'fp16', compute: 'fp16', weights: new Map() });
    g.output('y', g.matmul(g.input('a', 'float16', [n, n]), g.input('b', 'float16', [n, n])));
    await writeFile(graph, g.build());
    const fixed = { min: square, opt: square, max: square };
    await addon.buildEngine({ graph, output: engine, profiles: [{ a: fixed, b: fixed }] }).done;
  }
  const milliseconds = await addon.measureEngine({
    device: device.index,
    engine,
    inputs: { a: square, b: square },
    outputs: { y: square },
    runs,
  });
  return (2 * n ** 3) / (median(milliseconds) / 1000);
}
