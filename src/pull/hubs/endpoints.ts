import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The hosts that `pull` goes to, in one place. Google's second address is for those that the first does not serve. */
const hosts = {
  modelscope: 'https://modelscope.cn',
  huggingFace: 'https://huggingface.co',
  drive: 'https://drive.usercontent.google.com',
  driveOld: 'https://drive.google.com',
} as const;

/** Where the hubs are for one pull, and what is sent to each. */
export interface Endpoints {
  readonly modelscope: string;
  readonly huggingFace: string;
  /** Tried one after the other. */
  readonly drive: readonly { readonly download: string; readonly page: string }[];
  /** Token and cookies for a hop: only for the hub's own origin. */
  headers(url: URL): Record<string, string>;
}

/**
 * Reads `MODELSCOPE_ENDPOINT` (older `MODELSCOPE_DOMAIN`), `HF_ENDPOINT`, `MODELSCOPE_API_TOKEN`, `HF_TOKEN` and the token
 * file of `HF_HOME`. `endpoint` (a mirror) stands for all hubs.
 */
export function endpoints(endpoint?: string): Endpoints {
  const { MODELSCOPE_ENDPOINT, MODELSCOPE_DOMAIN, HF_ENDPOINT } = process.env;
  const modelscope = address(endpoint || MODELSCOPE_ENDPOINT || MODELSCOPE_DOMAIN || hosts.modelscope);
  const huggingFace = address(endpoint || HF_ENDPOINT || hosts.huggingFace);
  const [files, old] = endpoint ? [address(endpoint), address(endpoint)] : [hosts.drive, hosts.driveOld];
  const modelscopeToken = process.env.MODELSCOPE_API_TOKEN;
  const huggingFaceToken = process.env.HF_TOKEN || huggingFaceTokenFile();
  const originOf = (text: string) => (URL.canParse(text) ? new URL(text).origin : undefined);
  return {
    modelscope,
    huggingFace,
    drive: [
      { download: `${files}/download`, page: files },
      { download: `${old}/uc`, page: old },
    ],
    headers(url): Record<string, string> {
      // With one mirror for all hubs the path tells which hub is meant.
      const isModelscope = url.origin === originOf(modelscope) && url.pathname.includes('/api/v1/models/');
      if (isModelscope && modelscopeToken) {
        return { authorization: `Bearer ${modelscopeToken}`, cookie: `m_session_id=${modelscopeToken}` };
      }
      if (!isModelscope && url.origin === originOf(huggingFace) && huggingFaceToken) {
        return { authorization: `Bearer ${huggingFaceToken}` };
      }
      return {};
    },
  };
}

function address(text: string): string {
  return (/^https?:\/\//i.test(text) ? text : `https://${text}`).replace(/\/+$/, '');
}

function huggingFaceTokenFile(): string | undefined {
  try {
    const home = process.env.HF_HOME || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
    return readFileSync(join(home, 'token'), 'utf8').trim() || undefined;
  } catch {
    return undefined; // none, or no home
  }
}
