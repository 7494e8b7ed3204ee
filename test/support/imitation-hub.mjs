/**
 * A server on this machine that answers like ModelScope, Hugging Face and Google Drive, with a small importable checkpoint
 * under the real paths, and with faults on demand. As a process: `node test/support/imitation-hub.mjs` prints its address;
 * then `MODELSCOPE_ENDPOINT=… rvos pull mttr`.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';

const goldens = fileURLToPath(new URL('../goldens/', import.meta.url));
const golden = (name) => readFileSync(goldens + name);
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** The published model's folder on ModelScope, made small. */
export function smallModelscopeFiles() {
  return {
    'configuration.json': golden('modelscope_dir/configuration.json'),
    'pytorch_model.pt': golden('checkpoint.pth.tar'),
    'transformer_cfg_dir/config.json': golden('modelscope_dir/transformer_cfg_dir/config.json'),
    'transformer_cfg_dir/vocab.json': golden('tokenizer/vocab.json'),
    'transformer_cfg_dir/merges.txt': golden('tokenizer/merges.txt'),
    // Neither of these is wanted: RoBERTa's own weights, and a page.
    'transformer_cfg_dir/pytorch_model.bin': Buffer.alloc(1000, 1),
    'README.md': Buffer.from('# a page\n'),
  };
}

/**
 * Starts the server. `files` are a ModelScope model's and a Hugging Face repository's; `fault(request)` may answer itself
 * (and return true) or return changes of the answer: `{ status, headers, body, dropAfter, ignoreRange, okForRange, … }`.
 */
export async function startImitationHub({
  files = smallModelscopeFiles(),
  id = 'damo/cv_swin-t_referring_video-object-segmentation',
  list = (entries) => entries,
  fault = () => undefined,
  redirectTo = undefined,
  port = 0,
} = {}) {
  const seen = [];
  const hub = { files, fault, list, redirectTo };
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://hub');
    const { range, authorization, cookie } = request.headers;
    const entry = {
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      range,
      authorization,
      cookie,
      count: 0,
    };
    entry.count = seen.filter(
      ({ path, query }) => path === entry.path && query.FilePath === entry.query.FilePath,
    ).length;
    seen.push(entry);
    response.on('error', () => undefined);
    if (url.pathname === `/api/v1/models/${id}/repo/files`) {
      const Files = Object.entries(hub.files).map(([Path, bytes]) => ({
        ...{
          Path,
          Name: Path.split('/').pop(),
          Size: bytes.length,
          Sha256: sha256(bytes),
          Type: 'blob',
          IsLFS: bytes.length > 1e6,
        },
      }));
      Files.push({ Path: 'transformer_cfg_dir', Name: 'transformer_cfg_dir', Size: 0, Type: 'tree' });
      const changed = hub.fault(entry, response);
      if (changed === true) return;
      if (changed) return answer(request, response, Buffer.from(changed.body ?? ''), changed);
      return json(response, { Code: 200, Success: true, Message: '', Data: { Files: hub.list(Files) } });
    }
    if (url.pathname.startsWith('/api/v1/models/') && url.pathname.endsWith('/repo/files')) {
      response.statusCode = 404;
      return json(response, { Code: 10010205001, Success: false, Message: 'the model does not exist' });
    }
    if (url.pathname === `/api/v1/models/${id}/repo`)
      return file(entry, request, response, url.searchParams.get('FilePath'));
    const listed = /^\/api\/(models|spaces)\/owner\/name\/tree\/([^/]+)$/.exec(url.pathname);
    if (listed) {
      const all = Object.entries(hub.files).map(([path, bytes]) => ({
        ...{
          type: 'file',
          path,
          size: bytes.length,
          oid: createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex'),
        },
        ...(bytes.length > 1e6 && { lfs: { oid: sha256(bytes), size: bytes.length } }),
      }));
      const page = Number(url.searchParams.get('page') ?? 0);
      const next =
        page + 1 < all.length
          ? `<https://huggingface.co${url.pathname}?recursive=true&page=${page + 1}>; rel="next"`
          : '';
      if (next) response.setHeader('link', next);
      return json(response, all.slice(page, page + 1));
    }
    const resolved = /^\/(?:spaces\/)?[^/]+\/[^/]+\/resolve\/[^/]+\/(.+)$/.exec(url.pathname);
    if (resolved) return file(entry, request, response, decodeURIComponent(resolved[1]));
    if (url.pathname === '/store') return file(entry, request, response, url.searchParams.get('file'), true);
    return file(entry, request, response, url.pathname.slice(1));
  });

  function file(entry, request, response, name, stored = false) {
    const changed = hub.fault(entry, response, stored);
    if (changed === true) return;
    const bytes = changed?.bytes ?? hub.files[name];
    if (bytes === undefined && !changed?.status) {
      response.statusCode = 404;
      return json(response, { Code: 404, Message: `no file ${name}`, Success: false });
    }
    if (!stored && hub.redirectTo && !changed?.status) {
      const location = `${hub.redirectTo}/store?file=${encodeURIComponent(name)}&signature=${Math.random()}`;
      const linked = { 'x-linked-etag': `"${sha256(bytes)}"`, 'x-linked-size': bytes.length };
      return response.writeHead(302, { location, ...linked }).end();
    }
    answer(request, response, bytes ?? Buffer.from(changed?.body ?? ''), changed ?? {});
  }

  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${server.address().port}`;
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return Object.assign(hub, { address, seen, close });
}

function json(response, value) {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(value));
}

/** A body as a store sends it, ranges included, with the faults of `changed`. */
function answer(request, response, bytes, changed) {
  const { status, headers = {}, dropAfter, ignoreRange, okForRange, etag, body, stall } = changed;
  if (status) return response.writeHead(status, headers).end(body ?? '');
  const asked = ignoreRange ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const start = asked ? Number(asked[1]) : 0;
  if (asked && start >= bytes.length && bytes.length > 0) {
    return response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
  }
  const end = asked?.[2] ? Math.min(Number(asked[2]) + 1, bytes.length) : bytes.length;
  const piece = bytes.subarray(start, end);
  response.writeHead(asked && !okForRange ? 206 : 200, {
    'content-type': 'application/octet-stream',
    'content-length': piece.length,
    etag: etag ?? `"${sha256(bytes).slice(0, 32)}"`,
    ...(asked && { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` }),
    ...headers,
  });
  if (stall) return void response.write(piece.subarray(0, stall));
  if (dropAfter === undefined || dropAfter >= piece.length) return void response.end(piece);
  response.write(piece.subarray(0, dropAfter), () => setTimeout(() => response.destroy(), 20));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const hub = await startImitationHub({ port: Number(process.argv[2] ?? 0) });
  process.stdout.write(`${hub.address}\n`);
}
