"""Whoever knows the token is let in: by the link that the server printed, by typing it, or as a program.

The link's token becomes a cookie, so that it stands in no further address.
"""

import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

_COOKIE = "fer_serve"
#: May be read by everybody: what the page that asks for the token is made of.
_OPEN = ("/static/", "/health")
#: A token is shorter.
_MOST_BYTES = 2000


class Door:
    """An ASGI app before another.

    Args:
        app: the web page.
        token: what visitors have to know.
        asking: the page that asks for it, HTML.
    """

    def __init__(self, app: ASGIApp, token: str, asking: str) -> None:
        self._app, self._token, self._asking = app, token, asking
        self._pass = hashlib.sha256(b"fer serve " + token.encode()).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the requests of those who know the token."""
        if scope["type"] != "http" or scope["path"].startswith(_OPEN):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        if scope["path"] == "/enter" and scope["method"] == "POST":
            await self._answer(await _typed(request))(scope, receive, send)
        elif "token" in request.query_params and scope["method"] == "GET":
            await self._answer(request.query_params["token"])(scope, receive, send)
        elif self._is_known(request):
            await self._app(scope, receive, send)
        elif scope["method"] == "GET":
            await self._ask("")(scope, receive, send)
        else:
            await PlainTextResponse("This page asks for a token.\n", 401)(scope, receive, send)

    def _answer(self, token: str) -> Response:
        """Let in whoever gave the right token."""
        if not _same(token, self._token):
            return self._ask("That is not the token; it stands in the terminal of `fer serve`.")
        entered = RedirectResponse("/", 303)
        entered.set_cookie(_COOKIE, self._pass, httponly=True, samesite="lax")
        return entered

    def _ask(self, why: str) -> Response:
        return Response(self._asking.replace("<!--why-->", why), 401, media_type="text/html")

    def _is_known(self, request: Request) -> bool:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return _same(given, self._token)
        return _same(_cookie(request), self._pass)


def _cookie(request: Request) -> str:
    try:
        found = SimpleCookie(request.headers.get("cookie", "")).get(_COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


async def _typed(request: Request) -> str:
    """The token of the form."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return ""
    return parse_qs(body.decode("ascii", "replace")).get("token", [""])[0]


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
