// A model folder of the published network's size with random weights: node make-full-model.mjs DIR
import { makePublishedSizeModel } from '../bench/published-size-model.mjs';

await makePublishedSizeModel(process.argv[2]);
