"""The page of `fer serve` in a real browser: a video goes up, is answered, played, explained, saved and removed."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import av
import cv2
import httpx
import numpy as np
import pandas as pd
import psutil
import pytest
from conftest import FPS, draw_moving_face, draw_wall
from lab import BIN, ROOT, free_port, wait_for
from test_inference_predictor import LABELS, OVERLAPPING, P, build
from test_video_tracks import beside

from tasks.corpus.sample.corpus import write_video
from tasks.inference.predictor import Predictor

api = pytest.importorskip("playwright.sync_api")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here"),
]

PATIENCE_MS, LOOK_MS = 120_000, 100
NO_VIDEO = "It cannot be opened as a video (its content is of no known kind); try another file."
TOO_LARGE = "The file is larger than 20 MB, the most that is taken here; send a shorter one."
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


class Page:
    """`fer serve` with one model, and where its visitors' files would lie."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.port, self.temporary, self.model = free_port(), folder / "tmp", model
        self.temporary.mkdir(exist_ok=True)
        self.address = f"http://127.0.0.1:{self.port}"
        command = [str(BIN / "fer"), "serve", str(model), "--port", str(self.port), "--upload-mb", "20"]
        here = {"PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary)}
        self.log = (folder / "serve.log").open("a+")
        self.process = subprocess.Popen(
            command, env=os.environ | here, cwd=folder, stdout=self.log, stderr=subprocess.STDOUT
        )
        wait_for("the page", self.is_up)

    def is_up(self) -> bool:
        assert self.process.poll() is None
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.address}/health").is_success
        return False

    def left(self) -> list[str]:
        """Visits on the disk."""
        return [path.name for path in self.temporary.glob("fer-serve-*/*") if path.is_dir()]

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("served")
    build("gap-sum", OVERLAPPING).save(folder / "model.keras")
    page = Page(folder, folder / "model.keras")
    yield page
    page.close()
    assert list(page.temporary.glob("fer-serve-*")) == [], "an end leaves nothing on the disk"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face for 2 s, a wall for 1 s."""
    path = tmp_path_factory.mktemp("clip") / "My clip.mp4"
    write_video(path, draw_moving_face(1.0, 50) + draw_wall(25), FPS)
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium, with a camera that shows a drawn face."""
    camera = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    pictures = [cv2.imencode(".jpg", frame[..., ::-1])[1].tobytes() for frame in draw_moving_face(1.0, 50)]
    camera.write_bytes(b"".join(pictures))
    flags = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=BROWSER, args=[*flags, f"--use-file-for-fake-video-capture={camera}"]
        )
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Any, served: Page) -> Iterator[Callable[..., Any]]:
    """Opens pages; none of them may complain, or ask another server for anything."""
    contexts, wrong = [], []

    def note(request: Any) -> None:
        if not request.url.startswith((served.address, "blob:", "data:")):
            wrong.append(request.url)

    def complain(message: Any) -> None:
        if message.type == "error" and "status of 4" not in message.text:
            wrong.append(message.text)

    def opened(viewport: dict[str, int] = DESKTOP, **options: Any) -> Any:
        context = browser.new_context(viewport=viewport, accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", note)
        page.on("console", complain)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(served.address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def until(page: Any, condition: str) -> None:
    """Wait for what is asked from outside: the page's policy lets nobody else run code in it."""
    for _ in range(PATIENCE_MS // LOOK_MS):
        with contextlib.suppress(api.Error):  # it is on the way to the next page
            if page.evaluate(condition):
                return
        page.wait_for_timeout(LOOK_MS)
    raise AssertionError(condition)


def send(page: Any, path: Path) -> None:
    page.set_input_files("#file", path)


def answered(page: Any) -> None:
    page.wait_for_selector("#result:not([hidden])")
    until(page, "document.querySelector('#player').readyState >= 2")


def saved(page: Any, button: str) -> Path:
    with page.expect_download() as download:
        page.click(button)
    return Path(download.value.path())


def head_x(page: Any) -> float:
    return float(page.get_attribute("#timeline .head", "x1"))


def test_a_video_from_upload_to_removal(visit: Callable[..., Any], served: Page, clip: Path) -> None:
    page = visit()
    send(page, clip)
    page.wait_for_selector("#wait:not([hidden])")
    answered(page)
    assert page.evaluate("document.querySelector('#player').duration") == pytest.approx(3.0, abs=0.05)

    before = head_x(page)
    page.focus("#timeline")
    page.keyboard.press("Space")
    until(page, "document.querySelector('#player').currentTime > 0.5")
    page.keyboard.press("Space")
    assert page.evaluate("document.querySelector('#player').paused")
    assert head_x(page) > before, "the line follows the video"

    box = page.locator("#timeline svg").bounding_box()
    page.mouse.click(box["x"] + 40 + 0.9 * (box["width"] - 48), box["y"] + 60)
    until(page, "document.querySelector('#player').currentTime > 2.5")
    until(page, "document.querySelector('#timeline').ariaValueText.includes('no face')")
    page.keyboard.press("Home")
    until(page, "document.querySelector('#player').currentTime === 0")
    for _ in range(25):  # of 0.04 s
        page.keyboard.press("ArrowRight")
    until(page, "Math.abs(document.querySelector('#player').currentTime - 1) < 0.1")

    page.click("#explain")
    page.wait_for_selector(".moment")
    assert page.locator(".moment figcaption").all_inner_texts()[0] == "Face"
    widths = page.eval_on_selector_all(".moment img", "all => all.map(one => one.naturalWidth)")
    assert widths == [224] * 4, "what was seen, and where, of both streams"
    text = page.inner_text(".moment p")
    assert text.split(",")[0] in LABELS

    table = pd.read_csv(StringIO(saved(page, "#get-frames").read_text()))
    own = Predictor.load(served.model).predict(clip).frames
    assert len(table) == len(own) == 75
    assert table[P].to_numpy() == pytest.approx(own[P].to_numpy(), abs=1e-5, nan_ok=True)
    assert len(pd.read_csv(StringIO(saved(page, "#get-segments").read_text()))) == 36
    with av.open(str(saved(page, "#get-video"))) as container:
        assert sum(1 for _ in container.decode(video=0)) == 75

    address = page.url
    page.click("#delete")
    page.wait_for_selector("#start")
    assert served.left() == []
    assert httpx.get(address).status_code == 404


@pytest.mark.parametrize("kind", ["text", "broken", "picture", "wall", "name"])
def test_a_fault_is_one_sentence(
    visit: Callable[..., Any], served: Page, tmp_path: Path, clip: Path, kind: str
) -> None:
    sentences = {
        "text": NO_VIDEO,
        "broken": None,
        "picture": None,
        "wall": "No face was found in it; show a face from the front, in good light.",
        "name": "This is no video by its name; send one that ends in .mp4, .mov, .webm or the like.",
    }
    path = tmp_path / {"picture": "huge.png", "name": "a.exe"}.get(kind, "a.mp4")
    path.write_text("words\n" * 1000)
    if kind == "broken":
        path.write_bytes(clip.read_bytes()[:200] + bytes(10_000))
    elif kind == "picture":
        path.write_bytes(cv2.imencode(".png", np.zeros((16_000, 16_000), np.uint8))[1].tobytes())
    elif kind == "wall":
        write_video(path, draw_wall(20), FPS)
    page = visit()
    send(page, path)
    page.wait_for_selector("#start-fault:not(:empty), #fault:not([hidden])")
    shown = page.inner_text("#start-fault" if kind == "name" else "#fault-words")
    assert shown == (sentences[kind] or shown)
    assert shown.count(".") >= 1
    assert shown.endswith(".")
    assert "/" not in shown
    assert served.left() == []
    assert served.is_up()


def test_two_gigabytes_are_not_even_sent(visit: Callable[..., Any], served: Page, tmp_path: Path) -> None:
    huge = tmp_path / "huge.mp4"
    with huge.open("wb") as file:
        file.truncate(2 * 10**9)
    page = visit()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    send(page, huge)
    page.wait_for_selector("#start-fault:not(:empty)")
    assert page.inner_text("#start-fault") == TOO_LARGE
    assert "POST" not in sent


def test_two_gigabytes_of_another_program_are_refused_early(served: Page) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while taken < 2 * 10**9:
            taken += 10**6
            yield bytes(10**6)

    with contextlib.suppress(httpx.WriteError, httpx.ReadError):  # it hangs up, and may be heard or not
        refused = httpx.post(f"{served.address}/visits?name=a.mp4", content=endless(), timeout=60)
        assert (refused.status_code, refused.json()) == (413, {"message": TOO_LARGE})
    assert taken < 200 * 10**6
    assert served.left() == []


def test_ten_at_once(visit: Callable[..., Any], served: Page, clip: Path) -> None:
    pages = [visit() for _ in range(10)]
    for page in pages:
        send(page, clip)
        until(
            page,
            "/Waiting|Reading|Getting|Drawing/.test(document.querySelector('#wait-words').textContent)"
            " || document.querySelector('#start-fault')?.textContent"
            " || !document.querySelector('#result')?.hidden",
        )
    refused = [page for page in pages if page.locator("#start-fault").count() and page.inner_text("#start-fault")]
    words = [page.inner_text("#wait-words") for page in pages if page.is_visible("#wait")]
    assert [word for word in words if word.startswith("Waiting: ")], "some are told their place"
    for page in refused:
        assert page.inner_text("#start-fault").endswith("wait already; try again in a few minutes.")
    answered(pages[0])
    for page in pages[2:]:
        if page not in refused:
            page.click("#give-up" if page.is_visible("#wait") else "#delete")
            page.wait_for_selector("#start")
    answered(pages[1])
    for page in pages[:2]:
        page.click("#delete")
        page.wait_for_selector("#start")
    assert served.left() == []


def test_what_a_camera_shows_is_answered(visit: Callable[..., Any], served: Page) -> None:
    page = visit()
    page.click("#record")
    page.wait_for_selector("#recorder:not([hidden])")
    page.click("#take")
    until(page, "parseInt(document.querySelector('#taken').textContent) >= 2")
    page.click("#take")
    answered(page)
    page.click("#delete")
    page.wait_for_selector("#start")
    assert served.left() == []


def test_each_of_several_faces_can_be_chosen(visit: Callable[..., Any], served: Page, tmp_path: Path) -> None:
    right = draw_wall(40) + draw_moving_face(0.5, 35, subject=5, scale_px=60)
    write_video(tmp_path / "two.mp4", beside(draw_moving_face(0.5, 75), right), FPS)
    page = visit()
    page.check("#all-faces")
    send(page, tmp_path / "two.mp4")
    answered(page)
    assert page.locator("#tracks button").all_inner_texts() == ["Face 1", "Face 2"]
    assert page.inner_text("#verdict-title").lower() == "face 1"
    assert page.locator(".bars .is-top").count() == 1
    page.click("#tracks button >> nth=1")
    assert page.inner_text("#verdict-title").lower() == "face 2"
    assert page.locator("#tracks button[aria-pressed=true]").all_inner_texts() == ["Face 2"]
    assert page.locator(".bars .is-top").count() == 0, "it is not there yet"
    assert "no face" in page.evaluate("document.querySelector('#timeline').ariaValueText")
    page.focus("#timeline")
    page.keyboard.press("End")
    for _ in range(3):  # the last frame stands in no segment
        page.keyboard.press("ArrowLeft")
    until(page, "document.querySelectorAll('.bars .is-top').length === 1")
    page.click("#explain")
    page.wait_for_selector(".moment")
    assert set(pd.read_csv(StringIO(saved(page, "#get-frames").read_text()))["track"]) == {1, 2}
    page.click("#delete")
    page.wait_for_selector("#start")


def test_it_fits_on_a_phone(visit: Callable[..., Any], served: Page, clip: Path) -> None:
    page = visit(PHONE, is_mobile=True, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    send(page, clip)
    answered(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    box = page.locator("#timeline svg").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + 60)
    until(page, "document.querySelector('#player').currentTime > 1")
    pressed = "all => all.filter(one => one.offsetParent && one.offsetHeight < 44).map(one => one.textContent)"
    small = page.eval_on_selector_all("button, a.button", pressed)
    assert small == [], "what is pressed by a finger is large enough"
    page.click("#delete")
    page.wait_for_selector("#start")


def test_a_killed_server_takes_its_processes_along(tmp_path: Path) -> None:
    build("gap-sum", OVERLAPPING).save(tmp_path / "model.keras")
    page = Page(tmp_path, tmp_path / "model.keras")
    workers = wait_for("a worker", page.workers)
    page.process.kill()
    page.process.wait()
    wait_for("their end", lambda: not [one for one in workers if one.is_running() and one.status() != "zombie"], 60)
    assert list(page.temporary.glob("fer-serve-*")), "nobody was left to remove it"
    again = Page(tmp_path, tmp_path / "model.keras")
    wait_for("the new folder alone", lambda: len(list(page.temporary.glob("fer-serve-*"))) == 1)
    again.close()
