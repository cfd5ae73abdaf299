"""The web page: what is taken, what is refused, who waits, what is left; with stand-ins for the processes at work."""

import asyncio
import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from model_cards import make_card
from starlette.testclient import TestClient

from fer_models.errors import Busy, Refused
from tasks.config.model_card import file_sha256, read_card, write_card
from tasks.inference.web import visits as visits_module
from tasks.inference.web.app import asking_page, web_app
from tasks.inference.web.choices import Choice, choices_of, models_below
from tasks.inference.web.door import Door
from tasks.inference.web.folders import private_folder
from tasks.inference.web.limits import Limits
from tasks.inference.web.uploads import store, upload_name
from tasks.inference.web.visits import Visits
from tasks.storage.files import try_lock

Behave = Callable[[Path, str, Any], None]
CHOICES = [Choice("Apple", files=("one.keras",)), Choice("Pear", files=("two.keras",))]
TOKEN = "a token that nobody guesses"
LOOK_S = 0.01


class StandIn:
    """In place of a process: does what it was made to do, in a thread, so that it can be held up."""

    def __init__(self, behave: Behave) -> None:
        self.behave, self.is_alive, self.asked = behave, True, []

    async def ask(self, order: str, details: Mapping[str, Any], seconds: float, tell: Any = None) -> None:
        self.asked.append((order, details))
        await asyncio.to_thread(self.behave, Path(details["folder"]), order, tell)

    async def end(self) -> None:
        self.is_alive = False


def answers(folder: Path, order: str, tell: Any) -> None:
    """Leave what a process leaves."""
    names = {"answer": ["answer.json", "frames.csv", "segments.csv", "annotated.mp4"], "explain": ["moment.json"]}
    for name in names[order]:
        (folder / name).write_text(json.dumps({"name": name}) if name.endswith("json") else name * 100)


class Site:
    """A page with its visitors' browser."""

    def __init__(self, client: TestClient, children: list[StandIn]) -> None:
        self.client, self.children = client, children

    def send(self, body: Any = b"video", name: str = "clip.mp4", model: str = "0", **options: Any) -> Any:
        return self.client.post("/visits", params={"name": name, "model": model}, content=body, **options)

    def key(self, **options: Any) -> str:
        return str(self.send(**options).json()["visit"])

    def state(self, key: str) -> dict[str, Any]:
        return dict(self.client.get(f"/visits/{key}/state").json())

    def end_of(self, key: str) -> dict[str, Any]:
        while (state := self.state(key))["state"] not in ("done", "failed"):
            pass
        return state


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left(temporary: Path) -> list[str]:
    """The folders of visits on the disk."""
    return [path.name for path in temporary.glob("fer-serve-*/*") if path.is_dir()]


@pytest.fixture
def open_site() -> Iterator[Callable[..., Site]]:
    opened: list[TestClient] = []

    def open_one(behave: Behave = answers, limits: Limits = Limits(), choices: Sequence[Choice] = CHOICES) -> Site:
        children: list[StandIn] = []

        async def start(models: Sequence[str], detector_model: str | None, limits: Limits, folder: Path) -> Any:
            children.append(StandIn(behave))
            return children[-1]

        client = TestClient(web_app(Visits(choices, limits, start=start)), raise_server_exceptions=False)
        client.__enter__()
        opened.append(client)
        return Site(client, children)

    yield open_one
    for client in opened:
        client.__exit__(None, None, None)


def test_a_video_is_answered_and_its_files_are_handed_out(open_site: Callable[..., Site], temporary: Path) -> None:
    site = open_site()
    sent = site.send(b"a video", name="My holiday.MOV", model="1")
    assert sent.status_code == 201
    key = sent.json()["visit"]
    assert site.end_of(key) == {"state": "done"}
    order, details = site.children[0].asked[0]
    assert order == "answer"
    assert (details["upload"], details["models"], details["faces"]) == ("upload.mov", ("two.keras",), "one")
    assert (Path(details["folder"]) / "upload.mov").read_bytes() == b"a video"
    assert site.client.get(f"/visits/{key}/answer").json() == {"name": "answer.json"}
    table = site.client.get(f"/visits/{key}/frames.csv")
    assert table.headers["content-disposition"] == 'attachment; filename="expressions-by-frame.csv"'
    part = site.client.get(f"/visits/{key}/video", headers={"range": "bytes=3-8"})
    assert (part.status_code, part.content) == (206, b"otated")
    assert "content-disposition" not in part.headers, "it is played, not saved"
    page = site.client.get(f"/visits/{key}")
    assert "Pear" in page.text
    assert "Apple" not in page.text


