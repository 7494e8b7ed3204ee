"""Refer-YouTube-VOS, the training split:

    ROOT/train/JPEGImages/<video>/<frame>.jpg
    ROOT/train/Annotations/<video>/<frame>.png          palette index = object id
    ROOT/meta_expressions/train/meta_expressions.json   {"videos": {video: {"frames": […], "expressions": {id: {"exp", "obj_id"}}}}}

A sample is one expression on a window of frames: windows follow one another without overlap, the last is made of the last
frames. A window in which the object does not appear is left out.
"""
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from .files import read_json, read_picture
from .sample import DatasetError, Sample, object_index

SIZE = (360, 640)


def windows(frames, length):
    """Lists of `length` frames; a short video's last frame is repeated."""
    if len(frames) <= length:
        return [frames + frames[-1:] * (length - len(frames))]
    found = [frames[i:i + length] for i in range(0, len(frames) - length + 1, length)]
    return found if len(frames) % length == 0 else found + [frames[-length:]]


class ReferYoutubeVos:
    def __init__(self, root, window, report=lambda done, total: None):
        self.root, self.samples = Path(root), []
        meta_path = self.root / "meta_expressions" / "train" / "meta_expressions.json"
        videos = read_json(meta_path).get("videos")
        if not isinstance(videos, dict) or not videos:
            raise DatasetError(f"{meta_path}: no videos")
        for done, (video, about) in enumerate(sorted(videos.items())):
            try:
                frames = sorted(about["frames"])
                said = [(key, e["exp"], int(e["obj_id"])) for key, e in sorted(about["expressions"].items())]
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise DatasetError(f"{meta_path}: video {video}: {type(error).__name__} {error}") from None
            if not frames:
                raise DatasetError(f"{meta_path}: video {video} has no frames")
            for names in windows(frames, window):
                present = set().union(*(self.objects(video, name) for name in dict.fromkeys(names)))
                self.samples += [(video, key, text, number, names) for key, text, number in said if number in present]
            report(done + 1, len(videos))
        if not self.samples:
            raise DatasetError(f"{meta_path}: no expression's object is seen anywhere")

    def __len__(self):
        return len(self.samples)

    def video(self, i):
        """The video of sample i, to keep videos apart in training and validation."""
        return self.samples[i][0]

    @lru_cache(maxsize=4096)
    def objects(self, video, name):
        return frozenset(np.unique(self.annotation(video, name)).tolist()) - {0}

    def annotation(self, video, name):
        return read_picture(self.root / "train" / "Annotations" / video / f"{name}.png", palette=True)

    def sample(self, i):
        video, key, text, number, names = self.samples[i]
        folder = self.root / "train" / "JPEGImages" / video
        frames = np.stack([read_picture(folder / f"{name}.jpg") for name in names])
        labels = np.stack([self.annotation(video, name) for name in names])
        if frames.shape[:3] != labels.shape:
            raise DatasetError(f"{folder}: frames of {frames.shape[1:3]}, annotations of {labels.shape[1:]} pixels")
        ids = [n for n in np.unique(labels).tolist() if n]
        masks = np.stack([labels == n for n in ids], 1)  # [T,M,H,W]
        where = f"{video}, expression {key}, frames {names[0]}–{names[-1]}"
        return Sample(where, text, torch.from_numpy(frames), torch.arange(len(names)), torch.from_numpy(masks),
                      object_index(ids, number, where))
