import { channel } from 'node:diagnostics_channel';

export interface BatchMessage {
  /** Windows in the batch. */
  readonly windows: number;
}

/** Every batch that a scheduler of this process starts, for whoever wants to count them. */
export const batchChannel = channel('rvos.batch');
