"""Who is let in to a server: by its name, from its own pages, with its password."""

import asyncio
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from tasks.services.gate import Gate, names_of

PASSWORD = ("fer", "a long one")
HOST = "127.0.0.1:4200"
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.method} {request.url.path}")


async def greet(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


def app(**settings: Any) -> Gate:
    methods = ["GET", "POST", "PUT", "DELETE", "OPTIONS"]
    routes = [WebSocketRoute("/socket", greet), Route("/{path:path}", answer, methods=methods)]
    return Gate(Starlette(routes=routes), names_of("127.0.0.1"), **settings)


def ask(
    gate: Gate,
    headers: Mapping[str, str] | Sequence[tuple[str, str]],
    method: str = "GET",
    path: str = "/health",
    auth: tuple[str, str] | None = None,
) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url=f"http://{HOST}") as client:
            return await client.request(method, path, headers=headers, auth=auth)

    return asyncio.run(send())


@pytest.mark.parametrize("host", [HOST, "127.0.0.1", "localhost:4200", "LocalHost:8080", "[::1]:4200"])
def test_its_own_names_are_known_under_every_port(host: str) -> None:
    assert ask(app(), {"host": host}).text == "GET /health"


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "evil.test:4200",
        "127.0.0.1.evil.test",
        "localhost.evil.test:4200",
        "localhost.",
        "127.0.0.2",
        "10.0.0.1:4200",
        "0.0.0.0:4200",
        "evil.test@127.0.0.1.test",
        "[::1",
        "",
    ],
)
def test_another_name_gets_nothing(host: str) -> None:
    assert ask(app(), {"host": host}).status_code == 403


def test_two_names_at_once_get_nothing() -> None:
    assert ask(app(), [("host", HOST), ("host", "evil.test")]).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.test"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "http://localhost:4200"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://[::1"},
        {"origin": HOST},
        {"origin": "file://"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
        LINK | {"sec-fetch-dest": "iframe"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_a_page_of_another_site_gets_nothing(headers: dict[str, str], method: str) -> None:
    answered = ask(app(), {"host": HOST} | headers, method)
    assert answered.status_code == 403
    assert "access-control-allow-origin" not in answered.headers


def test_no_page_of_another_site_may_show_an_answer_within() -> None:
    for status, headers in ((200, {"host": HOST}), (403, {"host": "evil.test"})):
        answered = ask(app(), headers)
        assert answered.status_code == status
        assert answered.headers["x-frame-options"] == "SAMEORIGIN"
        assert answered.headers["x-content-type-options"] == "nosniff"

    async def stricter(request: Request) -> PlainTextResponse:
        return PlainTextResponse("", headers={"X-Frame-Options": "DENY"})

    own = Gate(Starlette(routes=[Route("/health", stricter)]), names_of("127.0.0.1"))
    assert ask(own, {"host": HOST}).headers.get_list("x-frame-options") == ["DENY"]


def test_a_form_of_another_site_is_no_link() -> None:
    assert ask(app(), {"host": HOST} | LINK, "POST").status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        LINK,
        {"origin": f"http://{HOST}"},
        {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    ],
)
def test_programs_links_and_its_own_pages_are_let_in(headers: dict[str, str]) -> None:
    assert ask(app(), {"host": HOST} | headers).is_success


@pytest.mark.parametrize(
    ("auth", "status"),
    [(None, 401), (("fer", "a wrong one"), 401), (("", ""), 401), (("fer", "ü"), 401), (PASSWORD, 200)],
)
def test_the_password_is_asked_for(auth: tuple[str, str] | None, status: int) -> None:
    gate = app(user_and_password=":".join(PASSWORD), open_paths={"/health"})
    answered = ask(gate, {"host": HOST}, path="/api/runs", auth=auth)
    assert answered.status_code == status
    assert ("www-authenticate" in answered.headers) == (status == 401)
    assert ask(gate, {"host": HOST}, auth=auth).is_success, "whether it is up may be asked without"
    assert ask(gate, {"host": HOST}, "POST", auth=None).status_code == 401
    assert ask(gate, {"host": HOST}, path="/health/../api", auth=None).status_code == 401


def test_broken_credentials_are_no_password() -> None:
    gate = app(user_and_password=":".join(PASSWORD))
    for given in ("Basic", "Basic !", "Bearer x"):
        assert ask(gate, [("host", HOST), ("authorization", given)]).status_code == 401


@pytest.mark.parametrize(
    ("headers", "comes_in"),
    [
        ({}, True),
        ({"origin": f"http://{HOST}"}, True),
        ({"origin": "http://evil.test"}, False),
        ({"host": "evil.test"}, False),
    ],
)
def test_web_sockets_are_held_to_the_same(headers: dict[str, str], comes_in: bool) -> None:
    given = [(name.encode(), value.encode()) for name, value in ({"host": HOST} | headers).items()]
    scope = {"type": "websocket", "path": "/socket", "headers": given, "query_string": b"", "subprotocols": []}
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app()(scope, receive, send))
    assert sent[0]["type"] == ("websocket.accept" if comes_in else "websocket.close")
    assert [message["text"] for message in sent if "text" in message] == (["hello"] if comes_in else [])


def test_names_of_a_machine() -> None:
    assert names_of("127.0.0.1") == {"localhost", "127.0.0.1", "::1"}
    assert names_of("Lab.Example.org") == {"localhost", "127.0.0.1", "::1", "lab.example.org"}
    everywhere = names_of("0.0.0.0")
    assert {"localhost", "127.0.0.1", "0.0.0.0"} <= everywhere
    assert "evil.test" not in everywhere
