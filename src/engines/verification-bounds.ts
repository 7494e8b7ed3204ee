/**
 * Beyond these an engine is refused. FP16 itself gives far less (docs/engines.md has figures), engines that TensorRT has
 * compiled wrongly far more: what they give has little to do with the model.
 */
export const verificationBounds = { maskIou: 0.95, scoreError: 0.05, textError: 0.02 } as const;
