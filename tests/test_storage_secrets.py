"""No password, key or token gets from a setting or an address into anything that is stored or shown."""

import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import pytest
from test_fault_servers import answering

import flows.cli
from fer_models.errors import UserError
from flows.cli import main
from tasks.config.layout import Layout
from tasks.config.prepare_settings import PrepareSettings
from tasks.config.resolving import resolve_settings, settings_as_yaml
from tasks.config.settings import StudySettings
from tasks.services.named_server import check_server
from tasks.storage.addresses import hide_secrets, user_of, without_user
from tasks.storage.locations import read_location
from tasks.tracking import connection, mlflow_log

SECRET = "hush/Hush+hush"
VALUES = [
    f"s3://AKIA0123456789ABCDEF:{SECRET}@bucket/prefix",
    "s3://hush-hush@bucket",
    "S3A://key:hush@bucket",
    "https://hush@host/data",
    "https://host/data?X-Amz-Signature=hush&x=1",
    "https://account.blob.core.windows.net/c?sv=2024&sig=hush",
    "az://c/p;AccountName=a;AccountKey=hush==",
    "https://host/x#access_token=hush",
    "tcp://user:hush@host:8786",
    "ray://:hush@host:10001",
    "user:hush@host:8786",
    "postgresql://user:p@hush@host/db",
    "gs://bucket/p?token=hush",
    "//user:hush@host:8786",
    "the scheduler user:hush@host",
    "x:user:hush@host",
    "'user:hush@host:8786'",
    "/data/x or https://host/x?token=hush",
]
KEYS = ["data_root", "corpus.root", "execution.task_runner_address", "prepare.detector_model", "split.folds_file"]
KEYS += ["name", "arms", "corpus.emotions", "no.such.setting"]


def whole_story(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("key", KEYS)
def test_a_secret_in_any_setting_is_refused_without_saying_it(key: str, value: str) -> None:
    for given in (value, Path(value), [value, "b"]):
        with pytest.raises(UserError) as caught:
            resolve_settings(overrides={key: given})
        assert str(caught.value).startswith(f"{key} holds a password or key, which would be stored and shown; ")
        assert "hush" not in whole_story(caught.value).lower()


def test_settings_made_in_any_other_way_are_looked_at_too(tmp_path: Path) -> None:
    place = "s3://key:hush@bucket"
    (tmp_path / "study.yaml").write_text(f"corpus: {{root: '{place}'}}")
    for make in (
        lambda: StudySettings(data_root=place),
        lambda: StudySettings.model_validate_json(json.dumps({"corpus": {"root": place}})),
        lambda: resolve_settings(config=tmp_path / "study.yaml"),
        lambda: read_location(f"{place}/model.keras"),
    ):
        with pytest.raises(UserError, match="holds a password or key") as caught:
            make()
        assert "hush" not in whole_story(caught.value)


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("s3://key:hush@bucket", "AWS_ACCESS_KEY_ID"),
        ("tcp://user:hush@host:8786", "TLS"),
        ("ray://user:hush@host:1", "RAY_USE_TLS"),
        ("abfs://user:hush@account.dfs.core.windows.net", "az login"),
        ("ftp://user:hush@host", "environment variable"),
    ],
)
def test_the_right_way_is_said(value: str, right: str) -> None:
    with pytest.raises(UserError, match=right):
        resolve_settings(overrides={"data_root": value})


@pytest.mark.parametrize(
    "value",
    [
        "s3://bucket/runs@2024/a:b",
        "s3://bucket/token=1/x",
        "/data/me@work/12:30/key=3",
        "C:/Users/me@work/data",
        "tcp://host:8786",
        "http://host:5000/a@b",
        "abfs://container@account.dfs.core.windows.net/p",
        "sftp://me@host/data",
        "ray://[::1]:10001",
        "a:b",
        "me@host",
        "/data/12:30@lab/x",
        "./data/12:30@lab",
        "videos/12:30@lab/x",
        "/videos/a, key=3/x",
        "~/videos/a; token=b",
        "../a&key=3/x",
    ],
)
def test_what_holds_no_secret_is_left_alone(value: str) -> None:
    assert hide_secrets(value) == value
    StudySettings(corpus={"root": value})


