"""Clips for training and validation: pictures, masks and sentences of one scene."""
from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np

from .contrast import decided_by_one, spoilt_by_one
from .render import render
from .scene import LENGTH, MOTION_SHARES, MOTIONS, Scene, make_scene
from .sentences import phrase, pick, refer, refer_to_nothing, wrap


@dataclass
class Clip:
    frames: np.ndarray  # uint8 [T,H,W,3]
    masks: np.ndarray  # bool [M,T,H,W], visible part of each object; every object is seen in some frame
    sentences: List[Tuple[str, Optional[int]]]  # text and the object it means (None: nothing)
    descriptions: List[dict]
    things: list  # the scene's Thing of each object
    scene: Scene
    window: np.ndarray  # [T] the scene's frames


def first_made(make, objects):
    """The first sentence that can be made about one of the objects, and the object; or None."""
    for k in objects:
        made = make(k)
        if made:
            return made, int(k)
    return None


def with_hearsay(rng, scene, made, index):
    """The sentence with a motion that nobody can see: the meant object's, or any."""
    motion = pick(rng, MOTIONS) if index is None else scene.things[index].motion
    description = {**made[1], "motion": motion}
    return (wrap(rng, phrase(rng, description)), description), index


def make_clip(seed, t, h, w, sentences=1, absent=0.0, start=None, counts=None,
              unseen=False, lossy=True, background=None, contrast=0.0, hearsay=0.0, motions=MOTION_SHARES):
    """A clip of t frames. absent: share of sentences that refer to nothing; unseen: also pairs of shape and colour kept
    from training; lossy: compressed as the scene says; background: its kind (None: any); contrast: share of sentences in
    which one condition decides; motions: shares of MOTIONS. Motion is spoken of from 4 frames on; hearsay: share of
    sentences that speak of it in shorter clips too, truly of what is meant, and never as what decides."""
    attempt = 0
    while True:
        rng = np.random.default_rng([seed, attempt])
        attempt += 1
        arguments = {} if counts is None else {"counts": counts}
        scene = make_scene(int(rng.integers(1 << 40)), w / h, unseen=unseen, background=background,
                           motions=motions, **arguments)
        first = int(rng.integers(LENGTH - t + 1)) if start is None else start
        window = np.arange(first, first + t)
        use_motion = t >= 4
        found = []
        order = rng.permutation(len(scene.things))
        for i in range(sentences):
            decided = contrast > 0 and rng.random() < contrast
            if rng.random() < absent:
                made = (spoilt_by_one if decided else refer_to_nothing)(rng, scene, window, use_motion, unseen)
                if made:
                    found.append((made, None))
                    continue
            turned = np.roll(order, -i)
            made = first_made(lambda k: decided_by_one(rng, scene, k, window, use_motion), turned if decided else ())
            made = made or first_made(lambda k: refer(rng, scene, k, window, use_motion), turned)
            if made:
                found.append(made)
        if len(found) < sentences:
            continue
        if hearsay and not use_motion:
            found = [with_hearsay(rng, scene, *f) if rng.random() < hearsay else f for f in found]
        frames, masks = render(scene, window, h, w, lossy)
        seen = masks.any((1, 2, 3))
        index = np.cumsum(seen) - 1
        if any(k is not None and masks[k].sum() < 0.0025 * h * w * t for _, k in found):
            continue
        return Clip(frames, masks[seen], [(text, None if k is None else int(index[k])) for (text, _), k in found],
                    [d for (_, d), _ in found], [thing for thing, s in zip(scene.things, seen) if s],
                    scene, window)
