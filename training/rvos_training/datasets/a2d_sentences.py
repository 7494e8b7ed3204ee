"""A2D-Sentences, the training split:

    ROOT/Release/videoset.csv                   vid,label,start,end,height,width,frames,annotated,subset (0: training)
    ROOT/Release/clips320H/<vid>.mp4            (or Release/CLIPS320)
    ROOT/text_annotations/a2d_annotation.txt    video_id,instance_id,query   (or annotation.txt)
    ROOT/text_annotations/a2d_missed_videos.txt (or missed_videos.txt)
    ROOT/text_annotations/a2d_annotation_with_instances/<vid>/<frame, 5 digits>.h5    (or annotation_with_instances)
                                                instance [n], reMask [n,W,H] ([W,H] if n is 1)

A sample is one sentence on the window around an annotated frame in which its object is labelled; that frame alone has masks.
"""
import csv
from pathlib import Path

import numpy as np
import torch

from .files import read_frames
from .sample import DatasetError, Sample, object_index

SIZE = (320, 576)


def _first(*paths):
    """The path that exists; the first if none does, for the message of what is then missing."""
    return next((p for p in paths if p.exists()), paths[0])


def _rows(path, header):
    try:
        with open(path, newline="", encoding="utf-8") as f:
            rows = list(csv.reader(f))
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: {error}") from None
    return rows[1:] if header else rows


def read_instances(path):
    """-> object ids, masks bool [n,H,W]"""
    import h5py
    try:
        with h5py.File(path, "r") as f:
            ids = [int(n) for n in np.asarray(f["instance"]).flatten()]
            masks = np.asarray(f["reMask"])
    except (OSError, KeyError, ValueError) as error:
        raise DatasetError(f"{path}: {error}") from None
    masks = masks[None] if masks.ndim == 2 else masks
    if masks.ndim != 3 or len(masks) != len(ids):
        raise DatasetError(f"{path}: {len(ids)} instances, reMask of shape {masks.shape}")
    return ids, masks.transpose(0, 2, 1) > 0


class A2dSentences:
    def __init__(self, root, window, report=lambda done, total: None):
        self.root, self.window, self.samples = Path(root), window, []
        text = self.root / "text_annotations"
        release = self.root / "Release"
        self.clips = _first(release / "clips320H", release / "CLIPS320")
        self.instances = _first(text / "a2d_annotation_with_instances", text / "annotation_with_instances")
        missed = {row[0] for row in _rows(_first(text / "a2d_missed_videos.txt", text / "missed_videos.txt"), False) if row}
        videos = release / "videoset.csv"
        try:
            training = {row[0] for row in _rows(videos, False) if row and int(row[8]) == 0}
        except (IndexError, ValueError):
            raise DatasetError(f"{videos}: nine columns were expected, the last 0 or 1") from None
        annotation = _first(text / "a2d_annotation.txt", text / "annotation.txt")
        rows = _rows(annotation, True)
        for done, row in enumerate(rows):
            if len(row) < 3:
                raise DatasetError(f"{annotation}: line {done + 2}: video, instance and query were expected")
            video, instance, query = row[0].strip(), row[1].strip(), ",".join(row[2:]).strip()
            if video in training and video not in missed and instance != "1 (copy)":
                for path in sorted((self.instances / video).glob("*.h5")):
                    if int(instance) in self.ids(path):
                        self.samples.append((video, int(path.stem), int(instance), query, path))
            report(done + 1, len(rows))
        if not self.samples:
            raise DatasetError(f"{annotation}: no sentence of the training split has an annotated frame in {self.instances}")

    def __len__(self):
        return len(self.samples)

    def video(self, i):
        """The video of sample i, to keep videos apart in training and validation."""
        return self.samples[i][0]

    def ids(self, path):
        return read_instances(path)[0]

    def sample(self, i):
        video, frame, instance, query, path = self.samples[i]
        ids, masks = read_instances(path)
        middle = self.window // 2
        wanted = range(frame - 1 - middle, frame - 1 - middle + self.window)
        video_path = self.clips / f"{video}.mp4"
        first, last = max(0, wanted[0]), max(0, wanted[-1])
        frames = read_frames(video_path, first, last, masks.shape[1:])
        frames = frames[[max(0, n) - first for n in wanted]]
        where = f"{video}, frame {frame}, instance {instance}"
        return Sample(where, query, torch.from_numpy(frames), torch.tensor([middle]), torch.from_numpy(masks[None]),
                      object_index(ids, instance, where))
