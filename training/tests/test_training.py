"""Training: goes on where it was, exports what it measured. A few steps of a tiny run."""
import math
import os
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock
from pathlib import Path

import torch

from rvos_training import recipes, train, validate
from rvos_training.export import export
from rvos_training.curves import LINE, draw_curves, draw_panel
from rvos_training.losses import Target, losses
from rvos_training.matcher import match, upsample
from rvos_training.measure import load_export
from rvos_training.optimisation import learning_rate
from rvos_training.muon import Muon, orthogonal
from rvos_training.run_folder import Table
from rvos_training.tokenizer import SentenceTokenizer, make

SIZES = ((40, 60),)
TINY = [recipes.Phase("tiny", 6, (1e-3, 1e-4), [
    [recipes.Kind(0.5, (1, 1), 2, sizes=SIZES), recipes.Kind(0.5, (2, 3), 1, sizes=SIZES)],
    [recipes.Kind(1.0, (4, 9), 1, supervised=3, sizes=SIZES)]])]
NO_MASKS = [recipes.Phase("no masks", 6, (1e-3, 1e-4), [
    [recipes.Kind(1.0, (1, 1), 2, 0, sizes=SIZES, until="backbone")],
    [recipes.Kind(1.0, (4, 5), 1, 2, sizes=SIZES, until="encoder")]])]
TRAINING = Path(__file__).resolve().parents[1]


