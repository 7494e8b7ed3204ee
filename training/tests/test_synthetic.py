"""Generated clips: reproducible, and their sentences mean what they say."""
import unittest

import numpy as np

from rvos_training.synthetic.clips import make_clip
from rvos_training.synthetic.render import render
from rvos_training.synthetic.scene import LENGTH, make_scene
from rvos_training.synthetic.sentences import _conditions, holds, refer, refer_to_nothing


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
                    truth = [holds(_conditions(made[1]), t, frames, scene.aspect) for t in scene.things]
                    self.assertEqual([k for k, x in enumerate(truth) if x is not False], [i], made[0])
            made = refer_to_nothing(rng, scene, frames)
            if made:
                self.assertTrue(all(holds(made[1], t, frames, scene.aspect) is False for t in scene.things))
        self.assertGreater(said, 120)

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


if __name__ == "__main__":
    unittest.main()
