"""Extra tasks for training on generated clips. Sentences and masks alone teach a small network what a shape is only very
slowly; here each part of it is also asked directly. None of this belongs to the network: it is left behind at export.

objects    name each object's shape, colour, size and motion from the backbone's features under its mask
sentences  name what a sentence says from its first token's features
grounding  tell from the encoder's video tokens which of them show what the sentence means
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

from .synthetic.scene import COLORS, MOTIONS, SHAPES, SIZES
from .synthetic.sentences import POSITION_WORDS, RELATION_WORDS

OBJECT_CLASSES = {"shape": SHAPES, "color": tuple(COLORS), "size": (*SIZES, ""), "motion": MOTIONS}
SHORTEST_MOTION = 4  # frames from which motion can be told
SENTENCE_CLASSES = {"shape": SHAPES, "color": tuple(COLORS), "size": tuple(SIZES), "motion": MOTIONS,
                    "position": tuple(POSITION_WORDS), "relation": tuple(RELATION_WORDS), "anchor_shape": SHAPES,
                    "anchor_color": tuple(COLORS)}


def object_labels(things):
    """[M,4] int64, the classes of a clip's objects in the order of OBJECT_CLASSES"""
    return [[classes.index(getattr(thing, name)) for name, classes in OBJECT_CLASSES.items()] for thing in things]


def sentence_labels(description):
    """[8] int64 in the order of SENTENCE_CLASSES; 0 where the sentence does not say."""
    said = dict(description)
    if said.get("relation"):
        said["relation"], anchor = said["relation"]
        said["anchor_shape"] = anchor.shape
    return [0 if said.get(name) is None else 1 + classes.index(said[name]) for name, classes in SENTENCE_CLASSES.items()]


class ObjectHead(nn.Module):
    """One linear classifier per attribute on the mean feature under an object's mask."""

    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.heads = nn.ModuleDict({name: nn.Linear(dim, len(c)) for name, c in OBJECT_CLASSES.items()})

    def forward(self, level, masks, labels, frames):
        """level [T,B,h,w,C]; masks: per clip [T,M,H,W] float; labels: per clip [M,4]; frames: length of the clips
        before frames were selected -> scalar loss, share of right answers by attribute"""
        features, truth = [], []
        for b, (mask, label) in enumerate(zip(masks, labels)):
            weight = F.adaptive_avg_pool2d(mask, level.shape[2:4]).flatten(2)  # [T,M,hw]
            total = weight.sum(-1, keepdim=True)
            pooled = (weight / total.clamp(min=1e-6)) @ level[:, b].flatten(1, 2)  # [T,M,C]
            seen = total[..., 0] > 0.1
            features.append(pooled[seen])
            truth.append(label.expand(len(mask), -1, -1)[seen])
        x, y = self.norm(torch.cat(features)), torch.cat(truth)
        loss, right = 0.0, {}
        for i, (name, head) in enumerate(self.heads.items()):
            if name == "motion" and frames < SHORTEST_MOTION:
                continue
            logits = head(x)
            loss = loss + F.cross_entropy(logits, y[:, i])
            right[name] = (logits.argmax(1) == y[:, i]).float().mean()
        return loss, right


class CoverHead(nn.Module):
    """Where there is any object at all: each token draws its own part of the picture, in pixels of half the picture's size."""

    def __init__(self, dims):
        super().__init__()
        self.draw = nn.ModuleList(nn.Linear(dim, 4 ** (i + 1)) for i, dim in enumerate(dims))

    def forward(self, levels, masks):
        """levels [T,B,h_i,w_i,C_i]; masks: per clip [T,M,H/2,W/2] -> scalar loss"""
        covered, loss = torch.stack([m.sum(1).clamp(max=1) for m in masks], 1), 0.0
        for i, (level, draw) in enumerate(zip(levels, self.draw)):
            side = 2 ** (i + 1)
            h, w = level.shape[2:4]
            truth = F.pad(covered, (0, w * side - covered.shape[3], 0, h * side - covered.shape[2]))
            truth = truth.view(*truth.shape[:2], h, side, w, side).permute(0, 1, 2, 4, 3, 5).flatten(4)
            loss = loss + F.binary_cross_entropy_with_logits(draw(level), truth)
        return loss


class SentenceHead(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.heads = nn.ModuleDict({name: nn.Linear(dim, 1 + len(c)) for name, c in SENTENCE_CLASSES.items()})

    def forward(self, text, labels):
        """text [S,P,D], labels [P,8] -> scalar loss, share of right answers"""
        loss, right = 0.0, []
        for i, head in enumerate(self.heads.values()):
            logits = head(text[0])
            loss = loss + F.cross_entropy(logits, labels[:, i])
            right.append((logits.argmax(1) == labels[:, i]).float().mean())
        return loss, torch.stack(right).mean()


class GroundingHead(nn.Module):
    """Which of the encoder's video tokens show the object that the sentence means: one linear layer per token."""

    def __init__(self, dim):
        super().__init__()
        self.token = nn.Linear(dim, 1)

    def forward(self, memory, share):
        """memory [M,D,h,w]; share [M,h,w]: part of each token that the object covers (0 for a sentence about nothing)
        -> scalar loss, highest logit of each picture [M]"""
        logits = self.token(memory.permute(0, 2, 3, 1)).squeeze(-1)
        # Covered tokens are few: they count as much as all others together.
        weight = torch.where(share > 0.1, 4.0, 1.0)
        loss = F.binary_cross_entropy_with_logits(logits, (share * 2).clamp(max=1), weight)
        return loss, logits.flatten(1).max(1).values


class Auxiliary(nn.Module):
    def __init__(self, model):
        super().__init__()
        dims, d = model.backbone.dims, model.config.mttr.d_model
        self.middle, self.coarse = ObjectHead(dims[1]), ObjectHead(dims[2])
        self.cover, self.sentences, self.grounding = CoverHead(dims), SentenceHead(d), GroundingHead(d)

    def forward(self, outputs, batch):
        """outputs of the network (levels of the kept frames), a Batch -> losses by name, shares of right answers by name"""
        frames, values, right = len(batch.frames), {}, {}
        if batch.reduce == 2:
            values["cover"] = self.cover(outputs["levels"], batch.masks)
        values["middle"], _ = self.middle(outputs["levels"][1], batch.masks, batch.things, frames)
        values["coarse"], named = self.coarse(outputs["levels"][2], batch.masks, batch.things, frames)
        right.update({f"right_{name}": share for name, share in named.items()})
        if "text" in outputs and len(batch.said):
            values["sentences"], right["right_words"] = self.sentences(outputs["text"], batch.said)
        if "memory" in outputs:
            size = outputs["levels"][2].shape[2:4]
            shares = [F.adaptive_avg_pool2d(m, size) for m in batch.masks]  # per clip [F,M,h2,w2]
            meant = torch.stack([torch.zeros_like(shares[c][:, 0]) if o is None else shares[c][:, o]
                                 for c, o in zip(batch.clip_index.tolist(), batch.meant)], 1)  # [F,P,h2,w2]
            values["grounding"], strongest = self.grounding(outputs["memory"], meant.flatten(0, 1))
            there = meant.flatten(2).amax(2).flatten() > 0.1
            right["right_presence"] = ((strongest > 0) == there).float().mean()
        return values, right
