"""Expressions as action-unit-like numbers, and how they rise and fall over a clip."""

from dataclasses import dataclass

import numpy as np

#: Order of the entries of an expression vector; 0 is neutral, 1 the strongest usual movement.
ACTION_UNITS = (
    "brow_raise",
    "inner_brow",
    "furrow",
    "eye_open",
    "mouth_curve",
    "mouth_open",
    "mouth_width",
    "nose_wrinkle",
)

#: The typical apex of each emotion (after the usual FACS descriptions, Ekman and Friesen 1978).
APEX: dict[str, tuple[float, ...]] = {
    "anger": (-0.7, -0.2, 1.0, 0.2, -0.3, 0.1, -0.3, 0.3),
    "disgust": (-0.3, 0.0, 0.5, -0.5, -0.5, 0.2, 0.0, 1.0),
    "fear": (0.6, 0.9, 0.3, 0.7, -0.4, 0.35, 0.5, 0.0),
    "happiness": (0.1, 0.0, 0.0, -0.3, 1.0, 0.35, 0.6, 0.1),
    "sadness": (-0.1, 0.9, 0.2, -0.4, -0.8, 0.0, -0.2, 0.0),
    "surprise": (1.0, 0.3, 0.0, 0.9, 0.0, 0.9, -0.3, 0.0),
    "neutral": (0.0,) * 8,
    "boredom": (-0.1, 0.1, 0.0, -0.6, -0.2, 0.0, 0.0, 0.0),
    "thinking": (0.2, 0.0, 0.5, -0.2, -0.1, 0.0, -0.4, 0.0),
}

#: Share of each class among clips of the six classes: as unbalanced as BAUM-1s, sadness largest.
CLASS_SHARES: dict[str, float] = {
    "anger": 0.13,
    "disgust": 0.15,
    "fear": 0.10,
    "happiness": 0.21,
    "sadness": 0.30,
    "surprise": 0.11,
}


@dataclass(frozen=True)
class Performance:
    """What one clip shows: the apex vector (8,) and the times of its course, as shares of the clip's length."""

    apex: np.ndarray
    onset: float
    attack: float
    hold: float
    release: float

    def at(self, share: float) -> np.ndarray:
        """The expression vector (8,) at a time in 0..1 of the clip."""
        rise = _smoothstep((share - self.onset) / self.attack)
        fall = _smoothstep((share - self.onset - self.attack - self.hold) / self.release)
        return self.apex * (rise - fall)


def _smoothstep(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


def perform(
    emotion: str,
    strength: float,
    habit: np.ndarray,
    rng: np.random.Generator,
    ambiguous_share: float = 0.12,
) -> Performance:
    """Draw one performance of an emotion.

    Args:
        emotion: a key of `APEX`.
        strength: how strongly this person expresses, about 0.6 to 1.1.
        habit: (8,) what this person does differently for this emotion.
        rng: source of the clip's own variation; some clips are a blend with another emotion.
    """
    apex = np.array(APEX[emotion])
    if rng.random() < ambiguous_share:
        other = rng.choice([name for name in CLASS_SHARES if name != emotion])
        apex = 0.55 * apex + 0.45 * np.array(APEX[str(other)])
    apex = strength * (apex + habit + rng.normal(0.0, 0.12, len(apex)))
    return Performance(
        apex,
        onset=rng.uniform(0.0, 0.06),
        attack=rng.uniform(0.12, 0.24),
        hold=rng.uniform(0.4, 0.5),
        release=rng.uniform(0.15, 0.25),
    )
