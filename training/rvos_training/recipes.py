"""What is trained in which order. A recipe is a list of phases; each phase draws its batches from a few kinds."""
from dataclasses import dataclass
from typing import List, Optional, Tuple

SIZE = (72, 108)  # of the network's pictures
SMALL = (64, 96)  # in which it learns first, for a quarter less
LARGE = (96, 144)


@dataclass
class Kind:
    share: float  # of the phase's steps
    frames: Tuple[int, int]  # shortest and longest clip
    clips: int  # clips in a batch
    sentences: int = 4  # per clip: the backbone runs once for them
    supervised: int = 8  # frames looked at after the backbone, at most
    sizes: Tuple[Tuple[int, int], ...] = (SMALL,)  # one of them
    still: bool = False
    plain: bool = False  # sentences of shape and colour alone
    counts: Optional[Tuple[float, ...]] = None  # shares of scenes with 1, 2, … objects; None: the generator's
    absent: float = 0.3  # share of sentences that refer to nothing
    reduce: int = 2  # masks are compared at a half of the picture's size
    until: str = "masks"  # how far the network is run


@dataclass
class Phase:
    name: str
    steps: int
    rates: Tuple[float, float]  # learning rate at the phase's start and end, cosine between
    kinds: List[Kind]
    warm_up: int = 50  # steps over which the rate rises at the phase's beginning


MANY = (0.0, 0.0, 0.0, 0.0, 0.2, 0.2, 0.3, 0.3)

CROWDED = (0.02, 0.08, 0.2, 0.3, 0.4)

COMPACT = [
    Phase("objects", 600, (2e-3, 1.9e-3), [
        Kind(0.8, (1, 1), 24, 1, counts=MANY, until="backbone"),
        Kind(0.2, (4, 8), 4, 4, supervised=3, counts=MANY, until="backbone")], warm_up=60),
    Phase("grounding", 500, (1.2e-3, 1.2e-3), [
        Kind(0.4, (1, 1), 16, 4, until="encoder"),
        Kind(0.3, (6, 8), 3, 4, until="encoder", supervised=2, counts=CROWDED),
        Kind(0.3, (6, 8), 4, 1, until="backbone", supervised=2, counts=MANY)], warm_up=60),
    Phase("pictures", 400, (1.2e-3, 1.2e-3), [
        Kind(0.45, (1, 1), 12, 4), Kind(0.55, (6, 8), 3, 4, supervised=2, counts=CROWDED)], warm_up=60),
    Phase("all lengths", 1550, (1.2e-3, 1e-5), [
        Kind(0.32, (1, 1), 12, 4, sizes=(SMALL, SIZE)), Kind(0.05, (2, 3), 5, 4, sizes=(SIZE,)),
        Kind(0.47, (4, 8), 3, 4, supervised=3, sizes=(SMALL, SIZE)),
        Kind(0.05, (9, 23), 1, 4, supervised=6, sizes=(SIZE,)), Kind(0.05, (24, 24), 1, 4, supervised=6, sizes=(SIZE,)),
        Kind(0.06, (1, 1), 5, 4, sizes=(LARGE,))], warm_up=30),
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
AVERAGE = 0.995  # decay of the averaged weights, which are the ones measured and shipped
