/** What a command ends with when one of these signals ends it: 128 and the signal's number, as shells count. */
export const signalExitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
type Ending = keyof typeof signalExitCodes;

const controller = new AbortController();
let installed = false;
let received: Ending | undefined;

/**
 * Fires at the first Ctrl-C (SIGINT), SIGTERM or SIGHUP: commands then stop, clean up and let `main` exit with the
 * signal's code. A second one ends the process at once; temporary files are removed even then.
 */
export function interruption(): AbortSignal {
  if (!installed) {
    installed = true;
    for (const name of Object.keys(signalExitCodes) as Ending[]) {
      process.on(name, () => {
        if (received !== undefined) process.exit(signalExitCodes[name]);
        received = name;
        controller.abort(new Error(name));
      });
    }
  }
  return controller.signal;
}

/** The exit code that the signal asks for; undefined where none came. */
export function interruptedExitCode(): number | undefined {
  return received && signalExitCodes[received];
}

export const exitCodes = { done: 0, failed: 1, usage: 2 } as const;
