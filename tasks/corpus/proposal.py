"""A first configuration for a corpus that nobody has described yet: its layout, its classes, how to split it."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from fer_models.errors import UserError
from tasks.config.registries import ADAPTERS, load_module
from tasks.corpus.adapters.source import SourceVideo
from tasks.corpus.catalogue import known_corpora
from tasks.corpus.checking import settings_for
from tasks.corpus.reading import read_corpus
from tasks.corpus.recognising import look_at, nobodys_layout, recognise
from tasks.outcomes import Outcome

#: A class needs a person in each of the three subsets.
_MIN_PEOPLE = 3
#: With fewer people than that everybody is tested once.
_FEW_PEOPLE = 20
_ONSET_APEX = "{segment_length: 2, segment_stride: 2, pair: first_last, face: last}   # onset and apex"
_TO_PEAK = "{segment_length: 2, segment_stride: 2}   # long segments would see the neutral beginning alone"
#: What segments of a layout must be like, with the reason.
_PREPARE = {
    "casme2": _ONSET_APEX,
    "samm": _ONSET_APEX,
    "smic": "{segment_length: 2, segment_stride: 2}   # clips of some images",
    "ckplus": _TO_PEAK,
    "oulucasia": _TO_PEAK,
    "ckplus48": "{precropped: true, segment_length: 2, segment_stride: 1, face: last}   # three crops a clip",
}
#: Folders of face crops in corpora that come with them.
_OF_FACES = re.compile(
    r"clip_224x224(_16f)?|faces|\d_ClipsforFaceCrop|(CASME_?2[ _-]?)?cropped([ _-].*)?", re.IGNORECASE
)


@dataclass(frozen=True)
class Proposal:
    """What was found in a corpus.

    Args:
        root: folder, or table.
        adapter: its layout.
        videos: those with a label and a subject.
        num_others: videos that lack one of them, or cannot be used.
    """

    root: Path
    adapter: str
    videos: tuple[SourceVideo, ...]
    num_others: int

    @property
    def people(self) -> int:
        """How many there are."""
        return len({video.subject for video in self.videos})

    @property
    def classes(self) -> tuple[str, ...]:
        """Those that enough people show, in alphabetical order."""
        subjects = defaultdict(set)
        for video in self.videos:
            subjects[video.emotion].add(video.subject)
        return tuple(sorted(emotion for emotion, seen in subjects.items() if len(seen) >= _MIN_PEOPLE))

    def in_words(self) -> str:
        """One sentence for users."""
        others = f"; {self.num_others} more lack a label or a subject, or cannot be used" if self.num_others else ""
        nameless = sum(video.subject == video.video_id for video in self.videos)
        who = f", {nameless} of them videos that name nobody" if nameless else ""
        return f"Read as {self.adapter}: {len(self.videos)} videos of {self.people} people{who}{others}."


def propose(root: Path, adapter: str | None = None) -> Proposal:
    """What a corpus seems to be.

    Args:
        root: folder, or table of `path, subject, emotion`.
        adapter: its layout; without one the layout that fits best.

    Raises:
        UserError: no layout fits, or there are too few people or classes to compare models on.
    """
    if not root.exists():
        raise UserError(f"There is no folder or table {str(root)!r}; name the folder of your videos.")
    if adapter:
        return _checked(_read(root, adapter))
    if root.is_file():
        return _checked(_read(root, "table"))
    sample, known = look_at(root), known_corpora()
    best = _best(root, [fit.adapter for fit in recognise(sample, known)])
    if not best.videos:  # files may have the names of a corpus that is known, and lie in folders of classes
        best = _best(root, [nobodys_layout(sample, known) or "folder"])
    return _checked(best)


def _best(root: Path, adapters: Sequence[str]) -> Proposal:
    """The one of some layouts in which most videos can be used."""
    found = [Proposal(root, "folder", (), 0)]
    for name in adapters:
        with suppress(UserError):  # it lacks what only this corpus has
            found.append(_read(root, name))
    return max(found, key=lambda one: len(one.videos))


def _checked(best: Proposal) -> Proposal:
    """The proposal; raises `UserError` where there is too little to compare models on."""
    if not best.videos:
        layouts = "; ".join(f"{name}: {_layout(name)}" for name in ("folder", "table"))
        raise UserError(
            f"No video with a label and a subject was found in {str(best.root)!r}. What is read: {layouts}; "
            "`fer corpora` lists corpora that are read as they come."
        )
    if len(best.classes) < 2:
        raise UserError(
            f"{best.in_words()[:-1]}, but fewer than two classes are shown by {_MIN_PEOPLE} people, one for each "
            "subset: add videos, or check that the folder below the class names the person."
        )
    return best


def _read(root: Path, adapter: str) -> Proposal:
    """The corpus as one layout; raises `UserError` where that cannot read it."""
    videos = read_corpus(settings_for(adapter, root))
    usable = tuple(one for one in videos if one.status is Outcome.OK and one.emotion and one.subject)
    return Proposal(root, adapter, usable, len(videos) - len(usable))


def as_configuration(proposal: Proposal, name: str) -> str:
    """A commented `study.yaml` of the proposal, which `fer study --config` runs.

    Args:
        name: of the study.
    """
    counts = Counter(video.emotion for video in proposal.videos)
    left_out = [f"{emotion} ({counts[emotion]})" for emotion in sorted(counts.keys() - set(proposal.classes))]
    few = f"; shown by fewer than {_MIN_PEOPLE} people and left out: {', '.join(left_out)}" if left_out else ""
    return "\n".join(
        [
            *_comment(proposal.in_words()),
            *_comment(
                "`fer doctor --config` with this file says whether this machine can run it, `fer study --config` does."
            ),
            *_comment("All settings: fer config --preset modern"),
            _images(proposal) or "preset: modern                # the recipe for real faces, few or many",
            f"name: {_scalar(name)}",
            f"data_root: {_scalar(f'fer-data/{name}')}   # all results go here",
            "",
            "corpus:",
            f"  adapter: {proposal.adapter}",
            f"  root: {_scalar(str(proposal.root.absolute()))}",
            *_comment(f"videos: {', '.join(f'{one} {counts[one]}' for one in proposal.classes)}{few}", "  "),
            f"  emotions: {_scalar(list(proposal.classes))}",
            "",
            *_prepare(proposal),
            *_split(proposal),
            "",
            "# training:",
            "#   steps: 2000                  # more for more videos; a run says when it ended too early",
            "seeds: 1                        # 3 or more, so that differences between networks can be judged",
            "",
        ]
    )


def _prepare(proposal: Proposal) -> list[str]:
    """What segments must be like, and that faces are cut out already."""
    said = _PREPARE.get(proposal.adapter, "")
    if proposal.adapter in known_corpora() and "precropped" not in said and _are_faces(proposal):
        said = said.replace("{", "{precropped: true, ") or "{precropped: true}   # cropped faces"
    return [f"prepare: {said}", ""] if said else []


def _are_faces(proposal: Proposal) -> bool:
    below = proposal.videos[0].path.relative_to(proposal.root)
    return any(map(_OF_FACES.fullmatch, (proposal.root.name, *below.parts)))


def _images(proposal: Proposal) -> str:
    return (
        "preset: images                # a network of faces from single images" if proposal.adapter == "images" else ""
    )


def _split(proposal: Proposal) -> Iterable[str]:
    """How so many people are divided, and why."""
    people = proposal.people
    if proposal.adapter in ("casme2", "samm", "smic"):
        return ["split: {protocol: loso}         # leave one subject out, as that field does it"]
    if all(video.official for video in proposal.videos):
        return ["split: {protocol: official}     # the folds of the corpus's own lists"]
    if people >= _FEW_PEOPLE:
        return ["split: {protocol: holdout}      # a fifth of the people is tested; kfold would test everybody once"]
    folds = max(2, min(5, people))
    return [f"split: {{protocol: kfold, folds: {folds}}}   # {people} people are few: each is tested once"]


def study_name(root: Path) -> str:
    """A name for the study of a corpus that lies there."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", root.absolute().stem).strip("-._") or "my-study"


def _scalar(value: object) -> str:
    """A value on one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _comment(text: str, indent: str = "") -> list[str]:
    """A line of comment, whatever signs the text has."""
    return [f"{indent}# {' '.join(text.split())}"]


def _layout(adapter: str) -> str:
    return (load_module(ADAPTERS, adapter).__doc__ or "").splitlines()[0].rstrip(".")
