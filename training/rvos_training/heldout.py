"""The exam: clips that training never sees, as files, to measure the product with. `training/heldout.json` says which.

    python -m rvos_training.heldout --out DIR [--clips N]     the first N clips (default: all)
    python -m rvos_training.heldout --out DIR --first 500 --clips 200     others like them, to choose a minimum score by
    python -m rvos_training.heldout --freeze                  writes heldout.json anew, for a new version of the generator

DIR/<clip>/video.mp4    lossless; every third clip textured and compressed by x264 as a camera's would be
DIR/<clip>/clip.json    {"id", "seed", "generator", "width", "height", "frames", "frame_rate", "objects", "compressed",
                         "sentences": [{"text", "present", "kinds": ["color", "shape", "motion", …]}]}
DIR/<clip>/masks/<sentence>/<frame, 5 digits>.png    0/255; none for a sentence that refers to nothing
"""
import argparse
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np

from .files import write_compressed, write_lossless, write_png
from .synthetic import VERSION
from .synthetic.clips import make_clip
from .synthetic.scene import LENGTH, UNSEEN
from .synthetic.sentences import refer_to_nothing

FILE = Path(__file__).resolve().parents[1] / "heldout.json"
FIRST_SEED = 1 << 52  # training: seed·2^44 + …, seed below 64; validation: from 2^50
HEIGHT, WIDTH, RATE, CLIPS = 192, 288, 12, 500
COUNTS = (0.05, 0.10, 0.25, 0.30, 0.30)  # shares of clips with 1, 2, … objects
KINDS = ("shape", "color", "size", "motion", "position", "relation")


class HeldoutError(Exception):
    """The exam cannot be made as it was frozen."""


def compressed(i):
    return i % 3 == 0


def heldout_clip(i):
    """Clip i: one or two sentences about objects that are there, then one about nothing, where one can be found."""
    clip = make_clip(FIRST_SEED + i, LENGTH, HEIGHT, WIDTH, sentences=1 + i % 2, counts=COUNTS, unseen=True, lossy=False,
                     background="texture" if compressed(i) else None)
    made = refer_to_nothing(np.random.default_rng([FIRST_SEED + i, 1]), clip.scene, clip.window, unseen=True)
    if made:
        clip.sentences.append((made[0], None))
        clip.descriptions.append(made[1])
    return clip


def sentences(clip):
    """The clip's sentences as clip.json has them."""
    found = []
    for (text, index), description in zip(clip.sentences, clip.descriptions):
        kinds = [name for name in KINDS if description.get(name)]
        if index is not None and (clip.things[index].shape, clip.things[index].color) in UNSEEN:
            kinds.append("unseen")
        found.append({"text": text, "present": index is not None, "kinds": kinds})
    return found


def composition(clips):
    """What an exam is made of, counted: clips is a list of Clip."""
    said = [s for c in clips for s in sentences(c)]
    present = [s for s in said if s["present"]]
    counts = Counter(kind for s in present for kind in s["kinds"])
    return {"objects_per_clip": round(float(np.mean([len(c.things) for c in clips])), 2), "present": len(present),
            "absent": len(said) - len(present), "textured_and_compressed_clips": sum(map(compressed, range(len(clips)))),
            "present_sentences": {kind: counts[kind] for kind in (*KINDS, "unseen")},
            "first_sentences": [[s["text"] for s in sentences(c)] for c in clips[:5]],
            "sentences_sha256": hashlib.sha256("\n".join(s["text"] for s in said).encode()).hexdigest()}


def frozen():
    """The frozen exam. Raises HeldoutError if this generator makes other clips."""
    exam = json.loads(FILE.read_text())
    if exam["generator"] != VERSION:
        raise HeldoutError(f"{FILE}: made by version {exam['generator']} of the generator, this is version {VERSION}; "
                           "--freeze makes a new exam, whose results compare with no earlier ones")
    return exam


def freeze():
    clips = []
    for i in range(CLIPS):
        clip = heldout_clip(i)
        clip.frames = clip.masks = None
        clips.append(clip)
        print(f"\r{i + 1}/{CLIPS}", end="", flush=True)
    exam = {"generator": VERSION, "first_seed": FIRST_SEED, "clips": CLIPS, "frames": LENGTH, "height": HEIGHT,
            "width": WIDTH, "frame_rate": RATE, **composition(clips)}
    FILE.write_text(json.dumps(exam, indent=1) + "\n")
    print(f"\n{FILE}")


def write(folder, i):
    clip = heldout_clip(i)
    folder = Path(folder) / f"{i:05d}"
    folder.mkdir(parents=True, exist_ok=True)
    (write_compressed if compressed(i) else write_lossless)(folder / "video.mp4", clip.frames, RATE)
    for k, (_, index) in enumerate(clip.sentences):
        if index is None:
            continue
        masks = folder / "masks" / str(k)
        masks.mkdir(parents=True, exist_ok=True)
        for t, mask in enumerate(clip.masks[index]):
            write_png(masks / f"{t:05d}.png", mask.astype(np.uint8) * 255)
    (folder / "clip.json").write_text(json.dumps({
        "id": folder.name, "seed": FIRST_SEED + i, "generator": VERSION, "width": WIDTH, "height": HEIGHT,
        "frames": LENGTH, "frame_rate": RATE, "objects": len(clip.things), "compressed": compressed(i),
        "sentences": sentences(clip)}, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out")
    parser.add_argument("--clips", type=int, help="so many clips (default: to the exam's end)")
    parser.add_argument("--first", type=int, default=0, help=f"clip to begin with; from {CLIPS} on they are not the exam's")
    parser.add_argument("--freeze", action="store_true")
    arguments = parser.parse_args()
    if arguments.freeze:
        return freeze()
    if not arguments.out:
        parser.error("--out is missing")
    try:
        clips_of_exam = frozen()["clips"]
    except HeldoutError as error:
        raise SystemExit(f"error: {error}") from None
    clips = range(arguments.first, arguments.first + arguments.clips if arguments.clips else clips_of_exam)
    if not clips or arguments.first < 0:
        parser.error(f"no clips: the exam has 0 to {clips_of_exam - 1}; beyond it --clips says how many")
    for i in clips:
        write(arguments.out, i)
        print(f"\r{i + 1 - clips.start}/{len(clips)}", end="", flush=True)
    print()


if __name__ == "__main__":
    main()
