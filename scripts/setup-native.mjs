#!/usr/bin/env node
// Makes `rvos build` possible, or with --openvino the fast CPU backend: finds CUDA and TensorRT or TensorRT-RTX, or fetches
// what is missing from public packages, and compiles the addon for each flavour found: build/tensorrt/<flavour>/rvos_tensorrt.node.
//
//   node scripts/setup-native.mjs [options]
//
// --kit                   fetch what is missing into .kit/ (RVOS_KIT: another folder), OpenVINO too; always so where CI is set
// --openvino              fetch OpenVINO for the CPU backend into .kit/, and nothing else: no CUDA, no compiler
// --cuda DIR              CUDA toolkit; else CUDA_HOME, PATH and the usual places
// --tensorrt DIR          TensorRT; else TENSORRT_ROOT and the usual places
// --tensorrt-rtx DIR      TensorRT-RTX; else TENSORRT_RTX_ROOT and the usual places
// --flavors a,b           only these of tensorrt, tensorrt-rtx, simulated (for tests); they must be there
// --headers-only          with --kit: compile for TensorRT though its library is not here; it is looked for when it is opened
// --check-headers         compile against every set of headers of the kit too, as a check
// --find                  say what would be used and end; fetches nothing
// --force                 compile in any case
// --yes                   install missing system packages through sudo (as root they are installed in any case)
import { parseArgs } from 'node:util';
import { kitIsPossible } from './native-kit/kit.mjs';
import { setUpOpenVino } from './native-kit/openvino.mjs';
import { setUpTensorRt } from './native-kit/tensorrt.mjs';
import { SetupError } from './run.mjs';

const knownFlavors = ['tensorrt', 'tensorrt-rtx', 'simulated'];
const interruption = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(name, () => interruption.abort(new Interrupted()));

class Interrupted extends Error {}

try {
  const options = { ...readOptions(), progress: say, signal: interruption.signal };
  if (!options.openvino) await setUpTensorRt(options);
  if (options.openvino || (options.kit && kitIsPossible())) await setUpOpenVino(options);
} catch (error) {
  if (interruption.signal.aborted) {
    say('interrupted, nothing half-done was left');
    process.exit(130);
  }
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exit(1);
}

function say(line) {
  process.stderr.write(`setup:native: ${line}\n`);
}

function readOptions() {
  try {
    const text = { type: 'string' };
    const flag = { type: 'boolean', default: false };
    const { values } = parseArgs({
      options: {
        kit: flag,
        openvino: flag,
        cuda: text,
        tensorrt: text,
        'tensorrt-rtx': text,
        flavors: text,
        'headers-only': flag,
        'check-headers': flag,
        find: flag,
        force: flag,
        yes: flag,
      },
    });
    const only = values.flavors?.split(',');
    const unknown = only?.find((flavor) => !knownFlavors.includes(flavor));
    if (unknown !== undefined) throw new Error(`--flavors: "${unknown}" is none of ${knownFlavors.join(', ')}`);
    return { ...values, only, kit: values.kit || Boolean(process.env.CI) };
  } catch (error) {
    say(`${error.message}. The options are at the top of scripts/setup-native.mjs.`);
    process.exit(2);
  }
}
