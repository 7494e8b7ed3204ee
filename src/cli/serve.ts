import { type Command, Option } from 'commander';
import { type BackendChoice, backendChoices } from '../backends/open-backend.js';
import { parseByteSize } from '../byte-size.js';
import { configure } from '../configure.js';
import { interruption } from './interruption.js';
import { integerOption, numberOption, sizeOption } from './option-values.js';

interface ServeOptions {
  readonly host: string;
  readonly port: number;
  readonly data: string;
  readonly model: string;
  readonly backend: BackendChoice;
  readonly build?: boolean;
  readonly threads?: number;
  readonly warmUp?: string[];
  readonly redis?: string;
  readonly apiKeys?: string;
  readonly rateLimit?: number;
  readonly maxUpload: string;
  readonly maxSeconds: number;
  readonly maxPixels: number;
  readonly maxFrames: number;
  readonly maxSentences: number;
  readonly maxCharacters: number;
  readonly maxParts: number;
  readonly jobs: number;
  readonly maxQueue: number;
  readonly minFreeDisk: string;
  readonly keep: number;
  readonly allowUrls?: string[];
  readonly urlProxy?: boolean;
  readonly urlTimeout: number;
  readonly uploadTimeout: number;
  readonly headerTimeout: number;
  readonly minBodyRate: number;
  readonly jobTimeout: number;
  readonly maxFrameMemory?: string;
  readonly maxDecoders?: number;
  readonly grace: number;
  readonly quiet?: boolean;
}

const many = 1_000_000_000;

export function registerServe(program: Command): void {
  program
    .command('serve')
    .summary('an HTTP server that segments many videos at once')
    .description(
      'Serves the HTTP interface: POST /v1/segmentations takes a video and sentences, GET /openapi.json describes the rest. Jobs and results are kept in a folder and survive a restart.',
    )
    .option('--host <address>', 'address to listen at', '127.0.0.1')
    .option('--port <n>', 'port to listen at; 0 takes a free one', integerOption(0, 65535), 8080)
    .option('--data <folder>', 'folder of jobs, uploads and results', './rvos-data')
    .option(
      '--model <folder or name>',
      'model folder made by `rvos import`, or a model that comes with rvos',
      'compact',
    )
    .addOption(new Option('--backend <name>', 'what runs the network').choices(backendChoices).default('auto'))
    .option('--build', 'build TensorRT engines that are missing, else they are an error')
    .option('--threads <n>', 'CPU threads (default: all cores)', integerOption(1, 1024))
    .option('--warm-up <HEIGHTxWIDTH...>', 'frame sizes that are made ready before the server takes requests')
    .option(
      '--redis <url>',
      'leave jobs to the workers (rvos worker) of this Redis; --data is a folder shared with them',
    )
    .option('--api-keys <file>', 'API keys, one a line, sent as Authorization: Bearer (default: anybody may use it)')
    .option('--rate-limit <n/s>', 'requests a second of one API key (default: not limited)', rateOption)
    .option('--allow-urls <hosts...>', "hosts from which videos are fetched, '*' for all public ones (default: none)")
    .option('--url-proxy', 'follow the proxy variables of the environment for URLs')
    .option('--max-upload <size>', 'bytes of a video', '500MB')
    .option('--max-seconds <n>', 'seconds of a video', numberOption(0), 3600)
    .option('--max-pixels <n>', 'pixels of a frame', integerOption(1, 2 ** 25), 2 ** 25)
    .option('--max-frames <n>', 'frames of a video', integerOption(1, many), 100_000)
    .option('--max-sentences <n>', 'sentences of a job', integerOption(1, 1000), 32)
    .option('--max-characters <n>', 'characters of a sentence', integerOption(1, 100_000), 500)
    .option('--max-parts <n>', 'parts of a multipart body', integerOption(2, 100_000), 64)
    .option('--jobs <n>', 'jobs that run at a time', integerOption(1, 1000), 4)
    .option('--max-queue <n>', 'jobs that wait', integerOption(1, many), 100)
    .option('--min-free-disk <size>', 'bytes that must stay free on the disk of results', '1GB')
    .option('--keep <seconds>', 'how long ended jobs and their results are kept', numberOption(1), 86_400)
    .option('--upload-timeout <seconds>', "how long a request's body may take", numberOption(1, 1e6), 3600)
    .option('--header-timeout <seconds>', "how long a request's headers may take", numberOption(0.1, 1e6), 10)
    .option('--url-timeout <seconds>', 'how long fetching a URL may take', numberOption(1, 1e6), 900)
    .option('--min-body-rate <n>', 'bytes a second that a body must bring after 10 s', numberOption(0), 1000)
    .option('--job-timeout <seconds>', 'how long a job may take', numberOption(1, 1e6), 21_600)
    .option('--max-frame-memory <size>', 'decoded frames held in memory, as 512MB or 1GiB (default: 512MB)')
    .option('--max-decoders <n>', 'decoders at a time (default: 4)', integerOption(1, 1000))
    .option('--grace <seconds>', 'how long running jobs may go on after SIGTERM or Ctrl-C', numberOption(0, 1e6), 20)
    .option('--quiet', 'no log')
    .addHelpText(
      'after',
      `
Examples:
  rvos serve --data /var/lib/rvos --api-keys keys.txt --warm-up 720x1280
  curl -F video=@street.mp4 -F sentences="the red car" http://127.0.0.1:8080/v1/segmentations?wait=60`,
    )
    .action(async (options: ServeOptions) => serve(options));
}

async function serve(options: ServeOptions): Promise<void> {
  const signal = interruption();
  const warmUp = options.warmUp?.map(sizeOption);
  const maxUpload = parseByteSize(options.maxUpload, '--max-upload');
  const minFreeDisk = parseByteSize(options.minFreeDisk, '--min-free-disk');
  configure({ maxFrameMemory: options.maxFrameMemory, maxDecoders: options.maxDecoders });
  // Loaded here: no other command needs a server.
  const { createServer, SegmentationService } = await import('../server/index.js');
  const { ApiKeys } = await import('../server/http/api-keys.js');
  const apiKeys = options.apiKeys === undefined ? undefined : await ApiKeys.read(options.apiKeys);
  const { model, backend, build, threads } = options;
  await using service = await SegmentationService.open({ model, backend, build, threads, signal, warmUp });
  const server = await createServer({
    ...options,
    ...{ service, apiKeys, maxUpload, minFreeDisk, log: !options.quiet },
    allowUrls: allowedHosts(options.allowUrls),
    headerSeconds: options.headerTimeout,
    urlSeconds: options.urlTimeout,
    keepSeconds: options.keep,
    uploadSeconds: options.uploadTimeout,
    jobSeconds: options.jobTimeout,
  });
  try {
    const address = await server.listen(options);
    process.stderr.write(
      `rvos: serving ${service.segmenter.model.name} (${service.segmenter.backend.name}) at ${address}\n`,
    );
    if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  } finally {
    await server.close(options.grace);
  }
}

/** `*`, or hosts that stand one by one or with commas between them. */
export function allowedHosts(given: readonly string[] | undefined): '*' | readonly string[] | undefined {
  const hosts = given?.flatMap((each) => each.split(',')).filter((host) => host !== '');
  return hosts?.includes('*') ? '*' : hosts;
}

/** `5/s`, or `5`. */
function rateOption(text: string): number {
  return integerOption(1, many)(text.replace(/\/s$/, ''));
}
