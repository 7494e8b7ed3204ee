// What compute-sanitizer watches: every variant of the kernels once, through a pipeline of the golden model's engines.
// Run by scripts/test-gpu.mjs after the tests have built the engines.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { requireUsable } from '../../dist/backends/tensorrt/open-tensorrt.js';
import { StoredEngines } from '../../dist/backends/tensorrt/stored-engines.js';
import { TensorRtBackend } from '../../dist/backends/tensorrt.js';
import { EngineStore } from '../../dist/engines/engine-store.js';
import { openModelFolder } from '../../dist/index.js';
import { loadTensorRt, probeTensorRt } from '../../dist/native/load-tensorrt.js';

const work = fileURLToPath(new URL('../../build/test-gpu/', import.meta.url));
const sizes = JSON.parse(process.argv[2] ?? '[[40,70],[64,112],[180,316],[201,353]]');

const { probe, device } = requireUsable(await probeTensorRt());
const { addon, flavor, libraryVersion } = await loadTensorRt(probe.flavor);
const model = await openModelFolder(`${work}golden`);
const host = { flavor, libraryVersion, device };
const engines = new StoredEngines({ model, store: new EngineStore(`${work}engines`), host });
const backend = new TensorRtBackend({ model, addon, device: device.index, engines });
try {
  const tokenizer = await model.tokenizer();
  const texts = await backend.encodeText(['a red ball', 'the white car'].map((text) => tokenizer.prepare(text)));
  const bytes = await readFile(fileURLToPath(new URL('../goldens/e2e/e2e.safetensors', import.meta.url)));
  let stream = 0;
  let masks = 0;
  for (const [height, width] of sizes) {
    const length = height * width * 3;
    const frames = Array.from({ length: 24 }, (_, t) => {
      const data = Uint8Array.from({ length }, (_, i) => bytes[(i + t * 977) % bytes.length]);
      return { height, width, data, time: t };
    });
    for (const antialias of [true, false]) {
      for (const queries of ['best', 'all']) {
        const preprocessing = { shortSide: 64, longSide: 112, antialias };
        const window = { stream: stream++, start: 0, frames: frames.slice(0, queries === 'all' ? 5 : 24) };
        const { sentences } = await backend.segment(window, texts, { preprocessing, queries });
        masks += sentences.reduce((sum, sentence) => sum + sentence.masks.length, 0);
      }
    }
  }
  process.stdout.write(`${masks} masks\n`);
} finally {
  await backend.dispose();
}
