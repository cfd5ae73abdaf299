"""A card for tests."""

from typing import Any

from fer_models.models.card import ClassFacts, ModelCard, Score, SubsetFacts
from fer_models.models.lineage import Origin


def make_card(**changes: Any) -> ModelCard:
    """A card whose every value can be told from the others."""
    values: dict[str, Any] = {
        "study": "corridor",
        "arm": "gap-sum",
        "title": "GAP + sum",
        "family": "two-stream",
        "seeds": (3,),
        "date": "2025-01-31",
        "package_version": "9.8.7",
        "model_sha256": "0" * 64,
        "evaluation": "test-1",
        "num_parameters": 12_345,
        "corpus": "videos of the layout folder",
        "preparation": "Faces were found.",
        "trained_on": "the training subset; validation chose the epoch",
        "subsets": (SubsetFacts(name="train", videos=40, subjects=8), SubsetFacts(name="test", videos=9, subjects=2)),
        "classes": (
            ClassFacts(name="anger", videos=30, subjects=7, recall=0.75),
            ClassFacts(name="fear", videos=10, subjects=5),
        ),
        "scores": {
            "video_uar": Score(estimate=0.61, low=0.52, high=0.7),
            "video_accuracy": Score(estimate=0.66),
        },
        "chance": 0.5,
        "coverage": 0.9,
        "temperature": 1.7,
        "ece": 0.12,
        "ece_scaled": 0.04,
        "origins": (Origin(name="fer2013-mini-xception", sha256="5" * 64, licence="MIT", trained_on="FER2013"),),
        "limits": ("It learned from only 8 people.",),
    }
    return ModelCard(**values | changes)
