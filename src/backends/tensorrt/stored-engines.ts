import PQueue from 'p-queue';
import { buildEngines, type EngineBuilder, type EngineBuildProgress } from '../../engines/build-engines.js';
import type { EngineHost } from '../../engines/engine-fit.js';
import { buildCommand, type EngineTarget } from '../../engines/engine-folder.js';
import type { EngineLimits } from '../../engines/engine-plan.js';
import type { EngineStore, SizeEngines, StoredEngine } from '../../engines/engine-store.js';
import { RvosError, throwIfAborted } from '../../errors.js';
import type { Precision } from '../../model/architecture.js';
import type { ModelFolder } from '../../model/model-folder.js';
import { orAbort } from '../../or-abort.js';
import type { Size } from '../../preprocess/size-rule.js';
import type { EngineSource } from './engine-source.js';

export interface StoredEnginesOptions {
  readonly model: ModelFolder;
  readonly store: EngineStore;
  readonly host: EngineHost & { readonly device: NonNullable<EngineHost['device']> };
  /** What products compute in; default fp16. */
  readonly precision?: Precision;
  /** Builds engines that are missing or do not fit; without it they are an error. */
  readonly build?: BuildOnDemand;
  /** Appended to the remedy of an engine that is missing. */
  readonly orElse?: string;
}

export interface BuildOnDemand {
  readonly builder: EngineBuilder;
  readonly limits?: Partial<EngineLimits>;
  readonly onProgress?: (progress: EngineBuildProgress) => void;
  /** Ends a build within 2 s. */
  readonly signal: AbortSignal;
}

/** Engines as `rvos build` leaves them, each checked before it is handed out; built first where that is wanted. */
export class StoredEngines implements EngineSource {
  /** One build at a time: the next one may find that nothing is missing any more. */
  readonly #builds = new PQueue({ concurrency: 1 });

  constructor(private readonly options: StoredEnginesOptions) {}

  /** Folder `engines`. */
  get root(): string {
    return this.options.store.root;
  }

  textEncoder(): Promise<StoredEngine & { readonly limits: EngineLimits }> {
    const { model, store, host } = this.options;
    return this.#find(() => store.findTextEncoder(model, host, this.#findOptions()), []);
  }

  size(size: Size): Promise<SizeEngines> {
    const { model, store, host } = this.options;
    return this.#find(() => store.findSize(model, size, host, this.#findOptions()), [size]);
  }

  commandForTokens(tokens: number, size?: Size): string {
    const { model, store, host } = this.options;
    return `${buildCommand({ model, size, flavor: host.flavor, root: store.root })} --tokens ${tokens}`;
  }

  #findOptions() {
    const { precision } = this.options;
    return precision ? { precision } : {};
  }

  async #find<T>(find: () => Promise<T>, sizes: readonly Size[]): Promise<T> {
    const { build, orElse } = this.options;
    try {
      return await find();
    } catch (error) {
      const wanting = error instanceof RvosError && (error.code === 'ENGINE_MISSING' || error.code === 'BAD_ENGINE');
      if (!wanting) throw error;
      if (!build) {
        throw orElse ? new RvosError(error.code, error.message, `${error.hint}, ${orElse}`, { cause: error }) : error;
      }
      const built = this.#builds.add(async () => {
        throwIfAborted(build.signal);
        await this.#build(build, sizes);
        return find();
      });
      return await orAbort(built, build.signal);
    }
  }

  /** Engines that are there and unchanged are kept. */
  async #build({ builder, limits, onProgress, signal }: BuildOnDemand, sizes: readonly Size[]): Promise<void> {
    const { model, store, host, precision } = this.options;
    const target: EngineTarget = { kind: 'device', device: host.device };
    await buildEngines({
      ...{ model, sizes, builder, target, root: store.root, signal },
      ...(precision && { precision }),
      ...(limits && { limits }),
      ...(onProgress && { onProgress }),
    });
  }
}
