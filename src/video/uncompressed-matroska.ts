/** Pictures to be encoded: `rgb24` is uint8 [height, width, 3], `rgba` uint8 [height, width, 4]. */
export type PixelFormat = 'rgb24' | 'rgba';

const fourcc = { rgb24: 'RGB\x18', rgba: 'RGBA' } as const;

/** Nanoseconds of a tick: times are written in microseconds. */
const tick = 1000;

/**
 * Headers of a live Matroska stream of uncompressed pictures, the form in which frames with times of their own are
 * handed to ffmpeg. Unlike raw video it carries a time for each frame, so variable timing survives.
 */
export function matroskaHeader(video: {
  readonly width: number;
  readonly height: number;
  readonly pixelFormat: PixelFormat;
  readonly frameRate: number | null;
}): Buffer {
  const { width, height, pixelFormat, frameRate } = video;
  const defaultDuration = frameRate === null ? [] : [element(0x23e383, integer(Math.round(1e9 / frameRate)))];
  return Buffer.concat([
    element(
      0x1a45dfa3,
      element(0x4282, Buffer.from('matroska')),
      element(0x4287, integer(4)),
      element(0x4285, integer(2)),
    ),
    Buffer.from('1853806701ffffffffffffff', 'hex'), // Segment of unknown size
    element(0x1549a966, element(0x2ad7b1, integer(tick))), // Info: TimestampScale
    element(
      0x1654ae6b, // Tracks
      element(
        0xae,
        element(0xd7, integer(1)), // TrackNumber
        element(0x73c5, integer(1)), // TrackUID
        element(0x83, integer(1)), // TrackType: video
        ...defaultDuration,
        element(0x86, Buffer.from('V_UNCOMPRESSED')),
        element(
          0xe0, // Video
          element(0xb0, integer(width)),
          element(0xba, integer(height)),
          element(0x2eb524, Buffer.from(fourcc[pixelFormat], 'latin1')),
        ),
      ),
    ),
  ]);
}

/** What precedes the `bytes` of a picture shown at `seconds` ≥ 0: each picture is a cluster of its own. */
export function matroskaFrameHeader(seconds: number, bytes: number): Buffer {
  const timestamp = element(0xe7, integer(Math.round((seconds * 1e9) / tick)));
  // SimpleBlock: track 1, 0 ticks after the cluster's time, keyframe.
  const block = Buffer.from([0x81, 0, 0, 0x80]);
  const blockHead = Buffer.concat([identifier(0xa3), size(block.length + bytes), block]);
  return Buffer.concat([
    identifier(0x1f43b675),
    size(timestamp.length + blockHead.length + bytes),
    timestamp,
    blockHead,
  ]);
}

function element(id: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([identifier(id), size(body.length), body]);
}

function identifier(id: number): Buffer {
  const hex = id.toString(16);
  return Buffer.from(hex, 'hex');
}

/** Always eight bytes long: simple, and enough for any picture. */
function size(bytes: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(bytes) | (1n << 56n));
  return buffer;
}

function integer(value: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return buffer;
}
