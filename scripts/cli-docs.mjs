#!/usr/bin/env node
// Writes docs/cli.md from what `rvos … --help` prints; with --check it only says whether the file is up to date.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.mjs';

const target = join(root, 'docs', 'cli.md');
const overview = help();
const commands = overview
  .split('\nCommands:\n')[1]
  .split('\n\n')[0]
  .split('\n')
  .map((line) => /^ {2}([a-z]+) /.exec(line)?.[1])
  .filter((name) => name && name !== 'help');
const text = document();

if (!process.argv.includes('--check')) writeFileSync(target, text);
else if (!existsSync(target) || readFileSync(target, 'utf8') !== text) {
  process.stderr.write('docs/cli.md is not up to date: run npm run docs:cli\n');
  process.exit(1);
}

function help(...command) {
  const args = [join(root, 'dist', 'cli', 'main.js'), ...command, '--help'];
  const run = spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, COLUMNS: '100' } });
  if (run.status !== 0) throw new Error(`rvos ${command.join(' ')} --help failed: ${run.stderr}`);
  // A default that depends on the machine would make the document depend on it too.
  return run.stdout.replace(/(threads of ONNX Runtime\s+\(default:\s+)\d+\)/, '$1all cores)').trimEnd();
}

function document() {
  return `# Command line

Made by \`npm run docs:cli\` from \`rvos --help\`.

Standard output carries results: text, or with \`--json\` one JSON value and nothing else. Messages and progress go to standard
error. A failure is one line: what, where, remedy. Outputs appear complete or not at all; those that exist are refused
without \`--force\`; Ctrl-C removes what was begun.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong usage |
| 130 | interrupted |

\`RVOS_FFMPEG\` and \`RVOS_FFPROBE\` name other ffmpeg programs than the ones on the path; \`RVOS_ENGINES\` names another folder of
TensorRT engines than \`engines\` in the working folder.

## rvos

${block(overview)}

${commands.map((name) => section(name)).join('\n')}`;
}

/** A command, and the commands below it. */
function section(...words) {
  const text = help(...words);
  const below = (text.split('\nCommands:\n')[1] ?? '').split('\n\n')[0].split('\n');
  const names = below.map((line) => /^ {2}([a-z]+) /.exec(line)?.[1]).filter((name) => name && name !== 'help');
  const own = `${'#'.repeat(words.length + 1)} rvos ${words.join(' ')}\n\n${block(text)}\n`;
  return [own, ...names.map((name) => section(...words, name))].join('\n');
}

function block(text) {
  return `\`\`\`text\n${text}\n\`\`\``;
}
