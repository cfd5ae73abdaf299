"""What became of a video that was read: its outcome, and the remarks on it."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tasks.config.prepare_settings import PrepareSettings
from tasks.outcomes import Outcome
from tasks.video.decoding import Video
from tasks.video.detectors.detector import Face
from tasks.video.image_sequences import STILL
from tasks.video.pairs import is_far
from tasks.video.pictures import NOTABLE_REPEATS

#: What is advised where tiny frames show no face; a command may have another way to say it.
CROPS_ADVICE = "set prepare.precropped=true"
#: Declared and true frame rates that differ by a larger share are remarked on.
_NOTABLE_RATE = 0.05


def judge(
    video: Video,
    facts: Mapping[str, Any],
    num_spoilt: int,
    small_faces: Iterable[Face],
    settings: PrepareSettings,
) -> tuple[Outcome, str]:
    """The outcome of a video that was read to its end, and why; or, where it is `ok`, what is worth knowing of it.

    Args:
        facts: of its `VideoReport`.
        num_spoilt: frames and pairs that segments should keep and that damage has spoilt.
        small_faces: those of any size in a few of the frames without a usable one; looked for where that matters.
    """
    if not video.complete:
        why = f": {video.fault}" if video.fault else ""
        return Outcome.TRUNCATED, f"it breaks off after {video.num_decoded} frames{why}"
    if not facts["num_segments"] and video.codec == STILL:
        return Outcome.TOO_SHORT, "it is a single image; set prepare.pair=none and prepare.segment_length=1"
    if not facts["num_segments"]:
        count = "1 frame is" if video.num_decoded == 1 else f"{video.num_decoded} frames are"
        least = 2 if settings.has_optical_flow else 1
        rule = f"prepare.segment_length is {settings.segment_length} and can be as low as {least}"
        return Outcome.TOO_SHORT, f"{count} fewer than one segment; {rule}"
    damaged = f"{video.num_damaged} of its {video.num_decoded} frames are damaged"
    face_remarks = _face_remarks(facts, settings)
    if facts["num_covered"]:
        return Outcome.OK, "; ".join([*_picture_remarks(video), *face_remarks, *_time_remarks(video, facts)])
    if num_spoilt >= settings.windows.num_places(facts["num_segments"]):
        return Outcome.UNDECODABLE, damaged
    hint = f"; if its frames are face crops already, {CROPS_ADVICE}" if _is_tiny(video) else ""
    side = max((face.box.width for face in small_faces), default=0)
    if 0 < side < settings.min_face_px:
        return (
            Outcome.FACE_TOO_SMALL,
            f"its largest face is {side} px wide, less than min_face_px = {settings.min_face_px}{hint}",
        )
    glimpse = [f"one of {side} px was seen in single frames alone"] if side else []
    return Outcome.NO_FACE, "; ".join(["no face was found in any segment", *glimpse, *face_remarks]) + hint


def _picture_remarks(video: Video) -> list[str]:
    """What is worth knowing of the pictures of a video that can be used."""
    remarks = []
    if video.num_damaged:
        remarks.append(f"{video.num_damaged} of its {video.num_decoded} frames are damaged and were left out")
    if video.is_interlaced:
        remarks.append("it is interlaced: each frame holds two moments, so that edges which move are combed")
    if video.is_hdr:
        remarks.append("its colours are HDR (PQ or HLG), used without tone mapping")
    return remarks


def _face_remarks(facts: Mapping[str, Any], settings: PrepareSettings) -> list[str]:
    """What is worth knowing of the faces of a video; see `VideoReport`."""
    remarks = []
    if num_denied := facts["num_asked"] - facts["num_agreed"]:
        which = f"{num_denied} of {facts['num_asked']} times that {settings.detector} found one"
        remarks.append(f"{settings.confirm} saw no face {which}, and none was used there")
    if num_passed_over := facts.get("num_passed_over", 0):
        faces = "1 face was" if num_passed_over == 1 else f"{num_passed_over} faces were"
        remarks.append(f"{faces} seen too briefly to be followed")
    if num_cuts := facts["num_cuts"]:
        cuts = "a scene cut" if num_cuts == 1 else f"{num_cuts} scene cuts"
        unit = "frames" if settings.frames_per_segment > 1 else "segments"
        lost = f", and {facts['num_cut_off']} of its {unit} were left out there" if facts["num_cut_off"] else ""
        remarks.append(f"it holds {cuts}{lost}")
    return remarks


def _time_remarks(video: Video, facts: Mapping[str, Any]) -> list[str]:
    """What is worth knowing of a video's time; see `VideoReport`."""
    remarks = []
    if facts["repeated_share"] > NOTABLE_REPEATS:
        remarks.append(f"{100 * facts['repeated_share']:.0f} % of its frames repeat the one before")
    if num_far := facts["num_far"]:
        pairs = "1 pair" if num_far == 1 else f"{num_far} pairs"
        interval_s = facts["interval_s"]
        remarks.append(f"the frames of {pairs} are far from prepare.pair apart (median {interval_s:.3g} s)")
    if video.declared_fps and abs(video.fps / video.declared_fps - 1) > _NOTABLE_RATE:
        remarks.append(f"it declares {video.declared_fps:.4g} frames/s and holds {video.fps:.4g}")
    return remarks


def _is_tiny(video: Video) -> bool:
    """Frames so small that they are hardly whole scenes."""
    return 0 < max(video.width, video.height) <= 128


def pair_facts(
    intervals_s: Sequence[float], num_cut_off: int, repeated_share: float, settings: PrepareSettings
) -> dict[str, Any]:
    """Of the report: what was found of pairs, of the time between their frames, and of repeats."""
    return {
        "num_cut_off": num_cut_off,
        "repeated_share": round(repeated_share, 4),
        "interval_s": round(statistics.median(intervals_s), 6) if intervals_s else 0.0,
        "num_far": sum(is_far(interval_s, settings) for interval_s in intervals_s),
    }


def video_facts(video: Video) -> dict[str, Any]:
    """Of the report: what is known of a video without looking at its pictures."""
    return {
        "num_frames": video.num_decoded,
        "width": video.width,
        "height": video.height,
        "codec": video.codec,
        "fps": round(video.fps, 3),
        "duration_s": round(video.duration_s, 6),
    }
