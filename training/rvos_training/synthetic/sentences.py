"""Sentences about a scene. A description is a set of conditions; it is used only if it is true of one object and
plainly false of every other one (or, for a sentence about nothing, plainly false of all)."""
import numpy as np

from .scene import COLORS, MOTIONS, SHAPES, UNSEEN

NOUNS = {"circle": ("circle", "circle", "ball", "disc"), "square": ("square", "square", "box"),
         "triangle": ("triangle",), "star": ("star",), "cross": ("cross", "cross", "plus sign"),
         "ring": ("ring", "ring", "donut", "hoop"), "heart": ("heart",),
         "moon": ("moon", "moon", "crescent", "half moon"), None: ("object", "shape", "thing", "one")}
COLOR_WORDS = {**{c: (c,) for c in COLORS}, "purple": ("purple", "purple", "violet"), None: ()}
SIZE_WORDS = {"small": ("small", "little", "tiny"), "large": ("large", "big")}
MOTION_WORDS = {
    "still": ("standing still", "that is not moving", "that does not move", "that stays in place", "at rest"),
    "rotating": ("rotating", "spinning", "turning", "that rotates", "that is spinning", "turning around"),
    "growing": ("growing", "getting bigger", "that grows", "that is getting larger", "becoming bigger"),
    "shrinking": ("shrinking", "getting smaller", "that shrinks", "that is getting smaller", "becoming smaller"),
    **{d: (f"moving {d}", f"going {d}", f"that moves {d}", f"that is moving {d}", f"drifting {d}")
       for d in ("left", "right", "up", "down")}}
for _side in ("left", "right"):
    MOTION_WORDS[_side] += (f"moving to the {_side}", f"going to the {_side}", f"that moves to the {_side}")
MOTION_WORDS["up"] += ("rising", "moving upwards")
MOTION_WORDS["down"] += ("falling", "moving downwards", "sinking")
ADJECTIVE_MOTIONS = {"still": ("still", "motionless"), "rotating": ("rotating", "spinning"), "growing": ("growing",),
                     "shrinking": ("shrinking",), "up": ("rising",), "down": ("falling",)}
POSITION_WORDS = {"left": ("on the left", "on the left side", "at the left"),
                  "right": ("on the right", "on the right side", "at the right"),
                  "top": ("at the top", "in the upper part", "near the top"),
                  "bottom": ("at the bottom", "in the lower part", "near the bottom")}
RELATION_WORDS = {"left": ("left of", "to the left of"), "right": ("right of", "to the right of"),
                  "above": ("above", "over"), "below": ("below", "under")}
VALUES = {"shape": SHAPES, "color": tuple(COLORS), "size": tuple(SIZE_WORDS), "motion": MOTIONS,
          "position": tuple(POSITION_WORDS)}
AXIS = {"left": (0, -1), "right": (0, 1), "top": (1, -1), "bottom": (1, 1), "above": (1, -1), "below": (1, 1)}


def pick(rng, words):
    return words[rng.integers(len(words))]


def position_holds(thing, side, frames, aspect):
    axis, sign = AXIS[side]
    extent = aspect if axis == 0 else 1.0
    offset = sign * (thing.path[frames, axis] / extent - 0.5)
    return True if offset.min() > 0.07 else False if offset.max() < 0 else None


def relation_holds(thing, relation, anchor, frames):
    if thing is anchor:
        return False
    axis, sign = AXIS[relation]
    offset = sign * (thing.path[frames, axis] - anchor.path[frames, axis])
    return True if offset.min() > 0.12 else False if offset.max() < 0.02 else None


def _motion(thing, motion):
    if motion == "still" and thing.motion in ("rotating", "growing", "shrinking"):
        return None
    return thing.motion == motion


def holds(description, thing, frames, aspect):
    """True, False, or None where a person could not be sure."""
    answers = [True]
    for key, value in description.items():
        if key == "size":
            answers.append(None if not thing.size else thing.size == value)
        elif key == "motion":
            answers.append(_motion(thing, value))
        elif key == "position":
            answers.append(position_holds(thing, value, frames, aspect))
        elif key == "relation":
            answers.append(relation_holds(thing, value[0], value[1], frames))
        elif value is not None:
            answers.append(getattr(thing, key) == value)
    return False if False in answers else None if None in answers else True


def phrase(rng, d):
    """Words for a description."""
    noun = pick(rng, NOUNS[d.get("shape")])
    before, after = [], []
    if d.get("size"):
        before.append(pick(rng, SIZE_WORDS[d["size"]]))
    motion = d.get("motion")
    if motion in ADJECTIVE_MOTIONS and rng.random() < 0.25:
        before.insert(rng.integers(len(before) + 1), pick(rng, ADJECTIVE_MOTIONS[motion]))
    elif motion:
        after.append(pick(rng, MOTION_WORDS[motion]))
    if d.get("position"):
        if d["position"] in ("left", "right") and not after and rng.random() < 0.25:
            before.insert(0, d["position"])
        else:
            after.append(pick(rng, POSITION_WORDS[d["position"]]))
    if d.get("color"):
        word = pick(rng, COLOR_WORDS[d["color"]])
        if not after and rng.random() < 0.12:
            after.append(f"that is {word}")
        else:
            before.append(word)
    if d.get("relation"):
        relation, anchor = d["relation"]
        other = {"shape": anchor.shape}
        if d.get("anchor_color"):
            other["color"] = anchor.color
        after.append(f"{pick(rng, RELATION_WORDS[relation])} the {phrase(rng, other)}")
    rng.shuffle(after)
    return " ".join(before + [noun] + after)


