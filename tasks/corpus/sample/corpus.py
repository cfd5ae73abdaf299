"""Writes the sample corpus in the layout of BAUM-1s, with the faults that a real corpus has.

Files: `BAUM1s_MP4 - All/s001/S001_001.mp4` and `Annotations_BAUM1s.xlsx`. The default corpus also holds a clip without
a face, a truncated file, clips labelled outside the six classes and an annotated clip that does not exist.
"""

import json
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import av
import cv2
import numpy as np
from openpyxl import Workbook

from fer_models.errors import UserError
from tasks.cores import whole_cores
from tasks.corpus.adapters.baum1 import BAUM1S_CODES
from tasks.corpus.sample.drawing import FaceArtist, Pose, compose, draw_background
from tasks.corpus.sample.expressions import CLASS_SHARES, perform
from tasks.corpus.sample.people import Person, draw_person
from tasks.progress import progress
from tasks.storage.files import atomic_write, is_whole, write_text

VIDEO_FOLDER = "BAUM1s_MP4 - All"
SHEET = "Annotations_BAUM1s.xlsx"
_MARKER = "sample.json"
#: Without `cpu-independent` x264 gives other files for the same frames now and then.
_ENCODER = {"preset": "veryfast", "x264-params": "cpu-independent=1"}
_CRF = 21
_GOLDEN = 0.6180339887498949


#: What the default corpus holds beside good clips: person (where there are so many), emotion and content of each.
_FAULTS = (
    (1, "sadness", "no_face"),
    (1, "happiness", "truncated"),
    (2, "boredom", "face"),
    (3, "neutral", "face"),
    (4, "anger", "missing"),
)


@dataclass(frozen=True)
class SampleCorpus:
    """What is drawn. The same values give the same pixels (before compression) on any machine.

    Args:
        subjects: number of people.
        clips: clips a person.
        seconds: length of a clip.
        size: width and height of the video in px.
        fps: frames a second.
        faults: add the clips that cannot be used.
        noise: of the camera's sensor, a standard deviation in grey levels.
        crf: how much the videos are compressed, 0 (not at all) to 51; 21 is hardly seen.
        strength: how strongly all people express themselves, as a multiple of what is usual.
    """

    subjects: int = 32
    clips: int = 9
    seconds: float = 1.6
    size: tuple[int, int] = (320, 240)
    fps: int = 25
    seed: int = 7
    faults: bool = True
    noise: float = 2.5
    crf: int = _CRF
    strength: float = 1.0

    @property
    def marker(self) -> str:
        """Tells it from others; a camera as usual is not named, as before there were others."""
        return json.dumps({name: value for name, value in asdict(self).items() if not _is_usual(name, value)})


#: Of the camera and the people, which came later than the rest.
_LATER = ("noise", "crf", "strength")


def _is_usual(name: str, value: object) -> bool:
    return name in _LATER and value == getattr(SampleCorpus, name)


@dataclass(frozen=True)
class Clip:
    """One row of the annotation sheet and what its file holds."""

    subject: int
    number: int
    emotion: str
    content: str = "face"  # or "no_face", "truncated", "missing"

    @property
    def name(self) -> str:
        return f"S{self.subject:03d}_{self.number:03d}"

    def path(self, root: Path) -> Path:
        return root / VIDEO_FOLDER / f"s{self.subject:03d}" / f"{self.name}.mp4"


def plan_clips(corpus: SampleCorpus) -> list[Clip]:
    """All clips of a corpus: classes spread over the people by a low-discrepancy sequence, then the faults."""
    names = list(CLASS_SHARES)
    limits = np.cumsum(list(CLASS_SHARES.values()))
    clips = []
    for index in range(corpus.subjects * corpus.clips):
        subject, number = divmod(index, corpus.clips)
        position = min(int(np.searchsorted(limits, (index + 1) * _GOLDEN % 1.0)), len(names) - 1)
        clips.append(Clip(subject + 1, number + 1, names[position]))
    for wanted, emotion, content in _FAULTS if corpus.faults else ():
        subject = min(wanted, corpus.subjects)
        number = 1 + sum(clip.subject == subject for clip in clips)
        clips.append(Clip(subject, number, emotion, content))
    return clips


def render_clip(corpus: SampleCorpus, clip: Clip) -> list[np.ndarray]:
    """The frames of a clip before compression: uint8 RGB (height, width, 3) each."""
    person = draw_person(corpus.seed, clip.subject)
    rng = np.random.default_rng([corpus.seed, 2, clip.subject, clip.number])
    width, height = corpus.size
    num_frames = max(1, round(corpus.seconds * corpus.fps))
    performance = perform(clip.emotion, corpus.strength * person.strength, person.habits[clip.emotion], rng)
    poses = _head_motion(width, height, num_frames, corpus.fps, rng)
    with_face = clip.content != "no_face"
    background = draw_background(person, height, width, poses[0] if with_face else None, rng)
    if not with_face:
        return [_noisy(background, rng, corpus.noise) for _ in range(num_frames)]
    artist = FaceArtist(person)
    blinks = rng.uniform(0.0, corpus.seconds, max(1, round(corpus.seconds / 2)))
    frames = []
    for number, pose in enumerate(poses):
        blink = float(np.exp(-(((number / corpus.fps - blinks) / 0.07) ** 2)).max())
        face = artist.draw(performance.at(number / num_frames), blink)
        frames.append(compose(face, artist.opacity, background, pose, rng, corpus.noise))
    return frames


