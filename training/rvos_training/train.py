"""Trains.

    python -m rvos_training.train compact --out RUN     the model that ships with rvos, from nothing
    python -m rvos_training.train finetune --init CHECKPOINT --dataset refer-youtube-vos|a2d-sentences --root DIR --out RUN

A run can be ended at any time, also by kill -9, and goes on where it was with the same command: every batch depends on the
seed and the step alone, and a checkpoint is there whole or not at all. Its folder has last.pt (to go on), best.pt, log.csv,
validation.csv and curves.png. Both run in several processes under torchrun: `compact` in up to two, `finetune` on several GPUs.
"""
import argparse
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from . import recipes
from .auxiliary import Auxiliary
from .batches import Prefetcher
from .config import compact
from .losses import losses
from .mttr import MTTR
from .datasets import DATASETS
from .datasets.sample import DatasetError
from .finetune import Finetune, Settings, amp_works
from .optimisation import Average, add_gradients, learning_rate, locate, make_optimizers
from .run_folder import Progress, RunFolder
from .synthetic import VERSION
from .tokenizer import SentenceTokenizer, make
from .validate import validate


class Run:
    """The compact model's training, in a folder that also has its tokenizer."""

    def __init__(self, out, phases, seed, init=None, amp=False, workers=0):
        self.out, self.phases, self.seed, self.amp = Path(out), phases, seed, amp
        self.rank, self.world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        self.folder = RunFolder(out)
        if self.rank == 0 and not (self.out / "tokenizer").exists():
            if init:  # an export's folder: its tokenizer lies beside the checkpoint
                shutil.copytree(Path(init).parent / "tokenizer", self.out / "tokenizer")
            else:
                make(self.out / "tokenizer")
        if self.world > 1:
            dist.barrier()
        self.tokenizer = SentenceTokenizer(self.out / "tokenizer")
        self.parts = range(self.rank, recipes.PARTS, self.world)
        self.batches = Prefetcher(self.kind, seed, self.out / "tokenizer", workers, parts=self.parts)
        torch.manual_seed(seed)
        self.config = compact(self.tokenizer.vocab_size)
        self.model = MTTR(self.config).train()
        self.average = Average(self.model, recipes.AVERAGE)
        self.auxiliary = Auxiliary(self.model)
        self.optimizers = make_optimizers(self.model, self.auxiliary, recipes.RATES, recipes.WEIGHT_DECAY)
        self.step, self.best, self.seconds = 0, -1.0, 0.0
        if init:
            weights = torch.load(init, map_location="cpu")["model_state_dict"]
            self.model.load_state_dict(weights)
            self.average.model.load_state_dict(weights)
        self.restore()

    def kind(self, step, part):
        phase, _ = locate(self.phases, step)
        kinds = phase.parts[part]
        return kinds[np.random.default_rng([self.seed, step, part]).choice(len(kinds), p=[k.share for k in kinds])]

    def restore(self):
        saved = self.folder.last()
        if not saved:
            return
        self.model.load_state_dict(saved["model"])
        self.average.model.load_state_dict(saved["average"])
        self.auxiliary.load_state_dict(saved["auxiliary"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"]):
            optimizer.load_state_dict(state)
        self.step, self.best, self.seconds = saved["step"], saved["best"], saved["seconds"]
        if self.rank == 0:
            self.folder.cut(self.step)

    def keep(self, name, note=""):
        state = {"step": self.step, "config": self.config.to_dict(), "average": self.average.model.state_dict(),
                 "seed": self.seed, "generator": VERSION, "seconds": self.seconds, "note": note}
        if name == "last.pt":
            state.update(model=self.model.state_dict(), auxiliary=self.auxiliary.state_dict(),
                         optimizers=[o.state_dict() for o in self.optimizers], best=self.best)
        self.folder.save(name, state)

    def loss(self, part):
        """Loss of a part of the step's batch, and its parts and shares of right answers by name"""
        kind, batch = self.kind(self.step, part), self.batches.get(self.step, part)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.amp):
            outputs = self.model(**batch.inputs(), until=kind.until)
        outputs = {k: [x.float() for x in v] if isinstance(v, list) else v.float() for k, v in outputs.items()}
        values, right = self.auxiliary(outputs, batch)
        total = sum(recipes.AUXILIARY[name] * value for name, value in values.items())
        if kind.until == "masks":
            wanted, loss, _ = losses(outputs, batch.targets(), recipes.ABSENT, emphasis=recipes.EMPHASIS,
                                     dedicated=recipes.DEDICATED)
            values, total = {**values, **wanted}, total + loss
        return total, {name: float(v.detach()) for name, v in {"total": total, **values, **right}.items()}

    def train_step(self):
        """-> figures of each part that this process has"""
        rate, found = learning_rate(self.phases, self.step), []
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["share"] * rate
            optimizer.zero_grad(set_to_none=True)
        for part in self.parts:
            total, values = self.loss(part)
            (total / recipes.PARTS).backward()
            found.append(values)
        if self.world > 1:
            add_gradients([*self.model.parameters(), *self.auxiliary.parameters()])
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipes.CLIP)
        for optimizer in self.optimizers:
            optimizer.step()
        self.average.update(self.model, self.step)
        self.step += 1
        return found

    def measure(self):
        result = validate(self.average.model, self.tokenizer, recipes.SIZE)
        note = " ".join(f"{k} {v:.3f}" for k, v in result.items())
        print(f"step {self.step} after {self.seconds / 60:.1f} min: {note}", flush=True)
        self.folder.validation.append({"step": self.step, "minutes": round(self.seconds / 60, 2), **result})
        score = (result["iou_1"] + result["iou_6"] + result["iou_16"] + 2 * result["iou_24"]) / 5
        if score > self.best:
            self.best = score
            self.keep("best.pt", note)
        self.keep("last.pt", note)

    def go(self, every, until=None, checkpoint=100):
        total_steps = sum(p.steps for p in self.phases)
        figures, progress = [], Progress(total_steps)
        while self.step < min(total_steps, until or total_steps):
            begun = time.time()
            figures += self.train_step()
            self.seconds += time.time() - begun
            phase, _ = locate(self.phases, self.step)
            if self.step % 50 == 0:
                self.write(phase, figures, progress)
                figures = []
            elif self.rank == 0:
                progress.show(self.step, f"{phase.name}: total {figures[-1]['total']:.3f}")
            if self.rank > 0:
                continue
            last = phase.parts[0][0].until == "masks"
            if self.step == total_steps or self.step % every == 0 and last:
                self.measure()
                self.folder.draw()
            elif self.step % checkpoint == 0:
                self.keep("last.pt")
        self.batches.close()

    def write(self, phase, figures, progress):
        """Means of the figures of all processes since they were last written, as a row of log.csv and as progress."""
        if self.world > 1:
            everyones = [None] * self.world
            dist.all_gather_object(everyones, figures)
            figures = sum(everyones, [])
        if self.rank > 0:
            return
        means = {k: float(np.mean([f[k] for f in figures if k in f])) for k in COLUMNS if any(k in f for f in figures)}
        shown = " ".join(f"{k.replace('right_', '')} {v:.3f}" for k, v in means.items())
        progress.show(self.step, f"{phase.name}: {shown}", important=True)
        self.folder.log.append({"step": self.step, "minutes": round(self.seconds / 60, 2), "phase": phase.name,
                                "rate": f"{learning_rate(self.phases, self.step):.2e}",
                                **{k: f"{means[k]:.4f}" if k in means else "" for k in COLUMNS}})


