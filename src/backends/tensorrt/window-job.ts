import type { Mask } from '../../masks/mask.js';
import { maskByteLength } from '../../masks/mask.js';
import type {
  PipelineBatch,
  PipelineSentence,
  PipelineSentenceResult,
  PipelineWindow,
} from '../../native/tensorrt-addon.js';
import type { Frames, SentenceMasks, TextFeatures, WindowMasks } from '../backend.js';

/** One call of `segment` that a pipeline can run: a window and the sentences asked of it. */
export interface WindowJob {
  readonly window: Frames;
  readonly texts: readonly TextFeatures[];
  /** Positions kept after the backbone; undefined: all. */
  readonly keep: readonly number[] | undefined;
  readonly antialias: boolean;
  readonly queries: 'best' | 'all';
  readonly link: readonly (readonly Mask[] | undefined)[] | undefined;
}

/** Windows may share a batch where this is equal: size, temporal form, and what is done with them. */
export function batchForm({ window, keep, antialias, queries }: WindowJob, shortFrames: number): string {
  const { width, height } = window.frames[0]!;
  const temporal = window.frames.length <= shortFrames ? 'short' : 'long';
  return `${frameForm({ window, antialias })} ${width}x${height} ${temporal} ${keep?.join(',') ?? 'all'} ${queries}`;
}

/** Frames that differ in this are prepared differently, so that one cannot stand for the other. */
export function frameForm({ window, antialias }: Pick<WindowJob, 'window' | 'antialias'>): string {
  const { width, height } = window.frames[0]!;
  return `${height}x${width} antialias ${antialias}`;
}

/** A batch of jobs of one form; `shared[i]`: how many of job i's first frames are on the GPU already. */
export function pipelineBatch(jobs: readonly WindowJob[], shared: readonly number[]): PipelineBatch {
  const { window, keep, antialias, queries } = jobs[0]!;
  const { width, height } = window.frames[0]!;
  return {
    windows: jobs.map((job, i) => pipelineWindow(job.window, shared[i]!)),
    sentences: jobs.flatMap((job, i) => pipelineSentences(job, i)),
    source: { width, height, format: 'rgb', pitch: 3 * width },
    antialias,
    ...(keep && { keep }),
    queries,
  };
}

function pipelineWindow({ stream, start, frames }: Frames, shared: number): PipelineWindow {
  return { stream, start, count: frames.length, shared, frames: frames.slice(shared).map(({ data }) => data) };
}

function pipelineSentences({ window, texts, keep, link }: WindowJob, index: number): PipelineSentence[] {
  const frames = keep?.length ?? window.frames.length;
  return texts.map(({ tokens, features }, sentence) => {
    const earlier = link?.[sentence]?.slice(0, frames).map(({ bits }) => bits);
    return { window: index, tokens, features, ...(earlier && earlier.length > 0 && { link: earlier }) };
  });
}

/** What the pipeline gave for one job's sentences; masks are views of what it returned. */
export function windowMasks({ window }: WindowJob, results: readonly PipelineSentenceResult[]): WindowMasks {
  const { width, height } = window.frames[0]!;
  const bytes = maskByteLength(width, height);
  return {
    sentences: results.map(({ objectQuery, scores, masks }): SentenceMasks => {
      const list: Mask[] = [];
      for (let from = 0; from < masks.length; from += bytes) {
        list.push({ width, height, bits: masks.subarray(from, from + bytes) });
      }
      return { objectQuery, score: scores[objectQuery]!, scores, masks: list };
    }),
  };
}
