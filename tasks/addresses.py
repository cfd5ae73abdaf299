"""Addresses of services as they may be shown: without their passwords."""

import re
from urllib.parse import unquote, urlsplit

_HIDDEN = "***"


def hide_password(address: str) -> str:
    """A URL with its password, also one in its query, replaced by stars; anything else as it is."""
    password = _password(address)
    shown = address.replace(f":{password}@", f":{_HIDDEN}@") if password else address
    return re.sub(r"(?i)((?:password|token|secret|key)=)[^&;]+", rf"\g<1>{_HIDDEN}", shown)


def hide_password_in(text: str, address: str) -> str:
    """A message about an address, which may hold the password or the whole address."""
    password = _password(address)
    for secret in {password, unquote(password)} - {""}:
        text = text.replace(secret, _HIDDEN)
    return text


def _password(address: str) -> str:
    """What stands between the first colon and the last `@` of the place's name, still quoted."""
    place = urlsplit(address).netloc if "://" in address else ""
    return place.rpartition("@")[0].partition(":")[2]
