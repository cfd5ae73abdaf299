"""The labels stand once, in the order of the study."""

import pytest

from fer_models.labels import EMOTIONS, SYNONYMS, canonical_emotion


def test_the_six_emotions_stand_in_alphabetical_order():
    assert EMOTIONS == ("anger", "disgust", "fear", "happiness", "sadness", "surprise")


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ("anger", "anger"),
        (" Happy\n", "happiness"),
        ("JOY", "happiness"),
        ("Intrest", "interest"),
        ("bored", "boredom"),
        ("Contempt", "contempt"),
    ],
)
def test_canonical_emotion(raw, word):
    assert canonical_emotion(raw) == word


def test_synonyms_can_be_met_and_end_at_a_fixed_word():
    for synonym, word in SYNONYMS.items():
        assert synonym == synonym.strip().lower()
        assert canonical_emotion(synonym) == word == canonical_emotion(word)
        assert synonym not in EMOTIONS
