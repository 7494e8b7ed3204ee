import { type Command, Option } from 'commander';
import { type BackendChoice, backendChoices } from '../backends/open-backend.js';
import { parseByteSize } from '../byte-size.js';
import { configure } from '../configure.js';
import { interruption } from './interruption.js';
import { integerOption, numberOption, sizeOption } from './option-values.js';
import { allowedHosts } from './serve.js';

interface WorkerCommandOptions {
  readonly redis: string;
  readonly results: string;
  readonly model: string;
  readonly backend: BackendChoice;
  readonly build?: boolean;
  readonly threads?: number;
  readonly warmUp?: string[];
  readonly allowUrls?: string[];
  readonly urlProxy?: boolean;
  readonly jobs: number;
  readonly maxUpload: string;
  readonly maxSeconds: number;
  readonly maxPixels: number;
  readonly maxFrames: number;
  readonly minFreeDisk: string;
  readonly urlTimeout: number;
  readonly jobTimeout: number;
  readonly lock: number;
  readonly maxFrameMemory?: string;
  readonly maxDecoders?: number;
  readonly grace: number;
}

const many = 1_000_000_000;

export function registerWorker(program: Command): void {
  program
    .command('worker')
    .description('run the jobs that rvos serve --redis accepts, on this machine; any number of workers may run')
    .requiredOption('--redis <url>', 'Redis of the servers, as redis://host:6379')
    .requiredOption('--results <dir>', 'folder shared with the servers: their --data')
    .option('--model <folder or name>', 'network; only jobs of servers with the same one are taken', 'compact')
    .addOption(new Option('--backend <name>', 'what runs the network').choices(backendChoices).default('auto'))
    .option('--build', 'build TensorRT engines that are missing, else they are an error')
    .option('--threads <n>', 'CPU threads (default: all cores)', integerOption(1, 1024))
    .option('--warm-up <HEIGHTxWIDTH...>', 'frame sizes that are made ready before jobs are taken')
    .option('--allow-urls <hosts...>', "hosts from which videos are fetched, '*' for all public ones (default: none)")
    .option('--url-proxy', 'follow the proxy variables of the environment for URLs')
    .option('--jobs <n>', 'jobs that run at a time', integerOption(1, 1000), 4)
    .option('--max-upload <size>', 'bytes of a video that is fetched', '500MB')
    .option('--max-seconds <n>', 'seconds of a video', numberOption(0), 3600)
    .option('--max-pixels <n>', 'pixels of a frame', integerOption(1, 2 ** 25), 2 ** 25)
    .option('--max-frames <n>', 'frames of a video', integerOption(1, many), 100_000)
    .option('--min-free-disk <size>', 'bytes that must stay free on the disk of results', '1GB')
    .option('--url-timeout <seconds>', 'how long fetching a URL may take', numberOption(1, 1e6), 900)
    .option('--job-timeout <seconds>', 'how long a job may take', numberOption(1, 1e6), 21_600)
    .option(
      '--lock <seconds>',
      'silence after which a worker counts as dead and others take its jobs',
      numberOption(1),
      30,
    )
    .option('--max-frame-memory <size>', 'decoded frames held in memory, as 512MB or 1GiB (default: 512MB)')
    .option('--max-decoders <n>', 'decoders at a time (default: 4)', integerOption(1, 1000))
    .option('--grace <seconds>', 'how long running jobs may go on after SIGTERM or Ctrl-C', numberOption(0, 1e6), 20)
    .addHelpText(
      'after',
      `
A worker whose GPU fails so that only a new process can use it puts its jobs back and exits with 1: let it be started again.

Example:
  rvos worker --redis redis://queue:6379 --results /srv/rvos --model mttr --warm-up 720x1280`,
    )
    .action(async (options: WorkerCommandOptions) => work(options));
}

async function work(options: WorkerCommandOptions): Promise<void> {
  const signal = interruption();
  const warmUp = options.warmUp?.map(sizeOption);
  const maxUpload = parseByteSize(options.maxUpload, '--max-upload');
  const minFreeDisk = parseByteSize(options.minFreeDisk, '--min-free-disk');
  configure({ maxFrameMemory: options.maxFrameMemory, maxDecoders: options.maxDecoders });
  // Loaded here: no other command needs it.
  const { JobWorker, SegmentationService } = await import('../server/index.js');
  const { model, backend, build, threads } = options;
  await using service = await SegmentationService.open({ model, backend, build, threads, signal, warmUp });
  const worker = await JobWorker.start({
    ...options,
    ...{ service, maxUpload, minFreeDisk },
    allowUrls: allowedHosts(options.allowUrls),
    urlSeconds: options.urlTimeout,
    jobSeconds: options.jobTimeout,
    lockSeconds: options.lock,
  });
  const { segmenter } = service;
  process.stderr.write(`rvos: working with ${segmenter.model.name} (${segmenter.backend.name})\n`);
  let broken: Error | undefined;
  try {
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve());
      void worker.broken.then((error) => {
        broken = error;
        resolve();
      });
    });
  } finally {
    await worker.close(broken ? 0 : options.grace);
  }
  if (broken) throw broken;
}
