"""What there is to do for many videos, told without opening one."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fer_models.errors import VideoFault
from tasks.corpus.manifest import as_text
from tasks.inference.batch.done import Done, Row, Rows, find_done, is_of, mark_done, usable_part
from tasks.inference.batch.folders import TEMPORARY, Placed, place_videos
from tasks.inference.batch.wishes import Wishes
from tasks.inference.sources import NamedVideo
from tasks.outcomes import Outcome
from tasks.progress import progress
from tasks.video.fingerprint import content_state


@dataclass(frozen=True)
class Order:
    """What is to be made of every video, and where.

    Args:
        out: the folder of all results, absolute.
        models: see `Wishes.digest`.
    """

    out: Path
    wishes: Wishes
    models: tuple[str, ...]

    @property
    def digest(self) -> str:
        """See `Wishes.digest`."""
        return self.wishes.digest(self.models)

    @property
    def temporary(self) -> Path:
        """The folder of files on their way from one process to another."""
        return self.out / TEMPORARY


@dataclass(frozen=True)
class Due:
    """A video that is to be tried, and what of its files stays as it is."""

    placed: Placed
    kept: Done | None = None


@dataclass(frozen=True)
class Plan:
    """What there is to do.

    Args:
        placed: all videos, in the order in which they were named.
        rows: of those of which nothing is to be made, by video.
        due: the others.
    """

    order: Order
    placed: list[Placed]
    rows: dict[Path, Rows] = field(default_factory=dict)
    due: list[Due] = field(default_factory=list)


def plan_videos(videos: Sequence[NamedVideo], order: Order) -> Plan:
    """Tell what is done from what is due; markers of files that were only touched are brought up to date.

    Raises:
        UserError: as `place_videos` does.
    """
    plan = Plan(order, place_videos(videos, order.out))
    with progress("Looking at the videos", len(plan.placed)) as advance:
        for placed in plan.placed:
            _add(plan, placed)
            advance("")
    return plan


def _add(plan: Plan, placed: Placed) -> None:
    order, name = plan.order, as_text(str(placed.video))
    if fault := _fault(placed.video):
        plan.rows[placed.video] = [plain_row(name, *fault)]
        return
    done = find_done(placed.folder)
    there = usable_part(placed.folder, done, order.digest) if done else None
    if not there or not is_of(there, placed.video):
        plan.due.append(Due(placed))
    elif not there.files.keys() | there.lacking.keys() >= set(order.wishes.files(placed.video)):
        plan.due.append(Due(placed, there))
    else:
        _refresh(placed, there)
        plan.rows[placed.video] = there.rows_of(name)


def _fault(video: Path) -> tuple[Outcome, str] | None:
    """Why a video cannot even be tried."""
    if as_text(str(video)) != str(video):
        return Outcome.UNDECODABLE, "its name or folder is not text in UTF-8; rename it"
    try:
        content_state(video)
    except VideoFault as fault:
        return Outcome(fault.outcome), fault.message
    except FileNotFoundError:
        is_link = os.path.islink(video)
        return Outcome.FILE_MISSING, "it is a link to a file that is not there" if is_link else "there is no such file"
    except OSError as error:
        return Outcome.UNREADABLE, f"the file cannot be read: {error.strerror or error}"
    except ValueError:  # a sign that no name can hold
        return Outcome.FILE_MISSING, "no file can have that name"
    return None


def _refresh(placed: Placed, done: Done) -> None:
    """Spare the next run to read a video that was touched."""
    size_bytes, mtime_ns = content_state(placed.video)
    if (size_bytes, mtime_ns) != (done.size_bytes, done.mtime_ns):
        mark_done(placed.folder, done.model_copy(update={"mtime_ns": mtime_ns}))


def plain_row(video: str, outcome: Outcome, message: str) -> Row:
    """The row of a video that no model was asked about, without the probabilities of classes."""
    return {
        "video": video,
        "outcome": str(outcome),
        "message": message,
        "num_segments": 0,
        "predicted": "",
        "confidence": None,
        "coverage": None,
        "faces": "",
        "uncertainty": None,
        "has_verdict": False,
    }