def wrap(rng, text):
    r = rng.random()
    if r < 0.62:
        return "the " + text
    if r < 0.80:
        return ("an " if text[0] in "aeio" else "a ") + text
    return text if r < 0.95 else pick(rng, ("find the ", "track the ", "segment the ")) + text


def place(rng, d, scene, thing, frames):
    """Adds a side of the picture that the thing is on, if there is one."""
    sides = [s for s in POSITION_WORDS if position_holds(thing, s, frames, scene.aspect)]
    if sides:
        d["position"] = pick(rng, sides)


def relate(rng, d, scene, thing, frames):
    """Adds a true relation to another object, named so that it is the only one, if one is found."""
    anchor = scene.things[rng.integers(len(scene.things))]
    relations = [r for r in RELATION_WORDS if relation_holds(thing, r, anchor, frames)]
    shapes = [t for t in scene.things if t.shape == anchor.shape]
    exact = [t for t in shapes if t.color == anchor.color]
    if relations and len(exact) == 1:
        d["relation"] = pick(rng, relations), anchor
        d["anchor_color"] = None if len(shapes) == 1 and rng.random() < 0.4 else anchor.color


def _describe(rng, scene, thing, frames, use_motion):
    """A random true description of a thing, not yet known to be unique."""
    d = {"shape": thing.shape if rng.random() < 0.82 else None}
    if rng.random() < 0.8:
        d["color"] = thing.color
    if thing.size and rng.random() < 0.3:
        d["size"] = thing.size
    if use_motion and rng.random() < 0.5:
        d["motion"] = thing.motion
    if rng.random() < 0.22:
        place(rng, d, scene, thing, frames)
    elif len(scene.things) > 1 and rng.random() < 0.36:
        relate(rng, d, scene, thing, frames)
    return d


def conditions(d):
    return {k: v for k, v in d.items() if k != "anchor_color"}


def refer(rng, scene, index, frames, use_motion=True):
    """A sentence that means scene.things[index] and nothing else in these frames, with its description; or None."""
    thing = scene.things[index]
    others = [t for t in scene.things if t is not thing]
    for _ in range(14):
        d = _describe(rng, scene, thing, frames, use_motion)
        c = conditions(d)
        if len(d) == 1 and d["shape"] is None:
            continue
        if holds(c, thing, frames, scene.aspect) and all(holds(c, o, frames, scene.aspect) is False for o in others):
            return wrap(rng, phrase(rng, d)), d
    return None


def _another(rng, values, value):
    return pick(rng, [v for v in values if v != value])


def another_value(rng, d, key):
    """Another value of a description's condition. A relation keeps its anchor."""
    if key == "relation":
        relation, anchor = d[key]
        return _another(rng, list(RELATION_WORDS), relation), anchor
    return _another(rng, VALUES[key], d[key])


def _spoiled(rng, scene, frames, use_motion):
    """A true description with one condition changed."""
    thing = scene.things[rng.integers(len(scene.things))]
    d = _describe(rng, scene, thing, frames, use_motion)
    key = pick(rng, [k for k in d if k != "anchor_color" and d[k] is not None] or ["shape"])
    return {**d, key: another_value(rng, d, key)}


def _invented(rng, scene, use_motion):
    """A description put together at random, near to one of the objects."""
    thing = scene.things[rng.integers(len(scene.things))]
    d = {"shape": thing.shape if rng.random() < 0.5 else SHAPES[rng.integers(len(SHAPES))]}
    if rng.random() < 0.85:
        d["color"] = thing.color if rng.random() < 0.5 else pick(rng, list(COLORS))
    if thing.size and rng.random() < 0.2:
        d["size"] = thing.size if rng.random() < 0.6 else ("large" if thing.size == "small" else "small")
    if use_motion and rng.random() < 0.35:
        d["motion"] = thing.motion if rng.random() < 0.5 else pick(rng, MOTIONS)
    return d


def refer_to_nothing(rng, scene, frames, use_motion=True, unseen=False):
    """A sentence that is plainly false of every object, most often by one word, with its description; or None."""
    for _ in range(20):
        d = _spoiled(rng, scene, frames, use_motion) if rng.random() < 0.65 else _invented(rng, scene, use_motion)
        if (d.get("shape"), d.get("color")) in UNSEEN and not unseen:
            continue
        c = conditions(d)
        if c != {"shape": None} and all(holds(c, t, frames, scene.aspect) is False for t in scene.things):
            return wrap(rng, phrase(rng, d)), d
    return None


def corpus(count, seed=0):
    """Sentences of all kinds, to make a vocabulary from."""
    from .scene import make_scene
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < count:
        scene = make_scene(int(rng.integers(1 << 31)), unseen=True)
        frames = np.arange(6)
        for i in range(len(scene.things)):
            made = refer(rng, scene, i, frames)
            if made:
                found.append(made[0])
        made = refer_to_nothing(rng, scene, frames)
        if made:
            found.append(made[0])
    return found
