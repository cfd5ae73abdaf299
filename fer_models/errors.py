"""Every exception that the project raises on purpose.

`UserError` is a mistake that the user can correct: the command line prints it as one sentence and exits with 1.
`VideoFault` is a fault of one video: it becomes a row of the ledger and never stops a run.
Anything else that is raised is a bug and propagates with its stack trace.
"""


class FerError(Exception):
    """Root of the project's own exceptions."""


class UserError(FerError):
    """A wrong path, setting or corpus; the message says what was wrong, where, and what to do next."""


class StorageError(UserError):
    """The data root cannot be written to; every video would fail in the same way, so the run stops."""


class BrokenFile(UserError):
    """A file of the data root is there but has lost its content, or holds something else than it should.

    Args:
        path: of the file.
        fault: what is wrong with it, as the end of a sentence that begins with its path.
        advice: what to do, in a sentence.
        detail: what a library says of it.
    """

    def __init__(self, path: object, fault: str, advice: str = "", detail: str = "") -> None:
        super().__init__(path, fault, advice, detail)
        self.path, self.fault, self.advice, self.detail = path, fault, advice, detail

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.path} {self.fault}{detail}. {self.advice}".rstrip()


class WrongShard(UserError):
    """A shard does not hold what its name says; the message says what it is instead, and how it is made again."""


class Refused(UserError):
    """A request that a server does not carry out; the message is for who sent it, and names nothing of the machine."""


class TooLarge(Refused):
    """What was sent is larger than what is taken."""


class Busy(Refused):
    """There is no room for the request now; later there may be."""


class TrainingDiverged(FerError):
    """The loss became NaN or infinite; the message names the epoch, the step and the rows of the batch."""


class VideoFault(FerError):
    """One video could not be prepared.

    Args:
        outcome: one of `tasks.outcomes.Outcome`.
        message: what happened, for users.
    """

    def __init__(self, outcome: str, message: str) -> None:
        super().__init__(outcome, message)
        self.outcome = outcome
        self.message = message
