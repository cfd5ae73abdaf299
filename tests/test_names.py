"""What looks the same is the same: names of subjects and classes in one spelling."""

import unicodedata

import pytest

from fer_models.labels import canonical_emotion
from fer_models.names import plain_name, whole_number


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("Jose\u0301", "José"),
        (" Anna\t", "Anna"),
        ("\u3000Anna \u00a0B.\u2003", "Anna B."),
        ("Anna\nB.", "Anna B."),
        ("An\u200bna", "Anna"),
        ("\ufeffAnna\u200e", "Anna"),
        ("\u202dAn\u00adna\u202c", "Anna"),
        ("Anna\ufe0f\u2060", "Anna"),
        ("Anna\u2800", "Anna"),
        ("An\x00na\x07", "Anna"),
        ("e\u200d\u0301", "é"),
        ("\uff21\uff4e\uff4e\uff41\uff10\uff11", "Anna01"),
        ("ｱﾝﾅ", "アンナ"),
        ("ﬁona", "fiona"),
        ("김\u1102\u1161", "김나"),
        ("\u200b \u2066\u2069", ""),
        ("anna", "anna"),
        ("ANNA", "ANNA"),
        ("Zoë-Ann O'Neil_7.0", "Zoë-Ann O'Neil_7.0"),
    ],
)
def test_what_cannot_be_seen_makes_no_other_name(raw: str, name: str) -> None:
    assert plain_name(raw) == name


def test_a_plain_name_stays_as_it_is_whatever_it_is_made_of() -> None:
    for code in (*range(0x3400), *range(0xF900, 0x10000), *range(0xE0000, 0xE0200)):
        name = plain_name(f"x{chr(code)}\u0301y")
        assert plain_name(name) == name
        assert unicodedata.is_normalized("NFC", name)


@pytest.mark.parametrize(
    ("name", "value"),
    [("1", 1), ("007", 7), ("1.0", 1), ("12.00", 12), ("3,0", 3), ("2.000000", 2), ("٣", 3)]
    + [(name, None) for name in ("", "1.5", "S1.0", "1,000", "1.000", "-1", "1e3", "1.0.0", "0x1", "1 2", "9" * 5000)],
)
def test_whole_numbers(name: str, value: int | None) -> None:
    assert whole_number(name) == value


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ("fro\u0308hlich", "fröhlich"),
        ("FRÖHLICH\u00a0", "fröhlich"),
        ("Hap\u200bpy", "happiness"),
        ("\uff33\uff21\uff24", "sadness"),
        ("\u0130", canonical_emotion("i\u0307")),
        ("1", "1"),
        ("1 ", "1"),
        ("1.0", "1"),
        ("01", "1"),
        ("very  happy", "very happy"),
        ("\ufeff", ""),
    ],
)
def test_a_label_has_one_spelling(raw: str, word: str) -> None:
    assert canonical_emotion(raw) == word == canonical_emotion(word)
