"""Sentences in which one condition decides: without it another object would be meant as well, or, in a sentence about nothing,
an object would be meant at all. Said at random most sentences can be told by colour and shape alone, and a network that has
learned those two gains little by learning to read the rest."""
from .scene import UNSEEN
from .sentences import another_value, conditions, holds, phrase, pick, place, relate, wrap

# How often a condition is the one that decides, with and without motion in the clip.
MOVING = {"motion": 0.45, "shape": 0.15, "relation": 0.15, "position": 0.12, "size": 0.08, "color": 0.05}
PICTURE = {"shape": 0.3, "relation": 0.3, "position": 0.2, "size": 0.1, "color": 0.1}
TRIES = 12


def _key(rng, use_motion):
    shares = MOVING if use_motion else PICTURE
    return str(rng.choice(list(shares), p=list(shares.values())))


def _describe(rng, scene, thing, frames, key, use_motion):
    """A true description with the condition `key`, often without shape or colour; None if it has no such condition."""
    d = {"shape": thing.shape if key == "shape" or rng.random() < 0.6 else None}
    if key == "color" or rng.random() < 0.6:
        d["color"] = thing.color
    if thing.size and (key == "size" or rng.random() < 0.12):
        d["size"] = thing.size
    if use_motion and (key == "motion" or rng.random() < 0.12):
        d["motion"] = thing.motion
    if key == "position" or rng.random() < 0.06:
        place(rng, d, scene, thing, frames)
    elif key == "relation" or rng.random() < 0.06:
        relate(rng, d, scene, thing, frames)
    return d if d.get(key) else None


def _truth(d, scene, frames):
    return [holds(conditions(d), t, frames, scene.aspect) for t in scene.things]


def decided_by_one(rng, scene, index, frames, use_motion=True):
    """A sentence that means scene.things[index] alone, and would not without one of its conditions; or None."""
    for _ in range(TRIES):
        key = _key(rng, use_motion)
        d = _describe(rng, scene, scene.things[index], frames, key, use_motion)
        if d is None:
            continue
        truth = _truth(d, scene, frames)
        if not truth[index] or sum(t is not False for t in truth) > 1:
            continue
        without = {**d, key: None} if key == "shape" else {k: v for k, v in d.items() if k != key}
        if sum(t is not False for t in _truth(without, scene, frames)) > 1:
            return wrap(rng, phrase(rng, d)), d
    return None


def _changed(rng, scene, key, d):
    """Another value of a condition, half of the time one that is true of another object."""
    if key in ("shape", "color", "motion") and rng.random() < 0.5:
        present = sorted({getattr(t, key) for t in scene.things} - {d[key]})
        if present:
            return pick(rng, present)
    return another_value(rng, d, key)


def spoilt_by_one(rng, scene, frames, use_motion=True, unseen=False):
    """A sentence that is plainly false of every object, and true of one but for one condition; or None.
    unseen: also with pairs of shape and colour kept from training."""
    for _ in range(TRIES):
        key = _key(rng, use_motion)
        d = _describe(rng, scene, scene.things[rng.integers(len(scene.things))], frames, key, use_motion)
        if d is None:
            continue
        d = {**d, key: _changed(rng, scene, key, d)}
        if (d["shape"], d.get("color")) in UNSEEN and not unseen:
            continue
        if all(t is False for t in _truth(d, scene, frames)):
            return wrap(rng, phrase(rng, d)), d
    return None
