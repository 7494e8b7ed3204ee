"""Mean IoU on generated clips that training never sees, and how well scores tell true sentences from false ones."""
import numpy as np
import torch

from .matcher import upsample
from .mttr import normalize
from .synthetic.clips import make_clip

FIRST_SEED = 1 << 50  # training counts up from 0
SETS = {1: 60, 6: 16, 16: 6, 24: 8}  # clip length: clips


@torch.no_grad()
def predict(model, frames, texts, tokenizer):
    """frames uint8 [T,H,W,3], sentences -> masks bool [P,T,H,W] of the best query, scores [P]"""
    model.eval()
    ids, mask = tokenizer(texts)
    out = model(normalize(torch.from_numpy(frames))[:, None], ids, mask,
                clip_index=torch.zeros(len(texts), dtype=torch.long))
    scores = out["pred_is_referred"][-1].softmax(-1)[..., 0].mean(0)  # [P,N]
    best, query = scores.max(1)
    logits = torch.stack([out["pred_masks"][-1][:, p, q] for p, q in enumerate(query.tolist())])  # [P,T,h,w]
    return (upsample(logits, frames.shape[1:3]) > 0).numpy(), best.numpy()


def mean_iou(found, truth):
    """[T,H,W] bool each -> IoU averaged over frames (1 where both are empty)"""
    union = (found | truth).sum((1, 2))
    return float(np.where(union == 0, 1.0, (found & truth).sum((1, 2)) / np.maximum(union, 1)).mean())


def auroc(positive, negative):
    """Probability that a positive scores higher than a negative."""
    p, n = np.asarray(positive)[:, None], np.asarray(negative)[None]
    return float(((p > n) + 0.5 * (p == n)).mean()) if p.size and n.size else float("nan")


def validate(model, tokenizer, size, sets=None, first_seed=FIRST_SEED):
    """-> {"iou_<T>": …, "auroc": …}"""
    result, true_scores, false_scores = {}, [], []
    for t, clips in (sets or SETS).items():
        ious = []
        for i in range(clips):
            clip = make_clip(first_seed + t * 100000 + i, t, *size, sentences=3, absent=0.3)
            masks, scores = predict(model, clip.frames, [text for text, _ in clip.sentences], tokenizer)
            for (_, index), found, score in zip(clip.sentences, masks, scores):
                if index is None:
                    false_scores.append(score)
                else:
                    true_scores.append(score)
                    ious.append(mean_iou(found, clip.masks[index]))
        result[f"iou_{t}"] = float(np.mean(ious))
    result["auroc"] = auroc(true_scores, false_scores)
    return result
