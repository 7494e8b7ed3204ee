import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { simulatedAddon } from '../support/simulated-device.js';
import { testServer } from '../support/test-server.js';

beforeAll(() => {
  vi.stubEnv('RVOS_TENSORRT_FLAVOR', 'simulated');
});
afterAll(() => vi.unstubAllEnvs());

it('the memory of each GPU is told where the backend is TensorRT', async () => {
  const devices = simulatedAddon().devices();
  await using server = await testServer({ backendName: 'tensorrt' });
  const text = await (await server.fetch('/metrics')).text();
  for (const { index, totalBytes } of devices) {
    const bytes = (use: string) =>
      Number(new RegExp(`memory_bytes{device="${index}",use="${use}"} (\\d+)`).exec(text)?.[1]);
    expect(bytes('used') + bytes('free')).toBe(totalBytes);
  }
  await using other = await testServer();
  expect(await (await other.fetch('/metrics')).text()).not.toContain('rvos_device_memory_bytes');
});
