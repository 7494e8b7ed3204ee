import type { OpenOptions } from './runtime.js';

/** Sessions kept at once: backbone and transformer of a full window, and of the shorter one at the end of a video. */
export const keptSessions = 4;

/** A text encoder whose weights are smaller than this stays loaded; a larger one makes room before a window runs. */
export const keptTextEncoderBytes = 64 * 2 ** 20;

/**
 * The text encoder runs once a sentence, on a few tokens: FP32 costs nothing. Almost all of it are weights, which a cache
 * would only copy.
 */
export const textEncoderOptions: OpenOptions = { exact: true, keep: false };
