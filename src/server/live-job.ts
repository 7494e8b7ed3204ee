import { EventEmitter } from 'node:events';

export interface JobProgress {
  readonly frames: number;
  readonly totalFrames: number | null;
}

/** A job that waits or runs in this process. Emits `change` for its state, its progress and each frame. */
export class LiveJob extends EventEmitter<{ change: [] }> {
  progress: JobProgress = { frames: 0, totalFrames: null };
  running = false;
  /** The file to which its frames' masks are being written, once it is there. */
  rows: string | undefined;
  ended = false;
  readonly controller = new AbortController();

  constructor(readonly id: string) {
    super();
    this.setMaxListeners(0);
  }

  tell(): void {
    this.emit('change');
  }
}
