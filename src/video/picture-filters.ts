import type { ProbedStream } from './ffprobe.js';
import { PrintedTimes } from './printed-times.js';

/** PQ and HLG, as ffmpeg names them. */
const highDynamicRange = new Set(['smpte2084', 'arib-std-b67']);

export interface PictureFilters {
  /** ffmpeg's `-vf`. */
  readonly chain: string;
  readonly warnings: readonly string[];
}

export function isHighDynamicRange({ transfer }: Pick<ProbedStream, 'transfer'>): boolean {
  return highDynamicRange.has(transfer);
}

/**
 * What ffmpeg does to decoded pictures before they become RGB: fields woven into pictures where asked for, HDR brought to SDR.
 * Nothing here has a memory of how many frames or which times it has seen: ffmpeg builds filters anew wherever the picture's
 * format changes. `available`: names of the filters that this ffmpeg has.
 */
export function pictureFilters(
  source: string,
  video: ProbedStream | null,
  { deinterlace = false }: { readonly deinterlace?: boolean | undefined },
  available: ReadonlySet<string>,
): PictureFilters {
  const chain: string[] = [];
  const warnings: string[] = [];
  if (deinterlace) {
    const filter = ['bwdif', 'yadif'].find((name) => available.has(name));
    if (filter) chain.push(`${filter}=mode=send_frame`);
    else warnings.push('this ffmpeg has no filter to deinterlace with (bwdif, yadif): fields stay woven');
  } else if (video?.isInterlaced) {
    warnings.push(`${source} is interlaced: moving edges are combed. --deinterlace makes whole pictures of the fields`);
  }
  const hdr = video !== null && isHighDynamicRange(video);
  if (hdr || video?.primaries === 'bt2020') {
    if (available.has('zscale') && (available.has('tonemap') || !hdr)) chain.push(hdr ? toneMapping(video) : wideGamut);
    else {
      const missing = hdr ? 'zscale and tonemap' : 'zscale';
      warnings.push(
        `${source} is ${hdr ? 'HDR' : 'BT.2020'} and this ffmpeg cannot convert it (filters ${missing}): colours look ${hdr ? 'flat and grey' : 'pale'}. Install a full build of ffmpeg, or convert the video to SDR first`,
      );
    }
  }
  return { chain: [...chain, PrintedTimes.filters].join(','), warnings };
}

/**
 * To linear light with reference white (203 cd/m², ITU-R BT.2408) at 1, to BT.709's primaries, highlights compressed, and back to
 * BT.709's transfer.
 */
function toneMapping({ primaries, matrix }: ProbedStream): string {
  // A file that names its transfer alone means the rest of its standard, BT.2100.
  const unsaid = `${primaries === '' ? ':pin=bt2020' : ''}${matrix === '' ? ':min=bt2020nc' : ''}`;
  return [
    `zscale=t=linear:npl=203${unsaid}`,
    'format=gbrpf32le',
    'zscale=p=bt709',
    'tonemap=tonemap=mobius:param=0.8:desat=0',
    'zscale=t=bt709:m=bt709:r=tv',
    'format=yuv444p',
  ].join(',');
}

/** BT.2020 of standard range: its primaries alone differ. */
const wideGamut = 'zscale=t=linear,format=gbrpf32le,zscale=p=bt709,zscale=t=bt709:m=bt709:r=tv,format=yuv444p';
