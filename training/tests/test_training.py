"""Training: goes on where it was, exports what it measured. A few steps of a tiny run."""
import tempfile
import unittest
from pathlib import Path

import torch

from rvos_training import recipes, train
from rvos_training.export import export
from rvos_training.measure import load_export, network_size
from rvos_training.tokenizer import SentenceTokenizer

TINY = [recipes.Phase("tiny", 6, (1e-3, 1e-4), [
    recipes.Batch(0.5, (1, 1), 2, size=(40, 60)), recipes.Batch(0.5, (4, 9), 1, supervised=3, size=(40, 60))])]


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
            for a, b in zip(want, got):
                self.assertAlmostEqual(a["total"], b["total"], places=4)

    def test_export_is_half_precision_and_loads(self):
        with tempfile.TemporaryDirectory() as folder:
            run = train.Run(Path(folder) / "run", TINY, seed=3)
            export(Path(folder) / "out", run.average.model.state_dict(), run.config, run.out / "tokenizer")
            model, _, sides = load_export(Path(folder) / "out")
            self.assertEqual(sides, (72, 108))
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

    def test_size_rule(self):
        self.assertEqual(network_size(192, 288, 72, 108), (72, 108))
        self.assertEqual(network_size(360, 640, 72, 108), (60, 108))


if __name__ == "__main__":
    unittest.main()
