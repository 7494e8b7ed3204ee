"""The model that ships, read back: its weights are where they belong, since it does what its card says."""
import json
import shutil
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from rvos_training import recipes
from rvos_training.measure import load_export
from rvos_training.model_folder import layout, main, read
from rvos_training.mttr import MTTR
from rvos_training.validate import validate

COMPACT = Path(__file__).resolve().parents[2] / "models/compact"


class ModelFolder(unittest.TestCase):
    def test_every_parameter_has_its_place(self):
        config, state, _ = read(COMPACT)
        names = [(name, third) for name, _, *third in layout(config)]
        self.assertEqual(len(names), len(set((n, *t) for n, t in names)))
        buffers = {name for name, _ in MTTR(config).named_buffers()} | {n for n in state if n.endswith("relative_position_index")}
        self.assertEqual({name for name, _ in names}, set(state) - buffers)

    def test_the_shipped_model_understands_generated_clips(self):
        with tempfile.TemporaryDirectory() as folder:
            with mock.patch.object(sys, "argv", ["", str(COMPACT), "--out", folder]):
                main()
            model, tokenizer, sides = load_export(folder)
            self.assertEqual(sides, recipes.SIZE)
            result = validate(model, tokenizer, recipes.SIZE, {1: 30, 6: 4})
        self.assertGreater(result["iou_1"], 0.8)
        self.assertGreater(result["iou_6"], 0.8)
        self.assertGreater(result["auroc"], 0.95)

    def test_another_size_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(COMPACT / "model.json", folder)
            (Path(folder) / "weights.bin").write_bytes((COMPACT / "weights.bin").read_bytes() + b"\0")
            with self.assertRaisesRegex(ValueError, "weights.bin: .* bytes"):
                read(folder)
            about = json.loads((Path(folder) / "model.json").read_text())
            self.assertEqual(about["precision"], "fp16")


if __name__ == "__main__":
    unittest.main()
