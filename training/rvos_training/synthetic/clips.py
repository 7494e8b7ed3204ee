"""Clips for training and validation: pictures, masks and sentences of one scene."""
from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np

from .render import render
from .scene import LENGTH, make_scene
from .sentences import refer, refer_to_nothing


@dataclass
class Clip:
    frames: np.ndarray  # uint8 [T,H,W,3]
    masks: np.ndarray  # bool [M,T,H,W], visible part of each object; every object is seen in some frame
    sentences: List[Tuple[str, Optional[int]]]  # text and the object it means (None: nothing)
    descriptions: List[dict]
    things: list  # the scene's Thing of each object


def make_clip(seed, t, h, w, sentences=1, absent=0.0, still=False, plain=False, start=None, counts=None):
    """A clip of t frames. absent: share of sentences that refer to nothing; plain: sentences of shape and colour
    alone. Motion is spoken of from 4 frames on."""
    attempt = 0
    while True:
        rng = np.random.default_rng([seed, attempt])
        attempt += 1
        arguments = {} if counts is None else {"counts": counts}
        scene = make_scene(int(rng.integers(1 << 40)), w / h, still=still, **arguments)
        first = int(rng.integers(LENGTH - t + 1)) if start is None else start
        window = np.arange(first, first + t)
        use_motion = t >= 4 and not still
        found = []
        order = rng.permutation(len(scene.things))
        for i in range(sentences):
            made = refer_to_nothing(rng, scene, window, use_motion) if rng.random() < absent else None
            if made:
                found.append((made, None))
                continue
            for k in np.roll(order, -i):
                made = refer(rng, scene, k, window, use_motion, plain)
                if made:
                    found.append((made, int(k)))
                    break
        if len(found) < sentences:
            continue
        frames, masks = render(scene, window, h, w)
        seen = masks.any((1, 2, 3))
        index = np.cumsum(seen) - 1
        if any(k is not None and masks[k].sum() < 20 * t for _, k in found):
            continue
        return Clip(frames, masks[seen], [(text, None if k is None else int(index[k])) for (text, _), k in found],
                    [d for (_, d), _ in found], [thing for thing, s in zip(scene.things, seen) if s])
