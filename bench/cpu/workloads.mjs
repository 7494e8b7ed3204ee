// What the benchmark runs, in this order. A window has so many frames at the network's own size and comes from memory; a
// video comes from a file and goes to files.

/** Columns in the order in which they take turns. */
export const columns = ['rvos', 'published', 'rvos_fp32', 'published_bf16', 'rvos_onnxruntime', 'strong'];
export const pytorchColumns = ['published', 'published_bf16', 'strong'];

const landscape = { height: 360, width: 640 };
const portrait = { height: 640, width: 360 };

/**
 * `clips`: how many at a time; `frames`: of each; `size`: of its frames; `networkSize`: what they are resized to; `schedule`: windows
 * of 24 with 6 shared, else one window; `files`: from an encoded file to masks and a masked video; `once`: columns that are run one
 * time, for they take long.
 */
function workload(name, model, { sentences, frames = 24, size, networkSize = size, clips = 1, ...rest }) {
  return {
    name: `${model}-${name}`,
    model,
    sentences,
    frames,
    size,
    networkSize,
    clips,
    schedule: false,
    once: [],
    ...rest,
  };
}

function kinds(model, { landscape, portrait, video, videoNetwork }) {
  return [
    workload('window-2', model, { sentences: 2, size: landscape }),
    workload('window-1', model, { sentences: 1, size: landscape }),
    workload('window-8', model, { sentences: 8, size: landscape }),
    workload('720p-10s', model, {
      ...{ sentences: 2, frames: 250, rate: 25, size: video, networkSize: videoNetwork, schedule: true, files: true },
      once: model === 'full' ? ['published', 'published_bf16'] : [],
    }),
    workload('clips-4', model, { sentences: 2, size: landscape, clips: 4 }),
    ...[1, 8, 23].map((frames) => workload(`short-${frames}`, model, { sentences: 2, frames, size: landscape })),
    workload('portrait', model, { sentences: 2, size: portrait }),
  ];
}

/** `compactSize`: the size that the compact model resizes 16:9 frames to. */
export function allWorkloads(compactSize) {
  return [
    ...kinds('full', { landscape, portrait, video: { height: 720, width: 1280 }, videoNetwork: landscape }),
    ...kinds('compact', {
      landscape: compactSize,
      portrait: { height: compactSize.width, width: compactSize.height },
      video: { height: 720, width: 1280 },
      videoNetwork: compactSize,
    }),
  ];
}

/** Sentences of a workload; other ones in every round, so that no text is known from before. */
export function sentencesOf({ sentences }, round) {
  const things = ['person', 'bike', 'dog', 'car', 'ball', 'horse', 'bird', 'boat'];
  const places = ['on the left', 'in the back', 'moving fast', 'behind the tree'];
  return Array.from(
    { length: sentences },
    (_, i) => `the ${things[i % things.length]} in black ${places[(round + i) % places.length]} number ${round}`,
  );
}
