"""Writes what `rvos import` reads: an original-style checkpoint, its architecture, and the tokenizer's folder.

    python -m rvos_training.export RUN --out DIR
"""
import argparse
import json
import shutil
from pathlib import Path

import torch

from .recipes import SIZE


def export(folder, state, config, tokenizer, epoch=0, note=None):
    """folder/{checkpoint.pth.tar,config.json,tokenizer/}. state: name -> tensor, published names."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Half precision is what the shipped model stores: rounded here, so that measurements see the shipped weights.
    state = {k: v.half().float() if v.is_floating_point() else v for k, v in state.items()}
    torch.save({"epoch": epoch, "model_state_dict": state}, folder / "checkpoint.pth.tar")
    description = {**config.to_dict(), "pixel_mean": [0.485, 0.456, 0.406], "pixel_std": [0.229, 0.224, 0.225],
                   "window_length": 24, "window_overlap": 6,
                   "short_side": min(SIZE), "long_side": max(SIZE)}
    if note:
        description["note"] = note
    (folder / "config.json").write_text(json.dumps(description, indent=1) + "\n")
    if Path(tokenizer).resolve() != (folder / "tokenizer").resolve():
        shutil.copytree(tokenizer, folder / "tokenizer", dirs_exist_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="folder of a training run")
    parser.add_argument("--out", required=True)
    parser.add_argument("--checkpoint", default="best.pt", help="file in the run's folder (default: best.pt)")
    arguments = parser.parse_args()
    from .config import Config
    run = Path(arguments.run)
    saved = torch.load(run / arguments.checkpoint, map_location="cpu")
    export(arguments.out, saved["average"], Config.from_dict(saved["config"]), run / "tokenizer", saved["step"],
           saved.get("note"))
    print(f"{arguments.out}: step {saved['step']}, {saved.get('note', '')}")


if __name__ == "__main__":
    main()
