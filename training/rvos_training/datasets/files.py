"""Reading a data set's files, with errors that name them."""
import json
import subprocess
from pathlib import Path

import numpy as np

from .sample import DatasetError


def read_json(path):
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DatasetError(f"{path}: {error}") from None


def read_picture(path, palette=False):
    """uint8 [H,W,3] RGB; with palette: [H,W], the index of each pixel's colour"""
    from PIL import Image
    try:
        with Image.open(path) as picture:
            if palette and picture.mode not in ("P", "L"):
                raise DatasetError(f"{path}: {picture.mode} picture, where one with a palette should be")
            return np.array(picture if palette else picture.convert("RGB"))
    except OSError as error:
        raise DatasetError(f"{path}: {error}") from None


def read_frames(path, first, last, size):
    """Frames first…last (both included) of a video whose pictures are size = (h, w) -> uint8 [T,H,W,3]; beyond the end,
    the last frame is repeated."""
    if not Path(path).is_file():
        raise DatasetError(f"{path}: no such video")
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", f"select=between(n\\,{first}\\,{last})", "-vsync", "0",
               "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[1]}x{size[0]}", "-"]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    frames = np.frombuffer(run.stdout, np.uint8).reshape(-1, *size, 3)
    if run.returncode or not len(frames):
        reason = run.stderr.decode(errors="replace").split("\n")[0][:200]
        raise DatasetError(f"{path}: frames {first}–{last} cannot be read: {reason}")
    return np.concatenate([frames, frames[-1:].repeat(last - first + 1 - len(frames), 0)])
