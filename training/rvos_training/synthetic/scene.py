"""A scene: objects with attributes and motion, in coordinates that do not depend on the picture's size.

Unit of length is the height of the picture: y in [0,1] downwards, x in [0, aspect]. Unit of time is a frame.
"""
from dataclasses import dataclass, field
from typing import List

import numpy as np

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "heart", "moon")
COLORS = {  # RGB, before jitter
    "red": (215, 35, 35), "green": (45, 170, 55), "blue": (40, 75, 220), "yellow": (240, 215, 40),
    "orange": (245, 135, 20), "purple": (140, 50, 180), "white": (240, 240, 240), "pink": (250, 140, 190)}
# Pairs that training never shows or names: what is learned of shapes and colours must hold for them too.
UNSEEN = frozenset({("star", "purple"), ("heart", "green"), ("ring", "orange"), ("cross", "white"), ("moon", "red"),
                    ("triangle", "pink"), ("square", "blue"), ("circle", "yellow")})
SIZES = {"small": (0.12, 0.15), "large": (0.20, 0.25)}  # half of the object's extent
ROTATABLE = ("square", "triangle", "star", "cross", "heart", "moon")
MOTIONS = ("still", "left", "right", "up", "down", "rotating", "growing", "shrinking")
DIRECTION = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
SPEED = {"x": (0.011, 0.022), "y": (0.009, 0.014)}  # per frame
MOTION_SHARES = (.2, .15, .15, .125, .125, .1, .075, .075)
LENGTH = 30  # frames for which a scene is laid out, unless told otherwise


@dataclass
class Thing:
    shape: str
    color: str
    size: str  # "small", "large", or "" while it grows or shrinks
    motion: str
    rgb: np.ndarray  # [3]
    radius: float
    angle: float
    path: np.ndarray = field(default=None)  # [length,2] centre (x,y)
    radii: np.ndarray = field(default=None)  # [length]
    angles: np.ndarray = field(default=None)  # [length]


@dataclass
class Scene:
    aspect: float
    things: List[Thing]  # from back to front
    background: dict
    noise: float
    seed: int
    drift: np.ndarray = field(default=None)  # [length,2] (x,y) of everything, as the camera moves; None: it stands still
    compression: float = 0.0  # step of quantisation in grey levels, 0: none


def _thing(rng, shape, color, spin, length, motions):
    motion = MOTIONS[rng.choice(len(MOTIONS), p=motions)]
    if motion == "rotating" and shape not in ROTATABLE:
        motion = "still"
    size = "small" if rng.random() < 0.5 else "large"
    radius = rng.uniform(*SIZES[size])
    rgb = np.clip(np.array(COLORS[color]) * rng.uniform(0.88, 1.08) + rng.uniform(-14, 14, 3), 0, 255)
    angle = rng.uniform(-0.3, 0.3) if not spin else rng.uniform(0, 2 * np.pi)
    t = np.arange(length) - (length - 1) / 2
    thing = Thing(shape, color, size, motion, rgb, radius, angle)
    thing.radii, thing.angles = np.full(length, radius), np.full(length, angle)
    if motion == "rotating":
        thing.angles = angle + t * rng.uniform(0.12, 0.25) * rng.choice((-1, 1))
    if motion in ("growing", "shrinking"):
        end = rng.uniform(1.8, 2.1)
        ramp = np.linspace(0, 1, length)
        thing.radii = rng.uniform(0.12, 0.13) * end ** (ramp if motion == "growing" else 1 - ramp)
        thing.radius, thing.size = thing.radii.max(), ""
    return thing


def _path(rng, thing, aspect):
    """A random place for the thing's whole path within the picture."""
    length = len(thing.radii)
    t = np.arange(length) - (length - 1) / 2
    dx, dy = DIRECTION.get(thing.motion, (0, 0))
    speed = rng.uniform(*SPEED["x" if dx else "y"])
    half = speed * (length - 1) / 2
    margin = thing.radius * 1.02

    def centre(extent, reach):
        low, high = margin + reach, extent - margin - reach
        if low > high:  # leaves the picture a little at both ends, never by more than half of itself
            low, high = (low + high) / 2 - 0.01, (low + high) / 2 + 0.01
        return rng.uniform(low, high)
    x = centre(aspect, half * abs(dx)) + dx * speed * t
    y = centre(1.0, half * abs(dy)) + dy * speed * t
    return np.stack((x, y), 1)