@pytest.mark.parametrize(("asked", "followed"), [("all", "all"), ("one", "one"), ("/etc", "one")])
def test_who_is_followed_is_said_with_the_video(open_site: Callable[..., Site], asked: str, followed: str) -> None:
    site = open_site()
    key = site.client.post("/visits", params={"name": "a.mp4", "faces": asked}, content=b"video").json()["visit"]
    site.end_of(key)
    assert site.children[0].asked[0][1]["faces"] == followed


def test_a_moment_is_explained_by_the_process_that_knows_the_video(open_site: Callable[..., Site]) -> None:
    site = open_site()
    key = site.key()
    early = site.client.post(f"/visits/{key}/moments", params={"track": 1, "time": 2})
    assert early.status_code in (200, 422), "done already, or refused"
    site.end_of(key)
    told = site.client.post(f"/visits/{key}/moments", params={"track": 2, "time": "1.25"})
    assert told.json() == {"name": "moment.json"}
    order, details = site.children[0].asked[-1]
    assert (order, details["track"], details["time_s"]) == ("explain", 2, 1.25)
    for wrong in ({}, {"track": "x", "time": 1}, {"track": 1, "time": "nan"}, {"track": 1, "time": "inf"}):
        refused = site.client.post(f"/visits/{key}/moments", params=wrong)
        assert (refused.status_code, refused.json()) == (422, {"message": "That is no moment of this video."})


def test_ten_videos_at_once(open_site: Callable[..., Site], temporary: Path) -> None:
    go_on = threading.Event()

    def wait(folder: Path, order: str, tell: Any) -> None:
        tell("Reading the video", 0.25)
        go_on.wait(20)
        answers(folder, order, tell)

    site = open_site(wait)
    keys = [site.key() for _ in range(9)]
    for tenth in (site.client.get("/room"), site.send()):
        assert tenth.status_code == 429
        assert tenth.json()["message"] == "9 videos are worked on or wait already; try again in a few minutes."
    while site.state(keys[0]).get("share") != 0.25:
        pass
    assert site.state(keys[0]) == {"state": "working", "step": "Reading the video", "share": 0.25}
    assert [site.state(key)["place"] for key in keys[1:]] == list(range(1, 9))
    assert site.client.delete(f"/visits/{keys[1]}").status_code == 204
    assert site.state(keys[2]) == {"state": "waiting", "place": 1}, "who waited behind it moves up"
    go_on.set()
    assert {site.end_of(key)["state"] for key in (keys[0], *keys[2:])} == {"done"}
    assert len(left(temporary)) == 8
    for key in (keys[0], *keys[2:]):
        site.client.delete(f"/visits/{key}")
    assert left(temporary) == []
    assert site.client.get("/room").is_success
    assert site.send().status_code == 201


def test_a_video_that_is_removed_takes_its_process_along(open_site: Callable[..., Site], temporary: Path) -> None:
    go_on = threading.Event()

    def wait(folder: Path, order: str, tell: Any) -> None:
        go_on.wait(20)

    site = open_site(wait)
    key = site.key()
    while site.state(key)["state"] != "working" or not site.children[0].asked:
        pass
    assert site.client.delete(f"/visits/{key}").status_code == 204
    assert not site.children[0].is_alive
    assert left(temporary) == []
    assert site.client.get(f"/visits/{key}/state").status_code == 404
    go_on.set()


def test_a_fault_is_a_sentence_and_costs_one_request(open_site: Callable[..., Site], temporary: Path) -> None:
    def refuse(folder: Path, order: str, tell: Any) -> None:
        if (folder / "upload.avi").is_file():
            raise Refused("It is no video.")
        answers(folder, order, tell)

    site = open_site(refuse)
    bad, good = site.key(name="bad.avi"), site.key()
    assert site.end_of(bad) == {"state": "failed", "message": "It is no video."}
    assert site.end_of(good) == {"state": "done"}
    assert len(left(temporary)) == 1, "of the fault nothing is left"
    assert site.client.get(f"/visits/{bad}/answer").status_code == 404


def test_two_gigabytes_are_refused_before_they_come(open_site: Callable[..., Site], temporary: Path) -> None:
    site = open_site()
    refused = site.send(b"", headers={"content-length": str(2 * 10**9)})
    assert refused.status_code == 413
    sentence = "The file is larger than 200 MB, the most that is taken here; send a shorter one."
    assert refused.json() == {"message": sentence}
    assert left(temporary) == []


def test_what_does_not_tell_its_size_is_cut_off(open_site: Callable[..., Site], temporary: Path) -> None:
    site = open_site(limits=Limits(upload_mb=1))
    refused = site.send(iter([b"x" * 400_000] * 3))
    assert refused.status_code == 413
    assert site.send(iter([b"x" * 400_000] * 2)).status_code == 201
    assert len(left(temporary)) == 1


