"""Fine-tunes a checkpoint, published or exported, on labelled videos by the published recipe.

    python -m rvos_training.train finetune --init CHECKPOINT --dataset refer-youtube-vos|a2d-sentences --root DIR --out RUN
    torchrun --nproc_per_node N -m rvos_training.train finetune …          on N GPUs

Architecture and tokenizer are those of the folder the checkpoint lies in (config.json, tokenizer/), unless they are named. The run
can be ended at any time, also by kill -9, and goes on from its last checkpoint to the same losses.
"""
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F

from .config import Config
from .datasets import DATASETS
from .datasets.sample import flip, resize
from .losses import Target, losses, mask_count
from .matcher import upsample
from .mttr import MTTR, normalize
from .run_folder import Progress, RunFolder
from .tokenizer import SentenceTokenizer

# Window, size of the network's pictures, epochs, epochs after which the rate falls to 0.4 of it.
RECIPES = {"refer-youtube-vos": SimpleNamespace(window=12, size=(360, 640), epochs=30, falls=(20,)),
           "a2d-sentences": SimpleNamespace(window=10, size=(320, 576), epochs=70, falls=(50,))}
RATES = {"others": 1e-4, "backbone": 1e-5}  # the text encoder is frozen
FALL, WEIGHT_DECAY, CLIP, DROPOUT = 0.4, 1e-4, 0.1, 0.1


@dataclass
class Settings:
    dataset: str
    root: str
    init: str
    out: str
    architecture: str = None
    tokenizer: str = None
    window: int = None
    size: tuple = None
    epochs: int = None
    batch: int = 1  # clips per process and pass
    accumulate: int = 1  # passes per step
    amp: bool = False
    seed: int = 42
    device: str = "cpu"
    checkpoint: int = 200  # steps between checkpoints
    held: float = 0.02  # share of the videos that are kept from training, to choose the best checkpoint


def collate(samples):
    """Samples of several sizes -> network's inputs, targets; padded at the right and bottom, as the network expects."""
    h, w = (max(s.frames.shape[i] for s in samples) for i in (1, 2))
    frames, padding, targets = [], [], []
    for s in samples:
        pad = (0, w - s.frames.shape[2], 0, h - s.frames.shape[1])
        frames.append(F.pad(normalize(s.frames), pad))
        padding.append(F.pad(torch.zeros(s.frames.shape[:3], dtype=torch.bool), pad, value=True))
        targets.append(Target(F.pad(s.masks.float(), pad), s.referred, s.visible))
    return torch.stack(frames, 1), torch.stack(padding, 1), samples[0].keep, targets


