"""Which object query stands for which object: one assignment for the whole clip."""
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

REFERRED_COST, DICE_COST = 2.0, 5.0


def upsample(masks, size):
    """mask logits [...,h,w] -> [...,H,W], bilinear"""
    flat = F.interpolate(masks.flatten(0, -3)[:, None], size, mode="bilinear", align_corners=False)
    return flat.view(masks.shape[:-2] + tuple(size))


@torch.no_grad()
def match(referred_logits, probabilities, target, dedicated=False):
    """
    One clip: referred_logits [T,N,2]; probabilities [T,N,H,W] of the upsampled masks;
    target: Target with masks [T,M,H,W], referred (index or None), visible [T] bool
    dedicated: the meant object is always query 0's, and query 0 nothing else's; the others are assigned as published
    -> (query indices, object indices), LongTensors, query indices ascending
    """
    masks = target.masks
    inside = torch.einsum("tnp,tmp->tnm", probabilities.flatten(2), masks.flatten(2))
    sums = probabilities.sum((-2, -1))[:, :, None] + masks.sum((-2, -1))[:, None]
    dice = -((2 * inside + 1) / (sums + 1)).mean(0)  # [N,M]
    p = referred_logits.softmax(-1)  # [T,N,2]
    cost = -p[..., 1].mean(0)[:, None].repeat(1, masks.shape[1])
    if target.referred is not None:
        visible = target.visible[:, None]
        cost[:, target.referred] = -torch.where(visible, p[..., 0], p[..., 1]).mean(0)
    cost = (REFERRED_COST * cost + DICE_COST * dice).cpu().numpy()
    if not dedicated:
        queries, objects = linear_sum_assignment(cost)
        return torch.as_tensor(queries), torch.as_tensor(objects)
    rest = [k for k in range(masks.shape[1]) if k != target.referred]
    queries, objects = linear_sum_assignment(cost[1:][:, rest])
    first = [] if target.referred is None else [0]
    return (torch.tensor(first + (queries + 1).tolist(), dtype=torch.long),
            torch.tensor([target.referred for _ in first] + [rest[k] for k in objects], dtype=torch.long))
