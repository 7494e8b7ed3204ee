"""Writes a clip to show: several objects, H.264 with sound, and two sentences.

    python -m rvos_training.demo_clip --seed N --out clip.mp4
"""
import argparse
import json
from pathlib import Path

import numpy as np

from .files import write_with_tones
from .synthetic.render import render
from .synthetic.scene import make_scene
from .synthetic.sentences import refer

HEIGHT, WIDTH, FRAMES, RATE = 320, 480, 48, 12


def demo(seed):
    """-> frames uint8 [T,H,W,3], masks bool [M,T,H,W], [(sentence, object)] of two objects; None if it is dull"""
    rng = np.random.default_rng([seed, 1])
    scene = make_scene(seed, WIDTH / HEIGHT, counts=(0, 0, 0, 1), length=FRAMES)
    moving = [i for i, t in enumerate(scene.things) if t.motion != "still"]
    if len(scene.things) < 4 or len(moving) < 2 or len({t.color for t in scene.things}) < 3:
        return None
    window, sentences = np.arange(FRAMES), []
    for i in rng.permutation(moving)[:2]:
        for _ in range(40):
            made = refer(rng, scene, i, window)
            if made and "motion" in made[1] and "relation" not in made[1] and made[0].startswith("the "):
                sentences.append((made[0], int(i)))
                break
    if len(sentences) < 2:
        return None
    scene.noise = min(scene.noise, 3.0)
    return (*render(scene, window, HEIGHT, WIDTH), sentences)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="the first seed from here on that gives a lively clip")
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    seed = arguments.seed
    while (made := demo(seed)) is None:
        seed += 1
    frames, _, sentences = made
    write_with_tones(arguments.out, frames, RATE)
    texts = [text for text, _ in sentences]
    Path(arguments.out).with_suffix(".json").write_text(json.dumps({"seed": seed, "sentences": texts}, indent=1) + "\n")
    print(f"seed {seed}", *texts, sep="\n")


if __name__ == "__main__":
    main()
