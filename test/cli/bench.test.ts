import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { goldenModel } from '../support/golden-model.js';

const entry = new URL('../../dist/cli/main.js', import.meta.url).pathname;

let folder: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ folder, remove } = await goldenModel());
});
afterAll(() => remove());

function bench(...args: readonly string[]) {
  const clip = ['--frames', '24', '--width', '96', '--height', '64'];
  return spawnSync(process.execPath, [entry, 'bench', '--model', folder, ...clip, ...args], { encoding: 'utf8' });
}

it('measures each backend that works here, and says why another one does not', () => {
  const { status, stdout, stderr } = bench('--json');
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const { sentences, frames, results } = JSON.parse(stdout) as {
    sentences: number;
    frames: number;
    results: Record<string, unknown>[];
  };
  expect({ sentences, frames }).toEqual({ sentences: 2, frames: 24 });
  expect(results.map(({ backend }) => backend)).toEqual(['tensorrt', 'openvino', 'onnxruntime']);
  expect(results[0]?.unusable).toMatch(/\w/);
  const {
    frames_per_second: rate,
    minutes_per_minute: minutes,
    peak_bytes: bytes,
  } = results[2] as Record<string, number>;
  expect((rate ?? 0) * (minutes ?? 0)).toBeCloseTo(25);
  expect(bytes).toBeGreaterThan(50e6);
});

it('measures one alone when it is named, and fails when that one cannot be had', () => {
  const one = bench('--backend', 'onnxruntime', '--sentences', '1');
  expect(one.stdout).toMatch(/^onnxruntime +[\d.]+ frames\/s, [\d.]+ minutes for a minute of video, [\d.]+ GB, .*\n$/);
  expect(one.status).toBe(0);
  const other = bench('--backend', 'onnxruntime', '--precision', 'bf16');
  expect(other.status).toBe(2);
  expect(other.stderr).toMatch(/^rvos: [^\n]*bf16[^\n]*\n$/);
});
