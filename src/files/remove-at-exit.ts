import { rmSync } from 'node:fs';

const paths = new Set<string>();
let hookInstalled = false;

/** Removes a temporary file or folder if this process exits before the returned function is called. */
export function removeAtExit(path: string): () => void {
  if (!hookInstalled) {
    process.on('exit', removeAll);
    hookInstalled = true;
  }
  paths.add(path);
  return () => paths.delete(path);
}

function removeAll(): void {
  for (const path of paths) {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // The process is ending: there is nobody to tell.
    }
  }
}
