"""Files in which Keras and Prefect look for settings of the user, and what in them this project cannot work with."""

import json
import os
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

#: What Keras computes on here, and the package for it.
_BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
#: What models are built for; other values give other models, or none.
_KERAS = {"image_data_format": "channels_last", "floatx": "float32"}
#: The largest number that Keras may add to a denominator without being seen in results.
_MOST_EPSILON = 1e-6


def keras_file() -> Path:
    """The file with Keras's settings, which may not be there."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser() / "keras.json"


def keras_fault() -> str:
    """What keeps Keras from working here, with the file or variable that says so and what to do; empty if nothing.

    Keras itself is not imported.
    """
    path = keras_file()
    settings: Any = {}
    try:
        if path.exists():
            settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return f"{path} cannot be read ({error}); correct it or remove it: Keras writes a new one."
    if not isinstance(settings, dict):
        return f"{path} holds no settings of Keras; remove it: Keras writes a new one."
    named = os.environ.get("KERAS_BACKEND")
    backend = named or settings.get("backend", "tensorflow")
    where = "KERAS_BACKEND" if named else f'"backend" in {path}'
    if not isinstance(backend, str) or backend not in _BACKENDS:
        return f"{where} is {backend!r}, which Keras 3 cannot train on; set {where} to tensorflow or jax."
    if find_spec(_BACKENDS[backend]) is None:
        return f"{where} is {backend!r}, which is not installed; install it, or set {where} to tensorflow."
    for name, wanted in _KERAS.items():
        if (value := settings.get(name, wanted)) != wanted:
            return (
                f'"{name}" in {path} is {value!r}, and the models here need {wanted!r}; change it there, or set '
                "KERAS_HOME to a folder without such a file."
            )
    epsilon = settings.get("epsilon", _MOST_EPSILON)
    if not isinstance(epsilon, float) or not 0 < epsilon <= _MOST_EPSILON:
        return f'"epsilon" in {path} is {epsilon!r}; change it to 1e-07, which is Keras\'s own.'
    return ""


@dataclass(frozen=True)
class PrefectSetting:
    """A setting of Prefect and the file that it stands in."""

    value: str
    path: Path


def prefect_setting(name: str) -> PrefectSetting | None:
    """The value of a setting such as `PREFECT_API_URL` in the user's files, as Prefect ranks them; None without one.

    A file that cannot be read has none: Prefect says so when it is imported.
    """
    for path, settings in _prefect_settings():
        value: Any = settings.get(name) or _under(settings, name.lower().removeprefix("prefect_"))
        if isinstance(value, str) and value:
            return PrefectSetting(value, path)
    return None


def prefect_files() -> list[Path]:
    """The files of settings that Prefect reads here."""
    here = (Path(".env"), Path("prefect.toml"), Path("pyproject.toml"))
    return [path.absolute() for path in (*here, _profiles()) if path.exists()]


def where_prefect_looks() -> str:
    """Where settings of Prefect stand that may have to be corrected, in words."""
    return " and ".join([*map(str, prefect_files()), "environment variables that begin with PREFECT_"])


def _prefect_settings() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Files with their settings, the strongest first, by their names in the environment or as tables."""
    for path in prefect_files():
        with suppress(OSError, ValueError):
            text = path.read_text(encoding="utf-8")
            if path.name == ".env":
                pairs = (line.removeprefix("export ").partition("=") for line in text.splitlines())
                yield path, {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
                continue
            settings = tomllib.loads(text)
            if path.name == "pyproject.toml":
                settings = _at(settings, "tool", "prefect") or {}
            elif path.name != "prefect.toml":
                active = os.environ.get("PREFECT_PROFILE") or settings.get("active")
                settings = _at(settings, "profiles", str(active)) or {}
            yield path, settings


def _profiles() -> Path:
    named = os.environ.get("PREFECT_PROFILES_PATH")
    return Path(named or Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect") / "profiles.toml")


def _under(settings: dict[str, Any], name: str) -> Any:
    """A setting in tables whose names are the beginning of its own; None without one."""
    for key, value in settings.items():
        if key == name and not isinstance(value, dict):
            return value
        inner = name.removeprefix(f"{key}_")
        if isinstance(value, dict) and inner != name and (found := _under(value, inner)) is not None:
            return found
    return None


def _at(settings: dict[str, Any], *keys: str) -> Any:
    """What stands at the end of a path of tables; None where there is no such path."""
    found: Any = settings
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found
