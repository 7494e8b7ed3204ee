import type { VideoReader } from './frame.js';

/** Runs `cleanup` once: when the reader is closed or its frames have ended, or at once if it cannot be opened. */
export async function withCleanup(opening: Promise<VideoReader>, cleanup: () => Promise<void>): Promise<VideoReader> {
  let cleaning: Promise<void> | undefined;
  const clean = () => {
    cleaning ??= cleanup();
    return cleaning;
  };
  const reader = await opening.catch(async (error: unknown) => {
    await clean();
    throw error;
  });
  const close = async () => {
    await reader.close();
    await clean();
  };
  const release = reader.release?.bind(reader);
  return {
    info: reader.info,
    warnings: reader.warnings,
    async *frames() {
      try {
        yield* reader.frames();
      } finally {
        await close();
      }
    },
    ...(release === undefined ? {} : { release }),
    close,
    [Symbol.asyncDispose]: close,
  };
}
