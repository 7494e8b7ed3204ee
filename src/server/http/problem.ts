import { describeError, RvosError, type RvosErrorCode } from '../../errors.js';

/** What a request is refused with, as `application/problem+json` (RFC 9457). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    /** Seconds after which it is worth trying again. */
    readonly retryAfter?: number,
  ) {
    super(detail);
  }
}

export const problemType = 'application/problem+json';

const titles: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not found',
  405: 'Method not allowed',
  406: 'Not acceptable',
  408: 'Request timeout',
  409: 'Conflict',
  410: 'Gone',
  413: 'Content too large',
  415: 'Unsupported media type',
  416: 'Range not satisfiable',
  422: 'Unprocessable content',
  429: 'Too many requests',
  431: 'Request header fields too large',
  500: 'Internal server error',
  503: 'Service unavailable',
};

const unprocessable: readonly RvosErrorCode[] = [
  ...(['BAD_ARGUMENT', 'BAD_SENTENCE', 'NOT_A_VIDEO', 'NO_FRAMES', 'BAD_FRAME_SIZE'] as const),
  ...(['NOT_FOUND', 'FFMPEG_FAILED', 'DOWNLOAD_FAILED', 'LIMIT_EXCEEDED', 'ADDRESS_REFUSED'] as const),
];

/** Anything thrown, as a problem; what is not rvos's own says nothing of itself. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof RvosError) {
    const detail = describeError(error);
    if (unprocessable.includes(error.code)) return new Problem(422, error.code, detail);
    if (error.code === 'DISK_FULL') return new Problem(503, error.code, 'the disk is full', 60);
    return new Problem(503, error.code, 'the service cannot take this now', 10);
  }
  const { code, statusCode, message } = error as { code?: string; statusCode?: number; message?: string };
  if (code === 'FST_REQ_FILE_TOO_LARGE' || code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new Problem(413, 'TOO_LARGE', 'the body is larger than this server takes');
  }
  if (code === 'FST_PARTS_LIMIT' || code === 'FST_FILES_LIMIT' || code === 'FST_FIELDS_LIMIT') {
    return new Problem(413, 'TOO_MANY_PARTS', 'the body has more parts than this server takes');
  }
  if (code === 'FST_INVALID_MULTIPART_CONTENT_TYPE' || code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new Problem(415, 'UNSUPPORTED_MEDIA_TYPE', 'the body is multipart/form-data or application/json');
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new Problem(statusCode, statusCode === 429 ? 'RATE_LIMITED' : 'BAD_REQUEST', message ?? 'bad request');
  }
  return new Problem(500, 'INTERNAL', 'the server failed at this request');
}

export function problemBody({ status, code, message }: Problem) {
  return { type: 'about:blank', title: titles[status] ?? 'Error', status, detail: message, code };
}
