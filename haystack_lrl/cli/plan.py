"""`haystack-lrl plan`: what a run at scale will take, before anything is rented."""

import json
from typing import TYPE_CHECKING, Any

import click

from haystack_lrl.cli import options

if TYPE_CHECKING:
    from haystack_lrl.planning.rates import Rates

_COUNT = click.IntRange(1)


@click.command("plan")
@click.option("--rows", required=True, type=_COUNT, help="Pairs to make, filter and train on.")
@click.option("--passages", required=True, type=_COUNT, help="Passages to index.")
@click.option("--gpus", default=1, show_default=True, type=_COUNT, help="Devices like the measured one that train.")
@click.option("--workers", type=_COUNT, help="Workers that translate, filter and embed; as many as GPUs by default.")
@options.model_option("--model", required=False, help="Measure encoding here, with this model.")
@options.translator_option
@options.language_option
@options.input_option(
    "--seeds", required=False, help="English pairs to measure with; the package's samples by default."
)
@options.input_option("--corpus", required=False, help="JSON lines of passages to measure with; by default the seeds'.")
@options.input_option("--estimate", required=False, help="Rates measured elsewhere: what plan --json printed there.")
@click.option("--dimensions", type=_COUNT, help="Of the vectors; by default the model's, or 384.")
@click.option("--links", default=16, show_default=True, type=click.IntRange(2, 100), help="M of the HNSW graph.")
@click.option("--replicas", default=1, show_default=True, type=click.IntRange(0), help="Of each shard.")
@click.option("--node-memory", default=64.0, show_default=True, type=click.FloatRange(1), help="GiB of a node.")
@click.option("--shard-size", default=30.0, show_default=True, type=click.FloatRange(10, 50), help="GiB of a shard.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, whose rates --estimate reads on another machine.")
def plan_command(rows: int, passages: int, gpus: int, workers: int | None, **given: Any) -> None:  # noqa: ANN401 - click's
    """Print the hours, disk, memory, shards and nodes that a run takes, before anything is rented.

    \b
    haystack-lrl plan --rows 1000000 --passages 50000000 --gpus 8 --model runs/epo/model \\
        --translator "ct2:models/en-eo" --language epo

    Rates are those of one worker on this machine; everything beyond is extrapolated, and said to be.
    """
    from haystack_lrl.planning.cluster import GIB, Cluster
    from haystack_lrl.planning.plan import Job, describe, make_plan, text_of_plan

    if given["translator"] and not given["language"]:
        raise click.UsageError("--translator needs --language, the one to translate into.")
    rates, origin = _rates(given)
    cluster = Cluster(
        given["dimensions"] or rates.dimensions or 384,
        given["links"],
        given["replicas"],
        given["node_memory"] * GIB,
        given["shard_size"] * GIB,
    )
    origins = {"rates": origin, "cluster": describe(cluster)}
    plan = make_plan(Job(rows, passages, workers or gpus, gpus), rates, cluster, origins)
    click.echo(json.dumps(plan.to_json(), ensure_ascii=False) if given["as_json"] else text_of_plan(plan))


def _rates(given: dict[str, Any]) -> "tuple[Rates, str]":
    """Return what was read and what was measured now, which goes before it, and where that is from."""
    from haystack_lrl.planning import rates

    pairs = rates.pairs_of(given["seeds"])
    passages = rates.passages_of(given["corpus"]) if given["corpus"] else [pair.passage for pair in pairs]
    known, origins = rates.text_sizes(passages, pairs), ["text sizes measured on a sample"]
    if given["estimate"]:
        read = rates.read_rates(given["estimate"])
        known = read | known if given["seeds"] or given["corpus"] else known | read
        origins.append(f"rates read from {given['estimate']}")
    if given["model"]:
        known |= rates.encoding_rates(given["model"], passages)
        origins.append("encoding measured now, which other work on this machine makes slower")
    if given["translator"]:
        known |= rates.translating_rates(given["translator"], given["language"], pairs)
        origins.append("translating measured now")
    return known, ", ".join(origins)
