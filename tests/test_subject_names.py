"""Names that may mean one person are found; numbers that differ are different people."""

import pytest

from tasks.subject_names import look_alikes, name_key


@pytest.mark.parametrize(
    "names",
    [
        ("s01", "S1", "s001", "S_001", "s-1"),
        ("Anna", "anna ", "ANNA"),
        ("John_Smith", "smith-john", "John  Smith", "Smith, John"),
        ("José", "Jose\u0301", "jose"),
        ("baum1/S001", "BAUM1-s1"),
        ("p0", "p00"),
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
