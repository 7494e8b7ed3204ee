"""What is trained in which order. A recipe is a list of phases; each phase draws its batches from a few kinds."""
from dataclasses import dataclass, replace
from typing import List, Optional, Tuple

from .synthetic.scene import MOTION_SHARES

SIZE = (72, 108)  # of the network's pictures
SMALL = (64, 96)  # in which it learns first, for a quarter less
LARGE, DOUBLE = (96, 144), (144, 216)
PARTS = 2  # batches of a step, whose gradients are added; with two processes, one in each


@dataclass
class Kind:
    share: float  # of its part of the phase's steps
    frames: Tuple[int, int]  # shortest and longest clip
    clips: int  # clips in a batch
    sentences: int = 4  # per clip: the backbone runs once for them
    supervised: int = 8  # frames looked at after the backbone, at most
    sizes: Tuple[Tuple[int, int], ...] = (SMALL,)  # one of them
    counts: Optional[Tuple[float, ...]] = None  # shares of scenes with 1, 2, … objects; None: the generator's
    motions: Tuple[float, ...] = MOTION_SHARES  # shares of the kinds of motion
    absent: float = 0.35  # share of sentences that refer to nothing
    contrast: float = 0.5  # share of sentences in which one condition decides
    hearsay: float = 0.0  # share of sentences that speak of motion although the clip is too short to see any
    reduce: int = 2  # masks are compared at a half of the picture's size
    until: str = "masks"  # how far the network is run


@dataclass
class Phase:
    name: str
    steps: int
    rates: Optional[Tuple[float, float]]  # learning rate at start and end, cosine between; None: the fall before goes on
    parts: List[List[Kind]]  # a batch of one kind of each list makes a step
    warm_up: int = 50  # steps over which the rate rises at the phase's beginning
    fall: Optional[int] = None  # steps in which the last rate would be reached; None: those of the phase


MANY = (0.0, 0.0, 0.0, 0.0, 0.2, 0.2, 0.3, 0.3)
CROWDED = (0.02, 0.08, 0.2, 0.3, 0.4)
EVEN = (.14, .11, .11, .11, .11, .18, .12, .12)  # of motions: rotating is learned last

SHORT_AND_LONG = [
    Kind(0.5, (1, 1), 9, 4, sizes=(SMALL, SIZE)), Kind(0.06, (2, 3), 4, 4, sizes=(SIZE,)),
    Kind(0.2, (9, 23), 1, 8, supervised=3, sizes=(SIZE,)), Kind(0.16, (24, 24), 1, 8, supervised=3, sizes=(SIZE,)),
    Kind(0.05, (1, 1), 4, 4, sizes=(LARGE,)), Kind(0.03, (1, 1), 2, 4, sizes=(DOUBLE,))]
CLIPS = [
    Kind(0.62, (4, 8), 3, 6, supervised=2, sizes=(SMALL, SIZE), motions=EVEN),
    Kind(0.15, (9, 23), 1, 8, supervised=3, sizes=(SIZE,), motions=EVEN),
    Kind(0.15, (24, 24), 1, 8, supervised=3, sizes=(SIZE,), motions=EVEN),
    Kind(0.05, (4, 8), 1, 6, supervised=3, sizes=(LARGE,)), Kind(0.03, (6, 6), 1, 4, supervised=2, sizes=(DOUBLE,))]
WITH_HEARSAY = [replace(kind, hearsay=0.6) for kind in SHORT_AND_LONG]

# What each phase adds: what things are and do; what a sentence means; masks; long clips; that motion which cannot be seen
# decides nothing. The last one only lets the rate fall to its end.
COMPACT = [
    Phase("objects", 1400, (2e-3, 1.8e-3), [
        [Kind(0.8, (1, 1), 24, 1, counts=MANY, until="backbone"),
         Kind(0.2, (16, 24), 1, 1, supervised=6, counts=MANY, motions=EVEN, until="backbone")],
        [Kind(1.0, (6, 8), 3, 1, supervised=3, counts=MANY, motions=EVEN, until="backbone")]], warm_up=60),
    Phase("grounding", 1700, (1.2e-3, 1.2e-3), [
        [Kind(0.55, (1, 1), 12, 6, counts=CROWDED, until="encoder"),
         Kind(0.25, (16, 24), 1, 8, supervised=6, counts=CROWDED, motions=EVEN, until="encoder"),
         Kind(0.2, (6, 8), 3, 1, supervised=3, counts=MANY, motions=EVEN, until="backbone")],
        [Kind(1.0, (6, 8), 3, 8, supervised=2, counts=CROWDED, motions=EVEN, contrast=0.6, until="encoder")]], warm_up=60),
    Phase("masks", 500, (1.2e-3, 1.2e-3), [
        [Kind(1.0, (1, 1), 10, 4, counts=CROWDED)],
        [Kind(1.0, (6, 8), 3, 6, supervised=2, counts=CROWDED, motions=EVEN)]], warm_up=60),
    Phase("all lengths", 800, (1.2e-3, 1e-5), [SHORT_AND_LONG, CLIPS], warm_up=30, fall=5800),
    Phase("hearsay", 1600, None, [WITH_HEARSAY, CLIPS]),
    Phase("cooling", 1600, (7.6e-4, 1e-5), [WITH_HEARSAY, CLIPS], warm_up=1),
]

# Learning rates of groups of parameters, as shares of the phase's. Text: slow, or sentences collapse into their colours.
# Bias: the relative position biases are logits of attention, of another scale than weights.
RATES = {"others": 0.75, "text": 0.5, "bias": 10.0, "backbone": 1.0, "auxiliary": 1.0}
WEIGHT_DECAY = 0.01
AUXILIARY = {"cover": 0.3, "middle": 0.3, "coarse": 0.6, "sentences": 0.2, "grounding": 2.0}  # weights of the extra tasks
ABSENT = 1.0  # weight of the likeliest query of a sentence about nothing, as that of a referred query
EMPHASIS = 4.0  # weight of the meant object's masks, beside the other objects' 1
DEDICATED = True  # query 0 is always the meant object's
CLIP = 1.0
AVERAGE = 0.997  # decay of the averaged weights, which are the ones measured and shipped
