import type { ServerResponse } from 'node:http';

/** A request that the imitation hub got. */
export interface HubRequest {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
  readonly cookie: string | undefined;
  /** How many there were before of this path and file. */
  readonly count: number;
}

/** How an answer differs from the right one. */
export interface HubFault {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: string;
  readonly bytes?: Buffer;
  /** The connection breaks after so many bytes of the body. */
  readonly dropAfter?: number;
  /** No more comes after so many bytes. */
  readonly stall?: number;
  readonly ignoreRange?: boolean;
  /** A range is answered with 200 and Content-Range. */
  readonly okForRange?: boolean;
  readonly etag?: string;
}
type Entry = { Path: string; Size?: number | undefined; Sha256?: string | undefined; Type: string };
export type Fault = (request: HubRequest, response: ServerResponse, stored?: boolean) => HubFault | true | undefined;

export interface HubOptions {
  files?: Record<string, Buffer>;
  id?: string;
  list?: (entries: Entry[]) => Entry[];
  fault?: Fault;
  /** Origin of the store that files are redirected to. */
  redirectTo?: string | undefined;
  port?: number;
}
export interface ImitationHub extends Required<Pick<HubOptions, 'files' | 'list' | 'fault'>> {
  redirectTo: string | undefined;
  readonly address: string;
  readonly seen: HubRequest[];
  close(): Promise<void>;
}
export function startImitationHub(options?: HubOptions): Promise<ImitationHub>;
export function smallModelscopeFiles(): Record<string, Buffer>;
