"""The losses of MTTR, on the last decoder layer and on each one before it."""
from dataclasses import dataclass
from typing import Optional

import torch
import torch.nn.functional as F

from .matcher import match, upsample

WEIGHTS = {"is_referred": 2.0, "dice": 5.0, "sigmoid_focal": 2.0}
OTHERS = 0.1  # weight of every query but the referred one in the referred loss
ALPHA, GAMMA = 0.25, 2


@dataclass
class Target:
    """What one sentence should give on one clip."""
    masks: torch.Tensor  # [T,M,H,W] float 0/1, all objects
    referred: Optional[int]  # index of the object in M; None: the sentence refers to nothing
    visible: torch.Tensor  # [T] bool: frames in which the referred object is visible


def referred_loss(logits, targets, matches, absent):
    """logits [T,P,N,2]; absent: weight of the likeliest query of a sentence about nothing -> scalar"""
    goal = torch.zeros_like(logits)
    goal[..., 1] = 1
    weight = torch.full_like(logits[..., 0], OTHERS)
    for p, (target, (queries, objects)) in enumerate(zip(targets, matches)):
        if target.referred is None:
            likeliest = (logits[:, p, :, 0] - logits[:, p, :, 1]).detach().argmax(1)  # [T]
            weight[torch.arange(len(likeliest)), p, likeliest] = absent
            continue
        for query in queries[objects == target.referred].tolist():
            weight[:, p, query] = 1
            goal[:, p, query, 0] = target.visible.float()
            goal[:, p, query, 1] = 1 - target.visible.float()
    loss = -(goal * logits.log_softmax(-1)).sum(-1) * weight
    return loss.sum() / (logits.shape[0] * logits.shape[1])


def mask_losses(logits, probabilities, masks, weights, count):
    """logits, probabilities, masks [M,pixels] of matched pairs, weights [M] -> focal loss, dice loss"""
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    wrong = probabilities + masks - 2 * probabilities * masks  # 1 - p of the true class
    alpha = 1 - ALPHA + (2 * ALPHA - 1) * masks
    focal = ((alpha * entropy * wrong ** GAMMA).mean(1) * weights).sum() / count
    dice = 1 - (2 * (probabilities * masks).sum(1) + 1) / (probabilities.sum(1) + masks.sum(1) + 1)
    return focal, (dice * weights).sum() / count


def mask_count(targets, emphasis=1.0):
    """What mask losses are divided by: objects times frames (of all processes, on average), the referred ones `emphasis`
    times."""
    extra = [0 if t.referred is None else emphasis - 1 for t in targets]
    return max(1, sum(t.masks.shape[0] * (t.masks.shape[1] + e) for t, e in zip(targets, extra)))


def layer_losses(masks, referred, targets, absent, count=None, emphasis=1.0, dedicated=False):
    """masks [T,P,N,h,w], referred [T,P,N,2] of one decoder layer, one Target per sentence -> dict, matches"""
    size = targets[0].masks.shape[-2:]
    count = mask_count(targets, emphasis) if count is None else count
    with torch.no_grad():
        all_probabilities = upsample(masks, size).sigmoid()
    matches = [match(referred[:, p], all_probabilities[:, p], t, dedicated) for p, t in enumerate(targets)]
    # Only matched queries are supervised: upsample those once more, with gradients.
    chosen = torch.cat([masks[:, p, q].flatten(0, 1) for p, (q, _) in enumerate(matches)])
    truth = torch.cat([t.masks[:, o].flatten(0, 1) for t, (_, o) in zip(targets, matches)]).flatten(1)
    weights = torch.cat([torch.where(o == (-1 if t.referred is None else t.referred), emphasis, 1.0).repeat(len(t.masks))
                         for t, (_, o) in zip(targets, matches)]).to(masks)
    logits = upsample(chosen[None], size)[0].flatten(1)
    focal, dice = mask_losses(logits, logits.sigmoid(), truth, weights, count)
    return {"sigmoid_focal": focal, "dice": dice, "is_referred": referred_loss(referred, targets, matches, absent)}, matches


def losses(outputs, targets, absent=OTHERS, count=None, emphasis=1.0, dedicated=False):
    """All losses by name (`dice`, and `dice_0` … of the earlier layers), their weighted sum, the last layer's matches.
    count: see mask_count (None: of these targets). absent: weight of the likeliest query of a sentence that refers to nothing. Such sentences do not occur in the published
    recipe; at the common weight of 0.1 a false alarm costs a tenth of a miss, and scores hardly separate. emphasis: weight of the meant object's masks, where the published recipe has 1. dedicated:
    see match."""
    result, total, matches = {}, 0.0, None
    layers = len(outputs["pred_masks"])
    for i in reversed(range(layers)):
        values, found = layer_losses(outputs["pred_masks"][i], outputs["pred_is_referred"][i], targets, absent, count,
                                     emphasis, dedicated)
        if i == layers - 1:
            matches = found
        for name, value in values.items():
            result[name if i == layers - 1 else f"{name}_{i}"] = value
            total = total + WEIGHTS[name] * value
    return result, total, matches
