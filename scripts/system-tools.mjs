// The programs that rvos needs from the system (compiler, CMake, make, ffmpeg): finds out which are missing, and installs
// them with apt-get where that is allowed.
import { existsSync, readFileSync } from 'node:fs';
import { isInstalled } from './native-kit/places.mjs';
import { output, quietly, SetupError, works } from './run.mjs';

const packages = {
  compiler: { apt: 'build-essential', dnf: 'gcc-c++', apk: 'g++', brew: null },
  CMake: { apt: 'cmake', dnf: 'cmake', apk: 'cmake', brew: 'cmake' },
  make: { apt: 'build-essential', dnf: 'make', apk: 'make', brew: null },
  ffmpeg: { apt: 'ffmpeg', dnf: 'ffmpeg-free', apk: 'ffmpeg', brew: 'ffmpeg' },
  PyTorch: { apt: 'python3-torch', dnf: 'python3-torch', apk: null, brew: 'pytorch' },
  SciPy: { apt: 'python3-scipy', dnf: 'python3-scipy', apk: 'py3-scipy', brew: 'scipy' },
  pip: { apt: 'python3-pip', dnf: 'python3-pip', apk: 'py3-pip', brew: 'python' },
  // Debian 12's own cargo is of 2022; this one is as new as the browsers that are built with it.
  'C++ compiler for arm64': { apt: 'g++-aarch64-linux-gnu', dnf: null, apk: null, brew: null },
  'qemu-user': { apt: 'qemu-user', dnf: 'qemu-user', apk: null, brew: null },
  cargo: { apt: release('debian', '12') ? 'cargo-web' : 'cargo', dnf: 'cargo', apk: 'cargo', brew: 'rust' },
  Chromium: { apt: 'chromium', dnf: 'chromium', apk: 'chromium', brew: null },
  Redis: { apt: 'redis-server', dnf: 'redis', apk: 'redis', brew: 'redis' },
  venv: { apt: 'python3-venv', dnf: 'python3', apk: 'python3', brew: 'python' },
};

/** Whether this is that release of that distribution. */
function release(id, version) {
  try {
    const text = readFileSync('/etc/os-release', 'utf8');
    return new RegExp(`^ID=${id}$`, 'm').test(text) && new RegExp(`^VERSION_ID="?${version}"?$`, 'm').test(text);
  } catch {
    return false;
  }
}

/** Names of what is missing for building and running, as in `packages`. */
export function missingTools() {
  const missing = [];
  if (!(process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++']).some((name) => works(name))) {
    missing.push('compiler');
  }
  if (!works('cmake')) missing.push('CMake');
  if (!works('make') && !works('ninja')) missing.push('make');
  if (ffmpegRelease() === undefined || !works(process.env.RVOS_FFPROBE || 'ffprobe', ['-version'])) {
    missing.push('ffmpeg');
  }
  return missing;
}

/** Names of what the tests of the server need beside. */
export function missingTestTools() {
  const missing = [];
  if (!works(process.env.RVOS_CHROMIUM || '/usr/bin/chromium', ['--version'])) missing.push('Chromium');
  if (!works('redis-server', ['--version'])) missing.push('Redis');
  return missing;
}

/** Major release of the installed ffmpeg; a build from git counts as new; undefined if there is none. */
export function ffmpegRelease() {
  const answer = output(process.env.RVOS_FFMPEG || 'ffmpeg', ['-version']);
  if (answer === undefined) return undefined;
  const release = /^ffmpeg version n?(\d+)\./.exec(answer);
  return release ? Number(release[1]) : 100;
}

/**
 * Installs what is missing if this runs as root in a clone, or with `yes` (then through sudo); else throws SetupError with
 * the exact command: an installed package changes nothing but its own folders.
 */
export function installTools(missing, { yes }) {
  if (missing.length === 0) return;
  const { manager, commands, missingThere } = installCommands(missing);
  const what = `missing: ${missing.join(', ')}`;
  if (missingThere.length > 0) throw new SetupError(`${what}. ${missingThere.join(', ')} must be installed by hand.`);
  const isRoot = process.getuid?.() === 0;
  const sudo = isRoot || manager === 'brew' ? [] : ['sudo'];
  if (isInstalled || manager !== 'apt' || !(isRoot || yes)) {
    const line = commands.map((command) => [...sudo, ...command].join(' ')).join(' && ');
    if (isInstalled) throw new SetupError(`${what}. Install with: ${line}`);
    const again = manager === 'apt' ? ', or add "-- --yes" to the npm command to have it done' : '';
    throw new SetupError(`${what}. Install with:\n\n  ${line}\n\nthen try again${again}.`);
  }
  process.stderr.write(`Installing ${missing.join(', ')} with apt-get; this takes a minute or two…\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const quiet = ['-qq', '-o', 'Acquire::Retries=3', '-o', 'Dpkg::Use-Pty=0'];
  for (const [, ...args] of commands) {
    const [program, ...rest] = [...sudo, ...(sudo.length > 0 ? ['-E'] : []), 'apt-get', ...args, ...quiet];
    quietly('The system packages could not be installed', program, rest, { env });
  }
}

function installCommands(missing) {
  const manager = packageManager();
  const names = [...new Set(missing.map((tool) => packages[tool][manager]).filter(Boolean))];
  const missingThere = missing.filter((tool) => packages[tool][manager] === null);
  const commands = {
    apt: [
      ['apt-get', 'update'],
      ['apt-get', 'install', '-y', '--no-install-recommends', ...names],
    ],
    dnf: [['dnf', 'install', '-y', ...names]],
    apk: [['apk', 'add', ...names]],
    brew: [['brew', 'install', ...names]],
  }[manager];
  // Apple's compiler and make are no Homebrew packages.
  if (manager === 'brew' && missing.some((tool) => tool === 'compiler' || tool === 'make')) {
    return {
      manager,
      commands: [['xcode-select', '--install'], ...(names.length > 0 ? commands : [])],
      missingThere: missingThere.filter((tool) => tool !== 'compiler' && tool !== 'make'),
    };
  }
  return { manager, commands, missingThere };
}

function packageManager() {
  if (existsSync('/usr/bin/apt-get')) return 'apt';
  for (const manager of ['dnf', 'apk', 'brew']) if (works(manager)) return manager;
  throw new SetupError(
    'No package manager that these scripts know (apt-get, dnf, apk, brew): install a C++17 compiler, CMake 3.19 or newer, make and ffmpeg 5.1 or newer.',
  );
}
