"""Who may talk to a server of this machine: programs that know its name and password, and its own pages in a browser.

A browser lets any page of any site send requests to this machine, under any name that resolves to it. So a request
that goes by a name that is not this server's, or that a page of another origin sends, is refused before the server
sees it. A link to one of the server's pages may be followed from anywhere.
"""

import base64
import hmac
import ipaddress
import platform
import socket
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

import psutil

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
#: What browsers say of requests that no page sent, or one of the server itself.
_OWN_SITE = ("", "none", "same-origin")
#: What every answer says to browsers, unless the server says its own: no page of another site may show it within.
_ANSWERS_SAY = {b"x-frame-options": b"SAMEORIGIN", b"x-content-type-options": b"nosniff"}


def names_of(host: str) -> frozenset[str]:
    """The names that a server goes by which listens at an address, in lower case and without ports."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _LOOPBACK | {host.lower()}
    if not address.is_unspecified:
        return _LOOPBACK | {str(address)}
    at = {address.address.partition("%")[0] for found in psutil.net_if_addrs().values() for address in found}
    return _LOOPBACK | at | {str(address), platform.node().lower(), socket.getfqdn().lower()}


class Gate:
    """An ASGI app before another.

    Args:
        app: the server's own.
        names: see `names_of`; others are refused, or a page could reach the server under a name that its site owns.
        user_and_password: what each request has to bring, `user:password`; None where the server asks itself.
        open_paths: may be read without, such as what says that the server is up.
    """

    def __init__(
        self, app: App, names: Collection[str], user_and_password: str | None = None, open_paths: Collection[str] = ()
    ) -> None:
        self._app = app
        self._names = frozenset(names)
        self._credentials = user_and_password
        self._open_paths = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may come in."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        send = _saying(send)
        if why := self._why_foreign(scope):
            await _refuse(scope, send, 403, why)
        elif not self._knows_password(scope):
            await _refuse(scope, send, 401, "This server asks for a password.")
        else:
            await self._app(scope, receive, send)

    def _why_foreign(self, scope: Scope) -> str:
        """Why a request is not for this server, or not from its own pages; empty when it is."""
        hosts = _headers(scope, b"host")
        if len(hosts) != 1 or _name(hosts[0]) not in self._names:
            return "This server does not go by that name."
        origins = _headers(scope, b"origin")
        if any(origin.lower().partition("://")[2] != hosts[0].lower() for origin in origins):
            return "Pages of other sites may not use this server."
        site, mode, destination = (
            next(iter(_headers(scope, b"sec-fetch-" + part)), "") for part in (b"site", b"mode", b"dest")
        )
        follows_link = scope.get("method") == "GET" and (mode, destination) == ("navigate", "document")
        return "" if site in _OWN_SITE or follows_link else "Pages of other sites may not use this server."

    def _knows_password(self, scope: Scope) -> bool:
        if self._credentials is None or (scope.get("method") == "GET" and scope["path"] in self._open_paths):
            return True
        wanted = b"Basic " + base64.b64encode(self._credentials.encode())
        given = [value for key, value in scope["headers"] if key.lower() == b"authorization"]
        return len(given) == 1 and hmac.compare_digest(wanted, given[0])


def _headers(scope: Scope, name: bytes) -> list[str]:
    """All values of a header."""
    return [value.decode("ascii", "replace") for key, value in scope["headers"] if key.lower() == name]


def _name(host: str) -> str:
    """The name in a `Host` header, in lower case and without the port; empty when it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _saying(send: Send) -> Send:
    """Sends answers with what all of them say."""

    async def send_with(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = list(message.get("headers", ()))
            said = {name.lower() for name, _ in own}
            message["headers"] = own + [pair for pair in _ANSWERS_SAY.items() if pair[0] not in said]
        await send(message)

    return send_with


async def _refuse(scope: Scope, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": why})  # before it is accepted: a 403
        return
    body = f"{why}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="fer up", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
