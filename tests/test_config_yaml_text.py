"""Odd YAML in settings ends in one short sentence, at once."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fer_models.errors import UserError
from tasks.config.resolving import resolve_settings
from tasks.config.yaml_text import MOST_SIGNS, read_yaml
from tasks.escaping import shortened
from tasks.storage.addresses import hide_secrets
from tasks.storage.locations import read_location

#: Each list holds nine of the one before: 387,420,489 values.
_LISTS = [f"&a{number} [{','.join([f'*a{number - 1}'] * 9)}]" for number in range(1, 9)]
BOMB = f"[&a0 [{','.join('x' * 9)}], {', '.join(_LISTS)}]"
_MERGED = [f"a{number}: &a{number} {{<<: [{','.join([f'*a{number - 1}'] * 9)}]}}" for number in range(1, 9)]
MERGED_BOMB = "\n".join(("a0: &a0 {k: 1}", *_MERGED))


def sentence_of(work: Callable[[], Any]) -> str:
    """The one sentence that a piece of work ends in, within a second."""
    start = time.process_time()
    with pytest.raises(UserError) as refused:
        work()
    assert time.process_time() - start < 1
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("training.epochs", "!!int zz", "'zz' is no value of the type 'int'"),
        ("training.learning_rate", "!!float zz", "no value of the type 'float'"),
        ("training.keep_epochs", "!!bool zz", "no value of the type 'bool'"),
        ("name", "!!timestamp zz", "no value of the type 'timestamp'"),
        ("name", "!!python/object:os.system x", "no value of the type 'os.system'"),
        ("arms", "!!set {gap-sum}", "a list or group is no value of the type 'set'"),
        ("seeds", "9" * 5000, "no value of the type 'int'"),
        ("training.epochs", "[" * 3000, "too deep in each other"),
        ("training.epochs", "[" * 3000 + "]" * 3000, "too deep in each other"),
        ("training", "{a: " * 900 + "}" * 900, "too deep in each other"),
        ("name", BOMB, "it holds more values than settings have"),
        ("name", "&a [*a]", "a value holds itself"),
        ("training", "{epochs: 3, epochs: 4}", "'epochs' is given twice"),
        ("training", "{[1]: 2}", "unhashable"),
        ("training", "{1: 2}", "keys should be strings"),
        ("training.learning_rate", ".inf", "finite number"),
        ("execution.timeout_s", "inf", "finite number"),
        ("watch.interval_s", ".nan", "finite number"),
        ("training.learning_rate", "1e999", "finite number"),
        ("training.epochs", "1:2:3:4", "training.epochs: it should be a valid integer"),
        ("training.epochs", "1:30", "training.epochs: it should be a valid integer"),
        ("name", "a" * 300, "name: string should have at most 100 characters"),
        ("arms", f"[{'a' * 300}]", "at most 100 characters"),
        ("corpus.emotions", f"[{'a' * 300}, b]", "more than 100 characters"),
        ("name", "a\0b", "unacceptable character"),
        ("data_root", '"a\\0b"', "no name can hold"),
        ("corpus.root", '"a\\ud800b"', "no name can hold"),
        ("corpus.root", "a" * 300, "too long for a path"),
        ("data_root", "a/" * 3000, "too long for a path"),
        ("data_root", "D:\\new", "is a path of Windows"),
        ("corpus.root", '"C:\\Users\\x"', "use single quotes"),
        ("training.epochs", "x" * 100_000, "a value of more than 10,000 characters"),
        ("seeds", "1000000000", "at most 1000"),
        (".".join("a" * 5000), "1", "There is no setting"),
        ("a" * 5000, "1", "There is no setting"),
        ("corpus", f"{{adapter: images, subject_pattern: '{'(' * 3000}{')' * 3000}'}}", "at most 1000 characters"),
        ("corpus", f"{{adapter: images, subject_pattern: '{'(' * 499}{')' * 499}'}}", "no regular expression"),
        ("corpus", "{adapter: images, subject_pattern: '(a{99999999999})'}", "no regular expression"),
    ],
)
def test_an_odd_value_is_one_short_sentence(key: str, value: str, words: str) -> None:
    assert words in sentence_of(lambda: resolve_settings("sample", overrides={key: value}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: " + "x" * 10_000_000, f"more than {MOST_SIGNS:,} characters"),
        ("arms:\n" + "- gap-sum\n" * 1_000_000, f"more than {MOST_SIGNS:,} characters"),
        ("arms:\n" + "- gap-sum\n" * 19_000, "in line 5001: it holds more values"),
        ("name: a\n# no\nname: b\n", "in line 3: 'name' is given twice"),
        ("training:\n  epochs: 3\n  epochs: 4\n", "in line 3: 'epochs' is given twice"),
        ("name: a\n---\nname: b\n", "in line 2: but found another document"),
        ("".join("  " * level + "a:\n" for level in range(300)), "too deep"),
        ("- " * 3000, "too deep"),
        ("? " * 3000, "too deep"),
        (MERGED_BOMB, "it holds more values"),
        ("name: 'x" + "a" * 150_000, "not valid YAML"),
        ("name: " + "a" * 150_000, "a value has more than 10,000 characters"),
        ("\0" * 10, "unacceptable character"),
        ("training: &a {epochs: *a}", "a value holds itself"),
    ],
)
def test_an_odd_file_is_one_short_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    message = sentence_of(lambda: resolve_settings(config=path))
    assert words in message
    assert str(path) in message


def test_what_looks_like_a_date_or_a_time_is_a_text() -> None:
    assert read_yaml("[2024-01-01, 1:30, 1:2:3:4, 2020-13-45]", "x") == ["2024-01-01", "1:30", "1:2:3:4", "2020-13-45"]
    assert resolve_settings(overrides={"name": "2024-01-01"}).name == "2024-01-01"


def test_values_that_are_named_once_and_used_twice() -> None:
    text = "a: &one {epochs: 3}\nb: *one\nc: {<<: *one, steps: 4}\n"
    assert read_yaml(text, "x") == {"a": {"epochs": 3}, "b": {"epochs": 3}, "c": {"epochs": 3, "steps": 4}}


def test_a_file_of_windows_is_read(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_bytes("name: früh\r\n".encode("utf-8-sig").replace("ü".encode(), b"ue"))
    assert resolve_settings(config=tmp_path / "study.yaml").name == "frueh"


def test_a_long_value_is_shortened() -> None:
    assert shortened([1, 2]) == "[1, 2]"
    assert shortened("a" * 300) == f"'{'a' * 95}...'"


@pytest.mark.parametrize(
    "text", ["x" * 100_000, "a:b" * 30_000, "a:/" * 30_000, "user" * 20_000 + "@", " key" * 20_000]
)
def test_secrets_in_a_long_text_are_looked_for_in_a_moment(text: str) -> None:
    start = time.monotonic()
    hide_secrets(text)
    assert time.monotonic() - start < 2


def test_a_path_of_another_system() -> None:
    for path in ("C:\\videos", "\\\\nas\\videos"):
        with pytest.raises(UserError, match="is a path of Windows"):
            read_location(path)
