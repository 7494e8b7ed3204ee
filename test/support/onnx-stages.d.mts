import type { StageRunner } from './simulated-device.js';

/** Runs the ONNX graphs of engines on ONNX Runtime: the network itself, on the simulated device. */
export class OnnxStages {
  readonly run: StageRunner;
  release(): Promise<void>;
}
