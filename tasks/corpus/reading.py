"""The videos of a corpus: what its adapter finds, with each subject under one name and each file once."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

from fer_models.errors import UserError, VideoFault
from tasks.config.registries import ADAPTERS, load_module
from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.source import SourceVideo
from tasks.corpus.subject_names import one_spelling
from tasks.corpus.threads import map_in_threads
from tasks.outcomes import Outcome
from tasks.video.fingerprint import content_state, file_key

_MOST_NAMED = 5


def read_corpus(corpus: CorpusSettings) -> list[SourceVideo]:
    """One record per file, in the adapter's order.

    A file that the corpus names several times, through links or in other spellings of its path, is one video; its
    labels are in conflict when they differ as words of the project.

    Raises:
        UserError: there are no videos, or the adapter cannot read the corpus.
    """
    return _once_each(read_sources(corpus))


def read_sources(corpus: CorpusSettings) -> list[SourceVideo]:
    """The same with a file as often as the corpus names it."""
    adapter = load_module(ADAPTERS, corpus.adapter)
    sources: list[SourceVideo] = adapter.read(corpus)
    if not sources:
        layout = (adapter.__doc__ or "").splitlines()[0]
        raise UserError(
            f"No videos were found in {str(corpus.root)!r} with the adapter {corpus.adapter!r}, which reads: {layout}"
        )
    names = one_spelling(source.subject for source in sources)
    return [replace(source, subject=names[source.subject]) for source in sources]


def are_missing(sources: Sequence[SourceVideo]) -> list[bool]:
    """Which of these videos are named but not there."""
    return list(map_in_threads(_is_missing, sources))


def _is_missing(source: SourceVideo) -> bool:
    try:
        content_state(source.path)
    except (FileNotFoundError, ValueError):  # or no file can have that name
        return True
    except (OSError, VideoFault):
        pass
    return False


def _once_each(sources: Sequence[SourceVideo]) -> list[SourceVideo]:
    keys = map_in_threads(lambda source: file_key(source.path), sources)
    of_file: dict[Hashable, list[SourceVideo]] = {}
    for key, source in zip(keys, sources, strict=True):
        of_file.setdefault(key, []).append(source)
    return [same[0] if len(same) == 1 else _as_one(same) for same in of_file.values()]


def _as_one(same: Sequence[SourceVideo]) -> SourceVideo:
    """The first of several records of one file, with what is to be said of the others."""
    if len({(source.subject, source.emotion) for source in same}) > 1:
        told = (f"{one.video_id} ({one.label_raw or 'no label'}, {one.subject or 'no person'})" for one in same)
        reason = f"it is listed {len(same)} times with different values: {_listed(told)}"
        return replace(same[0], status=Outcome.LABEL_CONFLICT, reason=reason)
    worst = next((source for source in same if source.status is not Outcome.OK), same[0])
    others = [one.video_id for one in same if one.video_id != worst.video_id]
    remark = f"it is listed {len(same)} times" + (f", also as {_listed(others)}" if others else "")
    return replace(worst, reason=f"{worst.reason}; {remark}" if worst.reason else remark)


def _listed(names: Iterable[str]) -> str:
    once = list(dict.fromkeys(names))
    more = f" and {len(once) - _MOST_NAMED} more" if len(once) > _MOST_NAMED else ""
    return ", ".join(once[:_MOST_NAMED]) + more
