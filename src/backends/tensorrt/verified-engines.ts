import { sizeLabel } from '../../engines/engine-plan.js';
import type { SizeEngines } from '../../engines/engine-store.js';
import {
  describeVerification,
  type EngineVerification,
  recordVerification,
  refusedEngines,
} from '../../engines/engine-verification.js';
import type { Size } from '../../preprocess/size-rule.js';
import type { EngineSource } from './engine-source.js';
import { type VerifyOptions, verifyEngines } from './verify-engines.js';

export type VerifiedEnginesOptions = Omit<VerifyOptions, 'engines' | 'size'> & {
  readonly engines: EngineSource;
  /** The command that builds the engines of a size again. */
  readonly command: (size: Size) => string;
};

/**
 * Engines that nobody has run yet, such as those built ahead of time, are verified when they are first opened on a GPU, once:
 * the outcome is in their manifests. Those that compute something else than the model are refused (BAD_ENGINE).
 */
export class VerifiedEngines implements EngineSource {
  readonly #running = new Map<string, Promise<EngineVerification>>();

  constructor(private readonly options: VerifiedEnginesOptions) {}

  textEncoder(): ReturnType<EngineSource['textEncoder']> {
    return this.options.engines.textEncoder();
  }

  async size(size: Size): Promise<SizeEngines> {
    const { engines, command } = this.options;
    const found = await engines.size(size);
    if (all(found).every(({ manifest }) => manifest.verified !== null)) return found;
    const label = sizeLabel(size);
    let running = this.#running.get(label);
    if (!running) {
      running = this.#verify(size, found);
      this.#running.set(label, running);
      // One that could not be made is tried again; an outcome holds, also where it cannot be written down.
      running.catch(() => this.#running.delete(label));
    }
    const verification = await running;
    if (verification.state === 'refused') throw refusedEngines(found.transformer.path, verification, command(size));
    return found;
  }

  commandForTokens(tokens: number, size?: Size): string {
    return this.options.engines.commandForTokens(tokens, size);
  }

  async #verify(size: Size, found: SizeEngines): Promise<EngineVerification> {
    const verification = await verifyEngines({ ...this.options, size });
    await recordVerification([await this.options.engines.textEncoder(), ...all(found)], verification);
    return verification;
  }
}

function all({ short, long, transformer }: SizeEngines) {
  return [short, ...(long ? [long] : []), transformer];
}

/** What `rvos build` tells of a size. */
export function verificationLine(size: Size, verification: EngineVerification): string {
  return `${sizeLabel(size)}: ${describeVerification(verification)}`;
}
