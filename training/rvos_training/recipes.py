"""What is trained in which order. A recipe is a list of phases; each phase draws its batches from a few kinds."""
from dataclasses import dataclass
from typing import List, Optional, Tuple


@dataclass
class Batch:
    share: float  # of the phase's steps
    frames: Tuple[int, int]  # shortest and longest clip
    clips: int  # clips in a batch
    sentences: int = 2  # per clip: the backbone runs once for them
    supervised: int = 8  # frames looked at after the backbone, at most
    size: Tuple[int, int] = (72, 108)
    still: bool = False
    plain: bool = False  # sentences of shape and colour alone
    counts: Optional[Tuple[float, ...]] = None  # shares of scenes with 1, 2, … objects; None: the generator's
    absent: float = 0.12


@dataclass
class Phase:
    name: str
    steps: int
    rates: Tuple[float, float]  # learning rate at the phase's start and end, cosine between
    batches: List[Batch]
    warm_up: int = 50  # steps over which the rate rises at the phase's beginning


COMPACT = [
    Phase("objects", 2000, (4e-4, 3.5e-4), [Batch(1.0, (1, 1), 12, still=True)]),
    Phase("plain sentences", 1400, (2e-4, 2.5e-4), [
        Batch(1.0, (1, 1), 10, 3, still=True, plain=True, absent=0.0, counts=(0.0, 0.5, 0.3, 0.2))], warm_up=250),
    Phase("pictures", 1000, (2.5e-4, 2.5e-4), [Batch(1.0, (1, 1), 10, 3, still=True)]),
    Phase("short clips", 100, (2.5e-4, 2.5e-4), [
        Batch(0.25, (1, 1), 10, 3), Batch(0.15, (2, 3), 5), Batch(0.60, (4, 8), 2, 3)]),
    Phase("all lengths", 1400, (2.5e-4, 1e-5), [
        Batch(0.20, (1, 1), 10, 3), Batch(0.08, (2, 3), 5), Batch(0.36, (4, 8), 2, 3),
        Batch(0.17, (9, 23), 1, 4, supervised=6), Batch(0.19, (24, 24), 1, 4, supervised=6)]),
]

# Learning rates of groups of parameters, as shares of the phase's. Text: slow, or sentences collapse into their colours.
# Bias: the relative position biases are logits of attention, of another scale than weights.
RATES = {"others": 1.0, "text": 0.2, "bias": 20.0, "backbone": 1.0, "attributes": 1.0}
WEIGHT_DECAY = 1e-4
ATTRIBUTES = 0.5  # weight of the extra task
CLIP = 1.0
AVERAGE = 0.998  # decay of the averaged weights, which are the ones measured and shipped
