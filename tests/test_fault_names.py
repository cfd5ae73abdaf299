"""Names, links, pipes, devices and playlists: no file of a corpus reaches another one or the network, nothing hangs."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from conftest import Tally, video_file
from test_fault_videos import ROOT, SETTINGS, counted
from video_surgery import encode, moving_face

from fer_models.errors import UserError, VideoFault
from tasks.config.settings import CorpusSettings
from tasks.corpus.manifest import build_manifest
from tasks.outcomes import Outcome
from tasks.preparation.prepare_file import prepare_file
from tasks.video.cutting import prepare_video
from tasks.video.decoding import Video, decode

NAMES = [
    "with spaces.mp4",
    "two  spaces .mp4",
    "'single' \"double\" quotes.mp4",
    "ünïcödé 表情 лицо.mp4",
    "smile 😀.mp4",
    "new\nline.mp4",
    "tab\tand\rreturn.mp4",
    "-dash.mp4",
    "--help.mp4",
    "100%.mp4",
    "frame%03d.mp4",
    "glob*?[a-z].mp4",
    "semi;colon & $HOME `id`.mp4",
    "back\\slash.mp4",
    "{braces},[bold]brackets[bold].mp4",
    "http:.mp4",
    "file:.mp4",
    "concat:a|b.mp4",
    "pipe:0.mp4",
    "data:video;base64,AAAA.mp4",
    "a" * 251 + ".mp4",
    "dots...mp4",
    " .mp4",
]


@pytest.fixture(scope="module")
def good_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "good.mp4"
    encode(path, moving_face()[:20])
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    return folder


def manifest_of(corpus: Path) -> pd.DataFrame:
    table = build_manifest(CorpusSettings(adapter="videos", root=corpus), corpus.parent / "manifest.parquet")
    return table.set_index("video_id")


def test_any_name_is_only_a_name(corpus: Path, good_file: Path, tally: Tally) -> None:
    for name in NAMES:
        (corpus / name).write_bytes(good_file.read_bytes())
    manifest = manifest_of(corpus)
    assert sorted(manifest.index) == sorted(NAMES)
    for number, name in enumerate(NAMES):
        with counted(tally, "video files: names"):
            row = manifest.loc[name]
            assert row["status"] == Outcome.OK
            report = prepare_file(video_file(Path(row["uri"])), corpus.parent / f"{number}.parquet", SETTINGS)
            assert (report.outcome, report.num_frames) == (Outcome.OK, 20)


def test_a_name_that_is_no_text_keeps_its_row(corpus: Path, good_file: Path, tally: Tally) -> None:
    with counted(tally, "video files: names"):
        path = corpus / os.fsdecode(b"latin-\xe9.mp4")
        try:
            path.write_bytes(good_file.read_bytes())
        except OSError:
            pytest.skip("this file system takes only names in UTF-8")
        row = manifest_of(corpus).loc["latin-\\xe9.mp4"]
        assert (row["status"], row["reason"]) == ("undecodable", "its name or folder is not text in UTF-8; rename it")


@pytest.mark.parametrize("name", ["none\0such.mp4", "a" * 300 + ".mp4", "a/" * 3000 + "b.mp4"])
def test_a_table_may_name_what_cannot_be(tmp_path: Path, good_file: Path, name: str, tally: Tally) -> None:
    with counted(tally, "video files: names"):
        table = pd.DataFrame({"path": [str(good_file), name], "subject": "anna", "emotion": "anger"})
        table.to_parquet(tmp_path / "labels.parquet")
        manifest = build_manifest(CorpusSettings(adapter="table", root=tmp_path / "labels.parquet"), tmp_path / "m")
        assert manifest["status"].tolist()[0] == Outcome.OK
        assert manifest["status"].tolist()[1] in (Outcome.FILE_MISSING, Outcome.UNREADABLE)


@contextmanager
def server() -> Iterator[tuple[str, list[str]]]:
    """A web server of this machine and the requests that reach it."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=[0.01])  # s to a shutdown
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}", requests
        finally:
            running.shutdown()
            thread.join()


PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n",
    "m3u8-of-playlists": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1280000\n{}\n",
    "ffconcat": "ffconcat version 1.0\nfile '{}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns={}\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
    'mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg" width="320" height="240"><image href="{}"/></svg>',
    "smil": '<smil><body><video src="{}"/></body></smil>',
}


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".avi"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_opens_neither_files_nor_addresses(
    corpus: Path, good_file: Path, kind: str, suffix: str, tally: Tally
) -> None:
    """FFmpeg follows a concat list to a file beside it; it refuses most of the others itself, from version 8 on."""
    beside = corpus / f"beside{suffix}"
    beside.write_bytes(good_file.read_bytes())
    with server() as (address, requests):
        for target in (beside.name, f"{address}/beside.ts", str(beside), f"../corpus/{beside.name}", f"file:{beside}"):
            with counted(tally, "video files: playlists"):
                path = corpus / f"list{suffix}"
                path.write_text(PLAYLISTS[kind].format(target))
                _, report = prepare_video(path, SETTINGS)
                assert (report.outcome, report.num_frames) == (Outcome.UNDECODABLE, 0)
        assert requests == []


@pytest.mark.parametrize(
    "name", ["concat:{0}|{0}", "subfile,,start,0,end,0,,:{0}", "file:{0}", "async:{0}", "cache:{0}"]
)
def test_a_protocol_in_a_name_is_part_of_the_name(
    tmp_path: Path, good_file: Path, name: str, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    """Relative paths, as `fer predict` takes them."""
    monkeypatch.chdir(tmp_path)
    Path("good.mp4").write_bytes(good_file.read_bytes())
    with counted(tally, "video files: protocols"), pytest.raises(VideoFault, match="opened: No such file"):
        list(decode(Path(name.format("good.mp4")), Video()))


def test_an_address_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally) -> None:
    monkeypatch.chdir(tmp_path)
    with server() as (address, requests):
        with counted(tally, "video files: protocols"), pytest.raises(VideoFault, match="opened: No such file"):
            list(decode(Path(f"{address}/clip.mp4"), Video()))
        assert requests == []


def test_links_to_files(corpus: Path, good_file: Path, tally: Tally) -> None:
    with counted(tally, "video files: links"):
        (corpus / "link.mp4").symlink_to(good_file)
        (corpus / "dangling.mp4").symlink_to(corpus / "gone.mp4")
        (corpus / "one.mp4").symlink_to(corpus / "two.mp4")
        (corpus / "two.mp4").symlink_to(corpus / "one.mp4")
        (corpus / "folder.mp4").mkdir()
        manifest = manifest_of(corpus)
        assert manifest["status"].to_dict() == {
            "dangling.mp4": "file_missing",
            "link.mp4": "ok",
            "one.mp4": "unreadable",
            "two.mp4": "unreadable",
        }
        assert manifest.loc["dangling.mp4", "reason"] == "it is a link to a file that is not there"
        assert "symbolic links" in manifest.loc["one.mp4", "reason"]
        assert prepare_video(Path(manifest.loc["link.mp4", "uri"]), SETTINGS)[1].outcome is Outcome.OK


