"""Writes clips that training never sees, as files, to measure the product with.

    python -m rvos_training.heldout --out DIR [--clips 200]

DIR/<clip>/video.mp4    lossless
DIR/<clip>/clip.json    {"id", "seed", "generator", "width", "height", "frames", "frame_rate",
                         "sentences": [{"text", "present", "kinds": ["color", "shape", "motion", …]}]}
DIR/<clip>/masks/<sentence>/<frame, 5 digits>.png    0/255; none for a sentence that refers to nothing
"""
import argparse
import json
from pathlib import Path

import numpy as np

from .files import write_lossless, write_png
from .synthetic import VERSION
from .synthetic.clips import make_clip
from .synthetic.scene import LENGTH

FIRST_SEED = 1 << 52  # training: seed·2^44 + …, seed below 64; validation: from 2^50
HEIGHT, WIDTH, RATE = 192, 288, 12


def heldout_clip(i, absent):
    """Clip i: 1 or 2 sentences about objects that are there and, with `absent`, one about nothing."""
    clip = make_clip(FIRST_SEED + i, LENGTH, HEIGHT, WIDTH, sentences=1 + i % 2)
    if not absent:
        return clip
    extra = make_clip(FIRST_SEED + i, LENGTH, HEIGHT, WIDTH, sentences=1, absent=1.0)
    if np.array_equal(extra.frames, clip.frames) and extra.sentences[0][1] is None:
        clip.sentences.append(extra.sentences[0])
        clip.descriptions.append(extra.descriptions[0])
    return clip


def write(folder, i, absent=False):
    clip = heldout_clip(i, absent)
    folder = Path(folder) / f"{i:05d}"
    folder.mkdir(parents=True, exist_ok=True)
    write_lossless(folder / "video.mp4", clip.frames, RATE)
    sentences = []
    for k, ((text, index), description) in enumerate(zip(clip.sentences, clip.descriptions)):
        kinds = [name for name in ("shape", "color", "size", "motion", "position", "relation") if description.get(name)]
        sentences.append({"text": text, "present": index is not None, "kinds": kinds})
        if index is None:
            continue
        masks = folder / "masks" / str(k)
        masks.mkdir(parents=True, exist_ok=True)
        for t, mask in enumerate(clip.masks[index]):
            write_png(masks / f"{t:05d}.png", mask.astype(np.uint8) * 255)
    (folder / "clip.json").write_text(json.dumps({
        "id": folder.name, "seed": FIRST_SEED + i, "generator": VERSION, "width": WIDTH, "height": HEIGHT,
        "frames": LENGTH, "frame_rate": RATE, "sentences": sentences}, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--absent", action="store_true", help="add sentences that refer to nothing")
    arguments = parser.parse_args()
    for i in range(arguments.clips):
        write(arguments.out, i, arguments.absent)
        print(f"\r{i + 1}/{arguments.clips}", end="", flush=True)
    print()


if __name__ == "__main__":
    main()
