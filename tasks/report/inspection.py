"""`fer inspect`: one picture that shows what preparation made of a video, and why it failed if it did.

Reads the ledger, the video's shard and a few frames of its file; writes nothing but the picture.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd

from fer_models.errors import UserError
from fer_models.names import composed
from fer_models.suggest import nearest
from fer_models.windows import Windows
from tasks.config.layout import Layout
from tasks.config.prepare_settings import FIRST_LAST, NEIGHBOURS, PrepareSettings
from tasks.config.settings import StudySettings
from tasks.corpus.manifest import read_manifest
from tasks.drawing.figures import save_figure
from tasks.outcomes import TRANSIENT, Outcome
from tasks.preparation.ledger import read_ledger
from tasks.preparation.shards import named_shard, read_image_batches, read_rows
from tasks.report.outcome_hints import EXPLANATIONS
from tasks.report.outputs import PICTURE, check_output
from tasks.report.plots.inspection import Inspected, plot_inspection
from tasks.report.plots.inspection_moments import Moment
from tasks.report.plots.inspection_timeline import Timeline
from tasks.storage.stored_names import path_below
from tasks.video.fingerprint import content_sha256, content_state
from tasks.video.image_sequences import IMAGES
from tasks.video.previews import Still, look_into, spread

#: Frames on a page.
NUM_MOMENTS = 6
#: At least this many of them show a segment without a face, where there are some.
_NUM_FACELESS = 2


def inspect_video(settings: StudySettings, wanted: str, output: Path | None = None, force: bool = False) -> Path:
    """Draw one video; returns the path of the PNG.

    Args:
        wanted: the video's id, a part of it that no other id has, or the path of its file.
        output: where to write; `<data_root>/inspect/<id>.png` by default.
        force: that may be a PNG which somebody else made.

    Raises:
        UserError: nothing is prepared yet, no such video, or an output that must not be written (see `outputs`).
    """
    layout = Layout.of(settings)
    ledger = read_ledger(layout.ledger, settings.corpus.emotions)
    video = find_video(ledger, wanted)
    check_output(output, PICTURE, map(Path, ledger["uri"]), force)
    path = output or path_below(
        layout.inspections, picture_name(video["video_id"]), layout.ledger, "name another place with --output"
    )
    return save_figure(plot_inspection(gather(settings, video)), path)


def find_video(ledger: pd.DataFrame, wanted: str) -> dict[str, Any]:
    """The ledger's row of a video; raises `UserError` naming the nearest id, or those that a part fits."""
    exact = ledger["video_id"] == wanted
    ids, wanted = ledger["video_id"].map(composed), composed(wanted)
    for fits in (
        exact,
        ids == wanted,
        ledger["uri"].map(composed) == composed(str(Path(wanted).absolute())),
        ids.str.endswith(f"/{wanted}"),
        ids.map(lambda video_id: PurePath(video_id).stem) == wanted,
        ids.str.contains(wanted, regex=False),
    ):
        if fits.sum() == 1:
            return ledger[fits].to_dict("records")[0]
        if fits.sum() > 1:
            first = ", ".join(repr(video_id) for video_id in ids[fits].head(5))
            more = f" and {fits.sum() - 5} more" if fits.sum() > 5 else ""
            raise UserError(f"{fits.sum()} videos fit {wanted!r}: {first}{more}; name one of them.")
    raise UserError(
        f"There is no video {wanted!r}{nearest(wanted, ids)}; ids of this ledger look like {ids.iloc[0]!r}."
        if len(ids)
        else "The ledger lists no video."
    )


def picture_name(video_id: str) -> str:
    """A file name for an id, whatever signs it is made of; two ids never share one."""
    safe = re.sub(r"[^\w.-]+", "_", video_id)[:50].strip("._") or "video"
    return f"{safe}.png" if safe == video_id else f"{safe}-{hashlib.sha256(video_id.encode()).hexdigest()[:6]}.png"


@dataclass(frozen=True)
class _Stored:
    """What identifies the segments of a shard that show a face, each (n, ...); n is 0 where there is no shard.

    Args:
        rows: int (n, T), where the frames of each stand in the shard; the other values are those of the first of them.
    """

    segment: np.ndarray
    frame: np.ndarray
    pts_s: np.ndarray
    interval_s: np.ndarray
    box: np.ndarray
    num_faces: np.ndarray
    rows: np.ndarray

    @classmethod
    def read(cls, shard: Path | None, windows: Windows, num_segments: int) -> "_Stored":
        table = read_rows(shard) if shard else None
        if not table:
            none = np.empty(0, int)
            return cls(none, none, none, none, np.empty((0, 4), int), none, np.empty((0, 1), int))
        rows = np.arange(len(table))[:, None]
        if windows.num_frames > 1:
            segment, rows, _ = windows.covered(table["frame"].to_numpy(), num_segments)
            table = table.take(rows[:, 0]).set_column(0, "segment", [segment])
            table = table.set_column(1, "frame", [segment * windows.stride])
        values = {name: np.array(table[name].to_pylist()) for name in table.column_names}
        return cls(**values | {"box": values["box"].reshape(-1, 4)}, rows=rows)

    def time_of(self, frame: float, video: dict[str, Any]) -> float:
        """When a frame is shown: between those whose times are stored, evenly."""
        frames = np.r_[0, self.frame, video["num_frames"]]
        times_s = np.r_[0.0, self.pts_s, _duration_s(video)]
        return float(np.interp(frame, frames, times_s))


