"""The folder of a training run: checkpoints that are whole or not there, CSV tables that agree with them, curves, progress."""
import csv
import os
import sys
import time
from pathlib import Path

import torch

from .curves import draw_curves


def save(path, value):
    """Never leaves half a file, also when the process is killed."""
    temporary = Path(path).with_suffix(".tmp")
    with open(temporary, "wb") as f:
        torch.save(value, f)
        f.flush()
        os.fsync(f.fileno())
    os.replace(temporary, path)


class Table:
    """A CSV file whose rows begin with a step. Rows after a checkpoint are cut when a run goes on from it."""

    def __init__(self, path):
        self.path = Path(path)

    def append(self, row):
        """row: column -> value; the first row's columns are the table's."""
        new = not self.path.exists()
        if new:
            columns = list(row)
        else:
            with open(self.path, newline="") as f:
                columns = next(csv.reader(f))
        with open(self.path, "a", newline="") as f:
            writer = csv.DictWriter(f, columns, extrasaction="ignore")
            if new:
                writer.writeheader()
            writer.writerow(row)

    def cut(self, step):
        """Forgets rows of later steps, and half a row that a killed process left."""
        if not self.path.exists():
            return
        lines = self.path.read_text().splitlines(True)
        kept = [x for x in lines[1:] if x.endswith("\n") and x.split(",")[0].isdigit() and int(x.split(",")[0]) <= step]
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text("".join(lines[:1] + kept))
        os.replace(temporary, self.path)

    def rows(self):
        if not self.path.exists():
            return []
        with open(self.path, newline="") as f:
            return list(csv.DictReader(f))


class RunFolder:
    """last.pt (to go on), best.pt, log.csv, validation.csv, curves.png"""

    def __init__(self, path):
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self.log, self.validation = Table(self.path / "log.csv"), Table(self.path / "validation.csv")

    def last(self):
        """The state to go on from, or None."""
        path = self.path / "last.pt"
        return torch.load(path, map_location="cpu") if path.exists() else None

    def save(self, name, state):
        save(self.path / name, state)

    def cut(self, step):
        self.log.cut(step)
        self.validation.cut(step)

    def draw(self):
        """curves.png: one panel per column of the two tables."""
        panels = {}
        for table in (self.log, self.validation):
            for row in table.rows():
                for name, value in row.items():
                    if name not in ("step", "minutes", "phase") and value:
                        panels.setdefault(name, []).append((int(row["step"]), float(value)))
        if panels:
            draw_curves(self.path / "curves.png", panels)


class Progress:
    """One line on a terminal that is drawn over again; on anything else, a line now and then."""

    def __init__(self, total, stream=sys.stderr):
        self.total, self.stream, self.begun, self.first = total, stream, time.time(), None

    def show(self, step, text, important=False):
        """step: steps done; text: figures; important: also shown where lines cannot be drawn over"""
        if self.first is None:
            self.first = step
        done = step - self.first
        left = (time.time() - self.begun) / done * (self.total - step) if done else 0
        bar = "█" * (20 * step // self.total) + "░" * (20 - 20 * step // self.total)
        line = f"{bar} {step}/{self.total} {text}" + (f", {left / 60:.0f} min left" if done else "")
        if self.stream.isatty():
            self.stream.write("\r\033[K" + line[:160] + ("\n" if important else ""))
        elif important:
            self.stream.write(line + "\n")
        self.stream.flush()
