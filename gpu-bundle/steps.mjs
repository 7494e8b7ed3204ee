// The steps, most telling first: what needs neither TensorRT nor an engine comes before what does. Budgets are seconds, for a GPU
// and for --simulated; a step may take longer than it usually does, never longer than its budget.
import { benchGpu } from './steps/bench-gpu.mjs';
import { builder } from './steps/builder.mjs';
import { deviceFacts } from './steps/device.mjs';
import { engines } from './steps/engines.mjs';
import { kernels, sanitizedKernels } from './steps/kernels.mjs';
import { pipeline, rates } from './steps/pipeline.mjs';
import { pytorch } from './steps/pytorch.mjs';
import { testGpu } from './steps/test-gpu.mjs';

const needsTensorRt = ({ simulated, tensorRt }) => (simulated ? undefined : tensorRt.missing);

export const steps = [
  {
    name: 'device',
    about: 'GPU, driver, processor, what is installed',
    budget: { real: 60, simulated: 60 },
    run: deviceFacts,
  },
  {
    name: 'kernels',
    about: 'kernels against their CPU twins, up to 8K',
    budget: { real: 120, simulated: 120 },
    run: kernels,
  },
  {
    name: 'kernels-sanitized',
    about: 'kernels under memcheck, racecheck, initcheck, synccheck',
    budget: { real: 180, simulated: 10 },
    run: sanitizedKernels,
  },
  {
    name: 'pipeline',
    about: 'the window pipeline with plain kernels as stages',
    budget: { real: 90, simulated: 60 },
    run: pipeline,
  },
  { name: 'rates', about: 'copy and matrix rates', budget: { real: 60, simulated: 60 }, run: rates },
  {
    name: 'pytorch',
    about: 'PyTorch as published, eager and compiled',
    budget: { real: 240, simulated: 60 },
    run: pytorch,
  },
  {
    name: 'builder',
    about: 'TensorRT opened, its builder made',
    budget: { real: 60, simulated: 20 },
    unavailable: needsTensorRt,
    run: builder,
  },
  ...['compact', 'golden', 'full'].map((network) => ({
    name: `engines-${network}`,
    about: `engines of the ${network} network, verified`,
    budget: { real: network === 'full' ? 420 : 180, simulated: 90 },
    unavailable: (context) =>
      needsTensorRt(context) ??
      (context.simulated && network === 'full'
        ? 'the simulated device runs the golden and compact networks alone'
        : undefined),
    run: (context) => engines(context, network),
  })),
  {
    name: 'test-gpu',
    about: 'npm run test:gpu',
    budget: { real: 420, simulated: 240 },
    unavailable: needsTensorRt,
    run: testGpu,
  },
  {
    name: 'bench-gpu',
    about: 'npm run bench:gpu',
    budget: { real: 300, simulated: 90 },
    unavailable: needsTensorRt,
    run: benchGpu,
  },
];
