// What is in the tarballs, and how large they may be.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { check, expect } from './checks.mjs';
import { diskUsage } from './use.mjs';

const megabyte = 1e6;
export const budgets = {
  mainTarball: 16 * megabyte,
  compactModel: 12 * megabyte,
  allElse: 4 * megabyte,
  /** Everything after an installation on linux-x64 but OpenVINO, which has a bound of its own. */
  installed: 220 * megabyte,
  openvino: 100 * megabyte,
};

const needed = [
  /^dist\/index\.js$/,
  /^dist\/index\.d\.ts$/,
  /^dist\/cli\/main\.js$/,
  /^models\/compact\/model\.json$/,
  /^models\/compact\/weights\.bin$/,
  /^models\/compact\/tokenizer\.json$/,
  /^native\/core\/.*\.cc$/,
  /^native\/addon\/.*\.cc$/,
  /^native\/tensorrt\/.*\.cu$/,
  /^native\/addon\/tensorrt\/.*\.cc$/,
  /^CMakeLists\.txt$/,
  /^cmake\/.*\.cmake$/,
  /^scripts\/native-kit\/core\.mjs$/,
  /^scripts\/native-kit\/tensorrt\.mjs$/,
  /^examples\/demo\.mp4$/,
  /^page\/index\.html$/,
  /^docs\/cli\.md$/,
  /^LICENSE$/,
  /^NOTICE$/,
  /^THIRD_PARTY_LICENSES\.md$/,
  /^README\.md$/,
];
// binding.gyp: npm, pnpm 9 and yarn 1 would call node-gyp for it. Pictures: no code reads them.
const unwanted =
  /^(src|test|training|bench|build|prebuilds|node_modules|native\/simulated|\.ci|\.kit)\/|^binding\.gyp$|\.(png|jpg|gif|map|tsbuildinfo|pt|pth|tar|tgz|log)$/;

/** `packages`: what scripts/package.mjs --json printed. */
export async function checkTarballs(packages) {
  const main = packages.find(({ name }) => name === 'rvos');
  const files = main.files.map(({ path }) => path);
  await check('the main package holds what it needs and nothing else', () => {
    const absent = needed.filter((pattern) => !files.some((file) => pattern.test(file)));
    const surplus = files.filter((file) => unwanted.test(file));
    expect(absent.length === 0, `not in the package: ${absent.map(({ source }) => source).join(', ')}`);
    expect(surplus.length === 0, `should not be in the package: ${surplus.join(', ')}`);
  });
  await check('the main package keeps its budget', () => {
    const sum = (entries) => entries.reduce((total, { size }) => total + size, 0);
    const ofModel = main.files.filter(({ path }) => path.startsWith('models/compact/'));
    const model = sum(ofModel);
    const rest = sum(main.files) - model;
    const figures = `tarball ${mb(main.size)}, compact model ${mb(model)}, all else ${mb(rest)}, unpacked`;
    process.stdout.write(`     ${figures}\n`);
    expect(main.size <= budgets.mainTarball, `${figures}: the tarball is larger than ${mb(budgets.mainTarball)}`);
    expect(model <= budgets.compactModel, `${figures}: the model is larger than ${mb(budgets.compactModel)}`);
    expect(rest <= budgets.allElse, `${figures}: all else is larger than ${mb(budgets.allElse)}`);
  });
}

export function mb(bytes) {
  return `${(bytes / megabyte).toFixed(1)} MB`;
}

/** Whether all that an installation brought keeps its bounds: OpenVINO, 90 MB of libraries by itself, is counted apart. */
export function checkInstalled(modules) {
  const folders = existsSync(modules) ? readdirSync(modules).filter((name) => name.startsWith('rvos-openvino-')) : [];
  const openvino = folders.reduce((sum, name) => sum + diskUsage(join(modules, name)), 0);
  const rest = diskUsage(modules) - openvino;
  process.stdout.write(`     everything after the installation: ${mb(rest)}, and ${mb(openvino)} of OpenVINO\n`);
  expect(rest <= budgets.installed, `${mb(rest)} are more than ${mb(budgets.installed)}`);
  expect(openvino <= budgets.openvino, `OpenVINO: ${mb(openvino)} are more than ${mb(budgets.openvino)}`);
}
