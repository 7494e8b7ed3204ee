/** Complaints that say nothing about whether frames were lost. */
const harmless = [
  'non monotonically increasing dts',
  'non-monotonous dts',
  'non-monotonic dts',
  'unref short failure',
  'co located pocs unavailable',
  'number of reference frames',
];

/** What only describes a picture or a file and is not needed to decode it. */
const aboutMetadata =
  /exif|tiff header|\bapp\d* |app fields|icc profile|\bsei\b|comment|thumbnail|chapter|\btags?\b|metadata|side data|cover|attached pic|id3|xmp/i;

/** Pictures, or parts of them, that are missing or were made up. */
const damaging = new RegExp(
  [
    'conceal|corrupt|damaged|truncat|prematur|partial file|end of file|ended|overread|incomplete|cut short',
    'error while decoding|error submitting|error decoding|decode_slice|missing (reference|picture|field|frame)|reference picture missing',
    'invalid nal|no frame|invalid data found|bytestream|bitstream|slice|macroblock|\\bmb\\b|out of range|illegal|invalid (mb|level|code|vlc|mode)',
    '[ad]c-tex|\\bvlc\\b|bad vlc|error [adxy]|ac_tex|marker|skip|lost|eoi missing|inflate|crc|packet|non-existing|could not find',
  ].join('|'),
  'i',
);

/** Lines that follow a more telling one. */
const uninformative = [
  'conversion failed',
  'nothing was written into output file',
  'error opening input file',
  'error opening output file',
  'error initializing output stream',
  'error while decoding stream',
  'error submitting packet to decoder',
  'task finished with error code',
  'terminating thread with return code',
  'could not write header',
  'error writing trailer',
  'error muxing a packet',
  'av_interleaved_write_frame',
  'exiting with exit code',
];

/** What could not be written is lost, whatever ffmpeg ends with: 5.1 ends with 0 after an "Error writing trailer". */
const writeErrors = [
  'error writing trailer',
  'error muxing',
  'av_interleaved_write_frame',
  'error closing file',
  'unable to re-open',
  'no space left on device',
  'disk quota exceeded',
  'file too large',
];

const keptErrors = 16;
const keptStreams = 32;
const longestLine = 1000;

/** Reads ffmpeg's standard error (`-loglevel level+info`), keeping a bounded part: its input's streams and last errors. */
export class FfmpegLog {
  /** Lines that describe streams of the input, such as `Stream #0:0: Video: h264, …, 25 fps`. */
  readonly streams: string[] = [];
  readonly #errors: string[] = [];
  #damage: string | null = null;
  #damageCount = 0;
  #unknownMatrix: string | null = null;
  #refusedStill = false;
  #writeError: string | null = null;
  #rest = '';
  #input = true;

  push(text: string): void {
    const lines = (this.#rest + text).split(/[\r\n]+/);
    this.#rest = lines.pop()!.slice(0, longestLine);
    for (const line of lines) this.#line(line.slice(0, longestLine));
  }

  #line(line: string): void {
    if (/^\[info\] Output #/.test(line)) this.#input = false;
    if (this.#input && /Stream #0:\d+/.test(line) && this.streams.length < keptStreams) this.streams.push(line);
    const unknown = /\[warning\] (.*(?:unsupported|unknown|unspecified).*colou?r ?space.*)$/i.exec(line)?.[1];
    if (unknown !== undefined) this.#unknownMatrix ??= printable(unknown);
    if (/^\[image2 @ .*format not on whitelist/i.test(line)) this.#refusedStill = true;
    const error = /^(?:\[[^\]]* @ [^\]]*\] )*\[(?:error|fatal|panic)\] (.*)$/.exec(line)?.[1];
    if (error === undefined || matches(error, harmless)) return;
    if (damaging.test(error) && !aboutMetadata.test(error)) {
      this.#damageCount++;
      if (this.#damage === null || matches(this.#damage, uninformative)) this.#damage = shortened(printable(error));
    }
    if (matches(error, writeErrors)) this.#writeError ??= printable(error);
    this.#errors.push(printable(error));
    if (this.#errors.length > keptErrors) this.#errors.splice(1, 1); // the first one often names the cause
  }

  get hasAudio(): boolean {
    return this.streams.some((line) => / Audio: /.test(line));
  }

  get hasVideo(): boolean {
    return this.streams.some((line) => / Video: /.test(line) && !line.includes('(attached pic)'));
  }

  /** Frames per second as printed, common fractions restored; null where not printed. */
  get frameRate(): number | null {
    const printed = this.streams.map((line) => / ([\d.]+)(k?) fps\b/.exec(line)).find((match) => match !== null);
    if (!printed) return null;
    const rate = Number(printed[1]) * (printed[2] === 'k' ? 1000 : 1);
    const fraction = (Math.round(rate) * 1000) / 1001;
    if (Math.abs(rate - fraction) < 0.006) return fraction;
    return rate > 0 ? rate : null;
  }

  /** The first complaint that means missing or concealed pictures; null if there was none. */
  get damage(): string | null {
    return this.#damage;
  }

  /** How many such complaints there were. */
  get damageCount(): number {
    return this.#damageCount;
  }

  /** What ffmpeg says of a colour matrix that it does not know; null if it knows it. */
  get unknownMatrix(): string | null {
    return this.#unknownMatrix;
  }

  /** The input's name ends as those of still pictures do, which is no format that ffmpeg was allowed. */
  get refusedStill(): boolean {
    return this.#refusedStill;
  }

  /** The first complaint about an output; null if there was none. */
  get writeError(): string | null {
    return this.#writeError;
  }

  has(text: string): boolean {
    return this.#errors.some((error) => error.toLowerCase().includes(text.toLowerCase()));
  }

  /** The most telling error, one line, without ffmpeg's addresses; null if there was none. */
  get summary(): string | null {
    const telling = this.#errors.filter((error) => !matches(error, uninformative));
    const line = telling.at(-1) ?? this.#errors.at(-1);
    return line === undefined ? null : shortened(line);
  }
}

function shortened(line: string): string {
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}

function matches(line: string, parts: readonly string[]): boolean {
  const lower = line.toLowerCase();
  return parts.some((part) => lower.includes(part));
}

/** Names inside a file are not trusted: control characters would reach the user's terminal. */
function printable(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return line.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?').trim();
}
