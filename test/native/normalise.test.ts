import { expect, it } from 'vitest';

import { loadCore } from '../../src/native/load-core.js';

it('normalises levels into planes, frame by frame, in float32', async () => {
  const mean = [0.485, 0.456, 0.406];
  const std = [0.229, 0.224, 0.225];
  const [frames, height, width] = [3, 16, 17];
  const pixels = height * width;
  const source = Uint8Array.from({ length: frames * pixels * 3 }, (_, i) => (i * 37) % 256);
  const target = new Float32Array(source.length);
  await loadCore().normalise({ source, frames, height, width, mean, std, target });
  const f = Math.fround;
  for (let t = 0; t < frames; t++) {
    for (let c = 0; c < 3; c++) {
      for (let i = 0; i < pixels; i++) {
        const level = source[(t * pixels + i) * 3 + c]!;
        const expected = f(f(f(level / 255) - f(mean[c]!)) / f(std[c]!));
        expect(target[(t * 3 + c) * pixels + i]).toBe(expected);
      }
    }
  }
});
