/** What a server takes; each is an option of `rvos serve` and of `createServer`. */
export interface ServerLimits {
  /** Bytes of a video; default 500 MB. */
  readonly maxUpload: number;
  /** Seconds of a video, as its container tells; default 3600. */
  readonly maxSeconds: number;
  /** Pixels of a frame; default 33,554,432 (8K). */
  readonly maxPixels: number;
  /** Frames of a video, as its container tells; default 100,000. */
  readonly maxFrames: number;
  /** Sentences of a job; default 32. */
  readonly maxSentences: number;
  /** Characters of a sentence; default 500. */
  readonly maxCharacters: number;
  /** Parts of a multipart body; default 64. */
  readonly maxParts: number;
  /** Jobs that run at a time; default 4. */
  readonly jobs: number;
  /** Jobs that wait; default 100. */
  readonly maxQueue: number;
  /** Bytes that must stay free on the disk of results; default 1 GB. */
  readonly minFreeDisk: number;
  /** Seconds that ended jobs and their results are kept; default 86,400 (a day). */
  readonly keepSeconds: number;
  /** Seconds that a request's body may take; default 3600. */
  readonly uploadSeconds: number;
  /** Seconds that a request's headers may take; default 10. */
  readonly headerSeconds: number;
  /** Bytes a second that a body must bring on average over its time so far; default 1000. */
  readonly minBodyRate: number;
  /** Seconds of a body after which its rate counts; default 10. */
  readonly bodyGraceSeconds: number;
  /** Seconds that fetching a URL may take; default 900. */
  readonly urlSeconds: number;
  /** Seconds that a job may run; default 21,600 (6 hours). */
  readonly jobSeconds: number;
  /** Requests a second of one API key; default undefined: not limited. */
  readonly rateLimit: number | undefined;
}

export const defaultLimits: ServerLimits = {
  maxUpload: 500e6,
  maxSeconds: 3600,
  maxPixels: 2 ** 25,
  maxFrames: 100_000,
  maxSentences: 32,
  maxCharacters: 500,
  maxParts: 64,
  jobs: 4,
  maxQueue: 100,
  minFreeDisk: 1e9,
  keepSeconds: 86_400,
  uploadSeconds: 3600,
  headerSeconds: 10,
  minBodyRate: 1000,
  bodyGraceSeconds: 10,
  urlSeconds: 900,
  jobSeconds: 21_600,
  rateLimit: undefined,
};
