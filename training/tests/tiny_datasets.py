"""Tiny data sets in the published layouts, and a tiny checkpoint to fine-tune."""
import json
from pathlib import Path

import h5py
import numpy as np
import torch
from PIL import Image

from rvos_training.config import Config, MttrConfig, RobertaConfig, SwinConfig
from rvos_training.files import write_lossless
from rvos_training.mttr import MTTR
from rvos_training.tokenizer import make

HEIGHT, WIDTH = 40, 60


def frame_and_ids(shift):
    """A grey picture with object 1 (red, at the left) and object 2 (blue, at the right), and its object ids."""
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids[8:20, 4 + shift:18 + shift] = 1
    ids[22:36, 38:54] = 2
    palette = np.array([(90, 90, 90), (220, 30, 30), (40, 60, 220)], np.uint8)
    return palette[ids], ids


def refer_youtube_vos(root, videos=3, frames=5):
    """Object 2 is missing from the last two frames of every video."""
    root, meta = Path(root), {}
    for v in range(videos):
        name = f"video{v}"
        pictures, labels = root / "train/JPEGImages" / name, root / "train/Annotations" / name
        pictures.mkdir(parents=True)
        labels.mkdir(parents=True)
        names = [f"{5 * t:05d}" for t in range(frames)]
        for t, frame in enumerate(names):
            picture, ids = frame_and_ids(t)
            ids = np.where((ids == 2) & (t >= frames - 2), 0, ids).astype(np.uint8)
            Image.fromarray(picture).save(pictures / f"{frame}.jpg", quality=95)
            image = Image.fromarray(ids, "P")
            image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
            image.save(labels / f"{frame}.png")
        meta[name] = {"frames": names, "expressions": {
            "0": {"exp": "the red box on the left", "obj_id": "1"}, "1": {"exp": "the bright blue box on the right", "obj_id": "2"}}}
    path = root / "meta_expressions/train/meta_expressions.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"videos": meta}))
    return root


def a2d_sentences(root, videos=3, frames=9):
    """Frames 2 and 6 of each video are annotated; instance 1 alone in frame 6; the last video belongs to the test split."""
    root = Path(root)
    clips, text = root / "Release/clips320H", root / "text_annotations"
    for folder in (clips, text / "a2d_annotation_with_instances"):
        folder.mkdir(parents=True)
    rows, sentences = [], ["video_id,instance_id,query"]
    for v in range(videos):
        name = f"vid{v}"
        write_lossless(clips / f"{name}.mp4", np.stack([frame_and_ids(t)[0] for t in range(frames)]), 12)
        rows.append(f"{name},11,0,1,{HEIGHT},{WIDTH},{frames},2,{int(v == videos - 1)}")
        sentences += [f"{name},1,a red box, on the left", f"{name},2,the blue box", f"{name},1 (copy),the same box"]
        folder = text / "a2d_annotation_with_instances" / name
        folder.mkdir()
        for frame, numbers in ((2, (1, 2)), (6, (1,))):
            ids = frame_and_ids(frame - 1)[1]
            masks = np.stack([(ids == n).T for n in numbers]).astype(np.uint8)  # [n,W,H]
            with h5py.File(folder / f"{frame:05d}.h5", "w") as f:
                f["instance"] = np.array(numbers)
                f["reMask"] = masks[0] if len(masks) == 1 else masks
    (root / "Release/videoset.csv").write_text("\n".join(rows) + "\n")
    (text / "a2d_annotation.txt").write_text("\n".join(sentences) + "\n")
    (text / "a2d_missed_videos.txt").write_text("nothing\n")
    return root


def checkpoint(folder, wrapped=False):
    """A random tiny network as checkpoint.pth.tar with config.json and tokenizer/ beside it; wrapped: as another trainer
    writes it, names with a prefix, the buffer of positions missing."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    size = make(folder / "tokenizer", sentences=200, merges=40)
    config = Config(SwinConfig(embed_dim=16, depths=[2, 2, 2, 2], num_heads=[1, 2, 4, 8], window_size=[4, 4, 4]),
                    RobertaConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
                                  vocab_size=size),
                    MttrConfig(num_queries=4, d_model=64, nheads=4, num_encoder_layers=1, num_decoder_layers=2,
                               dim_feedforward=64))
    torch.manual_seed(5)
    state = MTTR(config).state_dict()
    if wrapped:
        state = {"model." + k: v for k, v in state.items() if not k.endswith("position_ids")}
    torch.save({"model_state_dict": state}, folder / "checkpoint.pth.tar")
    (folder / "config.json").write_text(json.dumps({**config.to_dict(), "window_length": 24}))
    return folder / "checkpoint.pth.tar"
