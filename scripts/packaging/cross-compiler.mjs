// CMake's variables for compiling the native core for another Linux: Debian's cross compiler, or Zig, which brings musl.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kitZig } from '../native-kit/kit.mjs';
import { compiledFolder } from '../native-kit/places.mjs';
import { works } from '../run.mjs';
import { installTools } from '../system-tools.mjs';

/** `cross`: a target's entry in targets.mjs. */
export async function crossCompiler(cross, { progress, yes }) {
  const system = { CMAKE_SYSTEM_NAME: 'Linux', CMAKE_SYSTEM_PROCESSOR: cross.cmake };
  if (cross.compiler) {
    const compiler = `${cross.compiler}-g++`;
    if (!works(compiler)) installTools(['C++ compiler for arm64'], { yes });
    return { ...system, CMAKE_CXX_COMPILER: compiler };
  }
  const zig = join(await kitZig({ progress, yes }), 'zig');
  chmodSync(zig, 0o755);
  return {
    ...system,
    CMAKE_CXX_COMPILER: program(`zig-cxx-${cross.zig}`, `"${zig}" c++ -target ${cross.zig}`),
    CMAKE_AR: program('zig-ar', `"${zig}" ar`),
    CMAKE_RANLIB: program('zig-ranlib', `"${zig}" ranlib`),
  };
}

/** CMake wants each tool as one program. */
function program(name, command) {
  const folder = join(compiledFolder, 'cross');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  return file;
}
