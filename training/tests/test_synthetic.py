"""Generated clips: reproducible, and their sentences mean what they say."""
import copy
import json
import tempfile
import unittest
from collections import Counter
from pathlib import Path
from unittest import mock

import numpy as np

from rvos_training import recipes
from rvos_training.heldout import HeldoutError, frozen, heldout_clip, sentences, write
from rvos_training.measure import read_video
from rvos_training.synthetic.clips import make_clip
from rvos_training.synthetic.contrast import decided_by_one, spoilt_by_one
from rvos_training.synthetic.render import compress, distance, render
from rvos_training.synthetic.scene import LENGTH, SHAPES, SIZES, UNSEEN, make_scene
from rvos_training.synthetic.sentences import conditions, holds, refer, refer_to_nothing


class Scenes(unittest.TestCase):
    def test_same_seed_same_clip(self):
        a, b = (make_clip(7, 5, 48, 72, sentences=2, absent=0.3) for _ in range(2))
        self.assertEqual(a.sentences, b.sentences)
        self.assertTrue(np.array_equal(a.frames, b.frames) and np.array_equal(a.masks, b.masks))

    def test_shapes_and_visibility(self):
        for seed in range(30):
            clip = make_clip(seed, 4, 72, 108, sentences=2, absent=0.2)
            self.assertEqual(clip.frames.shape, (4, 72, 108, 3))
            self.assertEqual(clip.frames.dtype, np.uint8)
            self.assertEqual(clip.masks.shape[1:], (4, 72, 108))
            self.assertTrue(clip.masks.any((1, 2, 3)).all())
            self.assertLessEqual(clip.masks.sum(0).max(), 1, "a pixel belongs to one object")
            self.assertEqual(len(clip.sentences), 2)

    def test_sentence_is_true_of_one_object_only(self):
        rng = np.random.default_rng(0)
        frames = np.arange(LENGTH)
        said = 0
        for seed in range(80):
            scene = make_scene(seed)
            for i, thing in enumerate(scene.things):
                made = refer(rng, scene, i, frames)
                if made:
                    said += 1
                    truth = [holds(conditions(made[1]), t, frames, scene.aspect) for t in scene.things]
                    self.assertEqual([k for k, x in enumerate(truth) if x is not False], [i], made[0])
            made = refer_to_nothing(rng, scene, frames)
            if made:
                self.assertTrue(all(holds(conditions(made[1]), t, frames, scene.aspect) is False for t in scene.things))
        self.assertGreater(said, 120)

    def test_one_condition_decides(self):
        rng, frames = np.random.default_rng(2), np.arange(8, 20)
        present, absent = Counter(), Counter()
        for seed in range(60):
            scene = make_scene(seed, counts=(0, 0, 0.3, 0.4, 0.3), motions=(0.125,) * 8)

            def true_of(d):
                return {i for i, t in enumerate(scene.things) if holds(conditions(d), t, frames, scene.aspect) is not False}

            def without(d):
                return {k: {**d, k: None} if k == "shape" else {c: v for c, v in d.items() if c != k}
                        for k in conditions(d) if d[k]}
            for i in range(len(scene.things)):
                made = decided_by_one(rng, scene, i, frames)
                if made:
                    self.assertEqual(true_of(made[1]), {i}, made[0])
                    deciding = [k for k, d in without(made[1]).items() if len(true_of(d)) > 1]
                    self.assertTrue(deciding, made[0])
                    present.update(deciding)
            made = spoilt_by_one(rng, scene, frames)
            if made:
                self.assertEqual(true_of(made[1]), set(), made[0])
                deciding = [k for k, d in without(made[1]).items() if true_of(d)]
                self.assertTrue(deciding, made[0])
                self.assertNotIn((made[1].get("shape"), made[1].get("color")), UNSEEN)
                absent.update(deciding)
        for counts in (present, absent):
            self.assertEqual(set(counts), {"shape", "color", "size", "motion", "position", "relation"})
            self.assertEqual(counts.most_common(1)[0][0], "motion")

    def test_hearsay_is_true_and_decides_nothing(self):
        said = 0
        for seed in range(40):
            clip = make_clip(seed, 2, 48, 72, sentences=3, absent=0.4, hearsay=0.7)
            for (_, index), d in zip(clip.sentences, clip.descriptions):
                if not d.get("motion"):
                    continue
                said += 1
                rest = {k: v for k, v in conditions(d).items() if k != "motion"}
                true = [holds(rest, t, clip.window, clip.scene.aspect) is not False for t in clip.scene.things]
                self.assertEqual(sum(true), 0 if index is None else 1)
                if index is not None:
                    self.assertEqual(d["motion"], clip.things[index].motion)
            self.assertFalse(any(d.get("motion") for d in make_clip(seed, 2, 48, 72, sentences=3).descriptions))
        self.assertGreater(said, 40)

    def test_held_out_pairs_are_neither_shown_nor_named(self):
        rng = np.random.default_rng(1)
        frames, shown = np.arange(LENGTH), 0
        for seed in range(150):
            scene = make_scene(seed)
            for thing in scene.things:
                self.assertNotIn((thing.shape, thing.color), UNSEEN)
            made = refer_to_nothing(rng, scene, frames)
            if made:
                self.assertNotIn((made[1].get("shape"), made[1].get("color")), UNSEEN)
            shown += sum((t.shape, t.color) in UNSEEN for t in make_scene(seed, unseen=True).things)
        self.assertGreater(shown, 20)

    def test_compression_loses_detail_but_not_colour(self):
        clip = make_clip(3, 2, 64, 96)
        frames = clip.frames.astype(np.float32)
        light, heavy = (np.abs(compress(frames, step) - frames).mean() for step in (4, 30))
        self.assertLess(light, heavy)
        self.assertLess(heavy, 12)
        self.assertLess(abs(compress(frames, 30).mean() - frames.mean()), 1)

    def test_camera_moves_everything_alike(self):
        scene = next(s for s in map(make_scene, range(50)) if s.drift is not None and len(s.things) == 1)
        _, moving = render(scene, range(LENGTH), 64, 96)
        still = copy.copy(scene)
        still.drift = None
        _, fixed = render(still, range(LENGTH), 64, 96)
        self.assertFalse(np.array_equal(moving, fixed))
        self.assertLess(abs(scene.drift).max(), 0.05, "less than anything that is said to move")

    def test_masks_do_not_depend_on_size(self):
        for seed in range(10):
            scene = make_scene(seed)
            _, small = render(scene, [3], 72, 108)
            _, large = render(scene, [3], 216, 324)
            down = large[:, :, 1::3, 1::3]
            both, either = (small & down).sum((1, 2, 3)), (small | down).sum((1, 2, 3))
            self.assertGreater((both / np.maximum(either, 1)).min(), 0.8)

    def test_motion_is_what_it_is_called(self):
        for seed in range(60):
            for thing in make_scene(seed).things:
                step = thing.path[-1] - thing.path[0]
                if thing.motion == "left":
                    self.assertLess(step[0], -0.2)
                if thing.motion == "down":
                    self.assertGreater(step[1], 0.2)
                if thing.motion in ("still", "rotating", "growing", "shrinking"):
                    self.assertEqual(abs(step).max(), 0)
                if thing.motion == "growing":
                    self.assertGreater(thing.radii[-1], 1.7 * thing.radii[0])


