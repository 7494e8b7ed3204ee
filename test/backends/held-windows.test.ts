import { describe, expect, it } from 'vitest';
import { HeldWindows } from '../../src/backends/held-windows.js';

const window = (start: number, count: number, form = 'a') => ({ start, count, form });

describe('windows held for videos', () => {
  it('share the frames that the next window begins with', () => {
    const held = new HeldWindows(2);
    expect(held.shared(1, window(0, 24))).toBe(0);
    held.hold(1, window(0, 24));
    expect(held.shared(1, window(18, 24))).toBe(6);
    expect(held.shared(1, window(24, 24))).toBe(0);
    expect(held.shared(1, window(30, 24))).toBe(0);
    expect(held.shared(2, window(18, 24))).toBe(0);
    held.hold(1, window(18, 22));
    // A short last window lies inside the one before.
    expect(held.shared(1, window(36, 4))).toBe(4);
    expect(held.shared(1, window(18, 22))).toBe(22);
    expect(held.shared(1, window(12, 24))).toBe(0);
  });

  it('share nothing with frames made otherwise, or spoilt', () => {
    const held = new HeldWindows(2);
    held.hold(1, window(0, 24));
    expect(held.shared(1, window(18, 24, 'b'))).toBe(0);
    held.spoil(1);
    expect(held.shared(1, window(18, 24))).toBe(0);
    held.hold(1, window(0, 24));
    held.clear();
    expect(held.shared(1, window(18, 24))).toBe(0);
  });

  it('make room for the least recently used video, but for busy ones', () => {
    const held = new HeldWindows(2);
    expect(held.hold(1, window(0, 24))).toEqual([]);
    expect(held.hold(2, window(0, 24))).toEqual([]);
    expect(held.hold(1, window(18, 24))).toEqual([]);
    expect(held.hold(3, window(0, 24))).toEqual([2]);
    expect(held.hold(4, window(0, 24), (stream) => stream === 1)).toEqual([3]);
    expect(held.shared(1, window(36, 24))).toBe(6);
  });
});
