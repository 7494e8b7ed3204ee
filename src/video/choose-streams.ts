import { RvosError } from '../errors.js';
import type { ProbedFile, ProbedStream } from './ffprobe.js';

/** What a user may say about streams; numbers are ffprobe's `index`. */
export interface StreamChoice {
  readonly videoStream?: number | undefined;
  readonly audioStream?: number | 'none' | undefined;
}

export interface ChosenStreams {
  readonly video: ProbedStream;
  /** Streams whose sound may go along, the first choice first; empty for none. */
  readonly audio: readonly ProbedStream[];
}

/**
 * The streams that players take: marked as default, else the first; covers are no video. In a recording of several programs
 * the sound is the same program's as the picture. Null if there is no video. Throws BAD_ARGUMENT for a stream that is not
 * there or of another kind, NOT_A_VIDEO for one that is encrypted.
 */
export function chooseStreams(source: string, file: ProbedFile, choice: StreamChoice): ChosenStreams | null {
  const pictures = file.streams.filter(({ kind, isAttachedPicture }) => kind === 'video' && !isAttachedPicture);
  const video =
    choice.videoStream === undefined
      ? (pictures.find(({ isDefault }) => isDefault) ?? pictures[0])
      : streamAt(source, file, choice.videoStream, 'video');
  if (video === undefined) return null;
  if (video.isEncrypted) {
    throw new RvosError(
      'NOT_A_VIDEO',
      `${source} is encrypted (copy protection)`,
      'Give a copy that is not protected; no decoder can read this one without its key.',
    );
  }
  return { video, audio: audioOf(source, file, video, choice.audioStream) };
}

function audioOf(
  source: string,
  file: ProbedFile,
  video: ProbedStream,
  choice: number | 'none' | undefined,
): readonly ProbedStream[] {
  if (choice === 'none') return [];
  if (choice !== undefined) return [streamAt(source, file, choice, 'audio')];
  const program = file.programs.find((indices) => indices.includes(video.index));
  const sounds = file.streams.filter(({ kind, index }) => kind === 'audio' && (program?.includes(index) ?? true));
  return [...sounds.filter(({ isDefault }) => isDefault), ...sounds.filter(({ isDefault }) => !isDefault)];
}

function streamAt(source: string, { streams }: ProbedFile, index: number, kind: 'video' | 'audio'): ProbedStream {
  const found = streams.find((stream) => stream.index === index);
  if (found?.kind === kind) return found;
  const there = streams.filter((stream) => stream.kind === kind).map((stream) => stream.index);
  const has = there.length === 0 ? 'There is none.' : `There ${there.length === 1 ? 'is' : 'are'} ${there.join(', ')}.`;
  throw new RvosError('BAD_ARGUMENT', `${source} has no ${kind} stream ${index}`, `${has} ffprobe lists them.`);
}
