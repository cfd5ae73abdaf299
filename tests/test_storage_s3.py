"""A data root in S3: the same study as in a folder, few requests, and no half of a file when the network gives way.

The store is a moto server of its own, a process as any other S3. Every request goes through a proxy that counts them
and can cut the connection in the middle of an upload.
"""

import itertools
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import mlflow
import pandas as pd
import pytest
from conftest import FPS, draw_moving_face, images_of, predicted_rows

from fer_models.errors import StorageError, UserError
from flows.cli.answers import Answers
from flows.prepare import prepare
from flows.split import split
from flows.status import print_status
from flows.study import full_study
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.corpus.manifest import read_manifest
from tasks.corpus.sample.corpus import SampleCorpus, write_corpus, write_video
from tasks.dataset.audit import audit
from tasks.dataset.index import index_digest, read_seen
from tasks.preparation.cleanup import find_unused, remove
from tasks.preparation.ledger import plan_preparation, read_ledger
from tasks.preparation.scan import scan_corpus
from tasks.processes.pool import end_pools
from tasks.report.inspection import inspect_video
from tasks.report.tile_page import explain_tile
from tasks.storage.files import list_files, list_sizes, read_frame, remove_files, write_text
from tasks.storage.local_copies import synced_folder
from tasks.storage.locations import as_remote, read_location
from tasks.study.checkpoints import MODEL_FILE, PROGRESS_FILE, read_progress
from tasks.study.evaluation import PREDICTIONS_FILE, VIDEOS_FILE, read_evaluation
from tasks.study.runs import plan_runs, train_run
from tasks.study.test_set import own_test_set
from tasks.study.tiles import TILES_FILE, read_tiles

pytestmark = pytest.mark.services

CORPUS = SampleCorpus(subjects=4, clips=7, seconds=0.8, size=(240, 180))
EMOTIONS = ("anger", "happiness", "sadness")
BUCKET = "s3://bucket"


class Proxy:
    """Passes connections on to a server, counts their requests, and cuts those whose first line has a given text."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.requests: list[str] = []
        self.num_cut = 0
        self._cut: tuple[bytes, int] | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server_port)) as server:
            left: int | None = None
            while True:
                for source in select.select([client, server], [], [])[0]:
                    try:
                        data = source.recv(2**16)
                        line = self._first_line(data) if source is client else b""
                        if line and self._cut and self._cut[0] in line:
                            left = self._cut[1]
                        if source is client and left is not None:
                            data, left = data[:left], left - len(data)
                        (server if source is client else client).sendall(data)
                    except OSError:
                        return
                    if left is not None and left <= 0:
                        self.num_cut += 1
                        return
                    if not data:
                        return

    def _first_line(self, data: bytes) -> bytes:
        line = data.split(b"\r\n", 1)[0]
        if not re.match(rb"(GET|PUT|HEAD|POST|DELETE) /\S* HTTP/1", line):
            return b""
        self.requests.append(line.decode())
        return line

    @contextmanager
    def cutting(self, text: str, after: int = 2000) -> Iterator[None]:
        """Cut connections that many bytes after the start of a request whose first line has the text."""
        self.num_cut, self._cut = 0, (text.encode(), after)
        try:
            yield
        finally:
            self._cut = None

    def close(self) -> None:
        """Take no further connections."""
        self._listener.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    """The environment of these tests, with made-up credentials, and few attempts of a request that fails."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "something",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_MAX_ATTEMPTS": "1",
        }.items():
            patch.setenv(name, value)
        yield patch


