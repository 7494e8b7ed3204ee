import type { LookupAddress } from 'node:dns';
import type { buildConnector } from 'undici';

/** Turns a host's name into addresses, as `dns.promises.lookup(host, { all: true })`. */
export type Resolver = (hostname: string) => Promise<readonly LookupAddress[]>;

/** Opens a connection to an address that was checked: `hostname` is an IP address, `servername` the host's name. */
export type Connector = buildConnector.connector;

/**
 * What a download may do, decided by whoever asks for it: a command that goes where its user says, `segment`, a server that
 * fetches for strangers. Nothing here is read from the environment but, with `proxies`, the proxy variables.
 */
export interface DownloadPolicy {
  /**
   * `public`: no loopback, private, link-local or otherwise special address, in any spelling, at any redirect; checked on
   * the address that is connected to, so that a name that changes its mind gains nothing. Through a proxy only addresses that stand in the
   * URL can be checked.
   */
  readonly addresses: 'public' | 'any';
  /** What to do about a refused address or host, for the error's hint. */
  readonly refusalHint?: string | undefined;
  /** If given, only these hosts and the hosts below them. */
  readonly allowHosts?: readonly string[] | undefined;
  /** Never these hosts and the hosts below them. */
  readonly denyHosts?: readonly string[] | undefined;
  /** Follow HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in either case. */
  readonly proxies: boolean;
  /** Most bytes of one download. */
  readonly maxBytes: number;
  /** For a whole download; `Infinity` for none. */
  readonly timeoutSeconds: number;
  /** Without a byte. */
  readonly idleSeconds: number;
  readonly redirects: number;
  /** Headers for one hop, such as a token: asked anew for every redirect, so that it never reaches another host. */
  readonly headers?: ((url: URL) => Readonly<Record<string, string>>) | undefined;
  readonly resolve?: Resolver | undefined;
  readonly connect?: Connector | undefined;
}

/** Default limits of a video's download. */
export const videoLimits = {
  maxBytes: 4 * 2 ** 30,
  timeoutSeconds: 900,
  idleSeconds: 30,
  redirects: 5,
} as const;
