/** Colours of sentences, as the server paints them into videos: red, green, blue. */
const palette = [
  [41, 171, 226],
  [237, 30, 121],
  [35, 161, 90],
  [255, 148, 59],
  [126, 74, 214],
  [250, 224, 48],
  [150, 82, 26],
  [150, 235, 40],
  [22, 60, 160],
  [255, 160, 220],
  [110, 20, 60],
  [60, 230, 200],
];

export function colour(index) {
  return palette[index % palette.length];
}