def test_links_to_folders_are_followed_but_not_in_a_circle(corpus: Path, good_file: Path, tally: Tally) -> None:
    with counted(tally, "video files: links"):
        elsewhere = corpus.parent / "elsewhere"
        for folder in (elsewhere, corpus / "a", corpus / "b"):
            folder.mkdir()
        (elsewhere / "far.mp4").write_bytes(good_file.read_bytes())
        (corpus / "a" / "near.mp4").write_bytes(good_file.read_bytes())
        (corpus / "linked").symlink_to(elsewhere)
        (elsewhere / "back").symlink_to(corpus)
        (corpus / "a" / "self").symlink_to(corpus / "a")
        (corpus / "a" / "up").symlink_to(corpus)
        (corpus / "a" / "to-b").symlink_to(corpus / "b")
        (corpus / "b" / "to-a").symlink_to(corpus / "a")
        (corpus / "b" / "loop").symlink_to(corpus / "b" / "loop")
        manifest = manifest_of(corpus)
        assert sorted(manifest.index) == ["a/near.mp4", "linked/far.mp4"]
        assert manifest.loc["a/near.mp4", "reason"] == "it is listed 2 times, also as b/to-a/near.mp4"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_and_devices_are_told_and_not_waited_for(corpus: Path, good_file: Path, tally: Tally) -> None:
    """In a process of its own: what waits for a pipe cannot be stopped from within."""
    os.mkfifo(corpus / "pipe.mp4")
    (corpus / "zero.mp4").symlink_to("/dev/zero")
    (corpus / "terminal.mp4").symlink_to("/dev/tty")
    (corpus / "good.mp4").write_bytes(good_file.read_bytes())
    code = (
        "import sys\nfrom pathlib import Path\nfrom tasks.corpus.manifest import build_manifest\n"
        "from tasks.video.cutting import prepare_video\n"
        "from tasks.config.settings import CorpusSettings, PrepareSettings\n"
        "corpus = Path(sys.argv[1])\n"
        "for row in build_manifest(CorpusSettings(adapter='videos', root=corpus), corpus.parent / 'm').itertuples():\n"
        "    print(row.video_id, row.status, row.reason, sep=': ')\n"
        "    report = prepare_video(Path(row.uri), PrepareSettings())[1]\n"
        "    print(row.video_id, report.outcome, report.message, sep=': ')\n"
    )
    with counted(tally, "video files: pipes and devices"):
        result = subprocess.run(
            [sys.executable, "-c", code, str(corpus)], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert result.stdout.splitlines() == [
            *["good.mp4: ok: "] * 2,
            *["pipe.mp4: undecodable: it is a named pipe, not a file"] * 2,
            *["terminal.mp4: undecodable: it is a device, not a file"] * 2,
            *["zero.mp4: undecodable: it is a device, not a file"] * 2,
        ]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs /proc")
def test_an_error_of_the_disk_is_unreadable(tmp_path: Path, tally: Tally) -> None:
    """Reading the first bytes of a process's memory fails as a broken disk does, with EIO."""
    with counted(tally, "video files: disk errors"):
        (tmp_path / "corpus").mkdir()
        (tmp_path / "corpus" / "broken.mp4").symlink_to("/proc/self/mem")
        row = manifest_of(tmp_path / "corpus").loc["broken.mp4"]
        assert (row["status"], row["reason"]) == ("unreadable", "the file cannot be read: Input/output error")
        _, report = prepare_video(tmp_path / "corpus" / "broken.mp4", SETTINGS)
        assert (report.outcome, report.message) == (Outcome.UNREADABLE, "the file cannot be opened: Input/output error")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may read and write, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@contextmanager
def another_user() -> Iterator[None]:
    """Root may read everything; then the block runs as nobody."""
    if os.name != "posix":
        pytest.skip("other rules for permissions")
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_what_may_not_be_read_keeps_its_row(open_folder: Path, good_file: Path, tally: Tally) -> None:
    corpus = open_folder / "corpus"
    (corpus / "locked").mkdir(parents=True)
    for name in ("good.mp4", "secret.mp4", "locked/inside.mp4"):
        (corpus / name).write_bytes(good_file.read_bytes())
    manifest_of(corpus)  # loads what only the present user may read
    (open_folder / "manifest.parquet").unlink()
    (corpus / "secret.mp4").chmod(0)
    (corpus / "locked").chmod(0)
    with counted(tally, "video files: permissions"):
        try:
            with another_user():
                manifest = manifest_of(corpus)
                _, report = prepare_video(corpus / "secret.mp4", SETTINGS)
        finally:
            (corpus / "locked").chmod(0o700)
        assert manifest["status"].to_dict() == {"good.mp4": "ok", "locked": "unreadable", "secret.mp4": "unreadable"}
        assert set(manifest["reason"][1:]) == {"the file cannot be read: Permission denied"}
        assert (report.outcome, report.message) == (Outcome.UNREADABLE, "the file cannot be opened: Permission denied")


def test_an_empty_corpus_is_one_sentence(corpus: Path, tally: Tally) -> None:
    with counted(tally, "video files: empty corpus"):
        (corpus / "notes.txt").write_text("no videos yet")
        (corpus / "folder").mkdir()
        with pytest.raises(UserError, match="No videos were found"):
            manifest_of(corpus)
