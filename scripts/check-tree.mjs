// Tidiness of the tree: tests leave no files behind, and no tracked file names a package registry or somebody's folders.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.mjs';

/** Sources longer than this are named, as a reminder only. */
const longSource = 400;

/** Files that differ from the last commit, or are new to git; undefined outside of a git checkout. */
export function changedFiles() {
  const status = git(['status', '--porcelain=v1', '--untracked-files=all']);
  return status?.split('\n').filter(Boolean);
}

/** `before`: changedFiles() before the tests. Returns the counts of passed and failed checks. */
export function checkTree(before) {
  const after = changedFiles();
  if (before === undefined || after === undefined) return { passed: 0, failed: 0 };
  for (const { file, lines } of longSources()) process.stdout.write(`   long: ${file}, ${lines} lines\n`);
  // Only a tree that was clean tells: in any other, somebody may be at work.
  const left = before.length === 0 ? after : [];
  const checks = [
    ['files that the tests left or changed', left],
    [
      'host names of package registries',
      matches('registry\\.(npmjs|yarnpkg)\\.|pypi\\.org|pythonhosted\\.org|deb\\.debian\\.org'),
    ],
    ['local paths', matches('(^|[^A-Za-z0-9_.~-])/(work|root|Users|home/[a-z]+)/[A-Za-z]')],
  ];
  for (const [name, found] of checks) {
    if (found.length > 0) process.stdout.write(`   ${name}:\n${found.map((line) => `     ${line}\n`).join('')}`);
  }
  const failed = checks.filter(([, found]) => found.length > 0).length;
  return { passed: checks.length - failed, failed };
}

/** Lines of tracked text files that match; this script, which holds the patterns, is left out. */
function matches(pattern) {
  const found = git(['grep', '-nIE', pattern, '--', '.', ':!scripts/check-tree.mjs']);
  return (found ?? '')
    .split('\n')
    .filter(Boolean)
    .map((line) => line.slice(0, 160));
}

function longSources() {
  const files = (git(['ls-files', '--', 'src', 'native']) ?? '')
    .split('\n')
    .filter((file) => /\.(ts|cc|h|cu)$/.test(file));
  return files
    .filter((file) => !file.endsWith('_pb.ts'))
    .map((file) => ({ file, lines: lineCount(join(root, file)) }))
    .filter(({ lines }) => lines > longSource);
}

function lineCount(file) {
  try {
    return readFileSync(file, 'utf8').split('\n').length - 1;
  } catch {
    return 0;
  }
}

function git(args) {
  const run = spawnSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 });
  return run.status === 0 ? run.stdout : undefined;
}
