import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';

import { loadCore } from '../../src/native/load-core.js';
import { goldenPath } from '../support/safetensors.js';

const core = loadCore();
const addonPath = goldenPath('../../build/Release/rvos_core.node');

function shrink(size: number): Promise<void> {
  return core.resize({
    source: new Uint8Array(size * size * 3),
    height: size,
    width: size,
    target: new Uint8Array(48),
    targetHeight: 4,
    targetWidth: 4,
    antialias: true,
  });
}

describe('the addon', () => {
  it('leaves the event loop while it works', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    try {
      await shrink(6000);
    } finally {
      clearInterval(timer);
    }
    expect(turns).toBeGreaterThan(5);
  });

  it('keeps buffers alive that only the job holds', async () => {
    const answers = Array.from({ length: 64 }, (_, i) => {
      const target = new Uint8Array(3 * 100 * 100);
      const source = new Uint8Array(3 * 300 * 300).fill(i);
      const size = { height: 300, width: 300, targetHeight: 100, targetWidth: 100 };
      return core.resize({ source, target, ...size, antialias: true }).then(() => target);
    });
    // Allocation pressure, so that an unreferenced buffer would be collected and reused.
    for (let i = 0; i < 200; i++) new Uint8Array(1 << 20).fill(255);
    for (const [i, target] of (await Promise.all(answers)).entries()) {
      expect(target.every((level) => level === i)).toBe(true);
    }
  });

  const script = `
    const { parentPort, workerData } = require('node:worker_threads');
    const core = require(workerData.addon);
    const target = new Uint8Array(48);
    const job = { source: new Uint8Array(3000 * 3000 * 3).fill(9), height: 3000, width: 3000, target,
      targetHeight: 4, targetWidth: 4, antialias: true };
    if (workerData.endless) {
      parentPort.postMessage('started');
      for (let i = 0; i < 20; i++) core.resize(job);
    } else {
      core.resize(job).then(() => parentPort.postMessage([...target]));
    }`;

  function worker(endless: boolean): Worker {
    return new Worker(script, { eval: true, workerData: { addon: addonPath, endless } });
  }

  it('works in several worker threads at once', async () => {
    const answers = [1, 2, 3].map(
      () =>
        new Promise((resolve, reject) => {
          worker(false).once('message', resolve).once('error', reject);
        }),
    );
    for (const answer of await Promise.all(answers)) expect(answer).toEqual(new Array(48).fill(9));
  });

  it('survives a worker thread that ends in the middle of its jobs', async () => {
    for (let i = 0; i < 3; i++) {
      const ending = worker(true);
      await new Promise((resolve, reject) => ending.once('message', resolve).once('error', reject));
      await ending.terminate();
    }
    await expect(shrink(10)).resolves.toBeUndefined();
  });
});
