"""What is said can be kept back, for a caller that tells only what differs from before."""

import pytest

from tasks.progress import collected, echo, progress


def test_what_is_said_in_the_block_is_kept_and_progress_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with collected() as outer:
        echo("one")
        with collected() as inner, progress("Counting", 2) as advance:
            echo("two")
            advance("a note")
        echo("three")
    assert (outer, inner) == (["one", "three"], ["two"])
    assert capsys.readouterr().err == ""
    echo("four")
    assert capsys.readouterr().err == "four\n"


def test_a_block_that_fails_ends_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), collected():
        _ = 1 / 0
    echo("heard")
    assert capsys.readouterr().err == "heard\n"