class Exam(unittest.TestCase):
    def test_composition(self):
        exam = frozen()
        present, said = exam["present"], exam["present_sentences"]
        self.assertEqual(exam["clips"], 500)
        self.assertTrue(3 <= exam["objects_per_clip"] <= 4)
        self.assertGreaterEqual(said["motion"], 0.25 * present)
        self.assertGreaterEqual(said["relation"], 0.15 * present)
        self.assertGreaterEqual(exam["textured_and_compressed_clips"], 0.30 * exam["clips"])
        self.assertGreater(said["unseen"], 50)
        self.assertGreaterEqual(exam["absent"], 400)

    def test_generator_still_makes_it(self):
        """Raise synthetic.VERSION and freeze anew if this fails: results would no longer compare."""
        made = [s["text"] for i in range(len(frozen()["first_sentences"])) for s in sentences(heldout_clip(i))]
        self.assertEqual(made, [text for clip in frozen()["first_sentences"] for text in clip])

    def test_smallest_object(self):
        """At the network's size every object is at least 12 pixels wide and high."""
        for shape in SHAPES:
            y, x = np.mgrid[-1.5:1.5:601j, -1.5:1.5:601j]
            inside = distance(shape, x, y) < 0
            sides = [np.ptp(axis[inside]) for axis in (x, y)]
            self.assertGreaterEqual(min(sides) * SIZES["small"][0] * recipes.SIZE[0], 12, shape)

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            write(folder, 1)
            about = json.loads((Path(folder) / "00001/clip.json").read_text())
            clip = heldout_clip(1)
            self.assertEqual([s["text"] for s in about["sentences"]], [text for text, _ in clip.sentences])
            frames = read_video(Path(folder) / "00001/video.mp4", 192, 288)
            self.assertTrue(np.array_equal(frames, clip.frames))
            self.assertEqual(len(list((Path(folder) / "00001/masks/0").glob("*.png"))), LENGTH)

    def test_another_generator_is_refused(self):
        with mock.patch("rvos_training.heldout.VERSION", -1), self.assertRaisesRegex(HeldoutError, "version"):
            frozen()


if __name__ == "__main__":
    unittest.main()
