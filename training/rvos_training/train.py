"""Trains.

    python -m rvos_training.train compact --out RUN     the model that ships with rvos, from nothing

A run can be ended at any time and goes on where it was with the same command: every batch depends on the seed and
the step alone.
"""
import argparse
import copy
import csv
import math
import os
import shutil
import time
from pathlib import Path

import numpy as np
import torch

from . import recipes
from .attributes import AttributeHead
from .config import Config, compact
from .losses import Target, losses
from .mttr import MTTR, normalize
from .synthetic import VERSION
from .synthetic.clips import make_clip
from .tokenizer import SentenceTokenizer, make
from .validate import validate


def group_of(name):
    """The group of parameters that share a learning rate."""
    if name.startswith(("transformer.text_encoder.", "transformer.txt_proj.")):
        return "text"
    if name.endswith("relative_position_bias_table"):
        return "bias"
    return "backbone" if name.startswith("backbone.") else "others"


def locate(phases, step):
    """-> phase, steps into it"""
    for phase in phases:
        if step < phase.steps:
            return phase, step
        step -= phase.steps
    return phases[-1], phases[-1].steps


def learning_rate(phases, step):
    phase, inside = locate(phases, step)
    start, end = phase.rates
    rate = end + (start - end) * 0.5 * (1 + math.cos(math.pi * inside / phase.steps))
    return rate * min(1.0, (inside + 1) / phase.warm_up)


def generated_batch(phase, seed, step, tokenizer):
    """-> arguments of the network, targets of its sentences, objects of its clips"""
    rng = np.random.default_rng([seed, step])
    kind = phase.batches[rng.choice(len(phase.batches), p=[b.share for b in phase.batches])]
    t = int(rng.integers(kind.frames[0], kind.frames[1] + 1))
    count = max(1, round(kind.clips * (kind.frames[0] + kind.frames[1]) / 2 / t))
    clips = [make_clip((seed << 44) + step * 64 + i, t, *kind.size, sentences=kind.sentences, absent=kind.absent,
                       still=kind.still, plain=kind.plain, counts=kind.counts) for i in range(count)]
    keep = np.sort(rng.choice(t, min(t, kind.supervised), replace=False))
    frames = normalize(torch.from_numpy(np.stack([c.frames for c in clips], 1)))
    ids, mask = tokenizer([text for c in clips for text, _ in c.sentences])
    targets, things = [], [c.things for c in clips]
    for clip in clips:
        masks = torch.from_numpy(clip.masks[:, keep]).float().transpose(0, 1).contiguous()
        for _, index in clip.sentences:
            visible = torch.ones(len(keep), dtype=torch.bool) if index is None else masks[:, index].flatten(1).any(1)
            targets.append(Target(masks, index, visible))
    inputs = {"frames": frames, "input_ids": ids, "attention_mask": mask, "valid_frames": torch.from_numpy(keep),
              "clip_index": torch.arange(count).repeat_interleave(kind.sentences)}
    return inputs, targets, things


class Average:
    """Exponential moving average of the weights."""

    def __init__(self, model):
        self.model = copy.deepcopy(model).eval()
        self.pairs = None

    @torch.no_grad()
    def update(self, model, step):
        decay = min(recipes.AVERAGE, (1 + step) / (10 + step))
        torch._foreach_mul_([p for p in self.model.parameters()], decay)
        torch._foreach_add_([p for p in self.model.parameters()], [p.detach() for p in model.parameters()],
                            alpha=1 - decay)


def save(path, value):
    """Never leaves half a file."""
    temporary = path.with_suffix(".tmp")
    torch.save(value, temporary)
    os.replace(temporary, path)


