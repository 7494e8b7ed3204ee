/** One file of a source, as the resumable download needs it. */
export interface RemoteFile {
  /** Its path inside what is downloaded, with `/`; also for messages. */
  readonly path: string;
  /** Asked anew for every request: addresses that a hub hands out live for minutes. */
  address(): string | URL | Promise<string | URL>;
  /** Headers of every request for it. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** What the source says of it. */
  readonly bytes?: number | undefined;
  readonly sha256?: string | undefined;
  /** SHA-1 of a git blob, which some hubs give for small files. */
  readonly gitBlob?: string | undefined;
}
