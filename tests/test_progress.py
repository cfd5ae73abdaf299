"""Bars in a terminal and lines elsewhere; what is said can be kept back."""

import re
import sys
from pathlib import Path

import pytest
from pseudo_terminal import Screen, Seen, in_terminal

from tasks.progress import _Job, collected, echo, in_words, last_said, progress, set_style

ROOT = Path(__file__).parent.parent


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


#: Two jobs inside one, and all that can come between: `echo`, a warning, a log line, a line on either stream.
TALKING = """
import logging, sys, time, warnings
logging.basicConfig(format="%(message)s")
from tasks.progress import echo, progress
with progress("All", 2, sizes=[1, 3]) as advance:
    for number in (1, 2):
        with progress(f"Part {number}", 4) as inner:
            for item in range(4):
                time.sleep(0.07)
                inner(f"note {item}")
                if number == 2 and item == 1:
                    echo("a line of ours")
                    warnings.warn("a warning", stacklevel=1)
                    logging.warning("a line of a log")
                    print("a line on standard error", file=sys.stderr)
                    print("a line of the result")
        advance("")
print("the end")
"""
#: What stays on the screen: the lines between, and what each part came to.
STAYS = [
    "Part 1 4/4 note 3",
    "a line of ours",
    "<string>:13: UserWarning: a warning",
    "a line of a log",
    "a line on standard error",
    "a line of the result",
    "Part 2 4/4 note 3",
    "All 2/2",
    "the end",
]


def talk(redirect: str = "", columns: int = 100, **more: object) -> Seen:
    return in_terminal(
        ["sh", "-c", f'exec "$0" -c "$1" {redirect}', sys.executable, TALKING], columns=columns, cwd=ROOT, **more
    )


def without_colours(raw: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", raw)


def told(screen: Screen) -> list[str]:
    """Its lines without bars and times."""
    return [" ".join(re.sub(r"[━╸╺]+|\d+:\d\d:\d\d", "", line).split()) for line in screen.text]


def test_a_terminal_shows_bars_with_the_time_left_and_lines_above_them() -> None:
    seen = talk()
    assert (told(seen.screen), seen.code) == (STAYS, 0)
    assert re.search(r"Part 2 .* 2/4 0:00:0\d, 0:00:0\d left note 1", without_colours(seen.raw))
    assert seen.screen.shows_cursor
    assert " of 4" not in seen.raw, "no lines beside the bars"


def test_only_what_is_for_the_terminal_goes_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert told(talk(f"> {file}").screen) == [line for line in STAYS if line not in ("a line of the result", "the end")]
    assert file.read_text(encoding="utf-8") == "a line of the result\nthe end\n"
    assert talk(f"2> {file}").screen.text == ["a line of the result", "the end"]
    lines = file.read_text(encoding="utf-8").splitlines()
    assert re.sub(r"\d\.\d", "0.0", lines[0]) == "Part 1: 4 of 4 in 0.0 s note 3"
    assert lines[-1].startswith("All: 2 of 2 in ")
    assert not [line for line in lines if "━" in line or "\x1b" in line]


def test_a_simple_terminal_gets_lines_and_one_without_colours_bars() -> None:
    dumb = talk(env={"TERM": "dumb"})
    assert "\x1b" not in dumb.raw
    assert "Part 2: 4 of 4" in dumb.raw
    plain = talk(env={"NO_COLOR": "1"})
    assert told(plain.screen) == STAYS
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", plain.raw)


@pytest.mark.parametrize("columns", [30, 45, 60])
def test_a_narrow_terminal_is_not_run_over(columns: int) -> None:
    seen = talk(columns=columns)
    lines = told(seen.screen)
    assert [line for line in lines if line.startswith("Part")][1].startswith("Part 2 4/4")
    assert lines[-2:] == ["All 2/2", "the end"]


def test_a_terminal_may_change_its_size() -> None:
    code = (
        "import shutil, time\nfrom tasks.progress import progress\nwith progress('Working', 2) as advance:\n"
        "    advance('with a note that is longer than a line')\n    print('now', flush=True)\n"
        "    while shutil.get_terminal_size().columns == 100:\n        time.sleep(0.01)\n    print('then')\n"
        "    advance('and another one that is longer')\nprint('the end')"
    )
    seen = in_terminal([sys.executable, "-c", code], columns=100, resize=("now", 45), cwd=ROOT)
    assert seen.screen.text[-1] == "the end"
    rows = re.split(r"\r?\n|\r|\x1b\[2K", without_colours(seen.raw.partition("then")[2]))
    assert max(len(row) for row in rows if "Working" in row) < 45, "what is drawn after the change fits"


def test_work_that_is_ended_gives_the_cursor_back(tmp_path: Path) -> None:
    code = (
        "import signal, time\nfrom flows.cli.running import stop\nfrom tasks.progress import progress\n"
        "signal.signal(signal.SIGINT, stop)\n"
        "with progress('Working', 2):\n    print('now', flush=True)\n    time.sleep(30)"
    )
    seen = in_terminal([sys.executable, "-c", code], [("now", "\x03")], cwd=ROOT)
    assert seen.code == 130
    assert seen.screen.shows_cursor
    assert seen.screen.text[-1] == "fer: stopped; the same command continues from here."


def test_time_left_is_told_by_the_size_of_what_is_left() -> None:
    job = _Job("All", 3, 0, sizes=[1, 1, 8])
    assert (job.share, job.left_s) == (0.0, None)
    job.advance("")
    assert job.share == pytest.approx(0.1)
    job.begun, job.changed = job.begun - 10, job.begun
    assert job.left_s == pytest.approx(90, abs=1)
    job.inner = 0.5
    assert job.share == pytest.approx(0.15)
    job.advance("")
    job.advance("")
    assert (job.share, job.left_s) == (1.0, None)


def test_the_share_of_a_job_of_many_items_counts_none_of_them() -> None:
    """It is asked for after each item; a list of a million million would fit into no memory."""
    job = _Job("All", 10**12, 0)
    job.advance("")
    assert job.share == 1e-12


def test_what_was_done_before_does_not_count_as_quick() -> None:
    job = _Job("All", 10, 5)
    job.advance("")
    job.begun, job.changed = job.begun - 10, job.begun
    assert job.left_s == pytest.approx(40, abs=1)


def test_quiet_work_shows_nothing_and_keeps_its_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_style("nothing")
    try:
        with progress("Counting", 1) as advance:
            advance("")
        echo("done")
        assert last_said() == "done"
    finally:
        set_style("bars")
    assert capsys.readouterr().err == ""
    assert last_said() == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3599, "1 h"), (7800, "2 h 10 min"), (90, "2 min")],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
