// Compiles the addons for TensorRT and puts them, each with the record of its libraries, in tensorrt/<flavour>/ of the
// folder for what is compiled (build/ of a clone).
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root, SetupError } from '../run.mjs';
import { compile, fingerprint, install, requireCompiler } from './compile.mjs';
import { compiledFolder } from './places.mjs';
import { headerVersion } from './system.mjs';

const place = join(compiledFolder, 'tensorrt');

export const addonFile = (flavor) => join(place, flavor, 'rvos_tensorrt.node');

/**
 * Builds the plan's flavours, and compiles against `checkHeaders` too, unless nothing has changed. Resolves to the
 * flavours that were built. Only one build runs at a time; another waits.
 */
export async function buildAddons(plan, { checkHeaders = [], force, ...options }) {
  const isStale = () => force || stale(describe(plan, checkHeaders)).length > 0;
  if (!isStale()) return [];
  requireCompiler();
  return exclusively(options.progress, options.signal, async () => {
    if (!isStale()) return [];
    const state = describe(plan, checkHeaders);
    const toBuild = force ? state : stale(state);
    // The simulated device is built apart, because it needs no CUDA compiler.
    const simulated = toBuild.filter(({ flavor }) => flavor === 'simulated');
    const others = toBuild.filter(({ flavor }) => flavor !== 'simulated');
    if (others.length > 0) {
      const flavors = plan.flavors.filter(({ flavor }) => flavor !== 'simulated');
      await buildGroup('cmake-tensorrt', others, { cuda: plan.cuda, flavors, checkHeaders }, options);
    }
    if (simulated.length > 0) await buildGroup('cmake-simulated', simulated, { flavors: simulated }, options);
    return toBuild.map(({ flavor }) => flavor).filter((flavor) => flavor !== 'check');
  });
}

/** Configures all flavours of the group, builds, and puts those of `toBuild` in their places. */
async function buildGroup(folder, toBuild, { cuda, flavors, checkHeaders = [] }, { progress, signal }) {
  const workFolder = join(compiledFolder, folder);
  // A compiler that is not the one of the last time makes CMake start half anew: start anew altogether.
  if (cuda && !cache(workFolder).includes(`=${cuda.nvcc}\n`)) rmSync(workFolder, { recursive: true, force: true });
  await compile({
    workFolder,
    defines: defines(cuda, flavors, checkHeaders),
    target: 'rvos_flavors',
    onLine: compileProgress(progress),
    progress,
    signal,
  });
  for (const entry of toBuild) finish(entry, workFolder, cuda);
}

/** For each flavour, and the check of headers, what it is made of: { flavor, libraries?, inputs }. */
function describe({ cuda, flavors }, checkHeaders) {
  const folders = ['cmake', 'native/core', 'native/tensorrt', 'native/selftest', 'native/addon/tensorrt'].map(
    (name) => [name, true],
  );
  const sum = (simulated, extra) =>
    fingerprint(
      ['CMakeLists.txt'],
      [...folders, ['native/addon', false], ...(simulated ? [['native/simulated', true]] : [])].filter(([folder]) =>
        existsSync(join(root, folder)),
      ),
      JSON.stringify(extra),
    );
  const states = flavors.map(({ flavor, infer, parser, include }) =>
    flavor === 'simulated'
      ? { flavor, inputs: sum(true, {}) }
      : {
          flavor,
          libraries: { infer, parser },
          include,
          inputs: sum(false, { nvcc: cuda.nvcc, include, infer, parser }),
        },
  );
  if (checkHeaders.length > 0) states.push({ flavor: 'check', inputs: sum(false, { nvcc: cuda.nvcc, checkHeaders }) });
  return states;
}

function stale(state) {
  return state.filter(({ flavor, inputs }) => {
    const whole = flavor === 'check' || existsSync(addonFile(flavor));
    return !whole || !existsSync(stampOf(flavor)) || readFileSync(stampOf(flavor), 'utf8') !== inputs;
  });
}

