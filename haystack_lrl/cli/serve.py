"""Search and answers over HTTP."""

import os
from typing import TYPE_CHECKING, Any

import click

from haystack_lrl.cli.store_options import dense_weight_option, mode_option, place_of, store_options

if TYPE_CHECKING:
    from pipelines.retrieval import Mode


@click.command("serve")
@store_options
@click.option(
    "--generator",
    metavar="SPEC",
    help='What answers: "http://HOST:PORT/v1#MODEL", FILE.gguf, the FOLDER of a model or GENERATOR.yaml; without it '
    "the server only searches.",
)
@mode_option
@dense_weight_option
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option("--port", default=1416, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
def serve_command(
    generator: str | None,
    mode: "Mode",
    dense_weight: float,
    host: str,
    port: int,
    **store: Any,  # noqa: ANN401 - the options of the store
) -> None:
    """Serve a page to ask in the language, REST, and an OpenAI-compatible chat.

    \b
    haystack-lrl serve --language epo --model runs/epo/model --index index
    haystack-lrl serve --language epo --model runs/epo/model --index index --generator http://localhost:8080/v1

    Where HAYSTACK_LRL_API_KEY is set, requests must bring it as a bearer token. Others than this machine should come
    in through a proxy with TLS.
    """
    place = place_of(store)
    from pipelines.serving import Serving
    from pipelines.web_app import LOOPBACK, build_app, listen, run

    key = os.environ.get("HAYSTACK_LRL_API_KEY")
    if host not in LOOPBACK:
        guard = "with the key over plain HTTP" if key else "without a key: set HAYSTACK_LRL_API_KEY"
        click.echo(f"Warning: others than this machine can ask at {host}, {guard}.", err=True)
    with listen(host, port) as listening:
        app = build_app(Serving(place, generator, mode, dense_weight), host=host, key=key)
        address = f"[{host}]" if ":" in host else host
        click.echo(f"Ready at http://{address}:{listening.getsockname()[1]}/")
        run(app, listening)
