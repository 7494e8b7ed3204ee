"""Curves as a PNG picture, with nothing but NumPy."""
import numpy as np

from .files import write_png

WIDTH, HEIGHT, MARGIN, COLUMNS = 300, 150, 18, 3
INK, FAINT, LINE = (40, 40, 40), (225, 225, 225), (30, 90, 200)
# Letters of 3×5 dots, a row of them after another; a dot is set where the digit's bit is (4 2 1 from left to right).
FONT = {"0": "75557", "1": "26227", "2": "71747", "3": "71717", "4": "55711", "5": "74717", "6": "74757", "7": "71122",
        "8": "75757", "9": "75717", ".": "00002", "-": "00700", "_": "00007", "+": "02720", "a": "02757", "b": "44757",
        "c": "00747", "d": "11757", "e": "75747", "f": "34644", "g": "75717", "h": "44755", "i": "20222", "j": "10117",
        "k": "45655", "l": "44443", "m": "05775", "n": "00655", "o": "00757", "p": "07574", "q": "07571", "r": "00744",
        "s": "34716", "t": "27223", "u": "00557", "v": "00552", "w": "05772", "x": "00525", "y": "05717", "z": "07247"}


def write_text(picture, x, y, text, scale=2):
    for letter in text.lower():
        for row, bits in enumerate(FONT.get(letter, "00000")):
            for column in range(3):
                if int(bits) & (4 >> column):
                    top, left = y + row * scale, x + column * scale
                    picture[top:top + scale, left:left + scale] = INK
        x += 4 * scale


def _figure(value):
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def draw_panel(name, points):
    """uint8 [HEIGHT,WIDTH,3]: points [(step, value)] joined by lines, with the range of both axes"""
    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    steps, values = np.array(points, float).T
    finite = np.isfinite(values)
    write_text(picture, MARGIN, 4, name)
    if not finite.any():
        return picture
    steps, values = steps[finite], values[finite]
    low, high = values.min(), values.max()
    top, bottom, left, right = MARGIN + 4, HEIGHT - MARGIN, 8, WIDTH - 8
    picture[[top, bottom], left:right] = FAINT
    span_x, span_y = max(np.ptp(steps), 1e-9), max(high - low, 1e-9)
    x = left + (steps - steps.min()) / span_x * (right - left - 1)
    y = bottom - (values - low) / span_y * (bottom - top - 1)
    dense = np.linspace(x[0], x[-1], 4 * WIDTH)
    line = np.interp(dense, x, y)
    for a, b, at in zip(line, line[1:], dense):
        first, last = sorted((int(a), int(b)))
        picture[first:last + 2, int(at):int(at) + 2] = LINE
    write_text(picture, right - 8 * len(_figure(high)), 4, _figure(high))
    write_text(picture, right - 8 * len(_figure(low)), HEIGHT - 14, _figure(low))
    write_text(picture, left, HEIGHT - 14, f"{_figure(steps.min())}-{_figure(steps.max())}")
    return picture


def draw_curves(path, panels):
    """panels: name -> [(step, value)]"""
    drawn = [draw_panel(name, points) for name, points in panels.items()]
    drawn += [np.full((HEIGHT, WIDTH, 3), 255, np.uint8)] * (-len(drawn) % COLUMNS)
    rows = [np.concatenate(drawn[i:i + COLUMNS], 1) for i in range(0, len(drawn), COLUMNS)]
    temporary = path.with_suffix(".tmp.png")
    write_png(temporary, np.concatenate(rows))
    temporary.replace(path)
