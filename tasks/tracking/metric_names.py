"""Names of metrics as MLflow takes them: any name of a class may be part of one."""

import re
from collections.abc import Iterable

#: Signs that MLflow refuses, or takes for the end of a folder.
_REFUSED = re.compile(r"[^\w\-. :]")
#: MLflow takes 250.
_MOST = 200


def metric_names(names: Iterable[str]) -> dict[str, str]:
    """Each name in MLflow's letters, no two alike; a name that MLflow takes stays as it is.

    Args:
        names: different ones; the order decides which of two that become alike gets a number.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    names = list(names)
    for name in sorted(names, key=lambda one: _plain(one) != one):  # those that stay come first
        plain = _plain(name)
        number = 1
        while (unique := plain if number == 1 else f"{plain} {number}") in taken:
            number += 1
        taken.add(unique)
        found[name] = unique
    return {name: found[name] for name in names}


def _plain(name: str) -> str:
    return _REFUSED.sub("_", name)[:_MOST].rstrip()
