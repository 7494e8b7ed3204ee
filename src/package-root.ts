import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Folder of this package: where its own package.json, models and native parts lie, whether run from source or built. */
export const packageRoot = findPackageRoot(import.meta.dirname);

function findPackageRoot(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    try {
      const manifest: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      if (typeof manifest === 'object' && manifest !== null && 'name' in manifest && manifest.name === 'rvos')
        return folder;
    } catch {
      // No package.json here, or somebody else's: look further up.
    }
    if (dirname(folder) === folder) return from;
  }
}

/** This package's version. */
export function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}
