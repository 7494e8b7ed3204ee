import type { Readable } from 'node:stream';
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { abortError, RvosError } from '../errors.js';
import { toOutputError } from '../files/output-error.js';
import { packageVersion } from '../package-root.js';
import { checkedConnector, refusedAddress } from './checked-connector.js';
import type { DownloadPolicy } from './download-policy.js';
import { isPublicAddress, literalAddress } from './public-address.js';

export type Headers = Dispatcher.ResponseData['headers'];

/** One answer of a server; the last of the way there has the body. */
export interface Answer {
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
}

export interface HttpResponse extends Answer {
  /** The body as it is sent; it is asked for without compression. To be read to its end or destroyed. */
  readonly body: Readable;
  /** The redirects before. */
  readonly hops: readonly Answer[];
}

export interface RequestOptions {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
}

const retry = 'Check the address and the connection, and try again.';

/** GET requests under a policy: every hop's scheme, host and address is checked. Close it when done. */
export class HttpClient implements AsyncDisposable {
  readonly #dispatcher: Dispatcher;

  constructor(readonly policy: DownloadPolicy) {
    const options = {
      connect: checkedConnector(policy),
      headersTimeout: policy.idleSeconds * 1000,
      bodyTimeout: policy.idleSeconds * 1000,
    };
    // A proxy is asked for http:// pages in the plain way: many refuse to tunnel to port 80.
    this.#dispatcher = policy.proxies ? new EnvHttpProxyAgent({ ...options, proxyTunnel: false }) : new Agent(options);
  }

  /**
   * Follows redirects; any status comes back. Throws `RvosError` BAD_ARGUMENT (no http), ADDRESS_REFUSED, DOWNLOAD_FAILED
   * (no connection, too many redirects, a compressed body), ABORTED.
   */
  async get(address: string | URL, request: RequestOptions = {}): Promise<HttpResponse> {
    let options = request;
    let url = parseAddress(address);
    const name = plainName(url);
    const hops: Answer[] = [];
    for (;;) {
      checkHost(url, this.policy);
      const { statusCode, headers, body } = await this.#request(url, name, options);
      const location = headers.location;
      if (statusCode >= 300 && statusCode < 400 && typeof location === 'string') {
        await body.dump().catch(() => undefined);
        hops.push({ url, status: statusCode, headers });
        if (hops.length > this.policy.redirects) {
          throw new RvosError('DOWNLOAD_FAILED', `${name}: more than ${this.policy.redirects} redirects`, retry);
        }
        const next = parseAddress(location, url);
        if (next.origin !== url.origin) options = { ...options, headers: withoutSecrets(options.headers) };
        url = next;
        continue;
      }
      const encoding = headers['content-encoding'];
      if (encoding !== undefined && encoding !== 'identity') {
        body.on('error', () => undefined).destroy();
        throw new RvosError('DOWNLOAD_FAILED', `${name}: the server sends it compressed (${encoding}) unasked`, retry);
      }
      return { url, status: statusCode, headers, body, hops };
    }
  }

  /** Ends connections that are open. */
  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #request(url: URL, name: string, { headers, signal }: RequestOptions): Promise<Dispatcher.ResponseData> {
    try {
      return await request(withoutCredentials(url), {
        dispatcher: this.#dispatcher,
        signal,
        headers: {
          'user-agent': `rvos/${packageVersion()}`,
          accept: '*/*',
          'accept-encoding': 'identity',
          ...headers,
          ...credentials(url),
          ...this.policy.headers?.(url),
        },
      });
    } catch (error) {
      throw toDownloadError(error, name, signal);
    }
  }
}

/** What can be told of a host without a connection. Throws `RvosError` ADDRESS_REFUSED. */
export function checkHost(url: URL, policy: DownloadPolicy): void {
  const { addresses, allowHosts, denyHosts, refusalHint } = policy;
  const literal = literalAddress(url.hostname);
  const local = literal ? !isPublicAddress(literal) : /(^|\.)localhost\.?$/i.test(url.hostname);
  if (addresses === 'public' && local) throw refusedAddress(url.hostname, policy);
  const listed = (hosts: readonly string[]) => hosts.some((host) => isBelow(url.hostname, host));
  if ((allowHosts && !listed(allowHosts)) || (denyHosts && listed(denyHosts))) {
    const hint = refusalHint ?? 'Ask whoever runs this service.';
    throw new RvosError('ADDRESS_REFUSED', `the host ${url.hostname} is not allowed`, hint);
  }
}

function isBelow(hostname: string, host: string): boolean {
  const [a, b] = [hostname, host].map((text) => text.toLowerCase().replace(/\.$/, ''));
  return a === b || a!.endsWith(`.${b}`);
}

/** The typed error for whatever a request or the reading of its body met. */
export function toDownloadError(error: unknown, name: string, signal?: AbortSignal): RvosError {
  if (error instanceof RvosError) return error;
  const reason: unknown = signal?.reason;
  if (signal?.aborted) return reason instanceof RvosError ? reason : abortError(signal);
  const typed = toOutputError(error, name);
  if (typed instanceof RvosError) return typed;
  return new RvosError('DOWNLOAD_FAILED', `${name} cannot be downloaded: ${causeOf(error)}`, retry, { cause: error });
}

export function parseAddress(address: string | URL, base?: URL): URL {
  const text = String(address);
  if (!URL.canParse(text, base?.href)) {
    throw new RvosError(
      'BAD_ARGUMENT',
      `the address ${base ? 'of a redirect ' : ''}is not a URL`,
      'Give http://… or https://…',
    );
  }
  const url = new URL(text, base);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    const what = `addresses of the kind ${url.protocol} are not read`;
    throw new RvosError('BAD_ARGUMENT', what, 'Give http://… or https://…');
  }
  return url;
}

/** An address for messages: without user name, password and query. */
export function plainName(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** User name and password of a URL are sent as a header, to that host only. */
function credentials(url: URL): Record<string, string> {
  if (url.username === '' && url.password === '') return {};
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

function withoutSecrets(headers: RequestOptions['headers'] = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !/^(authorization|cookie)$/i.test(name)));
}

function withoutCredentials(url: URL): URL {
  const plain = new URL(url);
  plain.username = '';
  plain.password = '';
  return plain;
}

function causeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return causeOf(error.errors[0]);
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message.split('\n')[0]! || cause.name : String(cause);
}
