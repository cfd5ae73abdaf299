"""`fer serve`: who is let in, what is served, and what is said of a mistake."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from typer.testing import CliRunner

from fer_models.errors import UserError
from flows import serving
from flows.cli import app
from flows.serving import Address, gather_choices, guarded, serve
from tasks.inference.web.choices import Choice
from tasks.inference.web.limits import Limits

TOKEN = "a token of many signs"
CHOICE = Choice("model", files=("model.keras",))


def ask(address: Address, host: str, method: str = "GET", token: str = "", **headers: str) -> httpx.Response:
    inside = Starlette(routes=[Route("/", lambda request: PlainTextResponse("inside"), methods=["GET", "POST"])])

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(guarded(inside, address, token))
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            return await client.request(method, "/", headers={"host": host, **headers})

    return asyncio.run(send())


@pytest.mark.parametrize(
    ("host", "name", "for_others"),
    [
        ("127.0.0.1", "", False),
        ("::1", "", False),
        ("localhost", "", False),
        ("0.0.0.0", "", True),
        ("192.168.0.7", "", True),
        ("lab.example.org", "", True),
        ("127.0.0.1", "lab.example.org", True),
    ],
)
def test_who_comes_from_elsewhere_needs_a_token(host: str, name: str, for_others: bool) -> None:
    assert Address(host, 7860, name).is_for_others == for_others


def test_pages_of_other_sites_and_other_names_get_nothing() -> None:
    address = Address("127.0.0.1", 7860)
    assert ask(address, "localhost:7860").text == "inside"
    assert ask(address, "evil.test:7860").status_code == 403
    assert ask(address, "127.0.0.1:7860", "POST", origin="http://evil.test").status_code == 403
    assert ask(address, "127.0.0.1:7860", "POST", origin="http://127.0.0.1:7860").text == "inside"
    named = Address("127.0.0.1", 7860, "Lab.example.org")
    assert ask(named, "lab.example.org", "POST", origin="https://lab.example.org").text == "inside"


def test_the_token_stands_behind_the_name() -> None:
    address = Address("0.0.0.0", 7860)
    assert ask(address, "localhost:7860", token=TOKEN).status_code == 401
    assert ask(address, "localhost:7860", token=TOKEN, authorization=f"Bearer {TOKEN}").text == "inside"
    assert ask(address, "evil.test", token=TOKEN, authorization=f"Bearer {TOKEN}").status_code == 403


def served(monkeypatch: pytest.MonkeyPatch, **address: Any) -> tuple[Mapping[str, Any], list[str]]:
    """What the server would be told, and what is said."""
    told: dict[str, Any] = {}
    said: list[str] = []

    class Server:
        def __init__(self, config: Any) -> None:
            told.update(vars(config))

        def run(self, sockets: Any) -> None:
            told["port"] = sockets[0].getsockname()[1]
            sockets[0].close()

    monkeypatch.setattr(serving.uvicorn, "Server", Server)
    monkeypatch.setattr(serving, "echo", said.append)
    serve([CHOICE], Limits(), Address(**{"host": "127.0.0.1", "port": 0} | address))
    return told, said


def test_the_link_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    told, said = served(monkeypatch)
    assert said == [f"The page is at http://127.0.0.1:{told['port']}/ and ends with Ctrl+C."]
    told, said = served(monkeypatch, host="0.0.0.0")
    first, second = served(monkeypatch, host="0.0.0.0")[1][0], said[0]
    assert "?token=" in first
    assert first.partition("token=")[2] != second.partition("token=")[2], "it is drawn"
    assert "not encrypted" in said[1]
    told, said = served(monkeypatch, token=TOKEN)
    assert f"?token={TOKEN}" in said[0]


def test_mistakes_are_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--token has 5 signs, and could be guessed"):
        served(monkeypatch, token="short")
    with pytest.raises(UserError, match=r"Nothing can be served at 203\.0\.113\.7, port 0"):
        served(monkeypatch, host="203.0.113.7")
    with pytest.raises(UserError, match="There is no model below"), gather_choices([], tmp_path):
        pass
    missing = CliRunner().invoke(app, ["serve", str(tmp_path / "model.keras")])
    assert isinstance(missing.exception, UserError)
    assert "There is no model" in str(missing.exception)


def test_without_any_model_the_published_one_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FER_WEIGHTS", str(tmp_path / "none"))
    with pytest.raises(UserError, match="fer weights get"), gather_choices([], None):
        pass
    own = tmp_path / "studies" / "one" / "runs" / "arm" / "model.keras"
    own.parent.mkdir(parents=True)
    own.touch()
    with gather_choices([], tmp_path) as choices:
        assert [choice.title for choice in choices] == ["arm"]
    with gather_choices([own], tmp_path) as choices:
        assert len(choices) == 1, "a model that is named is not named twice"