COLUMNS = ("total", "is_referred", "dice", "sigmoid_focal", "is_referred_0", "dice_0", "sigmoid_focal_0", "cover", "middle",
           "coarse", "sentences", "grounding", "right_shape", "right_color", "right_size", "right_motion", "right_words",
           "right_presence")


def join_processes(gpu):
    """Under torchrun: one of its processes. gpu: on a GPU, where there is one. -> device"""
    device = "cuda" if gpu and torch.cuda.is_available() else "cpu"
    if "WORLD_SIZE" in os.environ:  # set by torchrun
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
        if device == "cuda":
            device = f"cuda:{os.environ['LOCAL_RANK']}"
            torch.cuda.set_device(device)
    return device


def train_compact(arguments):
    join_processes(gpu=False)
    run = Run(arguments.out, recipes.COMPACT, arguments.seed, arguments.init, arguments.amp, arguments.workers)
    run.step = max(run.step, arguments.skip)
    run.go(arguments.every, arguments.until)


def train_finetune(arguments):
    device = join_processes(gpu=True)
    names = set(Settings.__dataclass_fields__)
    settings = {k: v for k, v in vars(arguments).items() if k in names and v is not None}
    try:
        Finetune(Settings(**settings, device=device)).go(arguments.until)
    except (DatasetError, OSError, ImportError) as error:
        sys.exit(f"error: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    compact_parser = commands.add_parser("compact", help="the model that ships with rvos, from generated clips")
    tune = commands.add_parser("finetune", help="a checkpoint, on labelled videos")
    for p in (compact_parser, tune):
        p.add_argument("--out", required=True, help="folder of the run")
        p.add_argument("--until", type=int, help="stop after this step")
        p.add_argument("--threads", type=int, default=0, help="0: PyTorch's choice")
        p.add_argument("--amp", action="store_true", help="in half precision where PyTorch deems it safe")
    compact_parser.add_argument("--seed", type=int, default=1)
    compact_parser.add_argument("--every", type=int, default=250, help="steps between validations")
    compact_parser.add_argument("--init", help="checkpoint.pth.tar of an export to begin with")
    compact_parser.add_argument("--skip", type=int, default=0, help="with --init: begin at this step of the recipe")
    compact_parser.add_argument("--workers", type=int, default=1, help="processes that make batches (0: none)")
    tune.add_argument("--init", required=True, help="checkpoint to begin with, original or of ModelScope")
    tune.add_argument("--dataset", required=True, choices=sorted(DATASETS))
    tune.add_argument("--root", required=True, help="folder of the data set")
    tune.add_argument("--architecture", help="config.json (default: beside the checkpoint, else the published one)")
    tune.add_argument("--tokenizer", help="folder with tokenizer.json (default: tokenizer/ beside the checkpoint)")
    tune.add_argument("--window", type=int, help="frames of a clip (default: the published recipe's)")
    tune.add_argument("--size", type=int, nargs=2, metavar=("SHORT", "LONG"), help="default: the published recipe's")
    tune.add_argument("--epochs", type=int, help="default: the published recipe's")
    tune.add_argument("--batch", type=int, default=1, help="clips per process and pass")
    tune.add_argument("--accumulate", type=int, default=1, help="passes per step of the optimiser")
    tune.add_argument("--checkpoint", type=int, default=200, help="steps between checkpoints")
    tune.add_argument("--held", type=float, default=0.02, help="share of the videos kept to choose the best checkpoint")
    tune.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    gpu = arguments.command == "finetune" and torch.cuda.is_available()
    if arguments.amp and not amp_works("cuda" if gpu else "cpu"):
        sys.exit(f"error: --amp on a processor needs PyTorch 2, this is {torch.__version__}: leave it out")
    (train_compact if arguments.command == "compact" else train_finetune)(arguments)


if __name__ == "__main__":
    main()
