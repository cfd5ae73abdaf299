"""What bash and zsh are told after the first letters of a word, asked as they ask: in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_house_rules import HEAVY

from fer_models.models.arms import ARMS
from flows.cli.completion import complete_setting
from tasks.config.presets import PRESETS
from tasks.config.registries import ADAPTERS
from tasks.weights.registry import WEIGHTS

#: The command, which says at the end what was loaded for it.
COMMAND = (
    "import atexit, json, sys\n"
    "atexit.register(lambda: sys.stderr.write(json.dumps(sorted({one.partition('.')[0] for one in sys.modules}))))\n"
    "from flows.cli import main\nmain()"
)


def ask(line: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a shell's completion does; `line` ends with what was typed of the last word."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND],
        cwd=cwd,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **more},
        capture_output=True,
        text=True,
        timeout=60,
    )


def in_bash(line: str, cwd: Path) -> list[str]:
    """The words that bash is told."""
    words = line.split(" ")
    run = ask(line, cwd, _FER_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    assert run.returncode == 0, run.stderr
    loaded = set(json.loads(run.stderr))
    assert not loaded & set(HEAVY) - {"numpy"}, "a key that is pressed must be answered at once"
    return run.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("fer st", {"study", "status"}),
        ("fer study --dr", {"--dry-run"}),
        ("fer study --preset ", set(PRESETS)),
        ("fer init v --adapter ", set(ADAPTERS)),
        ("fer models gap-", {name for name in ARMS if name.startswith("gap-")}),
        ("fer weights get blaze", {name for name in WEIGHTS if name.startswith("blaze")}),
        ("fer corpora list ra", {"ravdess"}),
        ("fer retry --reason time", {"timeout"}),
        ("fer train --set training.ep", {"training.epochs="}),
    ],
)
def test_bash_is_told_the_words(line: str, words: set[str], tmp_path: Path) -> None:
    assert set(in_bash(line, tmp_path)) == words
    assert not list(tmp_path.iterdir())


def test_zsh_is_told_words_with_their_meaning_and_values_of_settings(tmp_path: Path) -> None:
    def told(line: str) -> str:
        return ask(line, tmp_path, _FER_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=line).stdout

    assert '"sample":' in told("fer study --preset sa")
    assert "corpus.adapter=ravdess" in told("fer study --set corpus.adapter=ra")


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("split.protocol=k", "split.protocol=kfold"),
        ("arms=[gap-s", "arms=[gap-sum]"),
        ("execution.exceed_memory=", "execution.exceed_memory=true"),
        ("no.such=", None),
    ],
)
def test_values_follow_a_setting(typed: str, word: str | None) -> None:
    found = [name for name, _ in complete_setting(typed)]
    assert word in found if word else found == []


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_what_is_installed_works_in_bash(tmp_path: Path) -> None:
    """The script of `--show-completion`, in a real bash, with a `fer` on its path."""
    fer = tmp_path / "fer"
    fer.write_text(f"#!{sys.executable}\nfrom flows.cli import main\nmain()\n", encoding="utf-8")
    fer.chmod(0o755)
    script = (
        'eval "$(_FER_COMPLETE=source_bash fer)"\nCOMP_WORDS=(fer study --preset sam)\nCOMP_CWORD=3\n'
        '_fer_completion fer\necho "${COMPREPLY[@]}"\ncomplete -p fer'
    )
    path = f"{tmp_path}:{os.environ['PATH']}"
    run = subprocess.run(["bash", "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert run.stdout.splitlines()[0] == "sample", run.stderr
    assert "_fer_completion fer" in run.stdout
