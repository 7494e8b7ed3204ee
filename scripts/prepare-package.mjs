#!/usr/bin/env node
// Before packing: builds, puts the native core where the package has it, and removes graphs of other sizes than the
// default from the model that ships; they are written again when needed.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { exitWith, quietly, root } from './run.mjs';

try {
  quietly('rvos could not be built', process.execPath, [join(root, 'scripts', 'build-typescript.mjs')]);
  quietly('the native core could not be built', process.execPath, [
    join(root, 'scripts', 'build-native.mjs'),
    '--prebuild',
  ]);
  const model = join(root, 'models', 'compact');
  const { files } = JSON.parse(readFileSync(join(model, 'model.json'), 'utf8'));
  for (const name of readdirSync(model)) {
    if (name.endsWith('.onnx') && !Object.hasOwn(files, name)) rmSync(join(model, name));
  }
} catch (error) {
  exitWith(error);
}
