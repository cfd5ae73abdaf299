"""The web page as an ASGI app: its addresses, and what each answers.

A visit is known by its key, which stands in its address; files in a visit's folder are known by fixed names.
"""

import json
import math
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jinja2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fer_models.errors import Busy, Refused, TooLarge
from tasks.inference.cutting import Faces
from tasks.inference.web.uploads import SUFFIXES, check_size, store, upload_name
from tasks.inference.web.visits import Visit, Visits

_HERE = Path(__file__).parent
#: Of a visit, by their names in addresses: the file, its kind, and the name it is saved under, if it is.
_FILES = MappingProxyType(
    {
        "answer": ("answer.json", "application/json", None),
        "video": ("annotated.mp4", "video/mp4", None),
        "picture": ("annotated.png", "image/png", None),
        "video.mp4": ("annotated.mp4", "video/mp4", "expressions.mp4"),
        "picture.png": ("annotated.png", "image/png", "expressions.png"),
        "frames.csv": ("frames.csv", "text/csv", "expressions-by-frame.csv"),
        "segments.csv": ("segments.csv", "text/csv", "expressions-by-segment.csv"),
    }
)
_MOMENT = "moment.json"
#: What every answer says: the page is made of what this server sends and of nothing else, and nobody keeps a copy.
_SAID = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


def web_app(visits: Visits) -> ASGIApp:
    """The web page of some visits; it asks for no token and looks at no names, see `tasks.inference.web.door`."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> Any:
        async with visits.open():
            yield

    routes = [
        Route("/", _page),
        Route("/health", lambda request: PlainTextResponse("ok\n")),
        Route("/room", _room),
        Route("/visits", _upload, methods=["POST"]),
        Route("/visits/{key}", _visited(_page_of), methods=["GET"]),
        Route("/visits/{key}", _visited(_remove), methods=["DELETE"]),
        Route("/visits/{key}/state", _visited(_state)),
        Route("/visits/{key}/moments", _visited(_explain), methods=["POST"]),
        Route("/visits/{key}/{name}", _visited(_file)),
        Mount("/static", StaticFiles(directory=_HERE / "static")),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _fault, Exception: _fault})
    app.state.visits = visits
    return Saying(app)


def asking_page() -> str:
    """The page that asks for the token; the text in it begins as the comment `why`."""
    return _template("enter.html.j2").render()


def _template(name: str) -> jinja2.Template:
    loader = jinja2.FileSystemLoader(_HERE / "pages")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template(name)


def _page(request: Request) -> Response:
    return _page_of(request, None)


def _page_of(request: Request, visit: Visit | None) -> Response:
    visits: Visits = request.app.state.visits
    limits = visits.limits
    told = {
        "uploadBytes": limits.upload_bytes,
        "uploadMb": limits.upload_mb,
        "suffixes": SUFFIXES,
        "visit": visit.key if visit else None,
    }
    page = _template("page.html.j2")
    accepted = ",".join(("video/*", "image/*", *SUFFIXES))
    shown = visit.choice if visit else None
    return HTMLResponse(
        page.render(choices=visits.choices, limits=limits, told=json.dumps(told), accepted=accepted, shown=shown)
    )


def _room(request: Request) -> Response:
    """Whether a video is taken now; asked before one is sent, for who hangs up on a sender is often not heard."""
    try:
        request.app.state.visits.check_room()
    except Refused as error:
        return _refusal(error)
    return JSONResponse({})


async def _upload(request: Request) -> Response:
    """Take a video, the body of the request.

    `model` is the number of the model, `name` the video's name there, `faces` says whether one is followed or `all`.
    """
    visits: Visits = request.app.state.visits
    number = request.query_params.get("model", "0")
    try:
        upload = upload_name(request.query_params.get("name", ""))
        check_size(request.headers.get("content-length"), visits.limits)
        faces: Faces = "all" if request.query_params.get("faces") == "all" else "one"
        visit = await visits.admit(int(number) if number.isdecimal() else -1, upload, faces)
    except Refused as error:
        return _refusal(error)
    try:
        await store(request.stream(), visit.folder / upload, visits.limits)
    except BaseException as error:
        await visits.remove(visit.key)
        if isinstance(error, Refused):
            return _refusal(error)
        if isinstance(error, ClientDisconnect):
            return Response(status_code=400)  # which nobody reads
        raise
    visits.begin(visit)
    return JSONResponse({"visit": visit.key}, 201)


def _visited(answer: Callable[[Request, Visit], Any]) -> Callable[[Request], Awaitable[Response]]:
    """What answers for a visit, which has to be there still."""

    async def find_and_answer(request: Request) -> Response:
        visit = request.app.state.visits.find(request.path_params["key"])
        if visit is None:
            raise HTTPException(404, "This video is not here any more; send it again.")
        answered = answer(request, visit)
        return answered if isinstance(answered, Response) else await answered

    return find_and_answer


def _state(request: Request, visit: Visit) -> Response:
    told: dict[str, Any] = {"state": visit.state}
    if visit.state == "waiting":
        told["place"] = request.app.state.visits.place(visit)
    elif visit.state == "working":
        told |= {"step": visit.step, "share": visit.share}
    elif visit.state == "failed":
        told["message"] = visit.message
    return JSONResponse(told)


def _file(request: Request, visit: Visit) -> Response:
    file, kind, saved_as = _FILES.get(request.path_params["name"], ("", "", None))
    path = visit.folder / file
    if not file or visit.state != "done" or not path.is_file():
        raise HTTPException(404, "There is nothing here.")
    return FileResponse(path, media_type=kind, filename=saved_as)


async def _explain(request: Request, visit: Visit) -> Response:
    """Where the model looked at a time of a video."""
    track, time_s = (request.query_params.get(name, "") for name in ("track", "time"))
    try:
        if visit.state != "done":
            raise Refused("This video is not done yet.")
        if not math.isfinite(moment_s := float(time_s)):
            raise ValueError
        await request.app.state.visits.explain(visit, int(track), moment_s)
    except Refused as error:
        return _refusal(error)
    except ValueError:
        return _refusal(Refused("That is no moment of this video."))
    return FileResponse(visit.folder / _MOMENT, media_type="application/json")


async def _remove(request: Request, visit: Visit) -> Response:
    await request.app.state.visits.remove(visit.key)
    return Response(status_code=204)


def _refusal(error: Refused) -> Response:
    status = 413 if isinstance(error, TooLarge) else 429 if isinstance(error, Busy) else 422
    # nothing more of a body is read: else the server would take in, and throw away, all that is still to come
    return JSONResponse({"message": str(error)}, status, headers={"connection": "close"})


async def _fault(request: Request, error: Exception) -> Response:
    """A page for people, a sentence for programs; nothing of a bug but that there was one."""
    status, message = 500, "Something went wrong here; whoever runs this server sees what in its terminal."
    if isinstance(error, HTTPException):
        status, message = error.status_code, error.detail
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(_template("fault.html.j2").render(message=message), status)
    return JSONResponse({"message": message}, status)


class Saying:
    """An ASGI app before another, whose answers say what all answers of the page say."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name.encode(): value.encode() for name, value in _SAID.items()}
                own = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in said]
                message["headers"] = [*own, *said.items()]
            await send(message)

        await self._app(scope, receive, send_with)