class Run:
    """One training run and its folder: last.pt (to go on), best.pt, log.csv, tokenizer/."""

    def __init__(self, out, phases, seed, init=None):
        self.out, self.phases, self.seed = Path(out), phases, seed
        self.out.mkdir(parents=True, exist_ok=True)
        if not (self.out / "tokenizer").exists():
            if init:  # an export's folder: its tokenizer lies beside the checkpoint
                shutil.copytree(Path(init).parent / "tokenizer", self.out / "tokenizer")
            else:
                make(self.out / "tokenizer")
        self.tokenizer = SentenceTokenizer(self.out / "tokenizer")
        torch.manual_seed(seed)
        self.config = compact(self.tokenizer.vocab_size)
        self.model = MTTR(self.config).train()
        self.average = Average(self.model)
        self.attributes = AttributeHead(self.model.backbone.dims[2])
        groups = {"others": [], "text": [], "bias": [], "backbone": [], "attributes": [*self.attributes.parameters()]}
        for name, parameter in self.model.named_parameters():
            groups[group_of(name)].append(parameter)
        self.optimizer = torch.optim.AdamW(
            [{"params": p, "share": recipes.RATES[name],
              "weight_decay": 0.0 if name == "bias" else recipes.WEIGHT_DECAY} for name, p in groups.items()], lr=1e-4)
        self.step, self.best, self.seconds = 0, -1.0, 0.0
        if init:
            weights = torch.load(init, map_location="cpu")["model_state_dict"]
            self.model.load_state_dict(weights)
            self.average.model.load_state_dict(weights)
        if (self.out / "last.pt").exists():
            self.restore()

    def restore(self):
        saved = torch.load(self.out / "last.pt", map_location="cpu")
        self.model.load_state_dict(saved["model"])
        self.average.model.load_state_dict(saved["average"])
        self.attributes.load_state_dict(saved["attributes"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.best, self.seconds = saved["step"], saved["best"], saved["seconds"]
        # Lines written after the checkpoint will be written again.
        log = self.out / "log.csv"
        if log.exists():
            lines = log.read_text().splitlines(True)
            log.write_text("".join(x for x in lines if not x[0].isdigit() or int(x.split(",")[0]) <= self.step))

    def keep(self, name, note=""):
        state = {"step": self.step, "config": self.config.to_dict(), "average": self.average.model.state_dict(),
                 "seed": self.seed, "generator": VERSION, "seconds": self.seconds, "note": note}
        if name == "last.pt":
            state.update(model=self.model.state_dict(), attributes=self.attributes.state_dict(),
                         optimizer=self.optimizer.state_dict(), best=self.best)
        save(self.out / name, state)

    def train_step(self):
        phase, _ = locate(self.phases, self.step)
        inputs, targets, things = generated_batch(phase, self.seed, self.step, self.tokenizer)
        for group in self.optimizer.param_groups:
            group["lr"] = group["share"] * learning_rate(self.phases, self.step)
        self.optimizer.zero_grad(set_to_none=True)
        outputs = self.model(**inputs)
        values, total, _ = losses(outputs, targets)
        each = len(targets) // len(things)  # sentences of a clip have the same masks
        named, right = self.attributes(outputs["levels"][2], [t.masks for t in targets[::each]], things,
                                       len(inputs["frames"]))
        values = {**values, "attributes": named, "right_shape": right["shape"], "right_color": right["color"]}
        total = total + recipes.ATTRIBUTES * named
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipes.CLIP)
        self.optimizer.step()
        self.average.update(self.model, self.step)
        self.step += 1
        return {name: float(v.detach()) for name, v in {"total": total, **values}.items()}

    def measure(self):
        result = validate(self.average.model, self.tokenizer, (72, 108))
        note = " ".join(f"{k} {v:.3f}" for k, v in result.items())
        print(f"\nstep {self.step} after {self.seconds / 60:.1f} min: {note}", flush=True)
        path, row = self.out / "validation.csv", {"step": self.step, "minutes": round(self.seconds / 60, 2), **result}
        new = not path.exists()
        with open(path, "a", newline="") as f:
            writer = csv.DictWriter(f, row)
            if new:
                writer.writeheader()
            writer.writerow(row)
        score = (result["iou_1"] + result["iou_6"] + result["iou_16"] + 2 * result["iou_24"]) / 5
        if score > self.best:
            self.best = score
            self.keep("best.pt", note)
        self.keep("last.pt", note)

    def go(self, every, until=None):
        total_steps = sum(p.steps for p in self.phases)
        sums, count, log = {}, 0, self.out / "log.csv"
        while self.step < min(total_steps, until or total_steps):
            begun = time.time()
            for name, value in self.train_step().items():
                sums[name] = sums.get(name, 0.0) + value
            self.seconds += time.time() - begun
            count += 1
            if self.step % 50 == 0:
                means = {k: v / count for k, v in sums.items()}
                new = not log.exists()
                with open(log, "a") as f:
                    if new:
                        f.write("step,minutes,rate," + ",".join(means) + "\n")
                    f.write(f"{self.step},{self.seconds / 60:.2f},{learning_rate(self.phases, self.step):.2e},"
                            + ",".join(f"{v:.4f}" for v in means.values()) + "\n")
                phase, inside = locate(self.phases, self.step)
                print(f"{self.step}/{total_steps} {phase.name} {inside}/{phase.steps} loss {means['total']:.3f} "
                      f"dice {means['dice']:.3f} referred {means['is_referred']:.3f} shape {means['right_shape']:.2f} "
                      f"color {means['right_color']:.2f} "
                      f"{self.seconds / self.step:.3f} s/step", flush=True)
                sums, count = {}, 0
            if self.step % every == 0 or self.step == total_steps:
                self.measure()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=["compact"])
    parser.add_argument("--out", required=True, help="folder of the run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=500, help="steps between validations (and checkpoints)")
    parser.add_argument("--init", help="checkpoint.pth.tar of an export to begin with")
    parser.add_argument("--skip", type=int, default=0, help="with --init: begin at this step of the recipe")
    parser.add_argument("--until", type=int, help="stop after this step")
    parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's choice")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    run = Run(arguments.out, recipes.COMPACT, arguments.seed, arguments.init)
    run.step = max(run.step, arguments.skip)
    run.go(arguments.every, arguments.until)


if __name__ == "__main__":
    main()
