"""One labelled window of a video with one sentence, and what training does to it before the network sees it."""
import re
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F


class DatasetError(Exception):
    """A data set's file is missing or damaged; the message names it."""


@dataclass
class Sample:
    name: str  # video, sentence and window, for messages
    text: str
    frames: torch.Tensor  # uint8 [T,H,W,3]
    keep: torch.Tensor  # int64 [F], frames with labels
    masks: torch.Tensor  # bool [F,M,H,W], all labelled objects
    referred: int  # index of the meant object in M

    @property
    def visible(self):
        """[F] bool: whether the meant object is seen."""
        return self.masks[:, self.referred].flatten(1).any(1)


_SIDES = re.compile(r"\b(left|right)\b", re.IGNORECASE)


def swap_sides(text):
    """Left and right exchanged, as whole words: `bright` and `leftover` stay what they are."""
    return _SIDES.sub(lambda m: {"left": "right", "right": "left"}[m[0].lower()], text)


def flip(sample):
    """The mirrored sample, with its sentence."""
    return replace(sample, text=swap_sides(sample.text), frames=sample.frames.flip(2), masks=sample.masks.flip(3))


def network_size(h, w, short, longest):
    """The published size rule."""
    small, large = short, int(short * max(h, w) / min(h, w))
    if large > longest:
        small, large = int(longest * small / large), longest
    return (small, large) if h <= w else (large, small)


def resize(sample, short, longest):
    """To the network's size: frames with antialias, rounded to levels as the product does; masks by nearest pixel."""
    size = network_size(*sample.frames.shape[1:3], short, longest)
    x = F.interpolate(sample.frames.permute(0, 3, 1, 2).float(), size, mode="bilinear", align_corners=False, antialias=True)
    frames = x.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    masks = F.interpolate(sample.masks.float(), size, mode="nearest").bool()
    return replace(sample, frames=frames, masks=masks)


def object_index(ids, wanted, where):
    """Index of an object id among a window's ids; a DatasetError that says where if it is not there."""
    if wanted not in ids:
        raise DatasetError(f"{where}: no object {wanted}, only {', '.join(map(str, ids)) or 'none'}")
    return ids.index(wanted)