@dataclass(frozen=True)
class _Images:
    """The images of a few segments by their first frame, each (T, S, S, ..), and the mean motion of all, float (n,)."""

    by_frame: dict[int, tuple[np.ndarray, np.ndarray | None]]
    motion_px: np.ndarray

    @classmethod
    def read(cls, shard: Path | None, stored: _Stored, frames: list[int]) -> "_Images":
        rows_of = dict(zip(stored.frame.tolist(), stored.rows.tolist(), strict=True))
        wanted = {row for frame in frames for row in rows_of.get(frame, [])}
        found, motion_px, first = {}, [np.empty(0)], 0
        for _, faces, optical_flows in read_image_batches(shard) if shard else ():
            if optical_flows is not None:
                motion_px.append(np.linalg.norm(optical_flows.astype(np.float32), axis=-1).mean(axis=(1, 2)))
            for row in wanted & set(range(first, first + len(faces))):
                flow = None if optical_flows is None else optical_flows[row - first].astype(np.float32)
                found[row] = faces[row - first].copy(), flow
            first += len(faces)
        by_frame = {}
        for frame in frames:
            images = [found[row] for row in rows_of.get(frame, [])]
            flows = [flow for _, flow in images if flow is not None]
            if images:
                by_frame[frame] = np.stack([face for face, _ in images]), np.stack(flows) if flows else None
        motion = np.concatenate(motion_px)
        return cls(by_frame, motion[stored.rows].mean(axis=1) if len(motion) else motion)


def gather(settings: StudySettings, video: dict[str, Any]) -> Inspected:
    """All that a video's page shows; a file that is gone, broken or hangs is a notice on it.

    Args:
        video: its row of the ledger.
    """
    layout = Layout.of(settings)
    path, outcome = Path(video["uri"]), Outcome(video["outcome"])
    shard = named_shard(layout.prepared, video["shard"]) if video["shard"] else None
    lost = shard is not None and not shard.is_file()
    stored = _Stored.read(None if lost else shard, settings.prepare.windows, video["num_segments"])
    frames = _choose_frames(video, stored, settings.prepare.segment_stride)
    images = _Images.read(None if lost else shard, stored, frames)
    stills, notices = look_into(path, frames, NUM_MOMENTS, outcome in TRANSIENT)
    if stills and len(stored.frame) and _is_changed(path, layout.manifest, video["sha256"]):
        notices.append("It has changed since it was prepared: the boxes belong to what it was. Run `fer prepare`.")
    if lost:
        notices.append("Its shard is not there any more; `fer prepare` makes it again.")
    shown = [frame for frame in frames or sorted(stills) if frame in stills or frame in images.by_frame]
    searched = bool(video["num_segments"]) and not lost
    what, advice = EXPLANATIONS[outcome]
    could = "A face was found in" if not settings.prepare.precropped else "Used were"
    covered = f"{could} {video['num_covered']:,} of {video['num_segments']:,} segments."
    return Inspected(
        video_id=video["video_id"],
        outcome=str(outcome),
        usable=outcome is Outcome.OK,
        verdict=f"{what}." if what else covered,
        notes=[_sentence(video["message"]), covered if what and video["num_covered"] else "", advice],
        facts=_facts(video, settings, layout, stored),
        file=video["uri"],
        moments=[_moment(frame, stills.get(frame), video, stored, images, searched) for frame in shown],
        timeline=_timeline(video, settings.prepare.segment_stride, stored, images, shown) if searched else None,
        notice="\n".join(notices),
    )


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:].rstrip('.')}." if words else ""


def _choose_frames(video: dict[str, Any], stored: _Stored, stride: int) -> list[int]:
    """First frames of segments with and without a face; frames of all the video when it holds no segment.

    Empty when nobody knows how many frames there are.
    """
    if not video["num_segments"]:
        return spread(video["num_frames"], NUM_MOMENTS)
    faceless = np.setdiff1d(np.arange(video["num_segments"]), stored.segment) * stride
    num_faceless = min(len(faceless), max(_NUM_FACELESS, NUM_MOMENTS - len(stored.frame)))
    chosen = stored.frame[spread(len(stored.frame), NUM_MOMENTS - num_faceless)]
    return sorted([*chosen.tolist(), *faceless[spread(len(faceless), num_faceless)].tolist()])


