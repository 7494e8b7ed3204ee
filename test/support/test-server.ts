import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend } from '../../src/backends/backend.js';
import { Segmenter } from '../../src/segmenter.js';
import { createServer, SegmentationService, type ServerOptions } from '../../src/server/index.js';
import { fakeModel } from './fake-backend.js';
import { TurnBackend } from './turn-backend.js';

/** A server on a free port of loopback; `data` is removed with it unless it was given. */
export async function testServer(
  options: Partial<ServerOptions> & { milliseconds?: number; backendName?: Backend['name'] } = {},
) {
  const { milliseconds, backendName, ...rest } = options;
  const data = options.data ?? (await mkdtemp(join(tmpdir(), 'rvos-server-')));
  const backend = new TurnBackend(milliseconds);
  if (backendName) Object.assign(backend, { name: backendName });
  const service = await SegmentationService.around(Segmenter.around(await fakeModel(), backend));
  const server = await createServer({ service, minFreeDisk: 0, ...rest, data });
  const address = await server.listen({ port: 0 });
  return {
    ...{ address, server, service, backend, data },
    fetch: (path: string, init: RequestInit = {}) => fetch(`${address}${path}`, init),
    async [Symbol.asyncDispose]() {
      await server.close(0);
      await service.dispose();
      if (options.data === undefined) await rm(data, { recursive: true, force: true });
    },
  };
}

/** What a test expects of an answer is what it looks at. */
// biome-ignore lint/suspicious/noExplicitAny: answers of all kinds
export async function json(response: Response | Promise<Response>): Promise<any> {
  return (await response).json();
}

/** A multipart body; a list gives its field more than once. */
export function form(video: Uint8Array | undefined, fields: Record<string, string | readonly string[]>): FormData {
  const body = new FormData();
  for (const [name, values] of Object.entries(fields)) {
    for (const value of [values].flat()) body.append(name, value as string);
  }
  if (video) body.append('video', new Blob([video as Uint8Array<ArrayBuffer>]), 'clip.mp4');
  return body;
}
