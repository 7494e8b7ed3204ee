// What the simulated device runs as stages: the ONNX graphs inside its engines, on ONNX Runtime. Plain JavaScript, because programs
// that are not tests load it too (gpu-bundle/simulated-stages.mjs).
import { readFileSync } from 'node:fs';
import { InferenceSession, Tensor } from 'onnxruntime-node';

export class OnnxStages {
  #sessions = new Map();

  run = async ({ engine, inputs }) => {
    const session = await this.#session(engine);
    const feeds = {};
    for (const [name, { dtype, data, shape }] of Object.entries(inputs)) feeds[name] = new Tensor(dtype, data, shape);
    const outputs = {};
    for (const [name, { type, data, dims }] of Object.entries(await session.run(feeds))) {
      outputs[name] = { dtype: type, shape: dims, data };
    }
    return outputs;
  };

  async release() {
    for (const session of this.#sessions.values()) await (await session).release();
    this.#sessions.clear();
  }

  #session(engine) {
    let session = this.#sessions.get(engine);
    if (!session) {
      const { graph, weights } = openEngine(engine);
      session = InferenceSession.create(graph, {
        intraOpNumThreads: 1,
        logSeverityLevel: 3,
        enableMemPattern: false,
        ...(weights.length > 0 && { externalData: [{ path: 'weights.bin', data: weights }] }),
      });
      this.#sessions.set(engine, session);
    }
    return session;
  }
}

/** The ONNX graph inside an engine of the simulated device, and its weights. */
function openEngine(path) {
  const bytes = readFileSync(path);
  let weights = 0;
  for (let at = 0; ; ) {
    const end = bytes.indexOf(10, at);
    if (end < 0) throw new Error(`${path} is no engine of the simulated device`);
    const [key, value] = bytes.toString('utf8', at, end).split(' ');
    at = end + 1;
    if (key === 'weights') weights = Number(value);
    if (key !== 'graph') continue;
    const data = at + Number(value);
    return {
      graph: new Uint8Array(bytes.subarray(at, data)),
      weights: new Uint8Array(bytes.subarray(data, data + weights)),
    };
  }
}