@pytest.fixture(scope="module")
def proxy(environment: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """An S3 with one bucket, and the proxy before it."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while not answers(port):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            proxy = Proxy(port)
            environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
            end_pools()  # of tests before, in another environment
            as_remote(read_location(BUCKET)).fs.mkdir("bucket")
            yield proxy
            proxy.close()
        finally:
            process.kill()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/moto-api/").is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder, CORPUS)
    return folder


def arguments_of(root: str | Path, corpus: Path) -> dict[str, Any]:
    return {
        "preset": "sample",
        "overrides": {
            "name": "tiny",
            "data_root": str(root),
            "corpus.root": str(corpus),
            "corpus.draw_sample": False,
            "corpus.emotions": list(EMOTIONS),
            "model.width": 4,
            "model.head_units": 16,
            "training.epochs": 2,
            "arms": ["gap-sum", "temporal-only"],
        },
    }


@pytest.fixture(scope="module")
def studies(
    proxy: Proxy, environment: pytest.MonkeyPatch, corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """One study, run in a folder and in S3."""
    folder = tmp_path_factory.mktemp("studies")
    with_s3 = {}
    for name, root in (("local", folder / "data"), ("s3", f"{BUCKET}/data")):
        environment.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / f'{name}.db'}")
        mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"]).create_experiment("tiny", (folder / name).as_uri())
        arguments = arguments_of(root, corpus)
        report = full_study(**arguments)
        settings = resolve_settings(**arguments)
        with_s3[name] = {"report": report, "settings": settings, "layout": Layout.of(settings), "arguments": arguments}
    return with_s3


def test_a_study_in_s3_is_the_study_of_a_folder(studies: dict[str, dict[str, Any]]) -> None:
    local, remote = studies["local"]["layout"], studies["s3"]["layout"]
    volatile = ["tried_at", "seconds"]
    pd.testing.assert_frame_equal(
        read_ledger(remote.ledger, EMOTIONS).drop(columns=volatile),
        read_ledger(local.ledger, EMOTIONS).drop(columns=volatile),
    )
    shards = {path.stem: path for path in list_files(local.shards, "*/*.parquet")}
    theirs = {path.stem: path for path in list_files(remote.shards, "*/*.parquet")}
    assert set(shards) == set(theirs)
    for sha256 in list(shards)[:5]:
        assert [a.tobytes() for a in images_of(shards[sha256])] == [a.tobytes() for a in images_of(theirs[sha256])]
    seen = (index_digest(read_seen(layout.index, 0, EMOTIONS)) for layout in (local, remote))
    assert len(set(seen)) == 1
    settings, other = studies["local"]["settings"], studies["s3"]["settings"]
    for run, twin in zip(plan_runs(settings), plan_runs(other), strict=True):
        assert run.folder.name == twin.folder.name
        (folder, evaluation), (twins, theirs_too) = (
            read_evaluation(one, own_test_set(of, one)) for of, one in ((settings, run), (other, twin))
        )
        assert evaluation.model_copy(update={"training_seconds": 0.0}) == theirs_too.model_copy(
            update={"training_seconds": 0.0}
        )
        for name in (PREDICTIONS_FILE, VIDEOS_FILE):
            pd.testing.assert_frame_equal(read_frame(folder / name), read_frame(twins / name))


def test_all_that_a_folder_has_is_in_s3(studies: dict[str, dict[str, Any]]) -> None:
    root = studies["local"]["layout"].root
    there = as_remote(studies["s3"]["layout"].root)
    names = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    # locks, and arrays to train from, lie on the machine that has them
    names -= {name for name in names if name.startswith("in-use/") or "/arrays/" in name}
    assert {str(path.relative_to(there)) for path in there.sizes()} == names
    page = studies["s3"]["report"]
    assert str(page) == f"{BUCKET}/data/studies/tiny/report/index.html"
    assert "data:image/webp;base64," in page.read_text(encoding="utf-8")


def test_mlflow_has_the_artifacts(studies: dict[str, dict[str, Any]]) -> None:
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    client = mlflow.MlflowClient()
    runs = mlflow.search_runs(experiment_names=["tiny"])
    (parent,) = runs.loc[runs["tags.fer.kind"] == "study", "run_id"]
    assert "report/index.html" in {file.path for file in client.list_artifacts(parent, "report")}
    for child in runs.loc[runs["tags.fer.kind"] == "arm", "run_id"]:
        assert "test/predictions.parquet" in {file.path for file in client.list_artifacts(child, "test")}
        assert client.get_run(child).outputs.model_outputs


def test_a_second_run_decodes_nothing_and_asks_little(
    studies: dict[str, dict[str, Any]], proxy: Proxy, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, layout = studies["s3"]["settings"], studies["s3"]["layout"]
    before = {path: path.stat().st_mtime_ns for path in list_files(layout.shards, "*/*.parquet")}
    proxy.requests.clear()
    assert scan_corpus(settings).plan.due.empty
    assert len(proxy.requests) < 12, proxy.requests
    proxy.requests.clear()
    manifest = read_manifest(layout.manifest)
    plan = plan_preparation(manifest, None, layout.shards, emotions=settings.corpus.emotions)
    assert plan.due.empty
    assert len(plan.done) == len(before)
    assert len(proxy.requests) <= len(before) + 4, "the manifest, one listing, and the end of each shard"
    prepare(**studies["s3"]["arguments"])
    assert "0 of them prepared now" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in list_files(layout.shards, "*/*.parquet")} == before


def test_every_command_reads_from_s3(studies: dict[str, dict[str, Any]], corpus: Path) -> None:
    settings, layout = studies["s3"]["settings"], studies["s3"]["layout"]
    out = StringIO()
    print_status(settings, Answers(file=out, width=200))
    assert f"Videos of {BUCKET}/data/manifest.parquet" in out.getvalue()
    assert out.getvalue().count("yes") == 2
    ledger = read_ledger(layout.ledger, EMOTIONS)
    video = ledger[ledger["outcome"] == "ok"].iloc[0]
    assert inspect_video(settings, video["video_id"]).read_bytes().startswith(b"\x89PNG")
    tile = read_tiles(list_files(layout.runs, f"*/*/{TILES_FILE}")[0])[0]
    page = explain_tile(settings, tile.tile_id)
    assert str(page) == f"{BUCKET}/data/explain/{tile.tile_id}.png"
    assert page.is_file()
    assert [str(finding.check) for finding in audit(settings)] == [
        str(finding.check) for finding in audit(studies["local"]["settings"])
    ]
    model = list_files(layout.runs, f"*/{MODEL_FILE}")[0]
    predicted = predicted_rows(read_location(str(model)), [Path(video["uri"])])
    assert predicted["predicted"].isin(EMOTIONS).all()
    with pytest.raises(UserError, match=r"There is no model 's3://bucket/nowhere/model.keras'"):
        predicted_rows(read_location(f"{BUCKET}/nowhere/model.keras"), [corpus])


def test_clean_removes_what_is_unused(studies: dict[str, dict[str, Any]]) -> None:
    settings, layout = studies["s3"]["settings"], studies["s3"]["layout"]
    assert find_unused(layout) == []
    orphan = layout.shards / "ab" / f"{'ab' * 32}.parquet"
    write_text(orphan, "12345")
    for name in ("ledger.parquet", "shards/cd/cd.parquet"):
        write_text(layout.prepared.parent / "0123456789ab" / name, "123")
    before = list_sizes(layout.shards, "*/*.parquet")
    unused = find_unused(layout)
    assert [(item.num_shards, item.size_bytes) for item in unused] == [(1, 3), (1, 5)]
    remove(unused, layout)
    assert find_unused(layout) == []
    del before[orphan]
    assert list_sizes(layout.shards, "*/*.parquet") == before
    assert find_unused(Layout.of(settings)) == []


KILLED_TRAINING = """
import sys
from flows.environment import prepare_environment
prepare_environment(quiet=True)
from tasks.study.runs import plan_runs, train_run
from tasks.config.settings import StudySettings
settings = StudySettings.model_validate_json(sys.stdin.read())
train_run(settings, plan_runs(settings)[0], lambda epoch: print(epoch.epoch, flush=True))
"""


def test_a_killed_training_goes_on_elsewhere(studies: dict[str, dict[str, Any]]) -> None:
    settings = studies["s3"]["settings"]
    training = settings.training.model_copy(update={"epochs": 5})
    settings = settings.model_copy(update={"training": training, "arms": ("gap-sum",)})
    (run,) = plan_runs(settings)
    command = [sys.executable, "-c", KILLED_TRAINING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(settings.model_dump_json())
            process.stdin.close()
            assert list(itertools.islice(process.stdout, 2)) == ["1\n", "2\n"]
        finally:
            process.send_signal(signal.SIGKILL)
    done = read_progress(run.folder)
    assert done is not None
    assert 2 <= len(done.history) < 5
    assert not run.trained
    epochs = []
    progress = train_run(settings, run, lambda epoch: epochs.append(epoch.epoch))
    assert progress.history[: len(done.history)] == done.history, "no epoch was trained twice"
    assert epochs == [1, 2, 3, 4, 5]
    assert run.trained
    assert [path.name for path in list_files(run.folder, "*") if path.name.startswith("epoch-")] == []
    assert {MODEL_FILE, PROGRESS_FILE} <= {path.name for path in list_files(run.folder, "*")}


@pytest.fixture
def three(tmp_path: Path) -> dict[str, Any]:
    """Overrides that prepare three videos into a root of their own."""
    for number, name in enumerate(("anger/anna/a", "fear/ben/b", "fear/carl/c")):
        path = tmp_path / "videos" / f"{name}.mp4"
        path.parent.mkdir(parents=True)
        write_video(path, draw_moving_face(1.0, 20, subject=number), FPS)
    return {
        "corpus.adapter": "folder",
        "corpus.root": str(tmp_path / "videos"),
        "corpus.emotions": ["anger", "fear"],
        "data_root": f"{BUCKET}/{tmp_path.name}",
        "prepare.segment_stride": 1,
        "execution.retries": 0,
    }


def test_an_upload_that_breaks_off_costs_its_video_and_is_mended(
    proxy: Proxy, three: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = resolve_settings(overrides=three)
    layout = Layout.of(settings)
    due = scan_corpus(settings).plan.due.set_index("video_id")
    broken = due.loc["fear/ben/b.mp4", "sha256"]
    with proxy.cutting(f"{broken}.parquet"):
        assert prepare(overrides=three, allow_failures=True) == {"ok": 2, "crashed": 1}
    assert proxy.num_cut
    ledger = read_ledger(layout.ledger, settings.corpus.emotions)
    message = ledger.set_index("video_id").loc["fear/ben/b.mp4", "message"]
    assert message.startswith(f"{layout.shards} cannot be written (")
    assert {path.stem for path in list_files(layout.shards, "*/*.parquet")} == set(due["sha256"]) - {broken}
    assert prepare(overrides=three) == {"ok": 3}
    assert "3 videos, 1 of them prepared now" in capsys.readouterr().err


def test_a_large_upload_that_breaks_off_leaves_nothing(proxy: Proxy, tmp_path: Path) -> None:
    """In several parts: those that were sent are given up, so that nobody pays for them."""
    large = tmp_path / "model.keras"
    with large.open("wb") as file:
        file.truncate(101 * 2**20)
    target = as_remote(read_location(f"{BUCKET}/large/model.keras"))
    with proxy.cutting("partNumber=2"), pytest.raises(OSError, match=re.escape(str(target))):
        target.upload({large: target})
    assert proxy.num_cut
    assert not target.exists()
    assert "Uploads" not in target.fs.call_s3("list_multipart_uploads", Bucket="bucket")
    target.upload({large: target})
    assert target.stat().st_size == 101 * 2**20


def test_hostile_keys_write_and_remove_nothing_outside(proxy: Proxy, tmp_path: Path) -> None:
    """Keys are names that anybody who may write to the bucket chose; S3 takes dots and asterisks as they are."""
    store = as_remote(read_location(BUCKET)).fs
    for key in ("run/a.txt", "run/b.txt", "run/*.txt", "run/marker/"):
        store.call_s3("put_object", Bucket="bucket", Key=f"stars/{key}", Body=b"")
    place = as_remote(read_location(f"{BUCKET}/stars/run"))
    assert sorted(path.name for path in place.sizes()) == ["*.txt", "a.txt", "b.txt"]
    place.remove([place / "*.txt"])
    assert sorted(path.name for path in place.sizes()) == ["a.txt", "b.txt"]
    for number, key in enumerate(("../../../escaped", "a/../../../../escaped", "..\\..\\escaped", "/escaped")):
        store.call_s3("put_object", Bucket="bucket", Key=f"hostile{number}/run/{key}", Body=b"hostile")
        place = read_location(f"{BUCKET}/hostile{number}/run")
        with pytest.raises(UserError, match=r"run holds the name .*escaped.* leads out of .*remove that object"):
            list_files(place, "*")
        with pytest.raises(UserError, match="leads out of"), synced_folder(place):
            pytest.fail("it was downloaded")
        with pytest.raises(UserError, match="leads out of"):
            remove_files([place])
        as_remote(place).fs.call_s3("head_object", Bucket="bucket", Key=f"hostile{number}/run/{key}")
    assert not list(tmp_path.parent.glob("**/escaped"))
    assert not list(Path(tempfile.gettempdir()).glob("*escaped*"))


def test_a_bucket_that_is_not_there_is_told(proxy: Proxy, three: dict[str, Any]) -> None:
    three |= {"data_root": "s3://nowhere/data"}
    with pytest.raises(StorageError, match=r"s3://nowhere/data/manifest.parquet cannot be written: its bucket is not"):
        prepare(overrides=three)


def test_a_store_that_does_not_answer_is_not_taken_for_an_empty_one(
    studies: dict[str, dict[str, Any]], proxy: Proxy
) -> None:
    """Else a new split would be drawn, and subjects would change sides."""
    path = studies["s3"]["layout"].split
    before = path.read_bytes()
    with proxy.cutting(f"HEAD /{as_remote(path).path}", after=0), pytest.raises(OSError, match=re.escape(str(path))):
        split(**studies["s3"]["arguments"])
    assert proxy.num_cut
    assert path.read_bytes() == before
