import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { packageRoot, packageVersion } from '../package-root.js';

/** What rvos carries ready-made for a platform, each in a package `rvos-<part>-<platform>` of its own. */
export type PlatformPart = 'core' | 'onnxruntime' | 'openvino';

export type PlatformPackage = { readonly name: string } & (
  | { readonly folder: string }
  /** Why it cannot be used, as the end of a sentence. */
  | { readonly folder: undefined; readonly absent: boolean; readonly problem: string }
);

let platform: string | undefined;

/** `linux-x64`, `linuxmusl-arm64`, `darwin-arm64`, …: what the names of platform packages end in. */
export function platformName(): string {
  platform ??= `${process.platform}${process.platform === 'linux' && !hasGlibc() ? 'musl' : ''}-${process.arch}`;
  return platform;
}

/**
 * Looks a platform package up from where rvos is installed. One of another version than rvos' own is never used: what
 * lies in it is called with this version's arguments.
 */
export function platformPackage(part: PlatformPart): PlatformPackage {
  const name = `rvos-${part}-${platformName()}`;
  const version = packageVersion();
  let manifest: string;
  try {
    manifest = createRequire(join(packageRoot, 'package.json')).resolve(`${name}/package.json`);
  } catch {
    return { name, folder: undefined, absent: true, problem: `${name} is not installed` };
  }
  const found = versionOf(manifest);
  if (found === version) return { name, folder: dirname(manifest) };
  const problem = `${name} is of version ${found ?? 'unknown'}, and rvos of ${version}`;
  return { name, folder: undefined, absent: false, problem };
}

function versionOf(manifest: string): string | undefined {
  try {
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version?: unknown };
    return typeof version === 'string' ? version : undefined;
  } catch {
    return undefined;
  }
}

/** Node's own report names the C library that it runs on, if that is glibc. */
function hasGlibc(): boolean {
  // Without this the report looks up the names of all open connections.
  const report = process.report as typeof process.report & { excludeNetwork?: boolean };
  report.excludeNetwork = true;
  const { header } = report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime !== undefined;
}
