"""Where this user's caches lie on this machine: `$XDG_CACHE_HOME/fer`, else `~/.cache/fer`."""

import os
from pathlib import Path

from fer_models.errors import UserError


def user_cache(advice: str) -> Path:
    """The folder of the caches; it may not be there yet.

    Args:
        advice: what a user without a home folder can do.

    Raises:
        UserError: there is none.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or "")
    if not base.is_absolute():  # such ones are to be ignored, says the standard
        try:
            base = Path.home() / ".cache"
        except RuntimeError as error:
            raise UserError(f"This user has no home folder; {advice}.") from error
    return base / "fer"
