"""Names that may mean one subject are found; numbers that differ are different subjects."""

import pandas as pd
import pytest

from tasks.corpus.subject_names import echo_look_alikes, look_alikes, name_key, one_spelling


@pytest.mark.parametrize(
    "names",
    [
        ("s01", "S1", "s001", "S_001", "s-1"),
        ("Anna", "anna ", "ANNA"),
        ("John_Smith", "smith-john", "John  Smith", "Smith, John"),
        ("José", "Jose\u0301", "jose"),
        ("baum1/S001", "BAUM1-s1"),
        ("p0", "p00"),
        ("1", "1.0", "01", "1,00"),
        ("C001", "\u0421001"),
        ("Anna", "\u0410nn\u0430"),
        ("Sørensen", "Sorensen"),
        ("Łukasz", "lukasz"),
    ],
)
def test_writings_of_one_name_have_one_key(names: tuple[str, ...]) -> None:
    assert len({name_key(name) for name in names}) == 1
    assert look_alikes(names) == [tuple(sorted(names))]


@pytest.mark.parametrize(
    "names",
    [
        ("s1", "s10", "s100", "s11", "1s"),
        ("a1_2", "a12", "a2_1"),
        ("s1_t2", "s2_t1"),
        ("M030", "W030", "M003"),
        ("Anna", "Anne", "Ann A"),
        ("李", "微笑"),
        ("---", "_", " "),
    ],
)
def test_other_names_have_other_keys(names: tuple[str, ...]) -> None:
    assert look_alikes(names) == []


def test_the_ids_of_baum1_and_ckplus_are_all_different() -> None:
    subjects = [f"{corpus}/S{number:03d}" for corpus in ("baum1", "ckplus") for number in range(1000)]
    assert look_alikes(subjects) == []


@pytest.mark.parametrize(
    ("names", "spelled"),
    [
        (("1", "1.0", "01", "2"), ("1", "1", "1", "2")),
        (("007", "8"), ("007", "8")),
        (("007", "7", "08"), ("7", "7", "08")),
        (("1.0", "2,0", ""), ("1", "2", "")),
        (("1", "1.0", "x"), ("1", "1.0", "x")),
        (("1", "1.0", "1.5"), ("1", "1.0", "1.5")),
        (("S1", "S1.0", "S01"), ("S1", "S1.0", "S01")),
        ((" 1 ", "\uff11.0"), ("1", "1")),
        (("Jose\u0301", "Jos\u00e9"), ("Jos\u00e9", "Jos\u00e9")),
        ((), ()),
    ],
)
def test_one_spelling(names: tuple[str, ...], spelled: tuple[str, ...]) -> None:
    found = one_spelling(names)
    assert tuple(found[name] for name in names) == spelled
    assert one_spelling(found.values()) == {name: name for name in spelled}, "doing it again changes nothing"


def test_look_alikes_are_said_in_one_line_those_on_two_sides_first(capsys: pytest.CaptureFixture[str]) -> None:
    subsets = {"Anna": "train", "anna": "train", "s1": "train", "S01": "test", "Ben": "test", "": "train", " ": "test"}
    split = pd.DataFrame({"subject": list(subsets), "side": list(subsets.values()), "fold": 0})
    echo_look_alikes(split)
    told = capsys.readouterr().err
    assert told.startswith(
        "These names may mean one person: 'S01' and 's1' (in two subsets); 'Anna' and 'anna'. If they"
    )
    assert told.count("\n") == 1
    echo_look_alikes(split[["subject"]])
    assert "person: 'Anna' and 'anna'; 'S01' and 's1'. If they" in capsys.readouterr().err
    echo_look_alikes(split[split["subject"].isin(["Anna", "Ben"])])
    assert capsys.readouterr().err == ""
    echo_look_alikes(pd.DataFrame({"subject": [f"{letter}{number}" for number in range(9) for letter in "Pp"]}))
    assert "'P4' and 'p4'; and 4 more. If they" in capsys.readouterr().err