def write_video(path: Path, frames: list[np.ndarray], fps: int, crf: int = _CRF) -> None:
    """Encode uint8 RGB frames as H.264 with the index in front, so that a cut file still begins to play.

    Args:
        crf: see `SampleCorpus`.
    """
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options={"crf": str(crf), **_ENCODER})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def write_corpus(root: Path, corpus: SampleCorpus, workers: int | None = None) -> int:
    """Draw the corpus below `root`; clips that stand there already are left. Returns the number of clips drawn."""
    marker = corpus.marker
    clips = plan_clips(corpus)
    same = _same_corpus(root, marker)
    due = [clip for clip in clips if clip.content != "missing" and not (same and is_whole(clip.path(root)))]
    if not due and is_whole(root / SHEET):
        return 0
    root.mkdir(parents=True, exist_ok=True)
    write_text(root / _MARKER, marker)
    with (
        ProcessPoolExecutor(workers or whole_cores(), get_context("spawn")) as pool,
        progress("Drawing the sample corpus", len(due)) as advance,
    ):
        for future in as_completed([pool.submit(_write_clip, root, corpus, clip) for clip in due]):
            advance(future.result())
    _write_sheet(root / SHEET, clips, {clip.subject: draw_person(corpus.seed, clip.subject) for clip in clips})
    return len(due)


def _same_corpus(root: Path, marker: str) -> bool:
    """Whether `root` holds the corpus of that marker; the clips of another one, and no other files, are removed."""
    foreign = UserError(f"{str(root)!r} holds something that was not drawn by `fer sample`; name another folder.")
    if root.exists() and not (root.is_dir() and ((root / _MARKER).is_file() or not any(root.iterdir()))):
        raise foreign
    if not (root / _MARKER).is_file():
        return False
    drawn = (root / _MARKER).read_text(encoding="utf-8")
    if drawn == marker:
        return True
    try:
        clips = plan_clips(SampleCorpus(**json.loads(drawn)))
    except (TypeError, ValueError) as error:
        raise foreign from error
    for clip in clips:
        clip.path(root).unlink(missing_ok=True)
    (root / SHEET).unlink(missing_ok=True)
    return False


def _write_clip(root: Path, corpus: SampleCorpus, clip: Clip) -> str:
    cv2.setNumThreads(1)
    frames = render_clip(corpus, clip)
    with atomic_write(clip.path(root)) as temporary:
        write_video(temporary, frames, corpus.fps, corpus.crf)
        if clip.content == "truncated":
            os.truncate(temporary, int(temporary.stat().st_size * 0.6))
    return clip.name


def _noisy(background: np.ndarray, rng: np.random.Generator, level: float) -> np.ndarray:
    noise = rng.standard_normal((*background.shape[:2], 1), dtype=np.float32) * level
    return np.clip(background + noise, 0, 255).astype(np.uint8)


def _head_motion(width: int, height: int, num_frames: int, fps: int, rng: np.random.Generator) -> list[Pose]:
    """A slow, smooth sway of a head in the upper middle of the frame."""
    unit = 0.30 * height
    time_s = np.arange(num_frames) / fps

    def sway(amplitude: float) -> np.ndarray:
        rates, phases = rng.uniform(0.15, 0.6, 2), rng.uniform(0, 2 * np.pi, 2)
        return amplitude * sum(np.sin(2 * np.pi * r * time_s + p) for r, p in zip(rates, phases, strict=True))

    x = width * (0.5 + rng.uniform(-0.06, 0.06)) + sway(0.05 * unit)
    y = height * (0.46 + rng.uniform(-0.02, 0.02)) + sway(0.03 * unit)
    scale = unit * rng.uniform(0.92, 1.08) * (1.0 + sway(0.01))
    roll = rng.normal(0.0, 2.0) + sway(2.0)
    return [Pose(*map(float, values)) for values in zip(x, y, scale, roll, strict=True)]


def _write_sheet(path: Path, clips: list[Clip], people: dict[int, Person]) -> None:
    """The annotation sheet with BAUM-1s's columns A-G and its legend in I-K."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Sheet1"
    sheet.append(["Number", "Subject Label", "Clip", "Clip Name", "Emotion", "Emotion Code", "Gender"])
    codes = {name.lower(): code for code, name in BAUM1S_CODES.items()}
    for number, clip in enumerate(clips, start=1):
        gender = people[clip.subject].gender
        row = [number, clip.subject, clip.number, clip.name, clip.emotion.title(), codes[clip.emotion], gender]
        sheet.append(row)
    for row_number, (code, name) in enumerate(BAUM1S_CODES.items(), start=2):
        total = sum(codes[clip.emotion] == code for clip in clips)
        for column, value in enumerate((name, code, total), start=9):
            sheet.cell(row_number, column, value)
    with atomic_write(path) as temporary:
        book.save(temporary)
