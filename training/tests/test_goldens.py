"""The network, the matcher and the losses against values computed by the original implementation."""
import json
import os
import unittest
from pathlib import Path

import numpy as np
import torch

from rvos_training.config import Config
from rvos_training.losses import WEIGHTS, Target, losses
from rvos_training.mttr import MTTR, normalize
from rvos_training.safetensors_file import load

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [Path(os.environ.get("RVOS_GOLDENS", "/nonexistent")), ROOT / "test/goldens", ROOT / "shared/goldens",
           ROOT.parent / "shared/goldens"]
GOLDENS = next((f for f in FOLDERS if (f / "checkpoint.pth.tar").exists()), None)


def unpack(packed, shape):
    return np.unpackbits(packed)[:int(np.prod(shape))].reshape(shape).astype(bool)


@unittest.skipIf(GOLDENS is None, "no goldens: set RVOS_GOLDENS")
class Goldens(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = MTTR(Config.load(GOLDENS / "config.json")).eval()
        state = torch.load(GOLDENS / "checkpoint.pth.tar", map_location="cpu")["model_state_dict"]
        cls.model.load_state_dict(state, strict=True)

    def run_case(self, name):
        g = load(GOLDENS / "cases" / f"{name}.safetensors")
        meta = json.loads((GOLDENS / "cases" / f"{name}.json").read_text())
        clips = [k for k in sorted(g) if k.startswith("frames.")]
        b = len(g["input_ids"])
        t = max(s[0] for s in meta["videos_T_H_W"])
        h, w = meta["padded_size"]
        frames = torch.zeros(t, b, 3, h, w)
        mask = torch.ones(t, b, h, w, dtype=torch.bool)
        for i in range(b):
            x = normalize(torch.from_numpy(g[clips[min(i, len(clips) - 1)]].copy()))
            n, _, hh, ww = x.shape
            frames[:n, i, :, :hh, :ww] = x
            mask[:n, i, :hh, :ww] = False
        self.assertTrue(np.array_equal(mask.numpy(), unpack(g["pad_mask_packed"], (t, b, h, w))))
        with torch.no_grad():
            out = self.model(frames, torch.from_numpy(g["input_ids"].copy()),
                             torch.from_numpy(g["attention_mask"].copy()), mask)
        return g, meta, out

    def close(self, name, got, want, tolerance=2e-4):
        want = np.asarray(want)
        got = got.numpy()
        rms = float(np.sqrt((want ** 2).mean()))
        worst = float(np.abs(got - want).max())
        self.assertLessEqual(worst, tolerance * rms, f"{name}: {worst / rms:.2e} of rms")

    def check_case(self, name):
        g, meta, out = self.run_case(name)
        for i, level in enumerate(out["levels"]):
            want = g.get(f"backbone.{i}")  # the larger cases do not store every level
            if want is not None:
                self.close(f"backbone.{i}", level.permute(0, 1, 4, 2, 3)[:, :want.shape[1]], want)
        self.close("text", out["text"], g["text.projected"])
        hs = out["hs"].permute(0, 3, 1, 2, 4).flatten(2, 3)
        self.close("hs", hs, g["decoder.hs"], 1e-3)
        self.close("masks", out["pred_masks"][-1], g["pred_masks"], 1e-3)
        self.close("referred", out["pred_is_referred"], g["is_referred_all_layers"], 1e-3)
        scores = out["pred_is_referred"][-1].softmax(-1)[..., 0].mean(0)
        self.close("scores", scores, g["ytvos.trajectory_scores"], 1e-3)
        self.assertEqual(scores.argmax(1).tolist(), [q["query"] for q in meta["ytvos"]])

    def test_a(self):
        self.check_case("a_T8_96x160")

    def test_b(self):
        self.check_case("b_T6_90x150_2q")

    def test_b2(self):
        self.check_case("b2_T4_mixed_sizes")

    def test_c(self):
        self.check_case("c_T24_64x112")

    def test_d(self):
        self.check_case("d_blocks_T10_44x60")

    def test_losses(self):
        g, meta, out = self.run_case("d_blocks_T10_44x60")
        want = meta["loss"]
        masks = unpack(g["loss.target_masks_packed"], want["target_masks_shape"])
        target = Target(torch.from_numpy(masks.astype(np.float32)), want["referred_instance_idx"],
                        torch.tensor(want["is_ref_inst_visible"]))
        values, total, matches = losses(out, [target])
        self.assertEqual([m.tolist() for m in matches[0]], want["matching_last_layer"][0])
        for name, value in want["losses"].items():
            self.assertAlmostEqual(float(values[name[len("loss_"):]]), value, delta=2e-5, msg=name)
        self.assertAlmostEqual(float(total), want["total"], delta=2e-4)

    def test_frame_selection_and_shared_clip(self):
        """Selecting frames after the backbone, and two sentences on one clip, change nothing."""
        torch.manual_seed(0)
        frames = torch.randn(5, 2, 3, 40, 60)
        ids = torch.tensor([[0, 5, 6, 2], [0, 7, 2, 1], [0, 9, 8, 2]])
        mask = (ids != 1).long()
        index = torch.tensor([1, 0, 1])
        with torch.no_grad():
            one = self.model(frames[:, index], ids, mask)["pred_masks"]
            two = self.model(frames, ids, mask, clip_index=index, valid_frames=torch.tensor([1, 3]))["pred_masks"]
        self.assertLess((one[:, [1, 3]] - two).abs().max().item(), 1e-3)


@unittest.skipIf(GOLDENS is None, "no goldens: set RVOS_GOLDENS")
class Names(unittest.TestCase):
    def test_published_names_and_shapes(self):
        """The default configuration has exactly the keys and shapes of the published checkpoint."""
        rows = [line.split("\t") for line in (GOLDENS / "state_dict_keys_full.tsv").read_text().splitlines()[1:]]
        want = {name: json.loads(shape) for name, shape, _ in rows}
        want.setdefault("transformer.text_encoder.embeddings.position_ids", [1, 514])
        got = {name: list(v.shape) for name, v in MTTR(Config()).state_dict().items()}
        self.assertEqual(got, want)


if __name__ == "__main__":
    unittest.main()
