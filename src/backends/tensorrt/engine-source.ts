import type { EngineLimits } from '../../engines/engine-plan.js';
import type { SizeEngines, StoredEngine } from '../../engines/engine-store.js';
import type { Size } from '../../preprocess/size-rule.js';

/** Where the backend gets engines that have been checked; errors name the command that builds what is missing. */
export interface EngineSource {
  /** Throws `RvosError` ENGINE_MISSING, BAD_ENGINE. */
  textEncoder(): Promise<StoredEngine & { readonly limits: EngineLimits }>;
  /** The engines for one size of the network's input; same errors. */
  size(size: Size): Promise<SizeEngines>;
  /** The command line that builds engines for sentences of so many tokens. */
  commandForTokens(tokens: number, size?: Size): string;
}
