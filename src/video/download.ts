import { join } from 'node:path';
import { downloadFile } from '../download/download-file.js';
import { type DownloadPolicy, videoLimits } from '../download/download-policy.js';
import { makeTemporaryFolder } from '../files/temporary-folder.js';

/** Limits of a video's download where they are not the usual ones, and hosts, resolver and connector. */
export type VideoDownloadLimits = Partial<Omit<DownloadPolicy, 'addresses' | 'proxies'>>;

/** Which addresses a video may come from. */
export interface UrlOptions {
  /** Also addresses of this machine and of private networks; default: only those of the public internet. */
  readonly allowPrivateUrls?: boolean | undefined;
  /**
   * Follow the proxy variables of the environment; default: with `allowPrivateUrls` only, since through a proxy no address
   * can be checked.
   */
  readonly urlProxy?: boolean | undefined;
}

export interface VideoDownloadOptions extends UrlOptions {
  readonly download?: VideoDownloadLimits | undefined;
}

export interface Download {
  /** The temporary file. */
  readonly path: string;
  /** The address for messages: without user name, password and query. */
  readonly name: string;
  remove(): Promise<void>;
}

/** Downloads a video into a temporary folder of its own. Throws what `downloadFile` throws. */
export async function downloadVideo(
  address: string,
  options: VideoDownloadOptions = {},
  signal?: AbortSignal,
): Promise<Download> {
  const { allowPrivateUrls = false, urlProxy = allowPrivateUrls, download: limits = {} } = options;
  const policy: DownloadPolicy = {
    ...limits,
    maxBytes: limits.maxBytes ?? videoLimits.maxBytes,
    timeoutSeconds: limits.timeoutSeconds ?? videoLimits.timeoutSeconds,
    idleSeconds: limits.idleSeconds ?? videoLimits.idleSeconds,
    redirects: limits.redirects ?? videoLimits.redirects,
    addresses: allowPrivateUrls ? 'any' : 'public',
    proxies: urlProxy,
    refusalHint:
      limits.refusalHint ??
      'Add --allow-private-urls (SDK: allowPrivateUrls) if the address is meant, or download the video yourself.',
  };
  return temporaryVideo((path) => downloadFile(address, path, policy, signal));
}

/** A temporary folder of its own with one file, which `write` makes; it resolves with the name for messages. */
export async function temporaryVideo(write: (path: string) => Promise<string>): Promise<Download> {
  const folder = await makeTemporaryFolder('download');
  const remove = () => folder.remove();
  const path = join(folder.path, 'video');
  try {
    return { path, name: await write(path), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** A video that is read several times, as for several outputs of one result: an address is downloaded once, a stream comes once. */
export class KeptDownload {
  #download: Promise<Download> | undefined;

  /** The file, which the first call makes; after a failure the next call tries again. */
  get(make: () => Promise<Download>): Promise<Download> {
    const download = this.#download ?? make();
    this.#download = download;
    download.catch(() => {
      this.#download = undefined;
    });
    return download;
  }

  /** Removes the file, if there is one. */
  async remove(): Promise<void> {
    const download = await this.#download?.catch(() => undefined);
    this.#download = undefined;
    await download?.remove();
  }
}
