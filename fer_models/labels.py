"""The emotion classes, once and in order.

The order is the order of a model's output neurons. A trained model carries its own copy
(see `fer_models.models.building.EmotionProbabilities`), so no caller ever has to guess it.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from fer_models.names import plain_name, whole_number

#: The six classes of the study, in alphabetical order.
EMOTIONS: tuple[str, ...] = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")

#: Spellings met in corpora and in users' folder names -> the project's word.
SYNONYMS: dict[str, str] = {
    "angry": "anger",
    "disgusted": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
    "bored": "boredom",
    "intrest": "interest",
    "other": "others",
}


def label_numbers(names: Iterable[str], emotions: Sequence[str]) -> np.ndarray:
    """Positions of class names in the label order, int64 (n,); raises `KeyError` for a name that is none of them."""
    number = {emotion: i for i, emotion in enumerate(emotions)}
    return np.array([number[name] for name in names], np.int64)


def canonical_emotion(raw: str) -> str:
    """The project's word for a label as a corpus spells it: a plain name in lower case, synonyms resolved.

    A label that is a whole number is one by its value: `1`, `01` and `1.0` are one class.
    """
    word = plain_name(plain_name(raw).lower())  # some letters come apart in lower case
    number = whole_number(word)
    return SYNONYMS.get(word, word) if number is None else str(number)