@pytest.mark.parametrize(
    "message",
    [
        "/data/x.py:3: no answer, token=hush",
        "/data/x\nno answer, token=hush",
        "~/x: no answer of user:hush@host",
        "no answer of ('user:hush@host:8786')",
        '{"address":"user:hush@host"}',
    ],
)
def test_a_message_that_begins_with_a_path_is_none(message: str) -> None:
    assert "hush" not in hide_secrets(message)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seeds", "{a: 's3://key:hush@bucket'}"),
        ("training.epochs", "tcp://user:hush@host"),
        ("data_root", "'s3://key:hush@bucket"),
        ("training", "s3://key:hush@bucket"),
    ],
)
def test_no_other_refusal_says_a_secret(key: str, value: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve_settings(overrides={key: value})
    assert "hush" not in str(caught.value)


def fer(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command, in this process."""
    monkeypatch.setattr(sys, "argv", ["fer", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1


def test_a_configuration_file_that_is_not_there_is_named_without_its_secret() -> None:
    """The refusals of a flow are stored by Prefect."""
    with pytest.raises(UserError, match=r"no configuration file 's3:/key:\*\*\*@bucket/study.yaml'"):
        resolve_settings(config="s3://key:hush@bucket/study.yaml")


@pytest.mark.parametrize(
    "arguments",
    [
        ("config", "--debug", "--set", "data_root=s3://key:hush@bucket"),
        ("config", "--debug", "--set", "data_root=s3://key:hush@bucket: ["),
        ("config", "--debug", "--set", "s3://key:hush@bucket"),
        ("config", "--set", "execution.task_runner_address=tcp://user:hush@host"),
        ("config", "--debug", "--config", "s3://key:hush@bucket/study.yaml"),
        ("status", "--debug", "--data-root", "s3://key:hush@bucket"),
        ("predict", "--debug", "s3://key:hush@bucket/model.keras", "x.mp4"),
    ],
)
def test_the_command_keeps_it_with_stack_traces_too(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    fer(*arguments, monkeypatch=monkeypatch)
    out, err = capfd.readouterr()
    assert "hush" not in out + err
    assert err.splitlines()[-1].startswith("fer: ")
    assert ("Traceback" in err) == ("--debug" in arguments)
    assert not list(tmp_path.iterdir())


def test_a_bug_leaves_its_stack_trace_without_the_secrets_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("no answer from 'http://me:hush@host:5000/api'?")

    monkeypatch.setattr(flows.cli, "app", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    words = "RuntimeError: no answer from 'http://me:***@host:5000/api'?"
    fer(monkeypatch=monkeypatch)
    (log,) = tmp_path.iterdir()
    assert capfd.readouterr().err.splitlines() == [
        f"fer: This is a bug ({words}); the stack trace is in {log}. Please report it to whom you got fer from, "
        "with the command that you ran."
    ]
    assert log.read_text().endswith(f"{words}\n")
    assert os.name == "nt" or log.stat().st_mode & 0o077 == 0
    fer("--debug", monkeypatch=monkeypatch)
    assert "Traceback (most recent call last):" in (err := capfd.readouterr().err)
    assert words in err


def test_a_server_that_does_not_answer_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "http://me:hush@127.0.0.1:1/api"
    with pytest.raises(UserError, match=r"http://me:\*\*\*@127\.0\.0\.1:1/api") as caught:
        check_server(address)
    assert "hush" not in hide_secrets(whole_story(caught.value))


# The address of MLflow may hold a password


def connect(uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return connection.connect(Layout.of(StudySettings(data_root=tmp_path)))


def test_mlflow_gets_user_and_password_beside_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they stood in the address, its messages, links and what it prints would hold them."""
    with answering(health=(200, "text/plain", "OK"), else_=(200, "application/json", "{}")) as address:
        client = connect(address.replace("//", "//m%40e:hu%2Fsh@"), monkeypatch, tmp_path)
    assert client.tracking_uri == os.environ["MLFLOW_TRACKING_URI"] == address
    assert (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]) == ("m@e", "hu/sh")


def test_a_store_that_mlflow_does_not_know_is_told_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = "foo://user:hush@host"
    with pytest.raises(UserError, match=r"MLFLOW_TRACKING_URI = 'foo://user:\*\*\*@host'") as caught:
        connect(uri, monkeypatch, tmp_path)
    assert "hush" not in whole_story(caught.value)


def test_links_and_what_is_remembered_have_no_user() -> None:
    run = mlflow_log.StudyRun(tracking_uri="https://me:***@host:5000/", experiment_id="1", run_id="a", digest="")
    assert mlflow_log.page_of(run) == "https://host:5000/#/experiments/1/runs/a"
    assert user_of("https://host:5000/a@b") == user_of("sqlite:///a.db") is None
    assert without_user("https://host:5000/a@b") == "https://host:5000/a@b"


def test_the_settings_as_a_file_are_what_was_given() -> None:
    assert "s3://bucket/prefix" in settings_as_yaml(resolve_settings(overrides={"data_root": "s3://bucket/prefix"}))


def test_a_validation_error_of_the_library_shows_no_input() -> None:
    with pytest.raises(ValueError, match="validation error") as caught:
        PrepareSettings(segment_length="hush")
    assert "hush" not in str(caught.value)