def _is_changed(path: Path, manifest: Path, sha256: str) -> bool:
    """Whether a video is no longer what was prepared; hashed only when its size or date is another one."""
    rows = read_manifest(manifest)
    size_bytes, mtime_ns = content_state(path)
    same = (rows["sha256"] == sha256) & (rows["size_bytes"] == size_bytes) & (rows["mtime_ns"] == mtime_ns)
    return not same.any() and content_sha256(path) != sha256


def _moment(
    frame: int, still: Still | None, video: dict[str, Any], stored: _Stored, images: _Images, searched: bool
) -> Moment:
    picture = still.picture if still else None
    if frame not in images.by_frame:
        pts_s = still.pts_s if still else stored.time_of(frame, video)
        return Moment(frame, pts_s, picture, remark="no face found" if searched else "")
    row = int(np.flatnonzero(stored.frame == frame)[0])
    box = stored.box[row]
    faces, optical_flows = images.by_frame[frame]
    return Moment(
        frame=frame,
        pts_s=float(stored.pts_s[row]),
        picture=picture,
        box=tuple((box * still.scale).tolist()) if still else None,
        box_px=int(box[2]),
        faces=faces,
        optical_flows=optical_flows,
        remark=f"one of {stored.num_faces[row]} faces" if stored.num_faces[row] > 1 else "",
    )


def _facts(video: dict[str, Any], settings: StudySettings, layout: Layout, stored: _Stored) -> dict[str, str]:
    lasts = f" = {_duration_s(video):.1f} s" if video["fps"] else ""
    share = video.get("repeated_share") or 0.0
    repeats = f", {100 * share:.0f} % repeat" if share > 0.005 else ""
    rate = f", {video['fps']:.4g} fps" if video["fps"] else ""
    codec = f", {video['codec']}" if video.get("codec") else ""
    if video.get("codec") == IMAGES:
        codec = " (assumed)"  # images carry no times
    widths = stored.box[:, 2]
    prepare = settings.prepare
    kept = f"{prepare.frames_per_segment} of " if prepare.frames_per_segment > 1 else ""
    return {
        "subject": video["subject"] or "unknown",
        "emotion": video["emotion"] or "unknown",
        "video": f"{video['width']} x {video['height']} px{rate}{codec}" if video["width"] else "",
        "length": f"{video['num_frames']:,} frames{lasts}{repeats}" if video["num_frames"] else "",
        "box width": f"{int(np.median(widths))} px (median), {widths.min()} to {widths.max()}" if len(widths) else "",
        **_face_facts(video, prepare),
        "segments": f"{kept}{prepare.segment_length} frames, one every {prepare.segment_stride}",
        "motion": _motion(prepare, stored),
        "settings": layout.prepared.name,
        "SHA-256": video["sha256"][:12],
    }


def _face_facts(video: dict[str, Any], prepare: PrepareSettings) -> dict[str, str]:
    """How often a face was found and confirmed, as far as the ledger tells; one of an earlier version does not."""
    num_searched, num_asked = video.get("num_searched") or 0, video.get("num_asked") or 0
    score = f", score {video['mean_score']:.2f}" if video.get("mean_score") else ""
    found = (
        f"in {100 * video['num_found'] / num_searched:.0f} % of {num_searched:,} frames{score}" if num_searched else ""
    )
    agreed = (
        f"{prepare.confirm}, agreed {100 * video['num_agreed'] / num_asked:.0f} % of {num_asked:,}" if num_asked else ""
    )
    level = ", eyes level" if prepare.align == "eyes" else ""
    return {
        "detector": "" if prepare.precropped else f"{prepare.detector}{level}",
        "faces found": found,
        "second opinion": agreed,
    }


def _duration_s(video: dict[str, Any]) -> float:
    """How long a video is shown; by the number of its frames where an older ledger does not tell."""
    return video.get("duration_s") or (video["num_frames"] / video["fps"] if video["fps"] else 0.0)


def _motion(prepare: PrepareSettings, stored: _Stored) -> str:
    """The unit of the motion, and the time that it was measured over."""
    if not len(stored.interval_s):
        return ""
    if not prepare.has_optical_flow:
        return "none is stored"
    unit = {NEIGHBOURS: "px a frame", FIRST_LAST: "px, first to last frame"}.get(str(prepare.pair), "px in 1/30 s")
    return f"{unit}, over {np.median(stored.interval_s):.3f} s (median)"


def _timeline(video: dict[str, Any], stride: int, stored: _Stored, images: _Images, shown: list[int]) -> Timeline:
    return Timeline(
        num_frames=video["num_frames"],
        time_of=(lambda frame: stored.time_of(frame, video)) if video["fps"] else None,
        stride=stride,
        num_segments=video["num_segments"],
        covered=stored.segment,
        widths_px=stored.box[:, 2],
        motions_px=images.motion_px,
        shown=shown,
    )
