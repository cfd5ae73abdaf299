"""A person of the sample corpus: seeded identity parameters that stay the same over all clips."""

from dataclasses import dataclass, field

import numpy as np

from tasks.corpus.sample.expressions import ACTION_UNITS, APEX

Colour = tuple[float, float, float]

_SKINS: tuple[Colour, ...] = ((236, 205, 182), (224, 184, 152), (205, 160, 125), (182, 132, 98), (152, 106, 78))
_HAIRS: tuple[Colour, ...] = ((35, 28, 24), (70, 46, 30), (118, 78, 42), (196, 160, 96), (120, 118, 116))


@dataclass(frozen=True)
class Person:
    """Identity. Lengths are in units of half a head's height; colours are RGB in 0..255."""

    number: int
    gender: str
    skin: Colour
    hair: Colour
    lips: Colour
    iris: Colour
    shirt: Colour
    background: Colour
    head_width: float
    jaw: float
    eye_distance: float
    eye_size: float
    eye_height: float
    brow_height: float
    brow_thickness: float
    nose_length: float
    mouth_width: float
    mouth_height: float
    hairline: float
    long_hair: bool
    light_side: float
    light_level: float
    strength: float
    resting: np.ndarray = field(repr=False)
    habits: dict[str, np.ndarray] = field(repr=False)


def draw_person(seed: int, number: int) -> Person:
    """The person of that number (from 1) in the corpus of that seed; independent of how many others there are."""
    rng = np.random.default_rng([seed, 1, number])
    female = bool(rng.random() < 0.55)
    skin = _vary(_SKINS[rng.integers(len(_SKINS))], 10, rng)
    darker = [hair for hair in _HAIRS if sum(hair) < 0.72 * sum(skin)]
    return Person(
        number=number,
        gender="Female" if female else "Male",
        skin=skin,
        hair=_vary(darker[rng.integers(len(darker))], 8, rng),
        lips=(skin[0] * 0.82, skin[1] * (0.52 if female else 0.6), skin[2] * (0.56 if female else 0.62)),
        iris=_vary(((70, 48, 30), (60, 90, 120), (70, 95, 60))[rng.integers(3)], 8, rng),
        shirt=_vary((rng.uniform(30, 210), rng.uniform(30, 210), rng.uniform(30, 210)), 5, rng),
        background=_vary((92, 150, 96), 12, rng),
        head_width=rng.uniform(0.70, 0.80),
        jaw=rng.uniform(0.0, 1.0),
        eye_distance=rng.uniform(0.29, 0.35),
        eye_size=rng.uniform(0.125, 0.155),
        eye_height=rng.uniform(-0.12, -0.05),
        brow_height=rng.uniform(0.20, 0.25),
        brow_thickness=rng.uniform(0.035, 0.06) * (0.8 if female else 1.0),
        nose_length=rng.uniform(0.36, 0.44),
        mouth_width=rng.uniform(0.25, 0.31),
        mouth_height=rng.uniform(0.50, 0.56),
        hairline=rng.uniform(-0.62, -0.50),
        long_hair=female and bool(rng.random() < 0.7),
        light_side=rng.uniform(-0.22, 0.22),
        light_level=rng.uniform(0.85, 1.08),
        strength=rng.uniform(0.65, 1.1),
        resting=rng.normal(0.0, 0.12, len(ACTION_UNITS)),
        habits={emotion: rng.normal(0.0, 0.2, len(ACTION_UNITS)) for emotion in APEX},
    )


def _vary(colour: Colour, amount: float, rng: np.random.Generator) -> Colour:
    red, green, blue = np.clip(np.array(colour) + rng.uniform(-amount, amount, 3), 0, 255)
    return float(red), float(green), float(blue)
