/** Sentences that pass the transformer together. Its memory grows with them while its time per sentence does not shrink. */
export const sentencesPerRun = 1;

/** Sessions kept at once: backbone and transformer of a full window, and of the shorter one at the end of a video. */
export const keptSessions = 4;

/** A text encoder whose weights are smaller than this stays loaded; a larger one makes room before a window runs. */
export const keptTextEncoderBytes = 64 * 2 ** 20;
