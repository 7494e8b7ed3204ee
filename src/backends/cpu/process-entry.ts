/**
 * Entry of the child process in which a runtime computes on the CPU. Where its calls block the event loop and cannot be
 * interrupted, that harms nobody here, and killing the process ends them at once. The process ends with its parent, whatever it is doing.
 */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isMainThread, Worker } from 'node:worker_threads';
import { RvosError } from '../../errors.js';
import type { NetworkRunner } from './network-runner.js';
import type { FromProcess, ToProcess } from './protocol.js';
import type { RuntimeSettings } from './runtime.js';

/** While a native call runs, only another thread can see that the parent is gone. */
const watchParent = `
  const { workerData } = require('node:worker_threads');
  setInterval(() => { if (process.ppid !== workerData) process.kill(process.pid, 'SIGKILL'); }, 300);
`;

function post(reply: FromProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(reply, undefined, {}, (error) => (error ? reject(error) : resolve()));
  });
}

function failure(error: unknown, loading: boolean): FromProcess {
  const message = error instanceof Error ? error.message : String(error);
  const memory = /bad_alloc|failed to allocate|out of memory|array buffer allocation/i.test(message);
  const remedy = error instanceof RvosError ? error.hint : undefined;
  return { kind: 'failed', reason: memory ? 'memory' : loading ? 'load' : 'run', message, remedy };
}

async function load(settings: RuntimeSettings): Promise<NetworkRunner> {
  const { NetworkRunner } = await import('./network-runner.js');
  const { openRuntime } = await import('./runtime.js');
  const { loadCore } = await import('../../native/load-core.js');
  loadCore();
  const weightBytes = async (graph: string) => (await stat(join(dirname(graph), 'weights.bin'))).size;
  return new NetworkRunner(await openRuntime(settings), weightBytes);
}

function serve(parent: number, settings: RuntimeSettings): void {
  // Where there are no process groups an interrupt at the terminal reaches this process too; its parent decides.
  process.on('SIGINT', () => undefined);
  process.on('disconnect', () => process.exit(0));
  new Worker(watchParent, { eval: true, workerData: parent }).unref();

  const loading = load(settings);
  loading.catch(() => undefined); // told to the first job
  let last: Promise<void> = Promise.resolve();
  let failed = false;
  /** Cancelled jobs whose messages are still to be passed over. */
  let cancelling = 0;
  const handle = async (message: ToProcess): Promise<void> => {
    if (message.kind === 'cancel') cancelling--;
    else if (cancelling > 0 && message.kind !== 'window') return; // a window tells what to forget
    if (message.kind !== 'frame' && message.kind !== 'segment') failed = false;
    if (failed) return; // the rest of a job that has its answer
    let loaded = false;
    try {
      const runner = await loading;
      loaded = true;
      await runner.handle(message, post);
    } catch (error) {
      failed = true;
      await post(failure(error, !loaded));
    }
  };
  process.on('message', (message: ToProcess) => {
    if (message.kind === 'cancel') {
      cancelling++;
      loading.then(
        (runner) => runner.cancel(),
        () => undefined,
      );
    }
    last = last.then(() => handle(message)).catch(() => process.exit(1));
  });
}

const [parent, settings] = process.argv.slice(2);
if (isMainThread && process.send && parent && settings) serve(Number(parent), JSON.parse(settings) as RuntimeSettings);
