import { paintMask, runLengths } from './rle.js';

/** Draws the masks of the frame that a video shows over it. */
export class Overlay {
  #frames = [];
  #colours = [];
  #shown = [];
  #opacity = 0.6;
  /** Seconds at which the video is. */
  #time = 0;

  constructor(video, canvas) {
    this.video = video;
    this.canvas = canvas;
    const follow = (_, { mediaTime }) => {
      this.#time = mediaTime;
      this.draw();
      video.requestVideoFrameCallback(follow);
    };
    if ('requestVideoFrameCallback' in video) {
      video.requestVideoFrameCallback(follow);
    } else {
      for (const type of ['timeupdate', 'seeked']) {
        video.addEventListener(type, () => {
          this.#time = video.currentTime;
          this.draw();
        });
      }
    }
  }

  clear(colours) {
    this.#frames = [];
    this.#colours = colours;
    this.#shown = colours.map(() => true);
    this.#time = 0;
    this.draw();
  }

  /** `{frame, time, masks}` as the server sends it. */
  add(row) {
    this.#frames[row.frame] = row;
    if (this.at(this.#time) === row) this.draw();
  }

  toggle(sentence, shown) {
    this.#shown[sentence] = shown;
    this.draw();
  }

  fade(opacity) {
    this.#opacity = opacity;
    this.draw();
  }

  /** Whether a sentence has a pixel in any frame. */
  found(sentence) {
    return this.#frames.some(({ masks }) => runLengths(masks[sentence].counts).length > 1);
  }

  /** The last frame that began by then; a hair is allowed for times that were rounded. */
  at(time) {
    let [low, high] = [0, this.#frames.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#frames[middle].time <= time + 0.002) low = middle + 1;
      else high = middle;
    }
    return this.#frames[Math.max(0, low - 1)];
  }

  draw() {
    const frame = this.at(this.#time);
    const { canvas } = this;
    const context = canvas.getContext('2d');
    if (!frame) {
      context.clearRect(0, 0, canvas.width, canvas.height);
      return;
    }
    const [height, width] = frame.masks[0].size;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const image = context.createImageData(width, height);
    frame.masks.forEach((mask, sentence) => {
      if (!this.#shown[sentence]) return;
      paintMask(image.data, mask, this.#colours[sentence], Math.round(255 * this.#opacity));
    });
    context.putImageData(image, 0, 0);
    canvas.dataset.frame = frame.frame;
  }
}