@pytest.mark.parametrize("body", [b"", iter([b"", b""])])
def test_nothing_is_no_video(open_site: Callable[..., Site], body: Any, temporary: Path) -> None:
    refused = open_site().send(body)
    assert (refused.status_code, refused.json()) == (422, {"message": "The file is empty; send another one."})
    assert left(temporary) == []


def test_an_upload_that_stands_still_is_given_up(tmp_path: Path) -> None:
    async def stuck() -> Any:
        yield b"begin"
        await asyncio.Event().wait()

    with pytest.raises(Refused, match=r"Nothing came for 0\.01 s"):
        asyncio.run(store(stuck(), tmp_path / "upload.mp4", Limits(silence_s=0.01)))
    assert not (tmp_path / "upload.mp4").exists()


@pytest.mark.parametrize(
    ("name", "stored"),
    [("a.mp4", "upload.mp4"), ("A.WebM", "upload.webm"), ("../../etc/x.mkv", "upload.mkv"), ("a.mts", "upload.mts")],
)
def test_nothing_of_a_name_but_a_known_end_is_used(name: str, stored: str) -> None:
    assert upload_name(name) == stored


@pytest.mark.parametrize("name", ["", "a", "mp4", "a.mp4.exe", "a.keras", "a.m3u8", "a.mp4\x00", "a.svg", "a.mp4/"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(Refused, match="no video by its name"):
        upload_name(name)


@pytest.mark.parametrize("model", ["2", "-1", "x", "", "99999999999999999999"])
def test_there_is_no_other_model(open_site: Callable[..., Site], model: str) -> None:
    refused = open_site().send(model=model)
    assert (refused.status_code, refused.json()["message"].split(";")[0]) == (
        422,
        "There is no such model here any more",
    )


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/health", 200),
        ("/static/page.js", 200),
        ("/static/../app.py", 404),
        ("/static/%2e%2e/app.py", 404),
        ("/visits/none", 404),
        ("/visits/none/state", 404),
        ("/nothing", 404),
        ("/visits", 405),
    ],
)
def test_every_answer_says_that_nothing_comes_from_elsewhere(
    open_site: Callable[..., Site], path: str, status: int
) -> None:
    answered = open_site().client.get(path)
    assert answered.status_code == status
    policy = answered.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert answered.headers["x-frame-options"] == "DENY"
    assert answered.headers["cache-control"] == "no-store"
    assert answered.headers.get_list("x-content-type-options") == ["nosniff"]


def test_no_file_but_those_of_the_page_is_handed_out(open_site: Callable[..., Site]) -> None:
    site = open_site()
    key = site.key()
    site.end_of(key)
    for name in ("upload.mp4", "answer.json", "moment.json", "lock", "frames.csv%00", "annotated.png"):
        assert site.client.get(f"/visits/{key}/{name}").status_code == 404


def test_a_bug_is_a_sentence_without_its_words(open_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    site = open_site()

    def broken(self: Visits, key: str) -> None:
        raise RuntimeError("a secret of /the/machine")

    monkeypatch.setattr(Visits, "find", broken)
    answered = site.client.get("/visits/x/state")
    assert answered.status_code == 500
    assert answered.json()["message"].startswith("Something went wrong here")
    assert "default-src 'none'" in answered.headers["content-security-policy"]


def test_the_page_shows_names_as_they_are_and_loads_nothing_from_elsewhere(open_site: Callable[..., Site]) -> None:
    site = open_site(
        choices=[Choice("<script>alert(1)</script>", '" onload="x', ("a.keras",), (("UAR", "<i>61 %</i>"),))]
    )
    page = site.client.get("/").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<i>" not in page
    assert "&#34; onload" in page
    sources = [page, *(site.client.get(f"/static/{name}").text for name in ("page.js", "page.css", "result.js"))]
    assert not [line for text in sources for line in text.splitlines() if "//" in line and "http" in line]


def test_what_nobody_looks_at_is_removed(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visits_module, "_SWEEP_S", LOOK_S)

    async def start(*_: Any) -> Any:
        return StandIn(answers)

    async def visit() -> None:
        visits = Visits(CHOICES, Limits(keep_minutes=1e-9), start=start)
        async with visits.open():
            kept = await visits.admit(0, "upload.mp4")
            (kept.folder / "upload.mp4").write_bytes(b"video")
            visits.begin(kept)
            assert kept.task
            await kept.task
            while kept.folder.exists():
                await asyncio.sleep(LOOK_S)
            assert visits.find(kept.key) is None

    asyncio.run(visit())
    assert left(temporary) == []


def test_of_many_answers_the_one_looked_at_longest_ago_goes(temporary: Path) -> None:
    async def start(*_: Any) -> Any:
        return StandIn(answers)

    async def visit() -> None:
        visits = Visits(CHOICES, Limits(kept=2), start=start)
        async with visits.open():
            keys = []
            for _ in range(4):
                one = await visits.admit(0, "upload.mp4")
                visits.begin(one)
                assert one.task
                await one.task
                keys.append(one.key)
                visits.find(keys[0])
            found = [visits.find(key) is not None for key in keys]
            assert found == [True, False, True, True]

    asyncio.run(visit())


def test_a_full_disk_is_said(temporary: Path) -> None:
    async def visit() -> None:
        visits = Visits(CHOICES, Limits(upload_mb=10**9))
        visits._folder = temporary
        with pytest.raises(Busy, match="no room for another video"):
            await visits.admit(0, "upload.mp4")

    asyncio.run(visit())


def test_folders_of_killed_servers_are_removed_and_those_of_others_stay(temporary: Path) -> None:
    killed = temporary / "fer-serve-killed"
    killed.mkdir()
    (killed / "upload.mp4").write_bytes(b"video")
    alive = temporary / "fer-serve-alive"
    with try_lock(alive / "lock") as held, private_folder() as folder:
        assert held
        assert not killed.exists()
        assert alive.exists()
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def through_door(path: str = "/", method: str = "GET", **options: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"inside"})

    client = TestClient(Door(app, TOKEN, asking_page()), follow_redirects=False)
    return client.request(method, path, **options)


