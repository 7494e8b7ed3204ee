// What the machine can do, measured in the same run: matrix products in FP32 and bfloat16, copying of memory.
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { Operators } from '../../dist/model/onnx/operators.js';

const n = 2048;

/** FLOP/s of a product of 2048² FP32 matrices on ONNX Runtime, best of twelve. */
export async function matrixRate(threads) {
  const scratch = await mkdtemp(join(tmpdir(), 'rvos-rate-'));
  try {
    const weights = new Map([
      ['w.weight', { offset: 0, length: n * n * 4, shape: [n, n] }],
      ['w.bias', { offset: n * n * 4, length: n * 4, shape: [n] }],
    ]);
    const g = new Operators({ name: 'product', opset: 20, stored: 'fp32', compute: 'fp32', weights });
    g.output('y', g.linear(g.input('x', 'float', [n, n]), 'w'));
    await writeFile(join(scratch, 'weights.bin'), new Uint8Array((n * n + n) * 4));
    await writeFile(join(scratch, 'product.onnx'), g.build());
    const session = await InferenceSession.create(join(scratch, 'product.onnx'), { intraOpNumThreads: threads });
    const feeds = { x: new Tensor('float32', new Float32Array(n * n).fill(0.5), [n, n]) };
    const milliseconds = await best(12, () => session.run(feeds));
    await session.release();
    return (2 * n ** 3) / (milliseconds / 1000);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** FLOP/s of PyTorch's products of 4096² matrices, `{ fp32, bf16 }`; bf16 is null where the processor has none. */
export function pytorchRates(python, threads) {
  const program = `
import json, sys, time, torch
sys.path.insert(0, "bench/pytorch")
from columns import has_bf16
torch.set_num_threads(${threads})
def rate(kind, n=4096):
    a, b = (torch.rand(n, n).to(kind) for _ in range(2))
    times = []
    for _ in range(6):
        start = time.perf_counter(); a @ b; times.append(time.perf_counter() - start)
    return 2 * n ** 3 / min(times)
print(json.dumps({"fp32": rate(torch.float32), "bf16": rate(torch.bfloat16) if has_bf16() else None}))
`;
  const run = spawnSync(python, ['-c', program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  return run.status === 0 ? JSON.parse(run.stdout) : { fp32: null, bf16: null };
}

/** Bytes read and written a second by one thread's copy of 256 MiB. */
export async function copyRate() {
  const from = Buffer.alloc(2 ** 28, 1);
  const to = Buffer.alloc(2 ** 28);
  const milliseconds = await best(6, async () => from.copy(to));
  return (2 * from.length) / (milliseconds / 1000);
}

async function best(times, work) {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    await work();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}
