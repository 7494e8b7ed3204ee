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
    if shape == "moon":
        return np.maximum(np.sqrt(x * x + y * y) - 1, 0.80 - np.sqrt((x - 0.55) ** 2 + y * y))
    if shape == "cross":
        a, b = np.abs(x), np.abs(y)
        return np.minimum(np.maximum(a - 1, b - 0.40), np.maximum(a - 0.40, b - 1))
    return _polygon(x, y, {"star": STAR, "triangle": TRIANGLE, "heart": HEART}[shape])


def _smooth(field, y, x):
    """Smoothly interpolated field at y, x in [0,1]; beyond, it repeats its border."""
    gy, gx = np.clip(y, 0, 1) * (field.shape[0] - 1), np.clip(x, 0, 1) * (field.shape[1] - 1)
    iy, ix = np.minimum(gy.astype(int), field.shape[0] - 2), np.minimum(gx.astype(int), field.shape[1] - 2)
    fy, fx = gy - iy, gx - ix
    fy, fx = (fy * fy * (3 - 2 * fy))[:, None], (fx * fx * (3 - 2 * fx))[None]
    rows = field[iy] * (1 - fy) + field[iy + 1] * fy
    return rows[:, ix] * (1 - fx) + rows[:, ix + 1] * fx


def _backdrop(b, h, w, aspect, margin):
    """[H+2·margin,W+2·margin,3] float32: the picture's background and what lies around it."""
    y = ((np.arange(-margin, h + margin, dtype=np.float32) + 0.5) / h)
    x = ((np.arange(-margin, w + margin, dtype=np.float32) + 0.5) / w)
    yy, xx = y[:, None], x[None] * aspect
    along = xx * np.cos(b["angle"]) + yy * np.sin(b["angle"])
    across = -xx * np.sin(b["angle"]) + yy * np.cos(b["angle"])
    if b["kind"] == "plain":
        mix = np.zeros(along.shape, np.float32)
    elif b["kind"] == "gradient":
        mix = (along - along.min()) / (np.ptp(along) + 1e-6)
    elif b["kind"] == "stripes":
        mix = 0.5 + 0.5 * np.clip(4 * np.sin(2 * np.pi * (along / b["period"] + b["phase"])), -1, 1)
    elif b["kind"] == "checks":
        s = np.sin(np.pi * (along / b["period"] + b["phase"])) * np.sin(np.pi * across / b["period"])
        mix = 0.5 + 0.5 * np.clip(6 * s, -1, 1)
    else:  # blobs: one field; texture: octaves of it, like ground, leaves or walls, unevenly lit
        weights = b["roughness"] ** np.arange(len(b["fields"]))
        mix = sum(k * _smooth(f, y, x) for k, f in zip(weights / weights.sum(), b["fields"]))
        if len(b["fields"]) > 1:
            mix = np.clip(0.5 + 1.8 * (mix - 0.5), 0, 1)
    picture = b["a"] + (b["b"] - b["a"]) * mix[..., None]
    if b["shade"]:
        light = np.clip((along - along.min()) / (np.ptp(along) + 1e-6), 0, 1)
        picture = picture * (1 - b["shade"] * light[..., None])
    return picture.astype(np.float32)


def _shifted(picture, margin, h, w, dy, dx):
    """The h×w picture within its surroundings, moved by dy, dx pixels (less than the margin)."""
    iy, ix = int(np.floor(-dy)), int(np.floor(-dx))
    fy, fx = -dy - iy, -dx - ix
    top, left = margin + iy, margin + ix
    a = picture[top:top + h + 1, left:left + w + 1]
    rows = a[:-1] * (1 - fy) + a[1:] * fy
    return rows[:, :-1] * (1 - fx) + rows[:, 1:] * fx


def _stamp(thing, frame, drift, h, w):
    """Coverage of one thing in one frame: (rows, columns, alpha) of its bounding box, or None outside the picture."""
    (cx, cy), radius, angle = (thing.path[frame] + drift) * h, thing.radii[frame] * h, thing.angles[frame]
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


_DCT = np.array([[np.sqrt((1 if k == 0 else 2) / 8) * np.cos(np.pi * (2 * n + 1) * k / 16) for n in range(8)]
                 for k in range(8)], np.float32)
_RAMP = 1 + 0.35 * (np.arange(8)[:, None] + np.arange(8)[None]).astype(np.float32)
_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]], np.float32)
_TO_RGB = np.linalg.inv(_TO_YCC).astype(np.float32)


def _quantise(plane, step):
    """[T,H,W] -> the same through an 8×8 cosine transform rounded to multiples of step (more at high frequencies)."""
    t, h, w = plane.shape
    padded = np.pad(plane, ((0, 0), (0, -h % 8), (0, -w % 8)), mode="edge")
    blocks = padded.reshape(t, padded.shape[1] // 8, 8, padded.shape[2] // 8, 8).swapaxes(2, 3)
    table = step * _RAMP
    blocks = _DCT.T @ (np.round(_DCT @ blocks @ _DCT.T / table) * table) @ _DCT
    return blocks.swapaxes(2, 3).reshape(padded.shape)[:, :h, :w]


def compress(video, step):
    """What a lossy codec leaves of float RGB [T,H,W,3]: halved chroma, blocks, ringing."""
    t, h, w, _ = video.shape
    ycc = (video.reshape(-1, 3) @ _TO_YCC.T).reshape(video.shape)
    luma = _quantise(ycc[..., 0], step)
    chroma = np.pad(ycc[..., 1:], ((0, 0), (0, h % 2), (0, w % 2), (0, 0)), mode="edge")
    small = chroma.reshape(t, chroma.shape[1] // 2, 2, chroma.shape[2] // 2, 2, 2).mean((2, 4))
    planes = [_quantise(small[..., k], step).repeat(2, 1).repeat(2, 2)[:, :h, :w] for k in (0, 1)]
    return (np.stack([luma, *planes], -1).reshape(-1, 3) @ _TO_RGB.T).reshape(video.shape)


def render(scene, frames, h, w, lossy=True):
    """frames: indices of the scene's frames -> RGB uint8 [T,H,W,3], visible masks bool [objects,T,H,W].
    lossy: with the scene's compression (leave it out where a real codec follows)."""
    rng = np.random.default_rng(scene.seed)
    count = len(scene.things)
    drift = np.zeros((max(frames) + 1, 2)) if scene.drift is None else scene.drift
    margin = 2 + int(np.ceil(abs(drift).max() * h)) if scene.drift is not None else 0
    backdrop = _backdrop(scene.background, h, w, scene.aspect, margin)
    video = np.empty((len(frames), h, w, 3), np.float32)
    masks = np.zeros((count, len(frames), h, w), bool)
    for i, frame in enumerate(frames):
        dx, dy = drift[frame] * h
        video[i] = backdrop if margin == 0 else _shifted(backdrop, margin, h, w, dy, dx)
        for k, thing in enumerate(scene.things):
            stamp = _stamp(thing, frame, drift[frame], h, w)
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
    if scene.compression and lossy:
        video = compress(video, scene.compression)
    return np.clip(video + 0.5, 0, 255).astype(np.uint8), masks
