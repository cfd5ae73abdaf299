"""What papers printed: test accuracy in % by the corpus's adapter and the arm."""

from fer_models.labels import EMOTIONS
from tasks.config.settings import StudySettings

PUBLISHED: dict[tuple[str, str], float] = {
    ("baum1", "flatten-concatenate"): 57.7,
    ("baum1", "flatten-sum"): 59.77,
    ("baum1", "flatten-average"): 57.71,
    ("baum1", "gap-concatenate"): 59.8,
    ("baum1", "gap-sum"): 56.48,
    ("baum1", "gap-average"): 57.66,
}
#: What has to be said of such figures, by adapter.
NOTES: dict[str, str] = {
    "baum1": "What the study printed for BAUM-1 is a frame accuracy, the best of 50 epochs on the very people it "
    "reports: no test score and no target for another corpus.",
}


def published_accuracies(settings: StudySettings) -> dict[str, float]:
    """By arm what was printed for this study's corpus and classes; empty for a corpus of which nothing was."""
    corpus = settings.corpus
    if corpus.emotions != EMOTIONS or corpus.draw_sample:
        return {}
    return {arm: accuracy for (adapter, arm), accuracy in PUBLISHED.items() if adapter == corpus.adapter}
