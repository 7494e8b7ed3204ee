/**
 * Run lengths of a COCO mask, compressed as pycocotools writes them: 5 bits a character from '0' on, the least first, and from
 * the third run on the difference to the run two before. Runs of zeros and ones take turns, column by column.
 */
export function runLengths(counts) {
  const runs = [];
  for (let at = 0; at < counts.length; ) {
    let value = 0;
    let shift = 0;
    let bits;
    do {
      bits = counts.charCodeAt(at++) - 48;
      value |= (bits & 0x1f) << shift;
      shift += 5;
    } while (bits & 0x20);
    if (bits & 0x10 && shift < 32) value |= -1 << shift;
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

/** Paints a mask into RGBA pixels of its size: `colour` is [red, green, blue], `alpha` 0…255. */
export function paintMask(pixels, { size: [height, width], counts }, colour, alpha) {
  let at = 0;
  let on = false;
  for (const run of runLengths(counts)) {
    if (on) {
      for (let i = at; i < at + run; i++) {
        const pixel = 4 * ((i % height) * width + Math.floor(i / height));
        pixels[pixel] = colour[0];
        pixels[pixel + 1] = colour[1];
        pixels[pixel + 2] = colour[2];
        pixels[pixel + 3] = alpha;
      }
    }
    at += run;
    on = !on;
  }
}
