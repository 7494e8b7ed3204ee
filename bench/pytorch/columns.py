"""PyTorch's columns of the benchmark, a process for each:

    python bench/pytorch/columns.py published|published_bf16|strong --model DIR --threads N

published       the published algorithm: the whole clip decoded and resized, then the whole network once for each pair of window
                and sentence, all object queries' masks as logits, the chosen one's at full size as floats; FP32
published_bf16  the same under bfloat16 autocast
strong          what somebody who knows PyTorch makes of it: backbone once a window, all sentences in one batch, the chosen
                object query's masks alone, inference mode, torch.compile, bfloat16 where the processor multiplies it

The network is that of training/, whose values are checked against the original's; its weights are those of the model folder.
Reads a JSON value a line from standard input, {"job": "warm" | "run", …} as `Column` in bench/cpu/column.mjs sends it, and answers
each with one: seconds, object query and score of every sentence and window. Masks go to the files named, packed as numpy.packbits does.
"""
import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))

import numpy as np
import torch
import torch.nn.functional as F

from rvos_training.model_folder import read
from rvos_training.mttr import MTTR, normalize

COLORS = np.array([(41, 171, 226), (237, 30, 121), (35, 161, 90), (255, 148, 59)], np.float32)


def has_bf16():
    """Whether the processor multiplies bfloat16 itself."""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    return "amx_bf16" in flags or "avx512_bf16" in flags


class Published:
    """model-spec §8.1 and §8.3."""

    def __init__(self, model, bf16):
        self.model, self.bf16 = model, bf16
        self.precision = "bf16" if bf16 else "fp32"

    def window(self, frames, sentences, size):
        """frames uint8 [T,h,w,3], sentences: token ids of each -> [(object query, score, float masks [T,H,W])]"""
        found = []
        for ids in sentences:
            clip = normalize(frames)[:, None]  # [T,1,3,h,w]
            ids = torch.tensor([ids])
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                out = self.model(clip, ids, torch.ones_like(ids))
            scores = out["pred_is_referred"][-1].float().softmax(-1)[..., 0].mean(0)[0]  # [N]
            best = int(scores.argmax())
            logits = out["pred_masks"][-1][:, :, best].float()  # [T,1,h0,w0]
            found.append((best, float(scores[best]), full_size(logits, frames.shape[1:3], size).float()))
        return found


class Strong:
    def __init__(self, model, bf16):
        self.model, self.bf16 = model, bf16
        self.precision = "bf16" if bf16 else "fp32"
        self.network = torch.compile(self._network, dynamic=False)

    def _network(self, clip, ids, present):
        """clip [T,1,3,h,w], ids and present [P,S] -> scores [P,N], best [P], logits of the best [T,P,h0,w0]"""
        m, (t, p) = self.model, (len(clip), len(ids))
        level0, level1, level2 = [x[0].permute(0, 3, 1, 2) for x in m.backbone(clip.transpose(0, 1))]  # [T,C,h,w]
        text = m.transformer.encode_text(ids, present)

        def expand(x):
            return x.repeat_interleave(p, 0)  # [(t p),…]
        mask = torch.zeros((t * p,) + level2.shape[-2:], dtype=torch.bool)
        encoded = m.transformer.encode(expand(m.vid_embed_proj(level2)), mask, text.repeat(1, t, 1), (~present).repeat(t, 1))
        hs = m.transformer.decode(encoded, m.obj_queries.weight)[-1].unflatten(1, (t, p)).permute(1, 2, 0, 3)  # [T,P,N,D]
        scores = m.is_referred_head(hs).float().softmax(-1)[..., 0].mean(0)
        best = scores.argmax(-1)
        chosen = hs.gather(2, best[None, :, None, None].expand(t, p, 1, hs.shape[-1]))[:, :, 0]
        features = m.spatial_decoder(encoded.video, level1, level0, expand).unflatten(0, (t, p))
        return scores, best, torch.einsum("tpk,tpkhw->tphw", m.instance_kernels_head(chosen), features)

    def window(self, frames, sentences, size):
        longest = max(len(ids) for ids in sentences)
        ids = torch.full((len(sentences), longest), 1)
        for row, tokens in zip(ids, sentences):
            row[:len(tokens)] = torch.tensor(tokens)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            scores, best, logits = self.network(normalize(frames)[:, None], ids, ids != 1)
        masks = full_size(logits.float(), frames.shape[1:3], size)
        return [(int(n), float(scores[p, n]), masks[:, p:p + 1]) for p, n in enumerate(best)]


