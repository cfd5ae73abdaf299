"""What a study came to on other corpora, as one record in its folder: the report, MLflow and other studies read it."""

import datetime
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from fer_models.errors import UserError
from tasks.config.digests import digest
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.dataset.audit import present_split
from tasks.dataset.other_corpora.cameras import Difference, compare_videos, describe_training, largest_difference
from tasks.dataset.other_corpora.mapping import ClassUse
from tasks.dataset.other_corpora.opening import OpenedCorpus, content_digest, corpus_names, open_corpora
from tasks.dataset.other_corpora.people import check_other_corpus
from tasks.dataset.splits import read_split
from tasks.preparation.ledger import find_previous, is_usable, read_ledger
from tasks.storage.files import find_json, is_file, list_files, write_json
from tasks.study.comparison import ArmResult, compare
from tasks.study.evaluation import read_evaluation
from tasks.study.other_corpora.scores import Cell, home_cell, other_cell
from tasks.study.other_corpora.testing import evaluate_on
from tasks.study.runs import Run, plan_runs
from tasks.study.test_set import own_test_set

#: Raised when a record says something else than before of the same evaluations.
_VERSION = 1
_MOST_PLACES = 5


class TestedCorpus(BaseModel):
    """Another corpus that a study was tested on.

    Args:
        corpus: names its content.
        classes: of the models, that were tested; `lacking`: that it lacks.
        uses: what became of each of its classes.
        num_videos, num_covered: videos of the tested classes, and of these those with a usable face.
        findings: what of it stands in the training part too, in sentences.
        differences: how its videos differ from those of the training; `largest` says the largest one in a sentence.
        reason: why nothing could be tested; else empty.
    """

    __test__ = False  # for pytest

    name: str
    corpus: str
    classes: tuple[str, ...]
    lacking: tuple[str, ...]
    uses: tuple[ClassUse, ...]
    num_videos: int
    num_covered: int
    findings: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    largest: str = ""
    reason: str = ""


class OtherCorporaRecord(BaseModel):
    """What the arms of a study came to on its own corpus, whose `name` and content stand first, and on others."""

    study: str
    name: str
    corpus: str
    date: str
    evaluations: str
    emotions: tuple[str, ...]
    tested: tuple[TestedCorpus, ...]
    cells: tuple[Cell, ...]

    def cell(self, arm: str, corpus: str) -> Cell | None:
        """Of an arm on the corpus of that content."""
        return next((one for one in self.cells if (one.arm, one.corpus) == (arm, corpus)), None)


def record_others(settings: StudySettings) -> OtherCorporaRecord | None:
    """Gather what the runs of a study came to on other corpora, and leave it in the study's folder.

    Returns:
        None where the settings name no other corpus.

    Raises:
        UserError: the study is not evaluated, or another corpus is not prepared as it is.
    """
    if not settings.test_on:
        return None
    layout, emotions = Layout.of(settings), settings.corpus.emotions
    runs = plan_runs(settings)
    evaluated = [read_evaluation(run, own_test_set(settings, run)) for run in runs]
    results = compare(evaluated, emotions)
    opened = open_corpora(settings)
    ledger = find_previous(layout.ledger)
    own = "" if ledger is None else content_digest(ledger)
    cells = [home_cell(result, own, emotions) for result in results]
    for other in opened:
        cells += [_other_cell(settings, result, other, runs) for result in results]
    record = OtherCorporaRecord(
        study=settings.name,
        name=corpus_names(settings)[0],
        corpus=own,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        evaluations=_identity(settings, [folder for folder, _ in evaluated]),
        emotions=emotions,
        tested=_describe(settings, opened),
        cells=tuple(cells),
    )
    write_json(layout.other_corpora, record)
    return record


def _other_cell(settings: StudySettings, result: ArmResult, other: OpenedCorpus, runs: Sequence[Run]) -> Cell:
    if other.reason:
        return Cell(arm=result.arm.name, corpus=other.corpus, reason=other.reason)
    tested = [(run.seed, *evaluate_on(settings, run, other)) for run in runs if run.arm.name == result.arm.name]
    return other_cell(result, other, tested, settings.corpus.emotions)


def _describe(settings: StudySettings, opened: Sequence[OpenedCorpus]) -> tuple[TestedCorpus, ...]:
    layout, emotions = Layout.of(settings), settings.corpus.emotions
    split = present_split(read_ledger(layout.ledger, emotions), read_split(layout.split), emotions)
    trained = describe_training(settings)
    here = corpus_names(settings)[0]
    found = []
    for other in opened:
        videos = other.videos
        differences = [] if other.reason else compare_videos(trained, other)
        found.append(
            TestedCorpus(
                name=other.name,
                corpus=other.corpus,
                classes=other.classes,
                lacking=tuple(name for name in emotions if name not in other.classes),
                uses=other.uses,
                num_videos=len(videos),
                num_covered=int(is_usable(videos).sum()),
                findings=tuple(_in_words(one.what, one.where) for one in check_other_corpus(other, split)),
                differences=tuple(differences),
                largest="" if other.reason else largest_difference(differences, here, other.name),
                reason=other.reason,
            )
        )
    return tuple(found)


def _in_words(what: str, where: Sequence[str]) -> str:
    more = f" and {len(where) - _MOST_PLACES} more" if len(where) > _MOST_PLACES else ""
    return f"{what[0].upper()}{what[1:]} ({'; '.join(where[:_MOST_PLACES])}{more})."


def _identity(settings: StudySettings, folders: Sequence[Path]) -> str:
    """Changes when the evaluations on the study's own test people do, or what else is tested on."""
    names = [f"{folder.parent.name}/{folder.name}" for folder in folders]
    return digest({"evaluations": names, "on": settings.model_dump(mode="json")["test_on"], "version": _VERSION})


def find_record(settings: StudySettings, folders: Sequence[Path]) -> OtherCorporaRecord | None:
    """The record of an evaluated study; None where it is tested on no other corpus.

    Args:
        folders: of the evaluations of its runs.

    Raises:
        UserError: there is none of these evaluations and corpora.
    """
    if not settings.test_on:
        return None
    record = find_json(Layout.of(settings).other_corpora, OtherCorporaRecord)
    if record is None or record.evaluations != _identity(settings, folders):
        raise UserError("The runs are not evaluated on the corpora that test_on names; run `fer evaluate` first.")
    return record


def records_below(root: Path) -> list[OtherCorporaRecord]:
    """The records of the studies of another data root, the newest first; what cannot be read is passed over."""
    found = []
    for path in list_files(root / "studies", "*/other_corpora.json"):
        try:
            if is_file(path):
                found.append(OtherCorporaRecord.model_validate_json(path.read_bytes()))
        except (ValidationError, FileNotFoundError, UserError):
            continue
    return sorted(found, key=lambda record: (record.date, record.study), reverse=True)