def running(pid):
    """Whether there is such a process that has not ended."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


class Training(unittest.TestCase):
    def test_resume_gives_the_same_losses(self):
        with tempfile.TemporaryDirectory() as folder:
            whole = train.Run(Path(folder) / "a", TINY, seed=3)
            want = [whole.train_step() for _ in range(4)]
            half = train.Run(Path(folder) / "b", TINY, seed=3)
            got = [half.train_step() for _ in range(2)]
            half.keep("last.pt")
            half = train.Run(Path(folder) / "b", TINY, seed=3)
            self.assertEqual(half.step, 2)
            got += [half.train_step() for _ in range(2)]
            for a, b in zip(sum(want, []), sum(got, []), strict=True):
                self.assertAlmostEqual(a["total"], b["total"], places=4)

    def test_two_processes_make_the_steps_of_one(self):
        with tempfile.TemporaryDirectory() as folder:
            one = train.Run(Path(folder) / "one", NO_MASKS, seed=3)
            want = [one.train_step() for _ in range(3)]
            script = ("import sys, torch, torch.distributed as dist; dist.init_process_group('gloo')\n"
                      "from rvos_training.train import Run\n"
                      "from tests.test_training import NO_MASKS\n"
                      "run = Run(sys.argv[1], NO_MASKS, seed=3)\n"
                      "found = [run.train_step() for _ in range(3)]\n"
                      "torch.save((run.model.state_dict(), found), sys.argv[1] + f'/{run.rank}.pt')\n")
            # What torchrun sets for its processes; Debian's own torchrun does not start under Python 3.11.
            environment = {**os.environ, "PYTHONPATH": str(TRAINING), "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2",
                           "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(20000 + (os.getpid() + 7000) % 20000)}
            processes = [subprocess.Popen([sys.executable, "-c", script, str(Path(folder) / "two")], cwd=TRAINING,
                                          env={**environment, "RANK": str(rank)}) for rank in (0, 1)]
            self.assertEqual([p.wait() for p in processes], [0, 0])
            for rank in (0, 1):
                state, found = torch.load(Path(folder) / f"two/{rank}.pt", map_location="cpu")
                for step in range(3):
                    self.assertAlmostEqual(found[step][0]["total"], want[step][rank]["total"], places=3)
                for name, value in one.model.state_dict().items():
                    self.assertTrue(torch.allclose(state[name].float(), value.float(), atol=2e-4), name)

    def test_batches_are_the_same_wherever_they_are_made(self):
        with tempfile.TemporaryDirectory() as folder:
            here = train.Run(Path(folder) / "run", TINY, seed=3)
            apart = train.Run(Path(folder) / "run", TINY, seed=3, workers=1)
            for step, part in ((0, 0), (0, 1), (1, 0), (1, 1), (4, 1)):
                a, b = here.batches.get(step, part), apart.batches.get(step, part)
                self.assertTrue(torch.equal(a.frames, b.frames) and torch.equal(a.input_ids, b.input_ids))
                self.assertTrue(all(torch.equal(x, y) for x, y in zip(a.masks, b.masks)))
                self.assertEqual(a.meant, b.meant)
            apart.batches.close()

    def test_a_killed_trainer_leaves_no_process(self):
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder) / "tokenizer", sentences=100, merges=20)
            script = ("import sys, time\nfrom rvos_training.batches import Prefetcher\n"
                      "from rvos_training.recipes import Kind\n"
                      "p = Prefetcher(lambda step, part: Kind(1.0, (1, 1), 1, 1), 1, sys.argv[1])\n"
                      "p.get(0)\nprint(*p.pool._processes, flush=True)\ntime.sleep(60)\n")
            trainer = subprocess.Popen([sys.executable, "-c", script, str(Path(folder) / "tokenizer")], text=True,
                                       stdout=subprocess.PIPE, cwd=TRAINING)
            worker = int(trainer.stdout.readline())
            trainer.kill()
            trainer.wait()
            trainer.stdout.close()
            deadline = time.time() + 30
            while running(worker) and time.time() < deadline:
                time.sleep(0.2)
            self.assertFalse(running(worker))

    def test_parts_of_the_network_are_trained_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            run = train.Run(Path(folder) / "run", NO_MASKS, seed=3)
            before = {k: v.clone() for k, v in run.model.state_dict().items()}
            for _ in range(6):
                for values in run.train_step():
                    self.assertTrue(math.isfinite(values["total"]))
                    self.assertNotIn("dice", values)
            changed = {k for k, v in run.model.state_dict().items() if not torch.equal(v, before[k])}
            self.assertIn("transformer.encoder.layers.0.self_attn.in_proj_weight", changed)
            self.assertFalse([k for k in changed if k.startswith(("spatial_decoder", "transformer.decoder", "obj_queries"))])

    def test_a_run_leaves_tables_curves_and_checkpoints(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(validate.SETS, {1: 1, 6: 1, 16: 1, 24: 1}):
            run = train.Run(folder, TINY, seed=3)
            run.go(every=3, checkpoint=2)
            for name in ("last.pt", "best.pt", "validation.csv", "curves.png"):
                self.assertTrue((Path(folder) / name).exists(), name)
            self.assertEqual([r["step"] for r in run.folder.validation.rows()], ["3", "6"])

    def test_every_step_shows_on_a_terminal(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(train, "Progress") as progress:
            train.Run(folder, NO_MASKS, seed=3).go(every=100, until=4)
            self.assertEqual([c.args[0] for c in progress.return_value.show.call_args_list], [1, 2, 3, 4])

    def test_every_group_has_a_rate(self):
        with tempfile.TemporaryDirectory() as folder:
            run = train.Run(folder, TINY, seed=3)
            held = [p for o in run.optimizers for g in o.param_groups for p in g["params"]]
            wanted = [*run.model.parameters(), *run.auxiliary.parameters()]
            self.assertEqual(len({id(p) for p in held}), len(wanted))
            self.assertEqual(len(held), len(wanted))

    def test_export_is_half_precision_and_loads(self):
        with tempfile.TemporaryDirectory() as folder:
            run = train.Run(Path(folder) / "run", TINY, seed=3)
            export(Path(folder) / "out", run.average.model.state_dict(), run.config, run.out / "tokenizer")
            model, _, sides = load_export(Path(folder) / "out")
            self.assertEqual(sides, recipes.SIZE)
            for name, value in model.state_dict().items():
                want = run.average.model.state_dict()[name]
                self.assertTrue(torch.equal(value, want.half().float() if want.is_floating_point() else want), name)
            weights = sum(p.numel() for p in model.parameters())
            self.assertLess(2 * weights, 11e6, "FP16 weights and tokenizer stay under 12 MB")

    def test_tokenizer(self):
        with tempfile.TemporaryDirectory() as folder:
            tokenizer = SentenceTokenizer(train.Run(Path(folder) / "run", TINY, seed=3).out / "tokenizer")
            ids, mask = tokenizer(["  The RED circle ", "the red circle moving left", "naïve ☃ 漢"])
            self.assertEqual(ids[:, 0].tolist(), [0, 0, 0])
            self.assertEqual(ids[0, :4].tolist(), ids[1, :4].tolist())
            self.assertEqual(int(ids[0][mask[0].bool()][-1]), 2)
            self.assertNotIn(3, ids.flatten().tolist(), "any text has tokens")


class Losses(unittest.TestCase):
    def test_a_sentence_about_nothing(self):
        """All queries should say no, the likeliest one with the weight given; trajectories are matched all the same."""
        torch.manual_seed(0)
        logits = torch.randn(1, 2, 1, 3, 2)
        out = {"pred_masks": torch.randn(1, 2, 1, 3, 8, 12), "pred_is_referred": logits}
        masks = torch.zeros(2, 2, 16, 24)
        masks[:, 0, :8], masks[:, 1, 8:] = 1, 1
        target = Target(masks, None, torch.ones(2, dtype=torch.bool))
        values, _, matches = losses(out, [target], absent=0.7)
        refused = -logits[0, :, 0].log_softmax(-1)[..., 1]  # [T,N]
        likeliest = (logits[0, :, 0, :, 0] - logits[0, :, 0, :, 1]).argmax(1)
        weight = torch.full((2, 3), 0.1).scatter(1, likeliest[:, None], 0.7)
        self.assertAlmostEqual(float(values["is_referred"]), float((refused * weight).sum() / 2), places=5)
        self.assertEqual(sorted(matches[0][1].tolist()), [0, 1])
        self.assertGreater(float(values["dice"]), 0)


    def test_the_meant_object_has_a_query_of_its_own(self):
        torch.manual_seed(0)
        masks = torch.zeros(1, 3, 16, 24)
        masks[:, 0, :4], masks[:, 1, 4:8], masks[:, 2, 8:] = 1, 1, 1
        probabilities = torch.cat([masks[:, [1, 0, 2]], torch.rand(1, 1, 16, 24)], 1)  # query 0 draws object 1
        logits = torch.randn(1, 4, 2)
        for meant, first in ((2, [2]), (None, [])):
            target = Target(masks, meant, torch.ones(1, dtype=torch.bool))
            queries, objects = match(logits, probabilities, target, dedicated=True)
            self.assertEqual(objects[queries == 0].tolist(), first)
            self.assertEqual(sorted(objects.tolist()), [0, 1, 2])
            self.assertEqual(objects[queries == 1].tolist(), [0], "the others as the masks say")

    def test_emphasis_weighs_the_meant_object(self):
        torch.manual_seed(0)
        out = {"pred_masks": torch.randn(1, 1, 1, 3, 8, 12), "pred_is_referred": torch.randn(1, 1, 1, 3, 2)}
        masks = torch.zeros(1, 2, 16, 24)
        masks[:, 0, :8], masks[:, 1, 8:] = 1, 1
        target = Target(masks, 1, torch.ones(1, dtype=torch.bool))
        plain, emphasised = (float(losses(out, [target], emphasis=e)[0]["dice"]) for e in (1.0, 1e6))
        queries, objects = losses(out, [target])[2][0]
        chosen = upsample(out["pred_masks"][0][:, 0, queries[objects == 1]], (16, 24)).sigmoid()[0, 0]
        alone = 1 - (2 * (chosen * masks[0, 1]).sum() + 1) / (chosen.sum() + masks[0, 1].sum() + 1)
        self.assertAlmostEqual(emphasised, float(alone), places=4)
        self.assertNotAlmostEqual(plain, emphasised, places=3)


class Optimiser(unittest.TestCase):
    def test_steps_are_orthogonal(self):
        torch.manual_seed(0)
        for shape in ((16, 40), (40, 16), (24, 24)):
            singular = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
            self.assertGreater(singular.min().item(), 0.4)
            self.assertLess(singular.max().item(), 1.3)

    def test_it_finds_a_minimum(self):
        torch.manual_seed(0)
        wanted, weight = torch.randn(12, 20), torch.nn.Parameter(torch.zeros(12, 20))
        optimizer = Muon([{"params": [weight]}])
        for step in range(200):
            optimizer.param_groups[0]["lr"] = 0.2 * (1 - step / 200)
            optimizer.zero_grad()
            (weight - wanted).pow(2).sum().backward()
            optimizer.step()
        self.assertLess((weight - wanted).abs().max().item(), 0.1)


    def test_a_phase_without_rates_goes_on_with_the_fall(self):
        whole = [recipes.Phase("a", 10, (1.0, 0.5), [], 5), recipes.Phase("b", 30, (0.4, 0.0), [], 3)]
        cut = [whole[0], recipes.Phase("b", 12, (0.4, 0.0), [], 3), recipes.Phase("c", 18, None, [])]
        rates = [learning_rate(cut, step) for step in range(41)]
        self.assertEqual(rates, [learning_rate(whole, step) for step in range(41)])
        self.assertAlmostEqual(rates[0], 0.2)
        self.assertAlmostEqual(rates[25], 0.2)
        self.assertAlmostEqual(rates[40], 0.0)
        ended = [whole[0], recipes.Phase("b", 12, (0.4, 0.0), [], 3, fall=30), recipes.Phase("c", 4, (0.3, 0.0), [], 1)]
        self.assertEqual([learning_rate(ended, step) for step in range(22)], rates[:22])
        self.assertAlmostEqual(learning_rate(ended, 24), 0.15)


class Folders(unittest.TestCase):
    def test_tables_agree_with_the_checkpoint(self):
        with tempfile.TemporaryDirectory() as folder:
            table = Table(Path(folder) / "log.csv")
            for step in (50, 100, 150):
                table.append({"step": step, "loss": 0.5})
            with open(table.path, "a") as f:
                f.write("200,0.")  # a killed process's half row
            table.cut(100)
            self.assertEqual([r["step"] for r in table.rows()], ["50", "100"])

    def test_curves(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "curves.png"
            draw_curves(path, {"loss": [(0, 2.0), (50, 1.0)], "right_shape": [(0, float("nan"))]})
            self.assertEqual(path.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
            panel = draw_panel("loss", [(0, 2.0), (50, 1.0)])
            drawn = (panel == LINE).all(-1)
            first, last = drawn[:, :20].any(1).nonzero()[0].mean(), drawn[:, -20:].any(1).nonzero()[0].mean()
            self.assertLess(first, last, "a falling loss is drawn falling")


if __name__ == "__main__":
    unittest.main()
