"""Names stay names in the terminal, in logs, in Markdown, LaTeX and HTML, whatever signs they hold."""

import html
import io
import logging
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from rich.markup import escape
from rich.table import Table

from flows.cli.endings import _complain
from tasks.config.prepare_words import preparation_in_words
from tasks.config.settings import StudySettings
from tasks.config.split_settings import SplitSettings
from tasks.escaping import fenced, latex, markdown, markdown_cell, visible
from tasks.progress import console, echo, progress
from tasks.report.writing import _environment
from tasks.steps.artifacts import _markdown
from tasks.terminal import Terminal

#: Clears the screen, sets the title of the window, goes back over the line, writes from right to left.
OBEYED = "a\x1b[2Jb\x1b]0;title\x07c\rd\x08e\u202ef\x9bg\u2028h"


def test_a_terminal_obeys_nothing_in_a_name() -> None:
    file = io.StringIO()
    terminal = Terminal(file=file, force_terminal=True, width=200, color_system="truecolor")
    table = Table("name", title=escape(OBEYED))
    table.add_row(escape(OBEYED), style="bold")
    terminal.print(table)
    terminal.print(OBEYED, markup=False)
    shown = file.getvalue()
    assert "\x1b[1m" in shown, "what the table itself does is done"
    for sign in ("\x1b[2J", "\x1b]0", "\x07", "\r", "\x08", "\u202e", "\x9b", "\u2028"):
        assert sign not in shown
    assert "a\ufffd[2Jb\ufffd]0;title" in shown


def test_plain_texts_are_shown_as_they_are() -> None:
    file = io.StringIO()
    Terminal(file=file, width=80).print("ünï [bold]x[/] 中文 🙂\n\tb", markup=False)
    assert file.getvalue() == "ünï [bold]x[/] 中文 🙂\n        b\n"
    assert visible("a\n\tb ü 中 🙂") == "a\n\tb ü 中 🙂"


def test_lines_and_logs_hold_none_either(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("fer"), "propagate", True)
    with caplog.at_level(logging.INFO, "fer"):
        echo(OBEYED)
        with progress("Reading", 1) as advance:
            advance(OBEYED)
    for text in (capsys.readouterr().err, caplog.text):
        assert "a\ufffd[2Jb" in text
        assert not set(text) & set("\x1b\x07\x08\r\u202e\x9b")
    assert isinstance(console, Terminal)


def test_the_last_sentence_holds_none_either(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _complain(f"There is no file {OBEYED}.")
    assert "\x1b" not in capsys.readouterr().err


def test_bytes_that_are_no_text_can_be_written() -> None:
    assert visible("a\udcffb").encode() == "a\ufffdb".encode()


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("S001_001", r"S001\_001"),
        ("a|b", r"a\|b"),
        ("`code`", r"\`code\`"),
        ("[x](javascript:y)", r"\[x\](javascript:y)"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("a\n# b\r\n- c", r"a \# b - c"),
        ("**b** ~~c~~ \\ $x$ &amp;", r"\*\*b\*\* \~\~c\~\~ \\ \$x\$ &amp;amp;"),
        ("\x1b[2J", "\ufffd\\[2J"),
        (Path("/a/b"), "/a/b"),
    ],
)
def test_markdown_shows_the_signs(text: object, escaped: str) -> None:
    assert markdown(text) == escaped


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("GAP + sum, 50 % ± 1", r"GAP + sum, 50 \% $\pm$ 1"),
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("a_b^c~d", r"a\_b\textasciicircum{}c\textasciitilde{}d"),
        ("<a|b>", r"\textless{}a\textbar{}b\textgreater{}"),
        ("a\n\n\\par & # $", r"a \textbackslash{}par \& \# \$"),
    ],
)
def test_latex_prints_the_signs(text: str, escaped: str) -> None:
    assert latex(text) == escaped


def test_a_block_of_code_holds_any_backticks() -> None:
    assert fenced("a: 1\n", "yaml") == "```yaml\na: 1\n```"
    assert fenced("a: |\n  ```\n  # b\n", "yaml") == "````yaml\na: |\n  ```\n  # b\n````"


def test_a_table_of_an_artifact_keeps_its_cells() -> None:
    lines = _markdown(["true", "a|b"], [["<b>", 3]]).splitlines()
    assert lines == [r"| true | a\|b |", "| --- | ---: |", "| &lt;b&gt; | 3 |"]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "<b>bold</b>",
            "<!-- gone -->",
            "<script>alert(1)</script>",
            "&amp; &lt;",
            "|pipe| `tick`",
            "+plus *star* ~x~",
        ),
        *("[link](http://x.test)", "![i](x)", "`id`", "_under_", "***", "~~x~~", "\\*", "- item", "+ p", "1. first"),
        *("1) x", "# head", "###### six", "---", "===", "> q"),
    ],
)
def test_what_markdown_would_change_is_shown_in_a_cell(name: str) -> None:
    """As Prefect's pages show tables."""
    shown = MarkdownIt("gfm-like", {"linkify": False}).render(markdown_cell(name))
    assert html.unescape(re.sub("<[^>]*>", "", shown)).rstrip("\n") == name


@pytest.mark.parametrize(
    "name",
    [
        "s001/S001_001.mp4",
        "a & b",
        "joy (posed)",
        "100%_x^2",
        "a*b",
        "~root",
        "C:\\dir",
        "-1.5",
        "#1",
        "<3",
        "[a]",
        "|p|",
    ],
)
def test_other_names_are_left_in_a_cell(name: str) -> None:
    """Prefect has pages that show them as they are."""
    assert markdown_cell(name) == name


def test_the_report_escapes_what_comes_from_outside() -> None:
    """The sentences are those of one template in HTML and Markdown."""
    hostile = "<script>a_b</script>.csv"
    settings = StudySettings(split=SplitSettings(protocol="file", folds_file=Path(hostile)))
    source = '{% import "text.j2" as text with context %}{{ text.protocol() }}|{{ text.methods()|paragraphs }}'
    facts = {"settings": settings, "num_folds": 2, "num_meant": 3, "num_lost": 1, "num_seeds": 1, "optimism": None}
    facts |= {"streams": ["spatial", "temporal"], "trained": ["Networks"], "solved": [], "num_climbing": 0}
    facts |= {"has_ensembles": False, "origins": [], "taken": {}}
    facts |= {"preparation": preparation_in_words(settings.prepare, False, ["spatial", "temporal"])}
    page = _environment(is_html=True).from_string(source).render(facts)
    assert page.count("given by &lt;script&gt;a_b&lt;/script&gt;.csv") == 2
    assert "<script>" not in page
    assert "&amp;lt;" not in page
    assert "<p>Faces were found" in page
    text = _environment(is_html=False).from_string(source.replace("|paragraphs", "")).render(facts)
    assert text.count(r"given by &lt;script&gt;a\_b&lt;/script&gt;.csv") == 2
