#!/usr/bin/env node
// Writes THIRD_PARTY_LICENSES.md from package-lock.json and the packages in node_modules; with --check it only says
// whether the file is up to date.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.mjs';

const target = join(root, 'THIRD_PARTY_LICENSES.md');
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));

const text = document(productionPackages());
if (process.argv.includes('--check')) {
  if (existsSync(target) && readFileSync(target, 'utf8') === text) process.exit(0);
  process.stderr.write('THIRD_PARTY_LICENSES.md is not up to date: run npm run licences\n');
  process.exit(1);
}
writeFileSync(target, text);

/** Every package that an installation of rvos may bring, from the lock file: the same on each platform. */
function productionPackages() {
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path.startsWith('node_modules/') && !entry.dev && !entry.devOptional && !entry.peer)
    .map(([path, entry]) => ({
      name: path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version: entry.version,
      licence: entry.license ?? manifest(path)?.license ?? 'not stated',
      optional: entry.optional === true,
      path,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function manifest(path) {
  const file = join(root, path, 'package.json');
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

function licenceFile({ path }) {
  const folder = join(root, path);
  if (!existsSync(folder)) return undefined;
  const name = readdirSync(folder).find((file) => /^(licen[cs]e|copying)(\.|$|-)/i.test(file));
  return name && { name, text: readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n').trim() };
}

function document(packages) {
  const required = packages.filter(({ optional }) => !optional);
  const optional = packages.filter((entry) => entry.optional);
  const texts = required.map((entry) => ({ ...entry, file: licenceFile(entry) }));
  return `# Licences of the packages that rvos depends on

Made by \`npm run licences\` from package-lock.json. rvos itself is under the Apache License 2.0 (LICENSE, NOTICE).

Not shipped with rvos and not linked to it: ffmpeg and ffprobe, which rvos starts as programs of the system. Their licence
is LGPL-2.1-or-later or GPL-2.0-or-later, as the system's builder chose.

## Installed with rvos

${table(required)}

## Installed where the platform needs them

Prebuilt parts of sharp; those with libvips are under LGPL-3.0-or-later and are loaded as shared libraries.

${table(optional)}

## Texts

${texts.map(section).join('\n')}`;
}

function table(packages) {
  return ['| package | version | licence |', '|---|---|---|', ...packages.map(row)].join('\n');
}

function row({ name, version, licence }) {
  return `| ${name} | ${version} | ${licence} |`;
}

function section({ name, version, licence, file }) {
  const body = file
    ? `\`\`\`text\n${file.text}\n\`\`\``
    : `The package brings no licence file; its package.json says ${licence}.`;
  return `### ${name} ${version}\n\n${body}\n`;
}
