"""Data sets in the published layouts: what a sample holds, flips, and errors that name the file."""
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

from rvos_training.datasets import A2dSentences, ReferYoutubeVos
from rvos_training.datasets.refer_youtube_vos import windows
from rvos_training.datasets.sample import DatasetError, flip, network_size, resize, swap_sides

from .tiny_datasets import HEIGHT, WIDTH, a2d_sentences, frame_and_ids, refer_youtube_vos


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name) / "data"

    def fails(self, part, make):
        with self.assertRaises(DatasetError) as caught:
            make()
        self.assertIn(part, str(caught.exception))
        self.assertEqual(len(str(caught.exception).splitlines()), 1)


class Youtube(Folder):
    def test_windows_follow_one_another(self):
        frames = list("abcdefg")
        self.assertEqual(windows(frames, 3), [list("abc"), list("def"), list("efg")])
        self.assertEqual(windows(frames[:6], 3), [list("abc"), list("def")])
        self.assertEqual(windows(frames[:2], 4), [list("abbb")])

    def test_samples(self):
        data = ReferYoutubeVos(refer_youtube_vos(self.root), window=3)
        # Windows of frames 0-2 and 2-4; object 2 is in both, since frame 2 still shows it.
        self.assertEqual(len(data), 3 * 2 * 2)
        sample = data.sample(3)
        self.assertEqual((data.video(3), sample.text), ("video0", "the bright blue box on the right"))
        self.assertEqual(tuple(sample.frames.shape), (3, HEIGHT, WIDTH, 3))
        self.assertEqual(sample.visible.tolist(), [True, False, False])
        picture, ids = frame_and_ids(2)
        self.assertTrue(np.array_equal(sample.masks[0, sample.referred].numpy(), ids == 2))
        self.assertTrue(np.array_equal(sample.masks[0, 1 - sample.referred].numpy(), ids == 1))
        self.assertLess(np.abs(sample.frames[0].numpy().astype(int) - picture).mean(), 6, "JPEG of the same frame")

    def test_windows_without_the_object_are_left_out(self):
        data = ReferYoutubeVos(refer_youtube_vos(self.root), window=1)
        self.assertEqual(len(data), 3 * (5 + 3))

    def test_errors_name_the_file(self):
        refer_youtube_vos(self.root)
        data = ReferYoutubeVos(self.root, window=3)
        picture = self.root / "train/JPEGImages/video0/00005.jpg"
        picture.write_bytes(b"no picture")
        self.fails("video0/00005.jpg", lambda: data.sample(0))
        (self.root / "train/Annotations/video1/00000.png").unlink()
        self.fails("video1/00000.png", lambda: ReferYoutubeVos(self.root, window=3))
        meta = self.root / "meta_expressions/train/meta_expressions.json"
        meta.write_text("{")
        self.fails("meta_expressions.json", lambda: ReferYoutubeVos(self.root, window=3))
        meta.write_text('{"videos": {"v": {"frames": ["1"], "expressions": {"0": {"exp": "a"}}}}}')
        self.fails("video v: KeyError 'obj_id'", lambda: ReferYoutubeVos(self.root, window=3))


class A2d(Folder):
    def test_samples(self):
        data = A2dSentences(a2d_sentences(self.root), window=4)
        # Two training videos: instance 1 in frames 2 and 6, instance 2 in frame 2; neither the copy nor the test video.
        self.assertEqual([s[:3] for s in data.samples[:3]], [("vid0", 2, 1), ("vid0", 6, 1), ("vid0", 2, 2)])
        self.assertEqual(len(data), 6)
        sample = data.sample(1)
        self.assertEqual(sample.text, "a red box, on the left", "a comma belongs to the sentence")
        self.assertEqual(sample.keep.tolist(), [2])
        self.assertEqual(tuple(sample.masks.shape), (1, 1, HEIGHT, WIDTH))
        # Frame 6 is the video's sixth: index 5. The window is indices 3 to 6, the labelled one its third.
        for at, t in enumerate((3, 4, 5, 6)):
            self.assertTrue(np.array_equal(sample.frames[at].numpy(), frame_and_ids(t)[0]), f"frame {at}")
        self.assertTrue(np.array_equal(sample.masks[0, 0].numpy(), frame_and_ids(5)[1] == 1))

    def test_windows_are_clamped_to_the_video(self):
        data = A2dSentences(a2d_sentences(self.root), window=8)
        sample = data.sample(0)  # frame 2: indices -3 … 4
        self.assertEqual(len(sample.frames), 8)
        for at, t in enumerate((0, 0, 0, 0, 1, 2, 3, 4)):
            self.assertTrue(np.array_equal(sample.frames[at].numpy(), frame_and_ids(t)[0]), f"frame {at}")
        self.assertTrue(np.array_equal(data.sample(1).frames[-1].numpy(), frame_and_ids(8)[0]), "its last frame at the end")

    def test_errors_name_the_file(self):
        data = A2dSentences(a2d_sentences(self.root), window=4)
        (self.root / "Release/clips320H/vid0.mp4").write_bytes(b"")
        self.fails("vid0.mp4", lambda: data.sample(0))
        path = self.root / "text_annotations/a2d_annotation_with_instances/vid0/00002.h5"
        with h5py.File(path, "w") as f:
            f["instance"] = np.array([1, 2])
            f["reMask"] = np.zeros((3, 4, 5), np.uint8)
        self.fails("00002.h5: 2 instances, reMask of shape (3, 4, 5)", lambda: data.sample(0))
        path.write_bytes(b"not hdf5")
        self.fails("00002.h5", lambda: A2dSentences(self.root, window=4))
        (self.root / "Release/videoset.csv").write_text("vid0,1\n")
        self.fails("videoset.csv", lambda: A2dSentences(self.root, window=4))


class Augmentation(Folder):
    def test_sides_are_swapped_by_word(self):
        self.assertEqual(swap_sides("the bright cat left of the RIGHT dog, leftover"), "the bright cat right of the left dog, leftover")

    def test_flip_twice_is_nothing(self):
        sample = ReferYoutubeVos(refer_youtube_vos(self.root), window=2).sample(0)
        once, twice = flip(sample), flip(flip(sample))
        self.assertEqual(once.text, "the red box on the right")
        self.assertTrue(bool((once.frames[:, :, 0] == sample.frames[:, :, -1]).all()))
        self.assertTrue(bool((once.masks[..., 0] == sample.masks[..., -1]).all()))
        self.assertTrue(bool((twice.frames == sample.frames).all()) and twice.text == sample.text)

    def test_resize_follows_the_published_rule(self):
        self.assertEqual(network_size(720, 1280, 360, 640), (360, 640))
        self.assertEqual(network_size(320, 800, 360, 640), (256, 640))
        self.assertEqual(network_size(1280, 720, 360, 640), (640, 360))
        small = resize(ReferYoutubeVos(refer_youtube_vos(self.root), window=2).sample(0), 20, 40)
        self.assertEqual((tuple(small.frames.shape), tuple(small.masks.shape)), ((2, 20, 30, 3), (2, 2, 20, 30)))


if __name__ == "__main__":
    unittest.main()
