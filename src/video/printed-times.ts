/**
 * The presentation times that ffmpeg's filter `metadata` prints, one for each frame in their order. ffmpeg's muxers never let a
 * time go back, they replace it; what the container said is seen only inside the filter graph.
 */
export class PrintedTimes {
  readonly #times: (number | null)[] = [];
  #rest = '';
  #last: { readonly printed: number; readonly muxed: number } | undefined;
  #origin: { readonly printed: number; readonly muxed: number } | undefined;
  /** Ticks of the muxer in one of the container. */
  #ratio: number | undefined;
  /** Times have only grown so far, so that the muxer has replaced none. */
  #grows = true;

  /** Ends a filter chain: hands each frame on as it is and prints its time to file descriptor 3. */
  static readonly filters = 'metadata=mode=add:key=rvos:value=0,metadata=mode=print:key=rvos:file=pipe\\\\:3:direct=1';

  push(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) {
      const pts = /^frame:\d+\s+pts:(\S+)/.exec(line)?.[1];
      if (pts !== undefined) this.#times.push(/^-?\d+$/.test(pts) ? Number(pts) : null);
    }
  }

  /** Times that were printed and not taken. */
  get count(): number {
    return this.#times.length;
  }

  /**
   * The time of the next frame in ticks of the muxer's time base, where `muxed` is what the muxer made of it; null if it has
   * none. The muxer's ticks are a whole fraction of the container's, found out by the first two frames.
   */
  take(muxed: number): number | null {
    const printed = this.#times.shift() ?? null;
    const last = this.#last;
    if (printed === null) return last === undefined ? muxed : null;
    this.#last = { printed, muxed };
    if (last === undefined) return muxed;
    if (this.#ratio === undefined && printed > last.printed && this.#grows) {
      this.#ratio = Math.max(1, Math.round((muxed - last.muxed) / (printed - last.printed)));
      this.#origin = { printed: last.printed, muxed: last.muxed };
    }
    this.#grows &&= printed > last.printed;
    if (this.#ratio === undefined || this.#origin === undefined) return null;
    return this.#origin.muxed + (printed - this.#origin.printed) * this.#ratio;
  }
}
