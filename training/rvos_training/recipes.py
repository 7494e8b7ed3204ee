"""What is trained in which order. A recipe is a list of phases; each phase draws its batches from a few kinds."""
from dataclasses import dataclass
from typing import List, Tuple


@dataclass
class Batch:
    share: float  # of the phase's steps
    frames: Tuple[int, int]  # shortest and longest clip
    clips: int  # clips in a batch
    sentences: int = 2  # per clip: the backbone runs once for them
    supervised: int = 8  # frames looked at after the backbone, at most
    size: Tuple[int, int] = (72, 108)
    still: bool = False
    absent: float = 0.12


@dataclass
class Phase:
    name: str
    steps: int
    rates: Tuple[float, float]  # learning rate at the phase's start and end, cosine between
    batches: List[Batch]


COMPACT = [
    Phase("pictures", 4000, (4e-4, 3e-4), [Batch(1.0, (1, 1), 12, still=True)]),
    Phase("short clips", 2000, (3e-4, 3e-4), [
        Batch(0.25, (1, 1), 12), Batch(0.15, (2, 3), 5), Batch(0.60, (4, 8), 2, 3)]),
    Phase("all lengths", 4000, (3e-4, 1e-5), [
        Batch(0.18, (1, 1), 12), Batch(0.07, (2, 3), 5), Batch(0.23, (4, 8), 2, 3),
        Batch(0.05, (4, 8), 2, 3, size=(60, 108)), Batch(0.05, (4, 8), 2, 3, size=(72, 96)),
        Batch(0.21, (9, 23), 1, 4, supervised=6), Batch(0.21, (24, 24), 1, 4, supervised=6)]),
]

WARM_UP = 200  # steps
WEIGHT_DECAY = 1e-4
CLIP = 1.0
AVERAGE = 0.998  # decay of the averaged weights, which are the ones measured and shipped
