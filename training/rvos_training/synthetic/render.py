"""Pictures and masks of a scene, at any size. Shapes are signed distances; their edges are one pixel soft."""
import numpy as np


def _polygon(x, y, corners):
    """Signed distance (negative inside) to a closed polygon. corners [n,2]"""
    best = np.full(x.shape, np.inf, np.float32)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, 0)):
        ex, ey = bx - ax, by - ay
        px, py = x - ax, y - ay
        along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0, 1)
        np.minimum(best, (px - along * ex) ** 2 + (py - along * ey) ** 2, out=best)
        if ay != by:
            inside ^= ((ay > y) != (by > y)) & (px < (y - ay) / ey * ex)
    return np.where(inside, -1, 1) * np.sqrt(best)


def _regular(n, inner=None, turn=-np.pi / 2):
    count = n if inner is None else 2 * n
    angle = turn + 2 * np.pi * np.arange(count) / count
    radius = np.ones(count)
    if inner is not None:
        radius[1::2] = inner
    return np.stack((np.cos(angle), np.sin(angle)), 1) * radius[:, None]


def _heart():
    s = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    x = 16 * np.sin(s) ** 3
    y = -(13 * np.cos(s) - 5 * np.cos(2 * s) - 2 * np.cos(3 * s) - np.cos(4 * s))
    return np.stack((x, y + 2.5), 1) / 16


STAR, TRIANGLE, HEART = _regular(5, 0.45), _regular(3) * 1.1 + (0, 0.2), _heart()


def distance(shape, x, y):
    """Signed distance to a shape of about unit half-extent, at points x, y."""
    if shape == "circle":
        return np.sqrt(x * x + y * y) - 1
    if shape == "ring":
        return np.abs(np.sqrt(x * x + y * y) - 0.70) - 0.30
    if shape == "square":
        return np.maximum(np.abs(x), np.abs(y)) - 0.88
    if shape == "cross":
        a, b = np.abs(x), np.abs(y)
        return np.minimum(np.maximum(a - 1, b - 0.40), np.maximum(a - 0.40, b - 1))
    return _polygon(x, y, {"star": STAR, "triangle": TRIANGLE, "heart": HEART}[shape])


def _backdrop(b, h, w, aspect):
    """[H,W,3] float32"""
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    y, x = (y + 0.5) / h, (x + 0.5) / w * aspect
    along = x * np.cos(b["angle"]) + y * np.sin(b["angle"])
    across = -x * np.sin(b["angle"]) + y * np.cos(b["angle"])
    if b["kind"] == "plain":
        mix = np.zeros((h, w), np.float32)
    elif b["kind"] == "gradient":
        mix = (along - along.min()) / (np.ptp(along) + 1e-6)
    elif b["kind"] == "stripes":
        mix = 0.5 + 0.5 * np.clip(4 * np.sin(2 * np.pi * (along / b["period"] + b["phase"])), -1, 1)
    elif b["kind"] == "checks":
        s = np.sin(np.pi * (along / b["period"] + b["phase"])) * np.sin(np.pi * across / b["period"])
        mix = 0.5 + 0.5 * np.clip(6 * s, -1, 1)
    else:
        field = b["field"]
        gy, gx = y * (field.shape[0] - 1), x / aspect * (field.shape[1] - 1)
        iy, ix = np.minimum(gy.astype(int), field.shape[0] - 2), np.minimum(gx.astype(int), field.shape[1] - 2)
        fy, fx = gy - iy, gx - ix
        fy, fx = fy * fy * (3 - 2 * fy), fx * fx * (3 - 2 * fx)
        top = field[iy, ix] * (1 - fx) + field[iy, ix + 1] * fx
        bottom = field[iy + 1, ix] * (1 - fx) + field[iy + 1, ix + 1] * fx
        mix = top * (1 - fy) + bottom * fy
    return (b["a"] + (b["b"] - b["a"]) * mix[..., None]).astype(np.float32)


def _stamp(thing, frame, h, w):
    """Coverage of one thing in one frame: (rows, columns, alpha) of its bounding box, or None outside the picture."""
    (cx, cy), radius, angle = thing.path[frame] * h, thing.radii[frame] * h, thing.angles[frame]
    reach = 1.25 * radius + 1
    top, bottom = max(0, int(cy - reach)), min(h, int(cy + reach) + 2)
    left, right = max(0, int(cx - reach)), min(w, int(cx + reach) + 2)
    if top >= bottom or left >= right:
        return None
    y = (np.arange(top, bottom, dtype=np.float32) + 0.5 - cy)[:, None] / radius
    x = (np.arange(left, right, dtype=np.float32) + 0.5 - cx)[None] / radius
    c, s = np.cos(angle), np.sin(angle)
    d = distance(thing.shape, *np.broadcast_arrays(c * x + s * y, -s * x + c * y)) * radius
    return slice(top, bottom), slice(left, right), np.clip(0.5 - d, 0, 1).astype(np.float32)


def render(scene, frames, h, w):
    """frames: indices of the scene's frames -> RGB uint8 [T,H,W,3], visible masks bool [objects,T,H,W]"""
    rng = np.random.default_rng(scene.seed)
    count = len(scene.things)
    backdrop = _backdrop(scene.background, h, w, scene.aspect)
    video = np.repeat(backdrop[None], len(frames), 0)
    masks = np.zeros((count, len(frames), h, w), bool)
    for i, frame in enumerate(frames):
        for k, thing in enumerate(scene.things):
            stamp = _stamp(thing, frame, h, w)
            if stamp is None:
                continue
            rows, columns, alpha = stamp
            patch = video[i, rows, columns]
            patch += alpha[..., None] * (thing.rgb.astype(np.float32) - patch)
            covered = alpha > 0.5
            masks[:k, i, rows, columns] &= ~covered
            masks[k, i, rows, columns] = covered
    if scene.noise:
        # Grain is drawn once, larger than a frame, and read at a new offset in each frame: quick, and still noise.
        grain = rng.standard_normal((h + 32, w + 32, 1), dtype=np.float32) * scene.noise
        for i in range(len(frames)):
            dy, dx = rng.integers(0, 32, 2)
            video[i] += grain[dy:dy + h, dx:dx + w]
    return np.clip(video + 0.5, 0, 255).astype(np.uint8), masks
