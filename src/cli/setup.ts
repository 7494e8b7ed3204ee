import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Argument, type Command } from 'commander';
import { RvosError } from '../errors.js';
import { installCommand, isClone, ownPackage } from '../installation.js';
import { compiledFolder, kitFolder } from '../native/compiled-folder.js';
import { platformName, platformPackage } from '../native/platform-packages.js';
import { packageRoot } from '../package-root.js';
import { interruption } from './interruption.js';

type Part = 'addon' | 'openvino' | 'tensorrt';

interface SetupOptions {
  readonly cuda?: string;
  readonly tensorrt?: string;
  readonly tensorrtRtx?: string;
  readonly find?: boolean;
  readonly force?: boolean;
}

/** How the scripts of a clone do the same: modules of `scripts/native-kit`, which ships with the package. */
interface NativeKit {
  buildCore(options: { force: boolean; progress: (line: string) => void; signal: AbortSignal }): Promise<boolean>;
  setUpTensorRt(options: Record<string, unknown>): Promise<void>;
}

/** `rvos setup`: adds to an installation what it does not bring for this machine. */
export function registerSetup(program: Command): void {
  program
    .command('setup')
    .summary('compile or fetch native parts that this installation lacks')
    .description(
      `Adds native parts to this installation. An installed package puts them into the folder kit/ of the cache folder, a clone
into its own folders. What is done and where is said first.

  addon     compiles the native core, where rvos brings none for this platform; needs a C++ compiler and CMake
  tensorrt  compiles the addon for NVIDIA GPUs, with the CUDA and TensorRT of this machine; what is missing is fetched
            from public packages with pip and cargo (about 230 MB)
  openvino  prints the package manager's command that installs OpenVINO`,
    )
    .addArgument(new Argument('<part>', 'what to set up').choices(['addon', 'openvino', 'tensorrt']))
    .option('--cuda <folder>', 'tensorrt: CUDA toolkit; else CUDA_HOME, PATH and the usual places')
    .option('--tensorrt <folder>', 'tensorrt: TensorRT; else TENSORRT_ROOT and the usual places')
    .option('--tensorrt-rtx <folder>', 'tensorrt: TensorRT-RTX; else TENSORRT_RTX_ROOT and the usual places')
    .option('--find', 'tensorrt: say what would be used and end; fetches nothing')
    .option('--force', 'compile even if nothing has changed')
    .action(async (part: Part, options: SetupOptions) => {
      if (part === 'openvino') process.stdout.write(openVinoAdvice());
      else await compile(part, options);
    });
}

async function compile(part: 'addon' | 'tensorrt', options: SetupOptions): Promise<void> {
  const signal = interruption();
  const progress = (line: string) => process.stderr.write(`${line}\n`);
  const target = compiledFolder();
  if (!isClone) {
    process.env.RVOS_KIT ||= kitFolder();
    process.env.RVOS_COMPILED = target;
  }
  const what = part === 'addon' ? 'the native core' : 'the addon for TensorRT';
  if (!options.find) progress(`Compiling ${what} of ${packageRoot} into ${target}`);
  try {
    const force = options.force === true;
    if (part === 'addon') {
      const built = await (await kit('core')).buildCore({ force, progress, signal });
      if (!built) progress('up to date');
    } else {
      const { cuda, tensorrt, tensorrtRtx, find } = options;
      const folders = { cuda, tensorrt, 'tensorrt-rtx': tensorrtRtx };
      await (await kit('tensorrt')).setUpTensorRt({ ...folders, find, force, kit: true, progress, signal });
    }
  } catch (error) {
    signal.throwIfAborted();
    throw asRvosError(error);
  }
}

async function kit(module: string): Promise<NativeKit> {
  const file = join(packageRoot, 'scripts', 'native-kit', `${module}.mjs`);
  return (await import(pathToFileURL(file).href)) as NativeKit;
}

/** The scripts' SetupError is "what. remedy" in one text. */
function asRvosError(error: unknown): unknown {
  if (!(error instanceof Error) || error.constructor.name !== 'SetupError') return error;
  const [, what = error.message, remedy = 'Then run the command again.'] =
    /^(.*?)\.\s+(.*)$/s.exec(error.message.trim()) ?? [];
  return new RvosError('ADDON_MISSING', what, remedy, { cause: error });
}

function openVinoAdvice(): string {
  const found = platformPackage('openvino');
  if (isClone) return 'npm run setup:native -- --openvino\n';
  if (found.folder !== undefined) return `OpenVINO is installed (${found.folder}).\n`;
  if (platformName() !== 'linux-x64') {
    throw new RvosError(
      'BACKEND_UNAVAILABLE',
      `rvos brings no OpenVINO for ${platformName()}`,
      'Use --backend onnxruntime.',
    );
  }
  return `${installCommand(ownPackage(found.name))}\n`;
}
