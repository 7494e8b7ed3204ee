import { RvosError } from '../errors.js';
import type { FfmpegLog } from './ffmpeg-log.js';
import type { FfmpegEnd } from './ffmpeg-process.js';
import { badFrameSize } from './frame-size.js';

/** Why ffmpeg ended without a single frame of `source`. */
export function decodingFailure(source: string, log: FfmpegLog, end: FfmpegEnd, piped: boolean): RvosError {
  const notAVideo = (what: string, hint = 'Give a file that ffmpeg can decode, such as MP4, WebM or MOV.') =>
    new RvosError('NOT_A_VIDEO', `${source} ${what}`, hint);
  const because = log.summary === null ? '' : ` (ffmpeg: ${log.summary})`;
  if (log.has('max pixel count')) return badFrameSize(source);
  if (log.has('matches no streams') && !log.hasVideo) {
    return notAVideo(log.hasAudio ? 'holds sound but no video' : 'holds no video stream');
  }
  if (log.has('format not on whitelist')) {
    return notAVideo(
      'is not a video but refers to other files',
      'Give the video itself instead of a playlist or script.',
    );
  }
  if (log.has('moov atom not found') || (piped && log.has('partial file'))) {
    return notAVideo(
      `is an MP4 without its index${because}`,
      piped
        ? 'Save it to a file first, or write it with ffmpeg -movflags +faststart.'
        : 'The file is cut off: copy or download it again.',
    );
  }
  if (log.has('Invalid data found when processing input') || log.has('could not find codec parameters')) {
    return notAVideo(`is not a video${because}`);
  }
  if (/Decoder .* not found|Decoding requested, but no decoder found|unknown codec/i.test(log.summary ?? '')) {
    return notAVideo(
      `cannot be decoded by this ffmpeg${because}`,
      'Install a full build of ffmpeg, or convert the video.',
    );
  }
  if (end.code === 0 || log.hasVideo) {
    return new RvosError(
      'NO_FRAMES',
      `${source} holds no frame that can be decoded${because}`,
      'Check that the file is complete.',
    );
  }
  const how = end.signal === null ? `code ${end.code}` : end.signal;
  return new RvosError(
    'FFMPEG_FAILED',
    `ffmpeg could not decode ${source}: ${log.summary ?? `it ended with ${how}`}`,
    'Check that the file plays in a video player.',
  );
}
