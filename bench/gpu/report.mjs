// What `npm run bench:gpu` prints.

const percent = (share) => (Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : '–');
const fixed = (value, digits = 2) => (Number.isFinite(value) ? value.toFixed(digits) : '–');

/** The aims of the project; a line each says whether they were reached. */
const aims = { framesPerSecond: 3000, ratio: 5, bandwidth: 0.7 };

export function printReport(result) {
  const { device, tensorrt, window, matrixFlopPerSecond, copyBytesPerSecond: copy } = result;
  const lines = [
    `${device.name}, ${tensorrt.flavor} ${tensorrt.version}, ${result.network}, ${window.frames}×${window.height}×${window.width}, ` +
      `${result.inFlight} batches in flight`,
    `matrix rate FP16 ${fixed(matrixFlopPerSecond / 1e12, 0)} TFLOP/s; copies: on the device ${gigabytes(copy.onDevice)} (read + write), ` +
      `to it ${gigabytes(copy.toDevice)}, from it ${gigabytes(copy.toHost)}`,
    '',
    table(result.runs.map(row)),
    '',
    ...result.latencies.map(
      ({ sentences, milliseconds }) => `a lone window, sentences: ${sentences}: ${fixed(milliseconds)} ms`,
    ),
    ...kernelLines(result.kernels),
    ...pytorchLines(result),
    '',
    ...aimLines(result),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function row(run) {
  const { windows, sentences, stages } = run;
  return {
    windows,
    sentences,
    'ms a window': fixed(run.millisecondsPerWindow),
    'frames/s': fixed(run.framesPerSecond, 0),
    'video frames/s': fixed(run.videoFramesPerSecond, 0),
    ...Object.fromEntries(Object.entries(stages).map(([name, value]) => [name, fixed(value, 3)])),
    'of matrix rate': percent(run.shareOfMatrixRate),
    'backbone of it': percent(run.backboneShareOfMatrixRate),
  };
}

function table(rows) {
  const names = [...new Set(rows.flatMap(Object.keys))];
  const cells = [names, ...rows.map((entry) => names.map((name) => String(entry[name] ?? '–')))];
  const widths = names.map((_, i) => Math.max(...cells.map((line) => line[i].length)));
  return cells.map((line) => line.map((cell, i) => cell.padStart(widths[i])).join('  ')).join('\n');
}

function kernelLines({ from1080p, ...kernels }) {
  const describe = (where, { windows, sentences, ...rest }) =>
    Object.entries(rest)
      .filter(([, value]) => typeof value === 'object')
      .map(
        ([name, { bytesPerSecond, ofLarge, ofEqual }]) =>
          `${name}, ${where}, windows a batch: ${windows}, sentences: ${sentences}: ${gigabytes(bytesPerSecond)}, ` +
          `${percent(ofLarge)} of a large copy, ${percent(ofEqual)} of a copy of as many bytes`,
      );
  return [
    ...describe("frames of the network's size", kernels),
    ...(from1080p ? describe('from 1080p', from1080p) : []),
  ];
}

function pytorchLines({ pytorch, ratios }) {
  if (pytorch.length === 0) return ['PyTorch was not asked for'];
  return pytorch.flatMap(({ mode, available, reason, torch, results }) => {
    if (!available) return [`PyTorch, ${mode}: not measured, ${reason}`];
    return results.map(({ sentences, milliseconds, framesPerSecond }) => {
      const { ratio } = ratios.find((entry) => entry.mode === mode && entry.sentences === sentences) ?? {};
      return (
        `PyTorch ${torch}, ${mode}, sentences: ${sentences}: ${fixed(milliseconds)} ms a window, ${fixed(framesPerSecond, 0)} frames/s; ` +
        `rvos is ${fixed(ratio, 1)} times as fast`
      );
    });
  });
}

function aimLines({ runs, ratios, kernels }) {
  const fastest = Math.max(...runs.filter(({ sentences }) => sentences === 1).map((run) => run.framesPerSecond));
  const slowest = Math.min(...ratios.map(({ ratio }) => ratio));
  const shares = [kernels, kernels.from1080p ?? {}].flatMap((entry) =>
    ['preprocess', 'mask-head'].flatMap((name) => (entry[name] ? [entry[name].ofLarge] : [])),
  );
  const line = (what, found, aim, show) =>
    Number.isFinite(found)
      ? `aim: ${what} ≥ ${show(aim)}: ${show(found)}, ${found >= aim ? 'reached' : 'missed'}`
      : `aim: ${what} ≥ ${show(aim)}: not measured`;
  return [
    line('frames/s with one sentence', fastest, aims.framesPerSecond, (value) => fixed(value, 0)),
    line('times as fast as PyTorch FP16', slowest, aims.ratio, (value) => fixed(value, 1)),
    line('kernels, share of copy bandwidth', Math.min(...shares), aims.bandwidth, percent),
  ];
}

function gigabytes(bytesPerSecond) {
  return `${fixed(bytesPerSecond / 1e9, 0)} GB/s`;
}
