"""Batches of generated clips. A batch depends on the recipe, the seed, the step and its part alone, so a run can be taken up
anywhere; it is made in a process of its own while the step before is trained."""
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import List

import numpy as np
import torch

from .auxiliary import SENTENCE_CLASSES, object_labels, sentence_labels
from .losses import Target
from .mttr import normalize
from .recipes import PARTS
from .synthetic.clips import make_clip
from .tokenizer import SentenceTokenizer

TOKENS = 8  # sentences are padded to a multiple: kernels are prepared once per shape


@dataclass
class Batch:
    frames: torch.Tensor  # uint8 [T,B,H,W,3]
    keep: torch.Tensor  # [F] frames that are looked at after the backbone
    masks: List[torch.Tensor]  # per clip, float [F,M,h,w], share of a pixel of the mask's size
    things: List[torch.Tensor]  # per clip, [M,4] object_labels
    input_ids: torch.Tensor  # [P,S]
    attention_mask: torch.Tensor
    clip_index: torch.Tensor  # [P]
    meant: list  # per sentence: the object's index or None
    said: torch.Tensor  # [P,8] sentence_labels
    reduce: int  # side of a mask's pixel in pixels of the frames

    def inputs(self):
        """Arguments of the network."""
        return {"frames": normalize(self.frames), "input_ids": self.input_ids, "attention_mask": self.attention_mask,
                "clip_index": self.clip_index, "valid_frames": self.keep}

    def targets(self):
        found = []
        for clip, meant in zip(self.clip_index.tolist(), self.meant):
            masks = self.masks[clip]
            visible = torch.ones(len(masks), dtype=torch.bool) if meant is None else masks[:, meant].flatten(1).any(1)
            found.append(Target(masks, meant, visible))
        return found


def generated_batch(kind, seed, step, part, tokenizer):
    """Part `part` of a step's batch, of the given kind (a recipe's Kind)."""
    rng = np.random.default_rng([seed, step, 1 + part])
    t = int(rng.integers(kind.frames[0], kind.frames[1] + 1))
    count = max(1, round(kind.clips * (kind.frames[0] + kind.frames[1]) / 2 / t))
    h, w = kind.sizes[rng.integers(len(kind.sizes))]
    first = (seed << 44) + (step * PARTS + part) * 64
    clips = [make_clip(first + i, t, h, w, sentences=kind.sentences, absent=kind.absent, counts=kind.counts,
                       contrast=kind.contrast, hearsay=kind.hearsay, motions=kind.motions) for i in range(count)]
    keep = np.sort(rng.choice(t, min(t, kind.supervised), replace=False))
    masks = [share(torch.from_numpy(c.masks[:, keep]).transpose(0, 1), kind.reduce) for c in clips]
    texts = [text for c in clips for text, _ in c.sentences]
    ids, attention = tokenizer(texts, TOKENS) if texts else (torch.zeros(0, TOKENS).long(),) * 2
    said = [sentence_labels(d) for c in clips for d in c.descriptions]
    return Batch(torch.from_numpy(np.stack([c.frames for c in clips], 1)), torch.from_numpy(keep), masks,
                 [torch.tensor(object_labels(c.things)) for c in clips], ids, attention,
                 torch.arange(count).repeat_interleave(kind.sentences),
                 [index for c in clips for _, index in c.sentences], torch.tensor(said, dtype=torch.long).view(len(said), len(SENTENCE_CLASSES)), kind.reduce)


def share(masks, reduce):
    """bool [T,M,H,W] -> float [T,M,⌈H/reduce⌉,⌈W/reduce⌉], the covered part of each larger pixel"""
    h, w = masks.shape[-2:]
    return torch.nn.functional.adaptive_avg_pool2d(masks.float(), (-(-h // reduce), -(-w // reduce)))


_state = {}


def _end_with(parent):
    """Ends this process once its parent is gone: a trainer that was killed leaves no process behind."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def _begin(tokenizer, parent=None):
    torch.set_num_threads(1)
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _state["tokenizer"] = SentenceTokenizer(tokenizer)


def _make(kind, seed, step, part):
    batch = generated_batch(kind, seed, step, part, _state["tokenizer"])
    # As arrays: tensors would travel through shared memory, of which a container may have little.
    return Batch(**{name: _convert(value, torch.is_tensor, torch.Tensor.numpy) for name, value in vars(batch).items()})


def _convert(value, wanted, change):
    if isinstance(value, list):
        return [_convert(x, wanted, change) for x in value]
    return change(value) if wanted(value) else value


class Prefetcher:
    """Batches in order, those of a few steps made ahead. `kind_of(step, part)` says which; parts: those asked for here;
    workers 0: made when asked for."""

    def __init__(self, kind_of, seed, tokenizer_folder, workers=1, ahead=2, parts=(0,)):
        self.kind_of, self.seed, self.ahead, self.parts, self.pending = kind_of, seed, ahead, parts, {}
        self.pool = ProcessPoolExecutor(workers, initializer=_begin, initargs=(tokenizer_folder, os.getpid())) if workers else None
        if not workers:
            _begin(tokenizer_folder)

    def get(self, step, part=0):
        if self.pool is None:
            return generated_batch(self.kind_of(step, part), self.seed, step, part, _state["tokenizer"])
        for s in range(step, step + 1 + self.ahead):
            for p in self.parts:
                if (s, p) not in self.pending and (s, p) >= (step, part):
                    self.pending[s, p] = self.pool.submit(_make, self.kind_of(s, p), self.seed, s, p)
        arrays = vars(self.pending.pop((step, part)).result())
        return Batch(**{name: _convert(value, lambda x: isinstance(x, np.ndarray), torch.from_numpy)
                        for name, value in arrays.items()})

    def close(self):
        if self.pool:
            self.pool.shutdown(wait=True, cancel_futures=True)
