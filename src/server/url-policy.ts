import type { Connector, DownloadPolicy, Resolver } from '../download/download-policy.js';
import type { ServerLimits } from './limits.js';

export interface UrlSettings {
  /** Hosts from which videos may be fetched, those below them included, or `*` for all; default none: no URLs are taken. */
  readonly allowUrls?: '*' | readonly string[] | undefined;
  /** Follow the proxy variables of the environment; default not. Through a proxy only literal addresses can be checked. */
  readonly urlProxy?: boolean | undefined;
  /** How names become addresses; default the system's. */
  readonly resolve?: Resolver | undefined;
  /** How a connection to a checked address is made; default TCP and TLS. */
  readonly connect?: Connector | undefined;
}

const idleSeconds = 30;
const redirects = 5;

/** How the server fetches for strangers: from public addresses alone. Undefined where it fetches nothing. */
export function urlPolicy(
  { allowUrls, urlProxy = false, resolve, connect }: UrlSettings,
  { maxUpload, urlSeconds }: Pick<ServerLimits, 'maxUpload' | 'urlSeconds'>,
): DownloadPolicy | undefined {
  if (allowUrls === undefined || (allowUrls !== '*' && allowUrls.length === 0)) return undefined;
  return {
    ...{ addresses: 'public', proxies: urlProxy, redirects, idleSeconds, resolve, connect },
    ...{ maxBytes: maxUpload, timeoutSeconds: urlSeconds },
    refusalHint: 'Ask whoever runs this service, or send the video itself.',
    ...(allowUrls !== '*' && { allowHosts: allowUrls }),
  };
}
