import { createHash, type Hash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { extname } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { toOutputError } from '../../files/output-error.js';
import type { JobFolders } from '../job-folders.js';
import type { ServerLimits } from '../limits.js';
import { Problem } from './problem.js';

/** A body as it came. */
export interface ReceivedBody {
  /** `sentences` always is a list. */
  readonly fields: Record<string, unknown>;
  /** Name of the video in the folder of uploads; undefined if the body had none. */
  readonly input: string | undefined;
  /** SHA-256 of the video. */
  readonly digest: string | undefined;
}

/** Bytes of a field's value beyond characters of the longest sentence. */
const fieldBytes = 8192;

/** Reads a body, JSON or multipart. Throws a `Problem` 408, 413, 415, 422, or `RvosError` DISK_FULL. */
export async function receiveBody(
  request: FastifyRequest,
  folders: JobFolders,
  limits: ServerLimits,
): Promise<ReceivedBody> {
  if (request.isMultipart()) return receiveUpload(request, folders, limits);
  const { body } = request;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new Problem(
      415,
      'UNSUPPORTED_MEDIA_TYPE',
      'the body is multipart/form-data, or an object in application/json',
    );
  }
  return { fields: body as Record<string, unknown>, input: undefined, digest: undefined };
}

/** Reads a multipart body: the video goes to disk as it comes. What was written is removed if anything fails. */
async function receiveUpload(
  request: FastifyRequest,
  folders: JobFolders,
  limits: ServerLimits,
): Promise<ReceivedBody> {
  if (Number(request.headers['content-length'] ?? 0) > limits.maxUpload + overheadBytes(limits)) {
    throw tooLarge(limits.maxUpload);
  }
  const parts = request.parts({
    limits: {
      fileSize: limits.maxUpload,
      files: 1,
      parts: limits.maxParts,
      fields: limits.maxParts,
      fieldSize: fieldLimit(limits),
      fieldNameSize: 100,
      headerPairs: 50,
    },
  });
  const fields: Record<string, unknown> = Object.create(null);
  const sentences: string[] = [];
  let input: string | undefined;
  let digest: string | undefined;
  try {
    for await (const part of parts) {
      if (part.type === 'file') {
        if (part.fieldname !== 'video') throw new Problem(422, 'BAD_FIELD', 'the file belongs into the field video');
        const name = `${randomBytes(16).toString('hex')}${safeEnding(part.filename)}`;
        input = name;
        const hash = createHash('sha256');
        // Else its end is waited for, and an endless body has none.
        part.file.once('limit', () => part.file.destroy(tooLarge(limits.maxUpload)));
        await receive(part.file, folders.upload(name), hash);
        if (part.file.bytesRead === 0) throw new Problem(422, 'NOT_A_VIDEO', 'the video is empty');
        digest = hash.digest('hex');
      } else if (part.valueTruncated || part.fieldnameTruncated) {
        throw new Problem(422, 'BAD_FIELD', 'a field is too long');
      } else if (part.fieldname === 'sentences') {
        sentences.push(String(part.value));
      } else if (part.fieldname === 'outputs') {
        fields.outputs = [...((fields.outputs as unknown[]) ?? []), part.value];
      } else if (part.fieldname in fields) {
        throw new Problem(422, 'BAD_FIELD', 'a field comes twice');
      } else {
        fields[part.fieldname] = part.value;
      }
    }
    return { fields: { ...fields, sentences }, input, digest };
  } catch (error) {
    if (input !== undefined) await rm(folders.upload(input), { force: true });
    throw isMalformed(error) ? new Problem(400, 'BAD_REQUEST', 'the body is no valid multipart/form-data') : error;
  }
}

async function receive(file: Readable, path: string, hash: Hash): Promise<void> {
  const measured = new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  try {
    await pipeline(file, measured, createWriteStream(path, { flags: 'wx' }));
  } catch (error) {
    throw error instanceof Problem ? error : toOutputError(error, path);
  }
}

/** What the parser says of a body is a plain error; all others have a code, a status or a class. */
function isMalformed(error: unknown): boolean {
  return error instanceof Error && error.constructor === Error && !('code' in error) && !('statusCode' in error);
}

function fieldLimit({ maxCharacters }: ServerLimits): number {
  return Math.max(fieldBytes, 4 * maxCharacters);
}

/** What a body may have beyond the video. */
function overheadBytes(limits: ServerLimits): number {
  return limits.maxParts * (fieldLimit(limits) + 1024);
}

function tooLarge(bytes: number): Problem {
  return new Problem(413, 'TOO_LARGE', `a video may have up to ${bytes} bytes`);
}

/** The ending tells some formats apart; nothing else of a client's file name is used. */
function safeEnding(name: string | undefined): string {
  const ending = extname(name ?? '').toLowerCase();
  return /^\.[a-z0-9]{1,5}$/.test(ending) ? ending : '';
}
