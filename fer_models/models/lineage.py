"""What a model began with and whom it has seen: a record that travels inside the saved model.

Videos are marked by their content, never by the names of people: whoever has the videos can tell whether a model was
trained on them, and nobody else can.
"""

from collections.abc import Iterable

from fer_models.settings import Settings

_DIGITS = 16


class Origin(Settings):
    """Weights that a model began with.

    Args:
        name: of the registry of weights, else the file's own.
        sha256: of the file's content, in hexadecimal digits; empty while it isn't known.
        licence, trained_on: what is known of them; None for a file of the user's.
    """

    name: str
    sha256: str
    licence: str | None = None
    trained_on: str | None = None

    def in_words(self) -> str:
        """For readers."""
        known = [self.licence or "licence unknown", *([f"SHA-256 {self.sha256[:12]}"] if self.sha256 else [])]
        return f"{self.name} ({', '.join(known)}; trained on {self.trained_on or 'what is not known'})"


class Lineage(Settings):
    """Where a model comes from.

    Args:
        origins: of its first weights, and of those of the models that it began with.
        videos: marks of the training and validation videos, its own and theirs, as `video_mark` gives them, sorted.
    """

    origins: tuple[Origin, ...] = ()
    videos: tuple[str, ...] = ()

    def joined(self, other: "Lineage") -> "Lineage":
        """Both, each origin and video once."""
        origins = dict.fromkeys((*self.origins, *other.origins))
        return Lineage(origins=tuple(origins), videos=tuple(sorted({*self.videos, *other.videos})))


def video_mark(sha256: str) -> str:
    """What a lineage says of a video with this content."""
    return sha256[:_DIGITS]


def video_marks(contents: Iterable[str]) -> tuple[str, ...]:
    """The marks of some videos by their SHA-256, sorted, each once; a video without content has none."""
    return tuple(sorted(set(map(video_mark, contents)) - {""}))
