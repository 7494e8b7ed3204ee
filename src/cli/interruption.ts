const controller = new AbortController();
let installed = false;

/**
 * Fires at the first Ctrl-C (SIGINT), SIGTERM or SIGHUP: commands then stop, clean up and let `main` exit with 130. A
 * second one ends the process at once; temporary files are removed even then.
 */
export function interruption(): AbortSignal {
  if (!installed) {
    installed = true;
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(name, () => {
        if (controller.signal.aborted) process.exit(exitCodes.interrupted);
        controller.abort(new Error(name));
      });
    }
  }
  return controller.signal;
}

export const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;
