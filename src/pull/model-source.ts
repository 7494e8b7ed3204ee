import { existsSync } from 'node:fs';
import { RvosError } from '../errors.js';
import type { ModelSource } from './known-models.js';

const forms =
  'It is a known name, modelscope:OWNER/NAME[@REVISION], hf:OWNER/NAME[@REVISION][:PATH], hf-space:…, drive:ID, a URL or a path.';

/**
 * Reads `modelscope:owner/name@revision`, `hf:owner/name@revision:path`, `hf-space:…`, `drive:id`, an http(s) URL, or the
 * path of something that exists. Undefined for a bare name; throws `RvosError` BAD_ARGUMENT for a form that is none.
 */
export function parseSource(text: string): ModelSource | undefined {
  if (/^https?:\/\//i.test(text)) {
    if (!URL.canParse(text)) throw new RvosError('BAD_ARGUMENT', `${text} is no URL`, forms);
    return { kind: 'url', url: text };
  }
  const [, kind, rest] = /^(modelscope|hf|hf-space|drive):(.+)$/s.exec(text) ?? [];
  if (kind === 'drive') {
    if (/^[A-Za-z0-9_-]{10,100}$/.test(rest!)) return { kind, id: rest! };
    throw new RvosError('BAD_ARGUMENT', `${text} names no file of Google Drive`, forms);
  }
  if (kind !== undefined) {
    const [, id, revision, path] = /^([\w.-]+\/[\w.-]+)(?:@([\w./-]+))?(?::(.+))?$/.exec(rest!) ?? [];
    if (id === undefined || (kind === 'modelscope' && path !== undefined)) {
      throw new RvosError('BAD_ARGUMENT', `${text} names no repository`, forms);
    }
    return kind === 'modelscope' ? { kind, id, revision } : { kind: kind as 'hf' | 'hf-space', id, revision, path };
  }
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(text)) throw new RvosError('BAD_ARGUMENT', `${text} is no http address`, forms);
  return existsSync(text) ? { kind: 'path', path: text } : undefined;
}

/** The source in the form that `parseSource` reads, without passwords and queries. */
export function sourceText(source: ModelSource): string {
  if (source.kind === 'path') return source.path;
  if (source.kind === 'url') {
    const url = new URL(source.url);
    return `${url.origin}${url.pathname}`;
  }
  const revision = 'revision' in source && source.revision ? `@${source.revision}` : '';
  const path = 'path' in source && source.path ? `:${source.path}` : '';
  return `${source.kind}:${source.id}${revision}${path}`;
}

/** The folder's name that a source without a known name gets in the cache. */
export function sourceFolder(source: ModelSource): string {
  return (
    sourceText(source)
      .replace(/[^A-Za-z0-9._]+/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '')
      .slice(0, 120) || 'model'
  );
}
