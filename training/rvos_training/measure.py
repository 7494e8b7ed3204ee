"""Measures an exported model on a folder of `heldout` clips, the way the product runs it: resized with antialias,
windows of 24 frames that overlap by 6, later windows overwriting, masks at the video's size.

    python -m rvos_training.measure EXPORT HELDOUT [--clips N] [--csv FILE]

A check of the model alone: the product itself is measured by bench/heldout.mjs. Needs ffmpeg.
"""
import argparse
import csv
import json
import subprocess
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from .config import Config
from .datasets.sample import network_size
from .heldout import heldout_clip
from .matcher import upsample
from .mttr import MTTR, normalize
from .tokenizer import SentenceTokenizer
from .validate import auroc, mean_iou

WINDOW, OVERLAP = 24, 6


def load_export(folder):
    """-> network, tokenizer, (short side, long side)"""
    folder = Path(folder)
    description = json.loads((folder / "config.json").read_text())
    config = Config.from_dict({k: description[k] for k in ("swin", "roberta", "mttr")})
    model = MTTR(config).eval()
    model.load_state_dict(torch.load(folder / "checkpoint.pth.tar", map_location="cpu")["model_state_dict"])
    return model, SentenceTokenizer(folder / "tokenizer"), (description["short_side"], description["long_side"])


def read_video(path, h, w):
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, h, w, 3)


@torch.no_grad()
def segment(model, tokenizer, sides, frames, texts):
    """frames uint8 [T,H,W,3] -> masks bool [P,T,H,W], scores [P] (mean over windows, by frames)"""
    t, h, w, _ = frames.shape
    size = network_size(h, w, *sides)
    x = torch.from_numpy(frames.copy()).permute(0, 3, 1, 2).float()
    x = F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=True).round().clamp(0, 255)
    x = normalize(x.permute(0, 2, 3, 1).to(torch.uint8))
    ids, mask = tokenizer(texts)
    masks, total, count = np.zeros((len(texts), t, h, w), bool), np.zeros(len(texts)), 0
    for begin in range(0, t, WINDOW - OVERLAP):
        piece = x[begin:begin + WINDOW]
        out = model(piece[:, None], ids, mask, clip_index=torch.zeros(len(texts), dtype=torch.long))
        best, query = out["pred_is_referred"][-1].softmax(-1)[..., 0].mean(0).max(1)
        logits = torch.stack([out["pred_masks"][-1][:, p, q] for p, q in enumerate(query.tolist())])
        found = (upsample(logits, size) > 0).float()  # [P,t,h,w] at the network's size
        found = F.interpolate(found, (h, w), mode="nearest")
        masks[:, begin:begin + WINDOW] = found.numpy() > 0.5
        total, count = total + best.numpy() * len(piece), count + len(piece)
    return masks, total / count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export")
    parser.add_argument("heldout")
    parser.add_argument("--clips", type=int, default=1 << 30)
    parser.add_argument("--csv")
    arguments = parser.parse_args()
    model, tokenizer, sides = load_export(arguments.export)
    rows, kinds, scores = [], defaultdict(list), {True: [], False: []}
    for folder in sorted(p.parent for p in Path(arguments.heldout).glob("*/clip.json"))[:arguments.clips]:
        about = json.loads((folder / "clip.json").read_text())
        frames = read_video(folder / "video.mp4", about["height"], about["width"])
        truth = heldout_clip(int(about["id"]))
        masks, found = segment(model, tokenizer, sides, frames, [s["text"] for s in about["sentences"]])
        for sentence, (text, index), mask, score in zip(about["sentences"], truth.sentences, masks, found):
            assert sentence["text"] == text, "made by another version of the generator"
            scores[sentence["present"]].append(score)
            iou = mean_iou(mask, truth.masks[index]) if index is not None else float("nan")
            rows.append({"clip": about["id"], "text": text, "present": index is not None, "score": round(float(score), 4),
                         "iou": round(iou, 4)})
            if index is not None:
                for kind in ["all"] + sentence["kinds"]:
                    kinds[kind].append(iou)
    for kind, values in kinds.items():
        print(f"{kind:9s} {len(values):4d} sentences, mean IoU {np.mean(values):.3f}")
    print(f"score: mean {np.mean(scores[True]):.3f} present"
          + (f", {np.mean(scores[False]):.3f} absent, AUROC {auroc(scores[True], scores[False]):.3f}" if scores[False] else ""))
    if arguments.csv:
        with open(arguments.csv, "w", newline="") as f:
            writer = csv.DictWriter(f, rows[0])
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
