"""Fine-tuning on tiny data sets: it learns, goes on after kill -9, and several processes or passes make one step."""
import csv
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import torch

from rvos_training.finetune import Finetune, Settings, amp_works, collate, published

from .tiny_datasets import a2d_sentences, checkpoint, refer_youtube_vos

TRAINING = Path(__file__).resolve().parents[1]


class Tuning(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.init = checkpoint(self.folder / "init")
        self.root = refer_youtube_vos(self.folder / "data")

    def settings(self, out="run", **more):
        return Settings(**{"dataset": "refer-youtube-vos", "root": str(self.root), "init": str(self.init),
                           "out": str(self.folder / out), "window": 3, "size": (40, 60), "epochs": 2, "held": 0.3, **more})

    def command(self, *more, out="run"):
        return ["-m", "rvos_training.train", "finetune", "--init", str(self.init), "--dataset", "refer-youtube-vos", "--root",
                str(self.root), "--out", str(self.folder / out), "--window", "3", "--size", "40", "60", "--epochs", "2",
                "--threads", "1", *more]

    def log(self, out):
        with open(self.folder / out / "log.csv") as f:
            return [(int(r["step"]), float(r["total"])) for r in csv.DictReader(f)]

    def test_run_leaves_checkpoints_tables_and_curves(self):
        run = Finetune(self.settings(amp=amp_works("cpu")))
        before = {k: v.clone() for k, v in run.model.state_dict().items()}
        run.go()
        self.assertEqual([s for s, _ in self.log("run")], list(range(1, 1 + 2 * len(run.training))))
        for name in ("last.pt", "best.pt", "curves.png", "validation.csv"):
            self.assertTrue((self.folder / "run" / name).exists(), name)
        best = torch.load(self.folder / "run/best.pt", map_location="cpu")["model_state_dict"]
        changed = {k for k in before if not torch.equal(before[k], best[k])}
        self.assertIn("backbone.patch_embed.proj.weight", changed)
        self.assertFalse([k for k in changed if k.startswith("transformer.text_encoder.")], "the text encoder is frozen")
        self.assertFalse({run.data.video(i) for i in run.training} & {run.data.video(i) for i in run.held})

    def test_rate_falls_as_the_recipe_says(self):
        run = Finetune(self.settings(epochs=30))
        run.step = 20 * run.steps_per_epoch
        run.train_step()
        self.assertEqual([round(g["lr"] / g["base"], 6) for g in run.optimizer.param_groups], [0.4, 0.4])

    def test_goes_on_after_kill_to_the_same_losses(self):
        environment = {**os.environ, "PYTHONPATH": str(TRAINING)}
        subprocess.run([sys.executable, *self.command(out="whole")], env=environment, check=True, stderr=subprocess.DEVNULL)
        arguments = self.command("--checkpoint", "2", out="cut")
        killed = subprocess.Popen([sys.executable, *arguments], env=environment, stderr=subprocess.DEVNULL)
        deadline = time.time() + 120
        while not (self.folder / "cut/last.pt").exists() and time.time() < deadline:
            time.sleep(0.02)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        self.assertTrue((self.folder / "cut/last.pt").exists())
        subprocess.run([sys.executable, *arguments], env=environment, check=True, stderr=subprocess.DEVNULL)
        whole, cut = self.log("whole"), self.log("cut")
        self.assertEqual([s for s, _ in whole], [s for s, _ in cut])
        for (step, a), (_, b) in zip(whole, cut):
            self.assertAlmostEqual(a, b, places=3, msg=f"step {step}")

    def test_passes_and_processes_make_the_same_step(self):
        """Two accumulated passes, and two processes as torchrun starts them, average the gradients of the same two samples."""
        one = Finetune(self.settings("one", accumulate=2, held=0))
        without_dropout(one)
        want = one.train_step()["total"]
        script = ("import sys, torch, torch.distributed as dist; dist.init_process_group('gloo')\n"
                  "from rvos_training.finetune import Finetune, Settings\n"
                  "from tests.test_finetune import without_dropout\n"
                  f"run = Finetune(Settings(**{vars(self.settings('two', held=0))!r}))\n"
                  "without_dropout(run)\n"
                  "total = torch.tensor(run.train_step()['total']); dist.all_reduce(total)\n"
                  f"run.rank == 0 and torch.save((run.model.state_dict(), total / 2), {str(self.folder / 'two.pt')!r})\n")
        (self.folder / "two.py").write_text(script)
        # What torchrun sets for its processes; Debian's own torchrun does not start under Python 3.11.
        environment = {**os.environ, "PYTHONPATH": str(TRAINING), "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2",
                       "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(20000 + os.getpid() % 20000)}
        processes = [subprocess.Popen([sys.executable, str(self.folder / "two.py")], cwd=TRAINING,
                                      env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in (0, 1)]
        self.assertEqual([p.wait() for p in processes], [0, 0])
        state, total = torch.load(self.folder / "two.pt", map_location="cpu")
        self.assertAlmostEqual(float(total), want, delta=2e-2 * want)
        moved = torch.cat([(state[k] - v).flatten().abs() for k, v in one.model.state_dict().items() if v.is_floating_point()])
        self.assertLess(moved.mean().item(), 2e-5, "a step is 1e-4 per weight at most")

    def test_centre_frame_and_mixed_sizes(self):
        run = Finetune(self.settings("a2d", dataset="a2d-sentences", root=str(a2d_sentences(self.folder / "a2d_data")),
                                     window=4, epochs=1))
        samples = run.batch(0, 0) + Finetune(self.settings("wide", size=(32, 48))).batch(0, 0)
        samples[1].frames, samples[1].keep = samples[1].frames[[0, 1, 2, 2]], samples[0].keep
        samples[1].masks = samples[1].masks[:1]
        frames, padding, keep, targets = collate(samples)
        self.assertEqual((tuple(frames.shape), keep.tolist()), ((4, 2, 3, 40, 60), [2]))
        self.assertTrue(bool(padding[:, 1, 32:].all()) and bool(padding[:, 1, :, 48:].all()))
        self.assertEqual(float(targets[1].masks[:, :, 32:].sum()), 0.0)
        self.assertTrue(torch.isfinite(torch.tensor(run.train_step()["total"])))

    def test_checkpoint_of_another_trainer(self):
        state = torch.load(checkpoint(self.folder / "other", wrapped=True))["model_state_dict"]
        want = torch.load(self.init)["model_state_dict"]
        got = published(state)
        self.assertEqual(got.keys(), want.keys())

    def test_missing_data_is_one_line(self):
        run = subprocess.run([sys.executable, *self.command("--root", str(self.folder / "nowhere"))], cwd=TRAINING,
                             env={**os.environ, "PYTHONPATH": str(TRAINING)}, stderr=subprocess.PIPE, text=True)
        self.assertEqual(run.returncode, 1)
        last = run.stderr.strip().splitlines()[-1]
        self.assertIn("error: ", last)
        self.assertIn("meta_expressions.json", last)


def without_dropout(run):
    for module in run.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "drop_path"):
            module.drop_path = 0.0
        if isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0


if __name__ == "__main__":
    unittest.main()
