import { join } from 'node:path';
import { describeError, RvosError, throwIfAborted } from '../errors.js';
import { writeFileAtomic } from '../files/atomic-output.js';
import { makeFolder } from '../files/make-folder.js';
import type { Segmenter } from '../segmenter.js';
import type { DataSet, DataSetProblem, Sample, TrackSample } from './data-set.js';
import { evaluateFrame } from './frame-sample.js';
import { EvaluationJournal, type EvaluationSettings, ProblemList, type SampleRecord } from './journal.js';
import { type SamplePicture, writePicture } from './pictures.js';
import { reportMarkdown } from './report.js';
import { rankedSentences, resultsCsv } from './results-table.js';
import { Submission } from './submission.js';
import { type Figures, summarise } from './summary.js';
import { evaluateTrack, type Protocol } from './track-sample.js';

export interface EvaluateOptions {
  readonly segmenter: Segmenter;
  readonly dataSet: DataSet;
  readonly settings: EvaluationSettings;
  readonly protocol: Protocol;
  /** Folder for results; made if it does not exist. */
  readonly out: string;
  /** Samples to evaluate at most. */
  readonly limit?: number | undefined;
  /** Begin anew, whatever the folder holds. */
  readonly force?: boolean | undefined;
  /** Write the masks as the evaluation server of Refer-YouTube-VOS takes them. */
  readonly submission?: boolean | undefined;
  /** Default true: a picture of every sentence, and the best, median and worst in the report. */
  readonly pictures?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: {
    readonly done: number;
    readonly total: number;
    readonly problems: number;
  }) => void;
}

export interface EvaluationResult {
  readonly figures: Figures | undefined;
  readonly samples: number;
  readonly problems: readonly DataSetProblem[];
  readonly outputs: Readonly<Record<string, string>>;
}

/**
 * Runs the product on a data set, sample by sample, and writes `samples.jsonl` (the journal that a later call goes on
 * from), `results.csv`, `summary.json`, `problems.json`, `report.md` and `pictures/`. A sample that fails is listed as a
 * problem; only failures that every sample would share end the evaluation. Throws `RvosError` ABORTED, OUTPUT_EXISTS,
 * OUTPUT_NOT_WRITABLE, DISK_FULL, and what the backend throws when it cannot run at all.
 */
export async function evaluate(options: EvaluateOptions): Promise<EvaluationResult> {
  const { dataSet, settings, out, signal, pictures = true } = options;
  const pictureFolder = join(out, 'pictures');
  await makeFolder(pictures ? pictureFolder : out);
  const journal = await EvaluationJournal.open(out, settings, { fresh: options.force ?? false });
  const problems = new ProblemList();
  const submission = options.submission ? new Submission(out) : undefined;
  const total = Math.min(dataSet.size, options.limit ?? Number.POSITIVE_INFINITY);
  const progress = () => options.onProgress?.({ done: journal.records.length, total, problems: problems.all.length });
  progress();
  const samples = dataSet.samples({
    onProblem: (problem) => problems.add(problem),
    isDone: (id) => journal.isDone(id),
    signal,
  });
  if (journal.records.length < total) {
    for await (const sample of samples) {
      throwIfAborted(signal);
      try {
        const { record, pictures: shown } = await evaluateSample(sample, options, submission);
        if (pictures) for (const picture of shown) await writePicture(pictureFolder, picture);
        await journal.append(record);
      } catch (error) {
        throwIfAborted(signal);
        if (endsEverything(error)) throw error;
        problems.add({ file: sample.id, record: sample.id, problem: describeError(error) });
      }
      progress();
      if (journal.records.length >= total) break;
    }
  }
  const packed = submission && journal.records.length > 0 ? await submission.pack() : undefined;
  const result = await writeResults(journal.records, problems.all, options);
  return packed ? { ...result, outputs: { ...result.outputs, submission: packed.path } } : result;
}

async function writeResults(
  records: readonly SampleRecord[],
  problems: readonly DataSetProblem[],
  { settings, out, pictures = true }: EvaluateOptions,
): Promise<EvaluationResult> {
  const figures = summarise(records);
  const sentences = rankedSentences(records);
  const texts = {
    results: ['results.csv', resultsCsv(records)],
    summary: ['summary.json', json({ settings, samples: records.length, not_evaluated: problems.length, figures })],
    problems: ['problems.json', json(problems)],
    report: ['report.md', reportMarkdown({ settings, figures, sentences, problems, pictures })],
  } as const;
  const outputs: Record<string, string> = {};
  for (const [name, [file, text]] of Object.entries(texts)) {
    outputs[name] = join(out, file);
    await writeFileAtomic(outputs[name], Buffer.from(text), { force: true });
  }
  return { figures, samples: records.length, problems, outputs };
}

async function evaluateSample(
  sample: Sample,
  { segmenter, protocol, signal }: EvaluateOptions,
  submission: Submission | undefined,
): Promise<{ record: SampleRecord; pictures: SamplePicture[] }> {
  if (sample.kind === 'frame') return evaluateFrame(segmenter, sample, signal);
  return evaluateTrack(segmenter, sample, {
    protocol,
    signal,
    ...(submission && {
      onMasks: async (frame, masks) => {
        const name = frameName(sample, frame);
        await Promise.all(masks.map((mask, i) => submission.add(sample.id, sample.expressions[i]!.id, name, mask)));
      },
    }),
  });
}

function frameName({ frameNames }: TrackSample, frame: number): string {
  return frameNames?.[frame] ?? String(frame).padStart(5, '0');
}

/** Failures of the place, not of the sample: the next one would fail alike. */
function endsEverything(error: unknown): boolean {
  const shared = new Set([
    'DISK_FULL',
    'OUTPUT_NOT_WRITABLE',
    'BACKEND_UNAVAILABLE',
    'ADDON_MISSING',
    'FFMPEG_MISSING',
    'ENGINE_MISSING',
    'BAD_MODEL_FOLDER',
  ]);
  return !(error instanceof RvosError) || shared.has(error.code);
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