def full_size(logits, padded, size):
    """Logits [T,P,h0,w0] -> masks [T,P,H,W]: bilinear to the network's size, threshold, nearest to the original size."""
    masks = F.interpolate(logits, tuple(padded), mode="bilinear", align_corners=False).sigmoid() > 0.5
    return masks if tuple(padded) == tuple(size) else F.interpolate(masks.float(), tuple(size), mode="nearest") > 0.5


def decode(path, height, width):
    """The whole clip, uint8 [T,H,W,3]."""
    command = ["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, 3)


def resize(frames, height, width):
    """As the published pipeline of today does it: on bytes, with antialias."""
    if tuple(frames.shape[1:3]) == (height, width):
        return frames
    x = frames.movedim(-1, 1)  # channels last in memory, which is what this resize is fast for
    return F.interpolate(x, (height, width), mode="bilinear", antialias=True, align_corners=False).movedim(1, -1)


def paint(path, frames, masks, rate):
    """The masked video: model-spec §8.3, encoded with the options that rvos takes."""
    height, width = frames.shape[1:3]
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(rate),
               "-i", "-", "-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p", path]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        for t, frame in enumerate(frames):
            image = frame.astype(np.float32) / 255
            for p, mask in enumerate(masks):
                alpha = 0.7 * np.asarray(mask[t], np.float32)[..., None]
                image = COLORS[p % len(COLORS)] / 255 * alpha + image * (1 - alpha)
            encoder.stdin.write((image * 255).astype(np.uint8).tobytes())
        encoder.stdin.close()
    if encoder.returncode != 0:
        raise RuntimeError("the masked video could not be encoded")


def windows_of(count, length=24, overlap=6):
    return [(start, min(start + length, count)) for start in range(0, count, length - overlap)]


def run(column, job):
    """One workload: seconds, and what was found."""
    height, width, sentences = job["height"], job["width"], job["sentences"]
    network = job["networkHeight"], job["networkWidth"]
    clips = job["clips"]
    raw = [None if "video" in clip else np.fromfile(clip["frames"], np.uint8).reshape(-1, height, width, 3) for clip in clips]
    answer = []
    start = time.perf_counter()
    for clip, frames in zip(clips, raw):
        frames = torch.from_numpy((decode(clip["video"], height, width) if frames is None else frames).copy())
        # The whole clip is resized, then cut into windows, as published.
        small = resize(frames, *network)
        windows = windows_of(len(frames)) if job["schedule"] else [(0, len(frames))]
        masks = [torch.zeros((len(frames), height, width), dtype=torch.float32 if isinstance(column, Published) else torch.bool)
                 for _ in sentences]
        found = [[] for _ in sentences]
        for first, end in windows:
            for p, (query, score, mask) in enumerate(column.window(small[first:end], sentences, (height, width))):
                masks[p][first:end] = mask[:, 0]
                found[p].append({"query": query, "score": score})
        if "maskedVideo" in clip:
            paint(clip["maskedVideo"], frames.numpy(), [mask.numpy() for mask in masks], job["rate"])
        answer.append((clip, masks, found))
    seconds = time.perf_counter() - start
    for clip, masks, _ in answer:
        if "masks" in clip:
            with open(clip["masks"], "wb") as file:
                for mask in masks:
                    file.write(np.packbits(mask.numpy() > 0.5, axis=None) if (height * width) % 8 == 0 else
                               b"".join(np.packbits(frame > 0.5).tobytes() for frame in mask.numpy()))
    return {"seconds": seconds, "found": [found for _, _, found in answer]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("column", choices=["published", "published_bf16", "strong"])
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    config, state, _ = read(options.model)
    model = MTTR(config).eval()
    model.load_state_dict(state)
    del state
    if options.column == "strong":
        column = Strong(model, has_bf16())
    else:
        column = Published(model, options.column == "published_bf16")
    print(json.dumps({"ready": True, "torch": torch.__version__, "precision": column.precision}), flush=True)
    for line in sys.stdin:
        with torch.inference_mode():
            print(json.dumps(run(column, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
