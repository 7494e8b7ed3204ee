import { lookup } from 'node:dns/promises';
import { buildConnector } from 'undici';
import { RvosError } from '../errors.js';
import type { Connector, DownloadPolicy, Resolver } from './download-policy.js';
import { isPublicAddress, literalAddress } from './public-address.js';

const resolveByName: Resolver = (hostname) => lookup(hostname, { all: true });

/**
 * A connector that resolves a host once, checks the addresses, and connects to one that passed: what is checked is what
 * is connected to. Addresses that cannot be reached are passed over for the next.
 */
export function checkedConnector(policy: DownloadPolicy): Connector {
  const resolve = policy.resolve ?? resolveByName;
  const connect = policy.connect ?? buildConnector({ timeout: policy.idleSeconds * 1000 });
  return (options, callback) => {
    const open = async () => {
      const { hostname } = options;
      const literal = literalAddress(hostname);
      const found = literal ? [literal] : (await resolve(hostname)).map(({ address }) => address);
      const allowed = policy.addresses === 'any' ? found : found.filter(isPublicAddress);
      if (allowed.length === 0) {
        throw found.length === 0 ? new Error(`${hostname} has no address`) : refusedAddress(hostname, policy);
      }
      let failure: unknown;
      for (const address of allowed) {
        try {
          // Undici takes the server's name for TLS from `servername`, else from `host`; a literal address has none.
          const servername = options.servername ?? (literal ? undefined : hostname);
          return await connected(connect, { ...options, hostname: address, ...(servername && { servername }) });
        } catch (error) {
          failure = error;
        }
      }
      throw failure;
    };
    open().then(
      (socket) => callback(null, socket),
      (error: Error) => callback(error, null),
    );
  };
}

type Socket = NonNullable<Parameters<buildConnector.Callback>[1]>;

function connected(connect: Connector, options: buildConnector.Options): Promise<Socket> {
  return new Promise((resolve, reject) => {
    connect(options, (error, socket) => (error ? reject(error) : resolve(socket as Socket)));
  });
}

export function refusedAddress(hostname: string, policy: DownloadPolicy): RvosError {
  return new RvosError(
    'ADDRESS_REFUSED',
    `${hostname} is no address of the public internet`,
    policy.refusalHint ?? 'Addresses of this machine and of private networks are not allowed here.',
  );
}
