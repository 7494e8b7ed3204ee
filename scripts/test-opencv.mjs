// `npm run test:opencv [-- --yes]`: builds the optional peer @u4/opencv4nodejs against the system's OpenCV in an ignored
// folder and proves that the OpenCV reader yields the same frames as the ffmpeg reader. Takes some minutes the first time.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const version = '7.1.2';
/** All that a reader needs: fewer modules make a much shorter build. */
const modules = ['core', 'imgproc', 'imgcodecs', 'videoio', 'highgui'];
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const folder = join(root, 'build/opencv');
const packageFolder = join(folder, 'node_modules/@u4/opencv4nodejs');
const built = join(packageFolder, 'build/Release/opencv4nodejs.node');

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', cwd: root, ...options });
  if (error !== undefined || status !== 0) {
    console.error(`${command} ${args.join(' ')} failed${error === undefined ? '' : `: ${error.message}`}`);
    process.exit(status || 1);
  }
}

function libraryFolder() {
  const candidates = [
    '/usr/lib/x86_64-linux-gnu',
    '/usr/lib/aarch64-linux-gnu',
    '/usr/local/lib',
    '/usr/lib64',
    '/usr/lib',
  ];
  return candidates.find((path) => existsSync(join(path, 'libopencv_videoio.so')));
}

function headerFolder() {
  return ['/usr/include/opencv4', '/usr/local/include/opencv4'].find((path) =>
    existsSync(join(path, 'opencv2/core.hpp')),
  );
}

if (process.platform !== 'linux') {
  console.error('npm run test:opencv knows how to build on Linux only.');
  process.exit(1);
}
if (headerFolder() === undefined || libraryFolder() === undefined) {
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', 'libopencv-dev'];
  const isRoot = process.getuid() === 0;
  if (!isRoot && !process.argv.includes('--yes')) {
    console.error(`OpenCV's headers are missing. Run: sudo ${install.join(' ')}\nor: npm run test:opencv -- --yes`);
    process.exit(1);
  }
  const [program, ...args] = isRoot ? install : ['sudo', ...install];
  run(program, args);
}

if (!existsSync(built)) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', `@u4/opencv4nodejs@${version}`], {
    cwd: folder,
  });

  // Headers and libraries as the package looks for them, narrowed to the modules above.
  const include = join(folder, 'include');
  const libraries = join(folder, 'lib');
  rmSync(include, { recursive: true, force: true });
  rmSync(libraries, { recursive: true, force: true });
  mkdirSync(join(include, 'opencv2'), { recursive: true });
  mkdirSync(libraries);
  symlinkSync(headerFolder(), join(include, 'opencv4'));
  const defines = modules.map((name) => `#define HAVE_OPENCV_${name.toUpperCase()}\n`);
  writeFileSync(join(include, 'opencv2/opencv_modules.hpp'), defines.join(''));
  for (const name of modules) {
    symlinkSync(join(libraryFolder(), `libopencv_${name}.so`), join(libraries, `libopencv_${name}.so`));
  }
  const jobs = String(process.env.JOBS ?? availableParallelism());
  console.log(`building @u4/opencv4nodejs ${version} with ${jobs} jobs …`);
  run('npm', ['exec', '--', 'node-gyp', 'rebuild', '--jobs', jobs], {
    cwd: packageFolder,
    env: {
      ...process.env,
      OPENCV4NODEJS_DISABLE_AUTOBUILD: '1',
      OPENCV_INCLUDE_DIR: include,
      OPENCV_LIB_DIR: libraries,
      OPENCV_BIN_DIR: '/usr/bin',
    },
  });
}

run('npx', ['vitest', 'run', '--config', 'test/opencv/vitest.config.ts'], {
  env: {
    ...process.env,
    RVOS_OPENCV: folder,
    OPENCV4NODEJS_DISABLE_AUTOBUILD: '1',
    OPENCV_LIB_DIR: join(folder, 'lib'),
  },
});
