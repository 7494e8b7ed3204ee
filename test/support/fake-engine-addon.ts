import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineBuild, EngineBuildTask, NativeErrorCode, TensorRtFlavor } from '../../src/native/tensorrt-addon.js';

/** An error as the addon throws it. */
export function nativeError(code: NativeErrorCode, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/**
 * Stands in for the addon where a test is about what happens around it: an "engine" is the graph with a counter behind
 * it, so that no two builds give the same bytes. `pace` is the time of each of its 3 steps in milliseconds.
 */
export class FakeEngineAddon {
  readonly builds: EngineBuild[] = [];
  failure: Error | undefined;
  cancelled = 0;

  constructor(
    readonly flavor: TensorRtFlavor = 'tensorrt',
    private readonly pace = 0,
  ) {}

  buildEngine(build: EngineBuild): EngineBuildTask {
    let cancelled = false;
    this.builds.push(build);
    const run = async () => {
      const graph = await readFile(build.graph);
      await readFile(join(dirname(build.graph), 'weights.bin'));
      for (let step = 1; step <= 3; step++) {
        await sleep(this.pace);
        if (step === 2) await copyFile(build.graph, build.output);
        if (cancelled || this.failure) {
          await rm(build.output, { force: true });
          if (cancelled) this.cancelled++;
          throw this.failure ?? nativeError('CANCELLED', 'cancelled');
        }
        build.onProgress?.({ phase: 'Tactic selection', step, steps: 3, parents: [] });
      }
      const bytes = Buffer.concat([graph, Buffer.from(`${process.pid} ${Math.random()}`)]);
      await writeFile(build.output, bytes);
      return {
        seconds: 0.01,
        engineBytes: bytes.length,
        scratchBytes: 1000,
        peakHostBytes: 2000,
        tensors: [{ name: 'frames', mode: 'input' as const, dtype: 'float16' as const, shape: [-1, 8, 3, 60, 108] }],
        warnings: ['something\nto know'],
      };
    };
    return {
      done: run(),
      cancel: () => {
        cancelled = true;
      },
    };
  }
}
