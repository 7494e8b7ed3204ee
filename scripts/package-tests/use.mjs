// What a project that has rvos installed does with it.
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, output } from './checks.mjs';

/** A new project. */
export function makeApp(folder, fields = {}) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ name: 'app', private: true, ...fields })}\n`);
  return folder;
}

const sentence = 'the red heart moving right';

const esm = `import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Segmenter } from 'rvos';
const root = dirname(createRequire(import.meta.url).resolve('rvos/package.json'));
const segmenter = await Segmenter.open({ model: 'compact' });
const result = await segmenter.segment(join(root, 'examples', 'demo.mp4'), ['${sentence}'], { end: 0.5 });
console.log(JSON.stringify({ frames: result.video?.frames ?? 0, score: result.queries[0].score }));
await result.dispose();
await segmenter.dispose();
`;

const commonJs = `const { Segmenter, RvosError } = require('rvos');
console.log(typeof Segmenter.open, new RvosError('BAD_ARGUMENT', 'what', 'remedy') instanceof Error);
import('rvos').then((module) => console.log(module.Segmenter === Segmenter));
`;

/**
 * Uses rvos from `app`, which has it installed: command line, ES module and CommonJS. `node` runs a script there; `command`:
 * program and first arguments of rvos' command; `requires`: whether `require('rvos')` works there, or `import('rvos')` only.
 */
export async function useInstalled(app, { node, command, env, version, requires = true, uid, gid }) {
  const options = { cwd: app, env, uid, gid };
  const [rvos, ...first] = command;
  const printed = (await output(rvos, [...first, '-V'], options)).trim();
  expect(printed === version, `rvos -V printed ${printed}, not ${version}`);
  const doctor = await output(rvos, [...first, 'doctor'], options);
  for (const part of ['native core', 'ONNX Runtime', 'models'])
    expect(new RegExp(`^ok +${part} `, 'm').test(doctor), `rvos doctor: ${part} is not ok\n${doctor}`);
  const answer = JSON.parse(await node('use.mjs', options));
  expect(answer.score > 0.5, `the red heart's score is ${answer.score}`);
  if (!requires) return doctor;
  const told = await node('use.cjs', options);
  expect(told === 'function true\ntrue\n', `CommonJS printed ${told}`);
  return doctor;
}

/** The scripts that useInstalled runs. */
export function writeUses(app) {
  writeFileSync(join(app, 'use.mjs'), esm);
  writeFileSync(join(app, 'use.cjs'), commonJs);
}

/** Bytes on disk of a folder, hard links counted once. */
export function diskUsage(folder) {
  const seen = new Set();
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const { ino, blocks } = lstatSync(join(entry.parentPath ?? entry.path, entry.name));
    if (!seen.has(ino)) bytes += blocks * 512;
    seen.add(ino);
  }
  return bytes;
}

export function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}
