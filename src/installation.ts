/**
 * How rvos came to this machine, and what follows for remedies: a clone of the repository has npm scripts and compiles
 * into its own folder; an installed package has neither, and its commands put things into the cache folder.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot, packageVersion } from './package-root.js';

/** Whether this is a clone of the repository; otherwise it is an installed package. */
export const isClone = existsSync(join(packageRoot, 'src')) && existsSync(join(packageRoot, 'scripts', 'setup.mjs'));

/** Commands that mend an installation, as the reader of a message can type them. */
export const remedies = {
  /** Compiles the native core. */
  core: isClone
    ? 'Build it with "npm run build:native"; it needs a C++ compiler and CMake (apt-get install -y build-essential cmake).'
    : 'Compile it with "rvos setup addon"; it needs a C++ compiler and CMake (apt-get install -y build-essential cmake).',
  /** Puts back what is missing or damaged. */
  reinstall: isClone ? 'Run "npm ci && npm run build" again.' : 'Install rvos again, optional dependencies included.',
  /** Compiles the addon for TensorRT. */
  tensorRt: isClone ? 'npm run setup:native' : 'rvos setup tensorrt',
  /** The same, fetching what is not installed. */
  tensorRtKit: isClone ? 'npm run setup:native -- --kit' : 'rvos setup tensorrt',
} as const;

/** The command that adds packages to the project that rvos was started in, in the words of its package manager. */
export function installCommand(...packages: readonly string[]): string {
  return `${packageManager()} ${packages.join(' ')}`;
}

/** The range that the manifest names for an optional peer, as something to install: `name@range`. */
export function peer(name: string): string {
  return `${name}@${manifest().peerDependencies?.[name] ?? 'latest'}`;
}

/** A package of this version of rvos, as something to install. */
export function ownPackage(name: string): string {
  return `${name}@${packageVersion()}`;
}

/** Whether this package was published together with that platform package, so that a registry has it. */
export function hasPublished(name: string): boolean {
  return Object.hasOwn(manifest().optionalDependencies ?? {}, name);
}

function manifest(): { peerDependencies?: Record<string, string>; optionalDependencies?: Record<string, string> } {
  return JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
}

function packageManager(): string {
  // Set by the one that started this process, if one did; else the lock file beside the project tells.
  const [agent] = (process.env.npm_config_user_agent ?? '').split('/');
  if (agent === 'pnpm' || existsSync('pnpm-lock.yaml')) return 'pnpm add';
  if (agent === 'yarn' || existsSync('yarn.lock')) return 'yarn add';
  return 'npm install';
}
