import { readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { RvosError } from '../../errors.js';
import { hasPublished, installCommand, isClone, ownPackage } from '../../installation.js';
import { kitFolder } from '../../native/compiled-folder.js';
import { platformName, platformPackage } from '../../native/platform-packages.js';
import { packageRoot } from '../../package-root.js';

/** OpenVINO's C library and how it was found, in words. */
export interface FoundOpenVino {
  readonly library: string;
  readonly where: string;
}

/** Below a folder that somebody names: of the kit and the package, of a Python package, of an archive. */
const insides = ['', 'lib', 'libs', 'openvino/libs', 'runtime/lib/intel64', 'lib/x86_64-linux-gnu'];

/**
 * Where OpenVINO is, without loading it: `named` (option `openvinoLibrary`), else `$RVOS_OPENVINO_LIBRARY`, the platform
 * package of rvos, the kit. What is named is a library or a folder, and nothing else is looked at then. Throws `RvosError`
 * BACKEND_UNAVAILABLE with the command that installs it.
 */
export function findOpenVino(named?: string): FoundOpenVino {
  const { RVOS_OPENVINO_LIBRARY: variable } = process.env;
  if (named) return namedLibrary(named, 'openvinoLibrary');
  if (variable) return namedLibrary(variable, 'RVOS_OPENVINO_LIBRARY');
  const brought = platformPackage('openvino');
  const inPackage = brought.folder && libraryIn(brought.folder);
  if (inPackage) return { library: inPackage, where: brought.name };
  const inKit = kitLibrary();
  if (inKit) return { library: inKit, where: 'the kit' };
  const why = brought.folder === undefined && !brought.absent ? ` (${brought.problem})` : '';
  throw new RvosError('BACKEND_UNAVAILABLE', `OpenVINO was not found${why}`, openVinoRemedy(brought.name));
}

/** How a user gets it, or does without. */
function openVinoRemedy(name: string): string {
  if (isClone) return 'Fetch it with "npm run setup:native -- --openvino", or use --backend onnxruntime.';
  if (hasPublished(name)) return `Install it with "${installCommand(ownPackage(name))}", or use --backend onnxruntime.`;
  const own = 'name the library of your own in RVOS_OPENVINO_LIBRARY';
  return `rvos brings none for ${platformName()}: ${own}, or use --backend onnxruntime.`;
}

function namedLibrary(path: string, how: string): FoundOpenVino {
  const place = resolve(path);
  const kind = statSync(place, { throwIfNoEntry: false });
  if (kind?.isFile()) return { library: realpathSync(place), where: how };
  const library = kind?.isDirectory() ? libraryIn(place) : undefined;
  if (library) return { library, where: how };
  const what = kind ? `there is no libopenvino_c in ${path}` : `${path} does not exist`;
  throw new RvosError('BACKEND_UNAVAILABLE', `${what} (${how})`, 'Name libopenvino_c itself or the folder it lies in.');
}

/** The C library in a folder or where installations have it below. */
export function libraryIn(folder: string): string | undefined {
  for (const inside of insides) {
    const place = join(folder, inside);
    const name = files(place)
      .filter((each) => /^(lib)?openvino_c\.(so(\.\d+)*|dylib|dll)$/.test(each))
      .sort()
      .at(-1);
    if (name) return realpathSync(join(place, name));
  }
  return undefined;
}

/** The newest one that `npm run setup:native -- --openvino` fetched. */
function kitLibrary(): string | undefined {
  const folder = process.env.RVOS_KIT || (isClone ? join(packageRoot, '.kit') : kitFolder());
  const names = files(folder).filter((each) => /^openvino-\d/.test(each));
  const newest = names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
  return newest === undefined ? undefined : libraryIn(join(folder, newest));
}

/** Libraries that are there and are not taken unless they are named: of the system and of Python. */
export function otherOpenVinos(): string[] {
  const python = ['/usr/lib/python3/dist-packages', ...pythonFolders()].map((each) => join(each, 'openvino'));
  const archives = files('/opt/intel').filter((each) => each.startsWith('openvino'));
  const places = ['/usr', '/usr/local', ...archives.map((each) => join('/opt/intel', each)), ...python];
  return [...new Set(places.map(libraryIn).filter((each) => each !== undefined))];
}

/** site-packages of the active virtual environment and of the usual places. */
function pythonFolders(): string[] {
  const roots = [process.env.VIRTUAL_ENV, '/usr/local', join(process.env.HOME ?? '/nonexistent', '.local')];
  return roots.flatMap((root) => {
    if (!root) return [];
    const versions = files(join(root, 'lib')).filter((each) => /^python3\.\d+$/.test(basename(each)));
    return versions.map((version) => join(root, 'lib', version, 'site-packages'));
  });
}

function files(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
