"""The server: hayhooks with our wrappers and a page, closed to other sites and to code from outside."""

import os
import secrets
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from haystack_lrl.languages.table import Language
from haystack_lrl.languages.table import language as look_up
from haystack_lrl.records.errors import InputError, MissingExtraError
from pipelines.serving import Serving, open_service

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

os.environ.setdefault("HAYHOOKS_LOG_LEVEL", "WARNING")  # its log holds every question, and is set up at import

try:
    from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
    from hayhooks import create_app
    from hayhooks.settings import settings
    from starlette.middleware.trustedhost import TrustedHostMiddleware
except ImportError as error:
    raise MissingExtraError('The server needs packages: pip install "haystack-lrl[serve]"') from error

LOOPBACK = ("127.0.0.1", "localhost", "::1")

_FOLDER = Path(__file__).parent
_FILES = ("page.css", "page.js")
_OPEN = {"/", *(f"/web/{name}" for name in _FILES)}  # what a browser reads before it can give a key
_RTL = {"Adlam", "Arabic", "Hebrew", "Nko", "Syriac", "Thaana"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def build_app(serving: Serving, *, host: str = "127.0.0.1", key: str | None = None) -> "FastAPI":
    """Return hayhooks' app with search, answers where there is a generator, and the page at /.

    Other sites' scripts get no answer. Hayhooks' routes that take pipelines, and so code, are not there.

    :param host: address that it will listen at; on the loopback only requests for it are answered, so that a site
        whose name is made to point here (DNS rebinding) reads nothing.
    :param key: what every request must bring as `Authorization: Bearer KEY`, but those for the page itself.
    :raises InputError: when what is served cannot be loaded.
    """
    open_service(serving)  # here, where its errors are not wrapped in those of hayhooks
    serving.to_environment()
    app = _hayhooks(host, ["search", "ask"] if serving.generator else ["search"])
    _add_page(app, look_up(serving.place.language), answers=serving.generator is not None)
    if key:
        app.add_middleware(_Locked, key=key)
    if host in LOOPBACK:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, "[::1]"])
    return app


def _hayhooks(host: str, names: list[str]) -> "FastAPI":
    # durable mode without a durable pipeline: the pipelines are fixed at the start, and one that fails is an error
    values = {"durable_mode": True, "durable_store": "memory", "host": host, "show_tracebacks": False}
    quiet = {"tracing_enabled": False, "tracing_include_haystack_spans": False, "monitoring_enabled": False}
    closed = {"cors_allow_origins": [], "cors_allow_methods": ["GET", "POST"], "cors_allow_origin_regex": None}
    for name, value in {**values, **quiet, **closed}.items():
        setattr(settings, name, value)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            (Path(folder) / name).symlink_to(_FOLDER / "wrappers" / name, target_is_directory=True)
        settings.pipelines_dir = folder
        app: FastAPI = create_app()
        return app


def direction(language: Language) -> str:
    """Return `rtl` for a language that is written from right to left, as its first script is, otherwise `ltr`."""
    return "rtl" if language.scripts[0] in _RTL else "ltr"


def render_page(language: Language, *, answers: bool) -> str:
    """Return the page's HTML.

    :param answers: whether there is a generator behind it.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(_FOLDER / "web")
    template = Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("page.html.j2")
    tag = language.short or language.code  # BCP 47 wants the shorter code
    return template.render(language=language, tag=tag, direction=direction(language), answers=answers)


def _add_page(app: "FastAPI", language: Language, *, answers: bool) -> None:
    page = render_page(language, answers=answers)

    @app.get("/", include_in_schema=False)
    def home() -> HTMLResponse:
        return HTMLResponse(page, headers=_HEADERS)

    @app.get("/web/{name}", include_in_schema=False)
    def file(name: str) -> FileResponse:
        if name not in _FILES:
            return JSONResponse({"detail": "There is no such file."}, 404)  # type: ignore[return-value]
        return FileResponse(_FOLDER / "web" / name, headers=_HEADERS)


class _Locked:
    """Middleware that answers 401 to whoever has no key."""

    def __init__(self, app: "ASGIApp", key: str) -> None:
        self.app = app
        self.expected = f"Bearer {key}".encode()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        given = dict(scope.get("headers", [])).get(b"authorization", b"")
        known = scope["type"] == "lifespan" or scope["path"] in _OPEN or secrets.compare_digest(given, self.expected)
        refusal = JSONResponse({"detail": "The key is wrong or missing."}, 401, headers={"WWW-Authenticate": "Bearer"})
        await (self.app if known else refusal)(scope, receive, send)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, before models are loaded for nothing.

    :param port: 0 takes any that is free.
    :raises InputError: when the address is not of this machine, or the port is taken or not allowed.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise InputError(
            f"Nothing can listen at {host}:{port} ({error.strerror}): choose another --port or --host."
        ) from error


def run(app: "FastAPI", listening: socket.socket) -> None:
    """Answer until the process is told to end; requests under way are finished."""
    import uvicorn

    # no access log: addresses of pages hold questions
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=10
    )
    uvicorn.Server(config).run(sockets=[listening])
