"""Addresses of services and stores as they may be stored and shown: without passwords and keys."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from fer_models.errors import UserError

_HIDDEN = "***"
#: `scheme:/` and what stands before the last `@`; slashes and colons may be part of a key that was not quoted.
#: The lengths are bounded so that a long text takes no longer than its length.
_SCHEME = r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{1,20}):/+"
_WITH_USER = re.compile(rf"{_SCHEME}(?P<user>[^\s'\"]{{0,5000}})@")
#: The same without a scheme, as schedulers take it; what stands so within a path is a part of that.
_BARE = re.compile(r"(?<!\S)(?:['\"]?//)?(?P<user>[^\s/\\@]{4,}+)@[^\s/\\@]+")
_NAMED = re.compile(
    r"(?i)(?P<name>[?&;#,\s{\"'][\w.-]*(?:passw(?:or)?d|pwd|token|secret|signature|credential|"
    r"(?:api|access|account|shared|private)[_-]?key|sig|key)[\"']?\s*=)(?P<secret>[^&;\s\"']+)"
)
#: A path of this machine, and nothing else: no part of it is a named secret.
_LOCAL = re.compile(r"[/~.](?!.*(?::[/\s]|\n))", re.DOTALL)
#: Where a single name before the `@` may be a token; elsewhere it is a user, or Azure's name of a container.
_TAKES_TOKENS = frozenset({"http", "https", "s3", "s3a", "gs", "gcs", "tcp", "tls", "ray", "ws", "wss"})
_ADVICE = {
    "s3": "credentials of S3 come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or the AWS "
    "configuration",
    "gs": "credentials of Google come from GOOGLE_APPLICATION_CREDENTIALS or `gcloud auth`",
    "az": "credentials of Azure come from AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or `az login`",
    "cluster": "schedulers of Dask and Ray know no passwords: close them with TLS, set in the environment of all "
    "machines (DASK_DISTRIBUTED__COMM__TLS__CA_FILE and its siblings and a tls:// address; RAY_USE_TLS=1), or with a "
    "network of their own",
    "": "leave it out, or give it in an environment variable of the library that wants it",
}
_KIND = {"s3a": "s3", "gcs": "gs", "abfs": "az", "abfss": "az", "wasb": "az", "wasbs": "az"}
_CLUSTERS = frozenset({"tcp", "tls", "ray", "ws", "wss", "ucx"})


def refuse_secrets(settings: Mapping[str, Any]) -> None:
    """Raise `UserError` when a value holds a password or key, naming the setting but nothing of the value.

    Settings are printed, stored beside models, and sent to MLflow and Prefect.
    """
    for key, text in _texts(settings):
        if hide_secrets(text) != text:
            found = re.match(_SCHEME, text)
            scheme = found["scheme"].lower() if found else ""
            is_cluster = scheme in _CLUSTERS or key.endswith("task_runner_address")
            advice = _ADVICE.get("cluster" if is_cluster else _KIND.get(scheme, scheme), _ADVICE[""])
            raise UserError(f"{key} holds a password or key, which would be stored and shown; {advice}.")


def user_of(address: str) -> tuple[str, str] | None:
    """The user and the password in an address, unquoted; either may be empty, None when there is neither."""
    found = _WITH_USER.match(address)
    user = _user(found) if found else ""
    name, _, password = user.partition(":")
    return (unquote(name), unquote(password)) if user else None


def without_user(address: str) -> str:
    """An address that others may follow, who have a user and a password of their own."""
    return _WITH_USER.sub(lambda found: found[0].replace(f"{_user(found)}@", "") if _user(found) else found[0], address)


def hide_secrets(text: str) -> str:
    """A text with the passwords, keys and tokens of the addresses in it replaced by stars; anything else as it is."""
    text = _WITH_USER.sub(_hide_user, text)
    text = _BARE.sub(_hide_bare_user, text)
    return text if _LOCAL.match(text) else _NAMED.sub(rf"\g<name>{_HIDDEN}", text)


def hide_password_in(text: str, address: str) -> str:
    """A message about an address, which may hold the password or the whole address."""
    found = _WITH_USER.match(address)
    password = _user(found).partition(":")[2] if found else ""
    for secret in sorted({password, unquote(password)} - {""}, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return hide_secrets(text)


def _user(found: re.Match[str]) -> str:
    """What names a user before the `@`; nothing where that belongs to a path."""
    first, slash, _ = found["user"].partition("/")
    _, colon, password = first.partition(":")
    return "" if slash and (not colon or password.isdigit()) else found["user"]


def _hide_user(found: re.Match[str]) -> str:
    user = _user(found)
    if not user or (":" not in user and found["scheme"].lower() not in _TAKES_TOKENS):
        return found[0]
    return found[0].replace(f"{user}@", f"{_stars(user)}@")


def _hide_bare_user(found: re.Match[str]) -> str:
    user = found["user"]
    return found[0].replace(user, _stars(user)) if ":" in user[2:-1] else found[0]


def _stars(user: str) -> str:
    name, colon, _ = user.partition(":")
    return f"{name}:{_HIDDEN}" if colon else _HIDDEN


def _texts(values: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """All texts in a tree of settings, paths as texts, each with its dotted key."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from _texts(value, f"{key}.{name}" if key else str(name))
    elif isinstance(values, list | tuple | set | frozenset):
        for value in values:
            yield from _texts(value, key)
    elif values is not None and not isinstance(values, bool | int | float):
        yield key, str(values)
