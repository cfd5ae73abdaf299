"""What is missing or odd about a copy of a corpus: half-unpacked, flattened, renamed, without its labels."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from fer_models.errors import UserError
from tasks.config.settings import CorpusSettings, options_of
from tasks.corpus.adapters.source import SourceVideo
from tasks.corpus.reading import read_corpus
from tasks.corpus.recognising import ARCHIVES, UNFINISHED, Fit, Sample
from tasks.outcomes import Outcome

_MOST_NAMED = 3


@dataclass(frozen=True)
class Checked:
    """What an adapter makes of a folder.

    Args:
        videos: its records; empty when it cannot read the folder.
        oddities: what is missing or odd, in sentences.
    """

    fit: Fit
    root: Path
    videos: list[SourceVideo]
    oddities: list[str]

    @property
    def usable(self) -> list[SourceVideo]:
        """The records of clips that can be used, as far as names tell."""
        return [video for video in self.videos if video.status is Outcome.OK]

    @property
    def people(self) -> set[str]:
        """Those who are named."""
        return {video.subject for video in self.videos if video.subject and video.subject != video.video_id}


def check_corpus(sample: Sample, fit: Fit) -> Checked:
    """Read a folder with the adapter that fits, by its default options, and tell what is odd."""
    oddities = [*_of_files(sample), *_of_names(fit)]
    videos: list[SourceVideo] = []
    try:
        videos = read_corpus(settings_for(fit.adapter, sample.root))
    except UserError as error:
        oddities.append(str(error))
    checked = Checked(fit, sample.root, videos, oddities)
    oddities += [*_of_numbers(checked), *_of_outcomes(videos)]
    return checked


def in_one_study(found: Sequence[Checked]) -> str:
    """What a configuration says of several corpora, and which of their classes all have, in comments.

    Args:
        found: of each folder the adapter that fits best.
    """
    adapters = Counter(one.fit.adapter for one in found)
    seen: Counter[str] = Counter()
    rows = []
    for one in found:
        adapter = one.fit.adapter
        seen[adapter] += 1
        name = f"{adapter}{seen[adapter]}" if adapters[adapter] > 1 else adapter
        rows.append({"name": name, "adapter": adapter, "root": str(one.root.absolute())})
    classes = [{video.emotion for video in one.usable} for one in found]
    common, others = set.intersection(*classes), Counter(word for words in classes for word in words)
    some = [f"{word} ({count} of {len(found)})" for word, count in sorted(others.items()) if word not in common]
    lines = yaml.safe_dump({"corpora": rows}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=10**6)
    flow = yaml.safe_dump(sorted(common), default_flow_style=True, width=10**6).strip()
    return "\n".join(
        [
            lines.rstrip(),
            f"corpus: {{emotions: {flow}}}   # the classes that all have",
            *([f"# only some have {', '.join(some)}; label_map says which class a label is"] if some else []),
        ]
    )


def settings_for(adapter: str, root: Path) -> CorpusSettings:
    """The settings of a corpus with nothing chosen but its adapter and its place."""
    return options_of(adapter)(adapter=adapter, root=root)


def _of_files(sample: Sample) -> Iterator[str]:
    if archives := sample.of_kind(ARCHIVES):
        yield f"{_num(archives, 'archive is', 'archives are')} still packed: {listed(archives)}; unpack what lacks."
    if unfinished := sample.of_kind(UNFINISHED):
        yield f"{_num(unfinished, 'download is', 'downloads are')} not finished: {listed(unfinished)}."
    if sample.empty:
        yield f"{_num(sample.empty, 'file is', 'files are')} empty: {listed(sample.empty)}; unpack or copy again."
    if sample.hidden:
        yield f"{sample.hidden} hidden files, such as ._name, are left out; they hold nothing that is read."


def _of_names(fit: Fit) -> Iterator[str]:
    title, layout = fit.about.title, fit.about.layout[0]
    if fit.named:
        yield (
            f"{_num(fit.named, 'file has a name', 'files have names')} of {title} but not its folders, as when all are "
            f"put into one: {listed(fit.named)}; expected {layout}."
        )
    if fit.placed:
        yield (
            f"{_num(fit.placed, 'file lies', 'files lie')} in folders of {title} but under other names, as when "
            f"they are renamed: {listed(fit.placed)}; expected {layout}."
        )
    if not (fit.whole or fit.named or fit.placed):
        yield f"No video or image lies or is called as in {title}; expected {layout}."
    if fit.lacking:
        yield f"Not there: {', '.join(fit.lacking)}."


def _of_numbers(checked: Checked) -> Iterator[str]:
    about = checked.fit.about
    there = [video for video in checked.videos if video.status is not Outcome.FILE_MISSING]
    people = len(checked.people)
    short = []
    if about.num_clips and len(there) < about.num_clips:
        short.append(f"{len(there):,} of {about.num_clips:,} clips")
    if about.num_people and people < about.num_people:
        short.append(f"{people} of {about.num_people} people")
    if short and checked.videos:
        yield f"Of the whole corpus there are {' and '.join(short)}; is all of it unpacked?"


def _of_outcomes(videos: Sequence[SourceVideo]) -> Iterator[str]:
    for status, count in Counter(video.status for video in videos).most_common():
        if status is not Outcome.OK:
            reasons = Counter(video.reason for video in videos if video.status is status).most_common(_MOST_NAMED)
            first = next(video for video in videos if video.reason == reasons[0][0])
            yield f"{status}: {count}, for example {first.video_id}: {first.reason}."
    remarks = [video for video in videos if video.status is Outcome.OK and video.reason]
    if remarks:
        yield f"Remarks on {len(remarks)} clips, for example {remarks[0].video_id}: {remarks[0].reason}."


def _num(items: Sequence[object], one: str, more: str) -> str:
    return f"{len(items)} {one if len(items) == 1 else more}"


def listed(paths: Sequence[Path]) -> str:
    """The first of some paths, and how many more there are."""
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(path.as_posix() for path in paths[:_MOST_NAMED]) + more
