import { FfmpegProcess } from './ffmpeg-process.js';
import { hasWholeIndex } from './video-index.js';

export interface ExpectedVideo {
  readonly container: 'mp4' | 'webm';
  /** Pictures that were handed to the encoder. */
  readonly frames: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads a finished video once, without decoding it: its index is there, no packet is cut off, and it holds every picture.
 * Throws an `Error` that says what is wrong.
 */
export async function verifyVideo(path: string, { container, frames, signal }: ExpectedVideo): Promise<void> {
  if (!(await hasWholeIndex(path, container))) throw new Error('the finished file has no complete index');
  const args = ['-xerror', '-i', `file:${path}`, '-map', '0', '-c', 'copy', '-f', 'null', '-progress', 'pipe:1', '-'];
  const process = new FfmpegProcess(args, { stdin: 'ignore', stdout: 'pipe', signal });
  let found = 0;
  let rest = '';
  process.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) if (line.startsWith('frame=')) found = Number(line.slice('frame='.length));
  });
  const end = await process.ended;
  if (end.code !== 0) throw new Error(`the finished file cannot be read: ${process.log.summary ?? 'unknown reason'}`);
  if (found !== frames) throw new Error(`the finished file has ${found} pictures instead of ${frames}`);
}
