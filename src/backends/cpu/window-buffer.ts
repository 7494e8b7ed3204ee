import { loadCore } from '../../native/load-core.js';
import type { WindowMessage } from './protocol.js';

/**
 * The normalised frames of one stream's current window, float32 [T,3,h,w] in one piece. Frames that two windows share
 * are moved, not made again. Runs in the child process.
 */
export class WindowBuffer {
  #data = new Float32Array(0);
  #window: WindowMessage | undefined;
  #pending: Promise<void>[] = [];

  begin(window: WindowMessage): void {
    const frame = 3 * window.height * window.width;
    const last = this.#window;
    const from = last ? window.start - last.start : 0;
    const target = this.#data.length >= window.count * frame ? this.#data : new Float32Array(window.count * frame);
    if (window.shared > 0) {
      const sameSize = last && last.height === window.height && last.width === window.width;
      if (!sameSize || from < 0 || from + window.shared > last.count) {
        throw new Error(`frames ${window.start}… are not here to be shared`);
      }
      const kept = this.#data.subarray(from * frame, (from + window.shared) * frame);
      // Within one array `set` copies as memmove does.
      target.set(kept);
    }
    this.#data = target;
    this.#window = window;
    this.#pending = [];
  }

  put(position: number, pixels: Uint8Array): void {
    const { height, width, mean, std } = this.window;
    const frame = 3 * height * width;
    const target = this.#data.subarray(position * frame, (position + 1) * frame);
    const done = loadCore().normalise({ source: pixels, frames: 1, height, width, mean, std, target });
    done.catch(() => undefined); // told by `frames()`
    this.#pending.push(done);
  }

  get window(): WindowMessage {
    if (!this.#window) throw new Error('no window was opened');
    return this.#window;
  }

  /**
   * float32 [frames,3,h,w] once every frame of the window is in; valid until the next `begin`. What stands behind the
   * window's frames is of no meaning, and finite.
   */
  async frames(frames: number): Promise<Float32Array> {
    await Promise.all(this.#pending);
    this.#pending = [];
    const { height, width } = this.window;
    const length = frames * 3 * height * width;
    if (this.#data.length < length) {
      const larger = new Float32Array(length);
      larger.set(this.#data);
      this.#data = larger;
    }
    return this.#data.subarray(0, length);
  }
}
