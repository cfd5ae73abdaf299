"""What a user meets first: help, mistakes, and the commands of the README."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from fer_models.errors import UserError
from flows.cli import app
from flows.cli.options import Chosen
from tasks.config.presets import PRESETS, summary_of

ROOT = Path(__file__).parent.parent
runner = CliRunner()


def fer(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from flows.cli import main; main()", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["study", "--preset", "sampel"], ["no preset 'sampel'", "did you mean 'sample'"]),
        (["study", "--set", "trainig.epochs=3"], ["no setting 'trainig'", "did you mean 'training'"]),
        (["study", "--set", "training.epoch=3"], ["no setting 'training.epoch'", "did you mean 'training.epochs'"]),
        (["study", "--set", "training.epochs=none"], ["training.epochs"]),
        (
            ["study", "--set", "training.epochs"],
            ["--set takes a setting and its value such as training.epochs=20, not"],
        ),
        (["study", "--set", "arms=[gap-sun]"], ["no arm 'gap-sun'", "did you mean 'gap-sum'"]),
        (["study", "--config", "absent.yaml"], ["no configuration file 'absent.yaml'"]),
        (["status"], ["run `fer prepare` first"]),
        (["report"], ["`fer prepare` and `fer split` first"]),
        *(
            (["sample", "corpus", "--size", size], ["--size takes"])
            for size in ("big", "²²²x³²", "9998x320", "64x64x64", "9" * 5000)
        ),
        (["predict", "absent.keras", "absent.mp4"], ["There is no model 'absent.keras'"]),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: list[str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, arguments)
    assert isinstance(result.exception, UserError)
    message = str(result.exception)
    assert "\n" not in message
    for word in words:
        assert word in message
    assert not list(tmp_path.iterdir()), "a refused command leaves nothing behind"


def test_a_mistake_exits_with_one_and_without_a_stack_trace(tmp_path: Path) -> None:
    result = fer("split", "--set", "prepare.flow_methd=dis", cwd=tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "did you mean 'prepare.flow_method'" in " ".join(result.stderr.split())
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" in fer("split", "--set", "a=1", "--debug", cwd=tmp_path).stderr


def test_brackets_in_a_path_are_shown_as_they_are(tmp_path: Path) -> None:
    result = fer("study", "--config", "no[b]study.yaml", cwd=tmp_path)
    assert "no[b]study.yaml" in result.stderr
    assert "arms=[gap-sum]" in fer("train", "--help", cwd=tmp_path).stdout


def test_help_is_quick_and_has_examples(tmp_path: Path) -> None:
    assert "fer study --preset sample" in fer("--help", cwd=tmp_path).stdout
    assert "corpus.root" in fer("study", "--help", cwd=tmp_path).stdout


def test_commands_of_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    known = set(get_command(app).commands)
    named = set(re.findall(r"^\s*(?:\.venv/bin/)?fer ([a-z]+)", text, re.MULTILINE))
    assert named
    assert named <= known
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"^\s*make ([a-z-]+)", text, re.MULTILINE)) <= targets


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("study", ["--dry-run", "--preset", "--config", "--set", "--seeds", "--data-root", "--debug"]),
        ("prepare", ["--preset", "--config", "--set", "--data-root", "--debug"]),
        ("retry", ["--reason", "--video", "--preset", "--config", "--set", "--data-root", "--debug"]),
        ("config", ["--preset", "--config", "--set", "--debug"]),
    ],
)
def test_shared_options_follow_a_commands_own(command: str, options: list[str]) -> None:
    of_all = [] if command == "config" else ["--quiet", "--json"]
    assert [option.opts[0] for option in get_command(app).commands[command].params] == [*options, *of_all]


@pytest.mark.parametrize("command", ["study", "inspect", "models", "up", "config"])
def test_help_says_what_each_preset_is(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    def quick() -> None:
        """The sample study in five epochs.

        More of it.
        """

    monkeypatch.setitem(PRESETS, "quick", quick)
    text = " ".join(runner.invoke(app, [command, "--help"], env={"COLUMNS": "200"}).stdout.split())
    assert "quick: The sample study in five epochs │" in text
    for name in PRESETS:
        assert f"{name}{' (default)' if name == 'corrected' else ''}: {summary_of(name)} │" in text


def test_shared_options_reach_a_flow_and_its_settings(tmp_path: Path) -> None:
    chosen = Chosen("sample", pairs=["training.epochs=3"], seeds=2, data_root=str(tmp_path))
    overrides = {"data_root": tmp_path, "seeds": 2, "training.epochs": "3"}
    assert chosen.parameters() == {"preset": "sample", "overrides": overrides}
    settings = chosen.settings()
    assert (settings.data_root, settings.seeds, settings.training.epochs) == (tmp_path, (1, 2), 3)
    assert Chosen().parameters() == {}
    assert Chosen(config=Path("study.yaml")).parameters() == {"config": str(Path.cwd() / "study.yaml")}


def test_models_lists_the_studys_parameters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, ["models", "--preset", "published"])
    for count in ("3,961,350", "3,699,206", "1,919,238"):
        assert count in result.stdout


def test_models_may_be_asked_for_by_name_and_family(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flows.cli.models.out.width", 80)
    arguments = ["models", "volume", "vgg16-concatenate", "--set", "prepare.frames_per_segment=4"]
    arguments += ["--set", "model.backbone_weights=imagenet", "--set", "model.unfreeze_from=block5"]
    lines = runner.invoke(app, arguments).stdout.splitlines()
    rows = {words[0]: words[1:] for line in lines if len(words := line.split()) > 4}
    assert {"c3d", "c3d-sum", "vgg16-concatenate"} <= set(rows)
    assert "gap-sum" not in rows
    assert rows["c3d"][1:] == ["0", "2", "4", "x", "48x48"]
    trained, others = (int(number.replace(",", "")) for number in rows["vgg16-concatenate"][:2])
    assert others == 2 * 7_635_264, "what comes before block5 of both"
    assert trained + others == 31_534_726
    assert rows["vgg16-concatenate"][2:5] == ["1", "48x48", "motion,"]
    result = runner.invoke(app, ["models", "recurent"])
    assert "no arm 'recurent'" in str(result.exception)


def test_the_former_name_of_the_preset_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    former, now = (fer("config", "--preset", name, cwd=tmp_path) for name in ("study", "published"))
    assert former.stdout == now.stdout != ""
    assert former.stderr == "The preset 'study' is called 'published' now.\n"
    assert now.stderr == ""


@pytest.mark.slow
def test_models_tells_which_arms_are_the_same_function(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["models", "--preset", "published", "--set", "arms=[flatten-sum, gap-sum]", "--equivalence"]
    lines = runner.invoke(app, arguments).stdout.splitlines()
    assert [line.strip().split(maxsplit=2) for line in lines if "same function" in line] == [
        ["flatten-sum", "gap-sum", "the same function"]
    ]


def test_a_model_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    """Before Keras is loaded, which takes seconds."""
    (tmp_path / "clip.mp4").touch()
    code = (
        "import sys\nfrom flows.cli import app\n"
        "try:\n    app(['predict', 'absent.keras', 'clip.mp4'], standalone_mode=False)\n"
        "except Exception as error:\n    print(error, 'keras' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "There is no model 'absent.keras'" in run.stdout
    assert run.stdout.endswith("False\n")


def test_a_tilde_after_an_option_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "clip.mp4").touch()
    result = runner.invoke(app, ["predict", "model.keras", str(tmp_path / "clip.mp4"), "--output=~/absent/x.csv"])
    assert f"no folder '{tmp_path}/absent'" in str(result.exception)


def all_commands() -> Iterator[tuple[str, Any]]:
    root: Any = get_command(app)
    for name, command in root.commands.items():
        for inner, one in getattr(command, "commands", {"": command}).items():
            yield f"{name} {inner}".rstrip(), one


#: Options of one name that are not the same everywhere: what each command says of them is its own.
OF_ITS_OWN = {"--output", "--force", "--host", "--data-root"}


def test_an_option_means_the_same_in_every_command() -> None:
    said: dict[str, set[tuple[str, str]]] = {}
    short: dict[str, set[str]] = {}
    for name, command in all_commands():
        assert command.help[0].isupper(), name
        assert command.help.partition("\n\n")[0].rstrip().endswith("."), name
        for option in command.params:
            if option.opts[0].startswith("--"):
                assert option.help, f"{name} {option.opts[0]}"
                said.setdefault(option.opts[0], set()).add((option.name, option.help.partition("\n")[0]))
                for letter in option.opts[1:]:
                    short.setdefault(letter, set()).add(option.opts[0])
    assert {name for name, ways in said.items() if len(ways) > 1} == OF_ITS_OWN
    assert all(len(names) == 1 for names in short.values())


def test_help_is_in_order_of_use_and_has_no_words_of_programs() -> None:
    text = runner.invoke(app, ["--help"]).stdout
    panels = re.findall(r"^╭─ (.+?) ─", text, re.MULTILINE)
    assert panels == ["Options", "Setting up", "A study", "Looking closer", "Models", "A lab"]
    for name, _ in all_commands():
        shown = runner.invoke(app, [*name.split(), "--help"], env={"COLUMNS": "200"}).stdout
        assert not re.findall(r"<(?:bool|str|path|int|float)[^>]*>", shown), name
