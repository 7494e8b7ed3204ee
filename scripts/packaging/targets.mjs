// The platforms that packages are made for. Names are those of Node, with `linuxmusl` for Linux with musl, as sharp has them.
import { existsSync } from 'node:fs';

/**
 * `os`, `cpu`, `libc`: what npm compares before it installs an optional package. `cross`: how the native core is compiled
 * for it elsewhere.
 */
export const targets = {
  'linux-x64': { os: 'linux', cpu: 'x64', libc: 'glibc' },
  'linux-arm64': {
    os: 'linux',
    cpu: 'arm64',
    libc: 'glibc',
    cross: { compiler: 'aarch64-linux-gnu', cmake: 'aarch64' },
  },
  'linuxmusl-x64': { os: 'linux', cpu: 'x64', libc: 'musl', cross: { zig: 'x86_64-linux-musl', cmake: 'x86_64' } },
  'linuxmusl-arm64': {
    os: 'linux',
    cpu: 'arm64',
    libc: 'musl',
    cross: { zig: 'aarch64-linux-musl', cmake: 'aarch64' },
  },
  'darwin-arm64': { os: 'darwin', cpu: 'arm64' },
  'darwin-x64': { os: 'darwin', cpu: 'x64' },
  'win32-x64': { os: 'win32', cpu: 'x64' },
  'win32-arm64': { os: 'win32', cpu: 'arm64' },
};

/** The platform that this runs on. */
export function thisTarget() {
  const musl = process.platform === 'linux' && existsSync('/etc/alpine-release') ? 'musl' : '';
  return `${process.platform}${musl}-${process.arch}`;
}
