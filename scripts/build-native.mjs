#!/usr/bin/env node
// Builds the native core with cmake-js and puts it where the loader looks: build/Release/rvos_core.node. The addons for
// TensorRT are setup-native.mjs' concern.
//
//   node scripts/build-native.mjs              build, unless nothing has changed since the last build
//   node scripts/build-native.mjs --force      build in any case
//
// Prints nothing when up to date, one line when it built, and the compiler's output only when that failed.
import { buildCore } from './native-kit/core.mjs';
import { SetupError } from './run.mjs';

const flags = process.argv.slice(2);
const unknown = flags.find((flag) => flag !== '--force');
if (unknown !== undefined) fail(`unknown option ${unknown}. Use --force.`, 2);
try {
  await buildCore({
    force: flags.includes('--force'),
    progress: (line) => process.stderr.write(`build:native: ${line}\n`),
  });
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  fail(error.message);
}

function fail(message, code = 1) {
  process.stderr.write(`build:native: ${message}\n`);
  process.exit(code);
}
