"""What people must know of a model before they use it: a record that lies beside the saved model.

After Mitchell et al. 2019, *Model cards for model reporting*. It names no person and no place of any machine.
"""

from pydantic import Field, field_validator

from fer_models.models.lineage import Origin
from fer_models.settings import Settings

#: What every card has of test videos.
SCORES = ("video_uar", "video_accuracy")
#: Raised when a card says something else than before.
CARD_VERSION = 1

INTENDED_USE = (
    "Research on the recognition of facial expressions from video, and the comparison of models.",
    "A person's own videos, and those of people who know of it and agree.",
)
#: Articles are those of Regulation (EU) 2024/1689, the AI Act.
EXCLUDED_USE = (
    "Inferring emotions of people at work or in education: the EU's AI Act forbids it, except for medical or safety "
    "reasons (Article 5(1)(f)).",
    "Hiring, credit, insurance, policing, border control, or diagnosing.",
    "Any decision about a person. Elsewhere too emotion recognition counts as a high risk in the EU (Annex III, 1(c)), "
    "and whoever is filmed must be told (Article 50(3)).",
    "Finding out what somebody feels: a label names an expression as an annotator saw it.",
)


class Score(Settings):
    """A score on test videos, 0..1, with its interval of 95 %; the ends are None where nothing tells of them."""

    estimate: float
    low: float | None = None
    high: float | None = None

    def in_words(self) -> str:
        """In per cent, for readers."""
        words = f"{100 * self.estimate:.1f} %"
        if self.low is None or self.high is None:
            return words
        return f"{words} (95 % interval {100 * self.low:.1f} to {100 * self.high:.1f})"


class ClassFacts(Settings):
    """One class.

    Args:
        videos, subjects: usable videos that show it in the training subset, and the people in them.
        recall: share of its test videos that were recognised; None where there is none.
    """

    name: str
    videos: int
    subjects: int
    recall: float | None = None


class SubsetFacts(Settings):
    """Usable videos of one subset (train, validation, test), and the people in them."""

    name: str
    videos: int
    subjects: int


class OtherScore(Settings):
    """The UAR of a model on videos of another corpus.

    Args:
        corpus: its name.
        classes: that both have; only these were tested.
        videos, subjects: with a usable face, and the people in them.
        home: on the study's own test people, over the same classes; None where they show too few of them.
    """

    corpus: str
    classes: int
    videos: int
    subjects: int
    uar: Score
    home: float | None = None

    def in_words(self) -> str:
        """For readers."""
        home = "" if self.home is None else f"; on its own corpus, same classes, {100 * self.home:.1f} %"
        return (
            f"{self.corpus} {self.uar.in_words()}, {self.classes} shared classes, {self.videos} videos of "
            f"{self.subjects} people{home}"
        )


class ModelCard(Settings):
    """A model's card.

    Args:
        study: its name.
        seeds: that of its training; of an ensemble those of its members.
        fold: such as `2 of 5`; empty in a study of one fold.
        date: of the card, such as 2025-01-31.
        model_sha256: of the model's file, in hexadecimal digits.
        evaluation: by which the study knows the evaluation that the scores are of.
        corpus: what the videos were, in a few words.
        preparation: of the videos, in sentences.
        trained_on: subsets, and how they were used, in a sentence.
        classes: in the order of the model's outputs.
        scores: of test videos with a usable face, by name: `video_uar` and `video_accuracy`.
        chance: the UAR of a guess.
        coverage: share of the test videos with a usable face.
        temperature: what calibrates the probabilities of videos, see `fer_models.statistics.calibration`.
        ece, ece_scaled: expected calibration error of test videos as they are, and with the temperature, 0..1.
        origins: of weights that it began with.
        others: how it did on other corpora.
        limits: what it was not shown to do, in sentences.
    """

    card_version: int = CARD_VERSION
    study: str
    arm: str
    title: str
    family: str
    seeds: tuple[int, ...] = Field(min_length=1)
    fold: str = ""
    date: str
    package_version: str
    model_sha256: str
    evaluation: str
    num_parameters: int
    corpus: str
    preparation: str
    trained_on: str
    subsets: tuple[SubsetFacts, ...]
    classes: tuple[ClassFacts, ...]
    scores: dict[str, Score]
    chance: float
    coverage: float
    temperature: float = Field(gt=0)
    ece: float
    ece_scaled: float
    origins: tuple[Origin, ...] = ()
    others: tuple[OtherScore, ...] = ()
    limits: tuple[str, ...]
    intended_use: tuple[str, ...] = INTENDED_USE
    excluded_use: tuple[str, ...] = EXCLUDED_USE

    @field_validator("scores")
    @classmethod
    def _has_both(cls, scores: dict[str, Score]) -> dict[str, Score]:
        if missing := [name for name in SCORES if name not in scores]:
            raise ValueError(f"it has no {' and no '.join(missing)}")
        return scores

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes' names, in the order of the model's outputs."""
        return tuple(one.name for one in self.classes)
