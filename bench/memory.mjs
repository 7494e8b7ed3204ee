// Does memory depend on a video's length? Peak resident memory of the whole process tree of `rvos segment` for a short
// and a long video of 1280×720, masks and masked video written.
//   node bench/memory.mjs [--model compact] [--short 10] [--long 60] [--short-side n] [--rate 24] [--json]
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { watchPeak } from './process-tree.mjs';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'compact' },
    short: { type: 'string', default: '10' },
    long: { type: 'string', default: '60' },
    'short-side': { type: 'string' },
    rate: { type: 'string', default: '24' },
    json: { type: 'boolean', default: false },
  },
});
const main = join(import.meta.dirname, '../dist/cli/main.js');
const scratch = mkdtempSync(join(tmpdir(), 'rvos-memory-'));
try {
  const short = await peakOf(options.short);
  const long = await peakOf(options.long);
  const result = { shortMB: short, longMB: long, ratio: long / short };
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else console.log(`${options.short} s: ${short} MB, ${options.long} s: ${long} MB, ratio ${result.ratio.toFixed(3)}`);
} finally {
  rmSync(scratch, { recursive: true });
}

async function peakOf(seconds) {
  const video = join(scratch, `${seconds}.mp4`);
  const source = `testsrc2=s=1280x720:r=${options.rate}:d=${seconds}`;
  const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p'];
  execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', source, ...encode, video]);
  const outputs = ['--masks', join(scratch, `${seconds}.json`), '--masked-video', join(scratch, `${seconds}.out.mp4`)];
  const sizes = options['short-side'] === undefined ? [] : ['--short-side', options['short-side']];
  const sentences = ['a red circle', 'a blue square'];
  const args = [main, 'segment', '--model', options.model, ...sizes, '--quiet', video, ...sentences, ...outputs];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const peak = watchPeak(child.pid);
  const code = await new Promise((resolve) => child.once('close', resolve));
  const bytes = peak.stop();
  if (code !== 0) throw new Error(`rvos segment ended with ${code}`);
  return Math.round(bytes / 2 ** 20);
}
