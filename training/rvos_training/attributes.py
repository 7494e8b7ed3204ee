"""An extra task for training on generated clips: name each object's colour, shape and motion from the backbone's
coarsest features under its mask. Sentences alone teach a small network shapes only very slowly. Not part of the
network: it is left behind at export."""
import torch
import torch.nn as nn
import torch.nn.functional as F

from .synthetic.scene import COLORS, MOTIONS, SHAPES

CLASSES = {"shape": SHAPES, "color": tuple(COLORS), "motion": MOTIONS}
SHORTEST_MOTION = 4  # frames from which motion can be told


class AttributeHead(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.heads = nn.ModuleDict({name: nn.Linear(dim, len(c)) for name, c in CLASSES.items()})

    def forward(self, level2, masks, things, frames):
        """level2 [T,B,h,w,C]; masks: per clip [T,M,H,W] float; things: per clip M Things; frames: length of the clips
        before frames were selected -> scalar loss, share of right answers by attribute"""
        features, labels = [], []
        for b, (mask, objects) in enumerate(zip(masks, things)):
            weight = F.adaptive_avg_pool2d(mask, level2.shape[2:4]).flatten(2)  # [T,M,hw]
            total = weight.sum(-1, keepdim=True)
            pooled = weight @ level2[:, b].flatten(1, 2) / total.clamp(min=1e-6)  # [T,M,C]
            seen = total[..., 0] > 0.1
            label = torch.tensor([[c.index(getattr(o, name)) for name, c in CLASSES.items()] for o in objects])
            features.append(pooled[seen])
            labels.append(label.expand(len(mask), -1, -1)[seen])
        x, y = self.norm(torch.cat(features)), torch.cat(labels)
        loss, right = 0.0, {}
        for i, (name, head) in enumerate(self.heads.items()):
            if name == "motion" and frames < SHORTEST_MOTION:
                continue
            logits = head(x)
            loss = loss + F.cross_entropy(logits, y[:, i])
            right[name] = (logits.argmax(1) == y[:, i]).float().mean()
        return loss, right