def test_the_token_is_asked_for() -> None:
    asked = through_door()
    assert asked.status_code == 401
    assert 'action="/enter"' in asked.text
    assert through_door("/visits", "POST").status_code == 401
    assert through_door(f"/visits?token={TOKEN}", "POST").status_code == 401
    for wrong in ("", "wrong", TOKEN + "x", "ü"):
        assert through_door("/", params={"token": wrong}).status_code == 401
        refused = through_door("/enter", "POST", data={"token": wrong})
        assert (refused.status_code, "That is not the token" in refused.text) == (401, True)
        assert through_door(headers={"authorization": f"Bearer {wrong}".encode()}).status_code == 401
        assert through_door(headers={"cookie": f"fer_serve={wrong}".encode()}).status_code == 401
    assert through_door("/enter", "POST", content=b"x" * 10**6).status_code == 401
    assert through_door("/health").text == "inside"


@pytest.mark.parametrize(
    "options",
    [{"path": "/", "params": {"token": TOKEN}}, {"path": "/enter", "method": "POST", "data": {"token": TOKEN}}],
)
def test_the_token_opens_and_leaves_the_address(options: Mapping[str, Any]) -> None:
    entered = through_door(**options)
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert TOKEN not in cookie
    assert through_door(headers={"cookie": cookie.split(";")[0]}).text == "inside"
    assert through_door("/visits", "POST", headers={"authorization": f"Bearer {TOKEN}"}).text == "inside"


def test_models_are_found_and_called_by_their_runs(tmp_path: Path) -> None:
    runs = [tmp_path / "studies" / study / "runs" / run / "model.keras" for study, run in (("b", "x"), ("a", "y"))]
    for path in (*runs, tmp_path / "studies" / "a" / "model.keras"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = models_below(tmp_path)
    assert found == runs[::-1]
    own = tmp_path / "mine.keras"
    choices = choices_of({path: path for path in (own, *found)}, {runs[0]: "3"})
    shown = [(choice.title, choice.note) for choice in choices]
    assert shown == [("x", "champion of the registry, version 3, study b"), ("mine", ""), ("y", "study a")]
    assert choices[1].files == (str(own),)
    assert choices[1].facts == ()


def test_the_card_of_a_model_is_shown(tmp_path: Path) -> None:
    run, local = (tmp_path / "runs" / "arm" / "model.keras", tmp_path / "copy" / "model.keras")
    for path in (run, local):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"model")
    card = make_card(model_sha256=file_sha256(run))
    write_card(run.parent, card)
    (choice,) = choices_of({run: local}, {run: "2"})
    assert choice.title == card.title
    assert choice.note.startswith("champion of the registry, version 2; study ")
    assert "UAR" in choice.note
    assert dict(choice.facts)["corpus"] == card.corpus
    assert dict(choice.lists)["Limits"] == card.limits
    assert any("AI Act" in sentence for sentence in dict(choice.lists)["Not to be used for"])
    assert read_card(local) == card, "the temperature is looked for beside the file"