def _crowding(path, radii, others):
    """How deep the thing sinks into others, worst frame, as a share of its radius."""
    worst = 0.0
    for o in others:
        gap = np.hypot(*(path - o.path).T) - 0.95 * (radii + o.radii)
        worst = max(worst, float((-gap / np.minimum(radii, o.radii)).max()))
    return worst


def _background(rng, kind):
    kind = ("plain", "gradient", "blobs", "stripes", "checks", "texture")[rng.choice(6, p=(.10, .20, .15, .10, .10, .35))] if kind is None else kind
    level = rng.uniform(30, 190)
    tint = rng.uniform(-16, 16, 3)
    other = np.clip(level + rng.uniform(-45, 45), 20, 200)
    return {"kind": kind, "a": np.clip(level + tint, 10, 205), "b": np.clip(other + rng.uniform(-16, 16, 3), 10, 205),
            "angle": rng.uniform(0, 2 * np.pi), "period": rng.uniform(0.12, 0.4), "phase": rng.uniform(0, 1),
            "fields": [rng.random((rows, rows * 3 // 2), dtype=np.float32) for rows in
                       ((6,) if kind != "texture" else (4, 8, 16, 32))],
            "roughness": rng.uniform(0.45, 0.75), "shade": rng.uniform(0, 0.35) if kind == "texture" else 0.0}


def _contrast(rgb, background):
    return min(np.abs(rgb - background["a"]).max(), np.abs(rgb - background["b"]).max())


def _drift(rng, length):
    """A slow sway, far below the speed of anything that is said to move."""
    if rng.random() < 0.6:
        return None
    t = np.arange(length)[:, None] / 30
    sway = rng.uniform(0.006, 0.022, 2) * np.sin(2 * np.pi * (rng.uniform(0.3, 1.0, 2) * t + rng.random(2)))
    return sway - sway.mean(0)


def make_scene(seed, aspect=1.5, counts=(0.08, 0.17, 0.30, 0.27, 0.18), length=LENGTH, unseen=False,
               background=None, motions=MOTION_SHARES):
    """A scene from a seed. counts: shares of scenes with 1, 2, … objects.
    unseen: also the pairs of shape and colour that are kept from training. background: its kind (None: any).
    motions: shares of MOTIONS."""
    rng = np.random.default_rng(seed)
    surface = _background(rng, background)
    things, names = [], list(COLORS)
    wanted = 1 + rng.choice(len(counts), p=counts)
    for _ in range(wanted * 4):
        if len(things) == wanted:
            break
        shape, color = SHAPES[rng.integers(len(SHAPES))], names[rng.integers(len(names))]
        if things and rng.random() < 0.5:  # look-alikes: only part of the description tells them apart
            twin = things[rng.integers(len(things))]
            shape, color = (twin.shape, color) if rng.random() < 0.5 else (shape, twin.color)
        if (shape, color) in UNSEEN and not unseen:
            continue
        thing = _thing(rng, shape, color, spin=shape in ROTATABLE and rng.random() < 0.25,
                       length=length, motions=motions)
        if _contrast(thing.rgb, surface) < 45:
            continue
        best = None
        for _ in range(12):
            path = _path(rng, thing, aspect)
            crowding = _crowding(path, thing.radii, things)
            if best is None or crowding < best[0]:
                best = crowding, path
            if crowding <= 0:
                break
        if best[0] > 0.55:
            continue
        thing.path = best[1]
        things.append(thing)
    if not things:
        return make_scene(seed + (1 << 40), aspect, counts, length, unseen, background, motions)
    order = rng.permutation(len(things))
    noise = rng.uniform(0, 7) if rng.random() < 0.6 else 0.0
    drift = _drift(rng, length)
    compression = rng.uniform(8, 30) if rng.random() < 0.3 else 0.0
    return Scene(aspect, [things[i] for i in order], surface, noise, int(rng.integers(1 << 31)), drift, compression)
