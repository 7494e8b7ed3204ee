/** Size of the network's input in pixels. */
export interface FrameSize {
  readonly height: number;
  readonly width: number;
}

/** Size of the network's input: frames and pixels. */
export interface ClipSize extends FrameSize {
  readonly frames: number;
}