class Finetune:
    def __init__(self, settings):
        self.s, recipe = settings, RECIPES[settings.dataset]
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.world = dist.get_world_size() if dist.is_initialized() else 1
        self.window, self.size = settings.window or recipe.window, settings.size or recipe.size
        self.epochs, self.falls = settings.epochs or recipe.epochs, recipe.falls
        beside = Path(settings.init).parent
        architecture = Path(settings.architecture or beside / "config.json")
        self.config = Config.load(architecture) if architecture.exists() else Config()
        self.tokenizer = SentenceTokenizer(settings.tokenizer or beside / "tokenizer")
        self.folder = RunFolder(settings.out)
        self.data = DATASETS[settings.dataset](settings.root, self.window)
        self.training, self.held = self.split()
        torch.manual_seed(settings.seed + self.rank)
        self.model = MTTR(self.config, dropout=DROPOUT, drop_path=DROPOUT)
        saved = torch.load(settings.init, map_location="cpu")
        self.model.load_state_dict(published(saved.get("model_state_dict", saved)))
        self.model.to(settings.device).train()
        self.model.transformer.text_encoder.requires_grad_(False)
        groups = {"others": [], "backbone": []}
        for name, p in self.model.named_parameters():
            if p.requires_grad:
                groups["backbone" if name.startswith("backbone.") else "others"].append(p)
        self.optimizer = torch.optim.AdamW([{"params": p, "base": RATES[name], "lr": RATES[name]}
                                            for name, p in groups.items()], weight_decay=WEIGHT_DECAY)
        self.half = torch.float16 if settings.device.startswith("cuda") else torch.bfloat16
        self.scaler = torch.cuda.amp.GradScaler(enabled=settings.amp and self.half == torch.float16)
        self.step, self.best, self.seconds = 0, -1.0, 0.0
        self.restore()
        self.parallel = torch.nn.parallel.DistributedDataParallel(
            self.model, device_ids=[settings.device] if settings.device.startswith("cuda") else None,
            ) if self.world > 1 else self.model

    def split(self):
        """Indices of training and held-out samples: no video is in both."""
        videos = sorted({self.data.video(i) for i in range(len(self.data))})
        count = min(len(videos) - 1, max(1, round(self.s.held * len(videos)))) if self.s.held else 0
        held = set(np.random.default_rng(self.s.seed).permutation(videos)[:count].tolist())
        of = [self.data.video(i) in held for i in range(len(self.data))]
        return [i for i, h in enumerate(of) if not h], [i for i, h in enumerate(of) if h]

    @property
    def steps_per_epoch(self):
        return max(1, len(self.training) // (self.s.batch * self.s.accumulate * self.world))

    def batch(self, step, part):
        """The samples of this process in pass `part` of a step: depends on the seed and the step alone."""
        epoch, inside = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self.s.seed, epoch]).permutation(self.training)
        first = ((inside * self.s.accumulate + part) * self.world + self.rank) * self.s.batch
        found = []
        for i in range(first, first + self.s.batch):
            sample = resize(self.data.sample(int(order[i % len(order)])), *self.size)
            mirrored = np.random.default_rng([self.s.seed, epoch, i, 7]).random() < 0.5
            found.append(flip(sample) if mirrored else sample)
        return found

    def forward(self, samples, model):
        frames, padding, keep, targets = collate(samples)
        ids, mask = self.tokenizer([s.text for s in samples])
        device = self.s.device
        with torch.autocast(device.split(":")[0], self.half, enabled=self.s.amp):
            out = model(frames.to(device), ids.to(device), mask.to(device), padding.to(device), valid_frames=keep.to(device))
        targets = [Target(t.masks.to(device), t.referred, t.visible.to(device)) for t in targets]
        return {k: out[k].float() for k in ("pred_masks", "pred_is_referred")}, targets

    def train_step(self):
        epoch = self.step // self.steps_per_epoch
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * FALL ** sum(epoch >= fall for fall in self.falls)
        self.optimizer.zero_grad(set_to_none=True)
        means = {}
        for part in range(self.s.accumulate):
            last = part == self.s.accumulate - 1
            with contextlib.nullcontext() if last or self.world == 1 else self.parallel.no_sync():
                outputs, targets = self.forward(self.batch(self.step, part), self.parallel)
                count = torch.tensor(float(mask_count(targets)), device=self.s.device)
                if self.world > 1:
                    dist.all_reduce(count)
                values, total, _ = losses(outputs, targets, count=max(1.0, float(count) / self.world))
                self.scaler.scale(total / self.s.accumulate).backward()
            for name, value in {"total": total, **values}.items():
                means[name] = means.get(name, 0.0) + float(value.detach()) / self.s.accumulate
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.step += 1
        return means

    @torch.no_grad()
    def validate(self):
        """Mean IoU of the best query's masks on the held-out videos."""
        self.model.eval()
        ious = []
        for i in self.held:
            sample = resize(self.data.sample(i), *self.size)
            outputs, (target,) = self.forward([sample], self.model)
            query = int(outputs["pred_is_referred"][-1].softmax(-1)[:, 0, :, 0].mean(0).argmax())
            found = upsample(outputs["pred_masks"][-1][:, 0, query][None], target.masks.shape[-2:])[0] > 0
            truth = target.masks[:, target.referred].bool()
            union = (found | truth).flatten(1).sum(1)
            ious.append(torch.where(union == 0, 1.0, (found & truth).flatten(1).sum(1) / union.clamp(min=1)).mean().item())
        self.model.train()
        return float(np.mean(ious))

    def state(self, note=""):
        return {"epoch": self.step // self.steps_per_epoch, "step": self.step, "best": self.best, "seconds": self.seconds,
                "note": note, "config": self.config.to_dict(), "model_state_dict": self.model.state_dict(),
                "optimizer_state_dict": self.optimizer.state_dict(), "grad_scaler_state_dict": self.scaler.state_dict(),
                "random": torch.get_rng_state(),
                "random_cuda": torch.cuda.get_rng_state() if self.s.device.startswith("cuda") else None}

    def restore(self):
        saved = self.folder.last()
        if not saved:
            return
        self.model.load_state_dict(saved["model_state_dict"])
        self.optimizer.load_state_dict(saved["optimizer_state_dict"])
        self.scaler.load_state_dict(saved["grad_scaler_state_dict"])
        self.step, self.best, self.seconds = saved["step"], saved["best"], saved["seconds"]
        if self.rank == 0:  # the other processes' dropout differs after a restart
            torch.set_rng_state(saved["random"])
            if saved["random_cuda"] is not None:
                torch.cuda.set_rng_state(saved["random_cuda"])
            self.folder.cut(self.step)

    def go(self, until=None):
        total = self.epochs * self.steps_per_epoch
        progress = Progress(total)
        while self.step < min(total, until or total):
            begun = time.time()
            means = self.train_step()
            self.seconds += time.time() - begun
            ended = self.step % self.steps_per_epoch == 0
            if self.rank == 0:
                self.folder.log.append({"step": self.step, "minutes": round(self.seconds / 60, 2),
                                        **{k: f"{v:.6f}" for k, v in means.items()}})
                progress.show(self.step, f"loss {means['total']:.3f}", important=ended)
                if ended and self.held:
                    iou = self.validate()
                    self.folder.validation.append({"step": self.step, "minutes": round(self.seconds / 60, 2),
                                                   "held_out_iou": round(iou, 4)})
                    if iou > self.best:
                        self.best = iou
                        self.folder.save("best.pt", self.state(f"held-out IoU {iou:.4f}"))
                if ended or self.step == total or self.step % self.s.checkpoint == 0:
                    self.folder.save("last.pt", self.state())
                    self.folder.draw()
            if self.world > 1 and ended:
                dist.barrier()


def amp_works(device):
    """Whether this PyTorch can mix precisions on the device: on processors only from 2.0 on."""
    return device.startswith("cuda") or int(torch.__version__.split(".")[0]) >= 2


def published(state):
    """Names as this package has them: without the prefix that one trainer writes, with the buffer that one library drops."""
    state = {k[len("model."):] if k.startswith("model.") else k: v for k, v in state.items()}
    name = "transformer.text_encoder.embeddings.position_ids"
    positions = state["transformer.text_encoder.embeddings.position_embeddings.weight"].shape[0]
    return {**state, name: state.get(name, torch.arange(positions)[None])}