function stampOf(flavor) {
  return join(place, flavor, 'build.stamp');
}

function cache(workFolder) {
  try {
    return readFileSync(join(workFolder, 'CMakeCache.txt'), 'utf8');
  } catch {
    return '';
  }
}

function defines(cuda, flavors, checkHeaders) {
  const include = (wanted) => flavors.find(({ flavor }) => flavor === wanted)?.include ?? '';
  return {
    ...(cuda && { CMAKE_CUDA_COMPILER: cuda.nvcc }),
    RVOS_FLAVORS: flavors.map(({ flavor }) => flavor).join(';'),
    RVOS_TENSORRT_INCLUDE: include('tensorrt'),
    RVOS_TENSORRT_RTX_INCLUDE: include('tensorrt-rtx'),
    RVOS_CHECK_HEADERS: checkHeaders.join(';'),
  };
}

/** A line now and then from ninja's "[12/45]" or make's "[ 26%]". */
function compileProgress(progress) {
  let last = performance.now();
  return (line) => {
    const step = /^\[\s*(\d+\/\d+|\d+%)\]/.exec(line)?.[1];
    if (!step || performance.now() - last < 10_000) return;
    last = performance.now();
    progress(`compiling, ${step}…`);
  };
}

/** Tries the addon, then puts it in its place: the binary first, the stamp that declares it whole last. */
function finish({ flavor, libraries, include, inputs }, workFolder, cuda) {
  mkdirSync(join(place, flavor), { recursive: true });
  rmSync(stampOf(flavor), { force: true });
  if (flavor !== 'check') {
    const built = join(workFolder, flavor, 'rvos_tensorrt.node');
    tryAddon(built, flavor);
    install(built, addonFile(flavor));
    const record = { flavor, ...(libraries ?? { infer: '', parser: '' }) };
    if (include) Object.assign(record, { headers: headerVersion(include).text, cuda: cuda.version });
    const file = join(place, flavor, 'libraries.json');
    writeFileSync(`${file}.tmp`, `${JSON.stringify(record, null, 2)}\n`);
    renameSync(`${file}.tmp`, file);
  }
  writeFileSync(stampOf(flavor), inputs);
}

/** Loads it with every symbol resolved at once: a function that nothing defines shows now and not when it is called. */
function tryAddon(file, flavor) {
  const code = `process.stdout.write(String(require(${JSON.stringify(file)}).flavor))`;
  const run = spawnSync(process.execPath, ['-e', code], {
    encoding: 'utf8',
    env: { ...process.env, LD_BIND_NOW: '1' },
  });
  if (run.status === 0 && run.stdout === flavor) return;
  const reason =
    run.stderr.split('\n').find((line) => /Error|undefined symbol/.test(line)) ?? `it says "${run.stdout}"`;
  throw new SetupError(`the addon for ${flavor} was compiled but does not load (${reason.trim()}). Report this.`);
}

/** One build at a time: a folder that only one process can make, with its owner's number. */
async function exclusively(progress, signal, action) {
  const lock = join(compiledFolder, 'tensorrt.lock');
  const owner = join(lock, 'pid');
  mkdirSync(compiledFolder, { recursive: true });
  for (let told = false; ; told = true) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (!ownerLives(owner)) {
      rmSync(lock, { recursive: true, force: true });
      continue;
    }
    if (!told) progress('waiting for another build of the addon…');
    await sleep(500, undefined, { signal });
  }
  writeFileSync(owner, String(process.pid));
  try {
    return await action();
  } finally {
    rmSync(owner, { force: true });
    rmdirSync(lock);
  }
}

function ownerLives(owner) {
  let pid;
  try {
    pid = Number(readFileSync(owner, 'utf8'));
  } catch {
    // It has the lock and has not signed yet, or is just leaving.
    return true;
  }
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
