"""The plan of a run at scale: a table to read, and JSON to keep."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from haystack_lrl.planning.cluster import FORMS, GB, GIB, SOURCES, Cluster, IndexNeeds, index_needs, suggested
from haystack_lrl.planning.hours import StageTime, stage_times
from haystack_lrl.planning.rates import Rates
from haystack_lrl.synthesis.making import span

NO_FIGURE = "-"


@dataclass(frozen=True)
class Job:
    """What is to be done, and with what.

    :param rows: pairs to make and train on.
    :param passages: to be indexed.
    :param workers: that work on blocks of rows at the same time.
    :param gpus: that train together.
    """

    rows: int
    passages: int
    workers: int
    gpus: int


@dataclass(frozen=True)
class Plan:
    """What a job takes.

    :param files: bytes on disk beside the index, by what they are.
    :param origins: where each group of numbers is from: measured, given, extrapolated or a formula.
    """

    job: Job
    rates: Rates
    cluster: Cluster
    stages: tuple[StageTime, ...]
    files: dict[str, float]
    index: tuple[IndexNeeds, ...]
    origins: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return all of it, with the sources of the formulas; `rates` is what `read_rates` reads."""
        return {**asdict(self), "sources": SOURCES}


def make_plan(job: Job, rates: Rates, cluster: Cluster, origins: dict[str, str]) -> Plan:
    """Return what a job takes.

    :param rates: with the bytes of passages and rows.
    :param origins: of the rates and of the settings.
    """
    passage, row = rates.bytes_per_passage or 0.0, rates.bytes_per_row or 0.0
    vectors = 4.0 * cluster.dimensions * job.passages
    return Plan(
        job,
        rates,
        cluster,
        tuple(stage_times(job.rows, job.passages, job.workers, job.gpus, rates)),
        {"pairs": row * job.rows, "passages": passage * job.passages, "vectors as floats": vectors},
        tuple(index_needs(form, job.passages, passage, cluster) for form in FORMS),
        origins,
    )


def text_of_plan(plan: Plan) -> str:
    """Return the plan as tables, each with where its numbers are from."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    job, cluster = plan.job, plan.cluster
    yield f"{job.rows:,} rows, {job.passages:,} passages of {cluster.dimensions} dimensions"
    yield from _part("Rates of one worker", _rates(plan.rates), plan.origins["rates"])
    yield from _part(
        "Time",
        [["stage", "one worker", f"{job.workers} workers", ""], *map(_time, plan.stages)],
        f"extrapolated from the rates, in proportion to rows and tokens and to one over the workers, {job.gpus} for "
        "training; without mining, merging and evaluation, which do not grow in proportion",
    )
    yield from _part(
        "Files",
        [[name, _gb(size)] for name, size in plan.files.items()],
        "extrapolated from the sampled texts; 4 bytes a dimension",
    )
    yield from _part(
        f"Index with {1 + cluster.replicas} copies of each shard",
        [["vectors", "memory", "disk", "shards", "nodes"], *map(_needs, plan.index)],
        f"by the formulas below, with {plan.origins['cluster']}; not measured",
    )
    yield f"  haystack-lrl index --vectors {suggested(plan.index)}  (4x where it saves nodes)"
    yield "\nSources"
    yield from (f"  {name}: {source}" for name, source in SOURCES.items())


def _part(title: str, rows: Sequence[Sequence[str]], origin: str) -> Iterator[str]:
    yield f"\n{title} ({origin})"
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        aligned = [
            cell.rjust(width) if cell[:1].isdigit() else cell.ljust(width)
            for cell, width in zip(cells, widths[1:], strict=True)
        ]
        yield "  ".join([f"  {name.ljust(widths[0])}", *aligned]).rstrip()


def _rates(rates: Rates) -> list[list[str]]:
    known = {
        "translate": (rates.rows_per_minute, "rows a minute", rates.translator),
        "encode": (rates.tokens_per_second, "tokens a second", f"{rates.model} on {rates.device}"),
        "passage": (rates.tokens_per_passage, "tokens", "cut as the model cuts"),
        "passage text": (rates.bytes_per_passage, "bytes", ""),
    }
    return [
        [name, NO_FIGURE if value is None else f"{value:,.0f} {unit}", "not measured" if value is None else note or ""]
        for name, (value, unit, note) in known.items()
    ]


def _time(stage: StageTime) -> list[str]:
    return [stage.stage, *(NO_FIGURE if t is None else span(t) for t in (stage.one, stage.many)), stage.note]


def _needs(needs: IndexNeeds) -> list[str]:
    return [needs.form, _gb(needs.memory), _gb(needs.disk), f"{needs.shards:,}", f"{needs.nodes:,}"]


def _gb(size: float) -> str:
    return f"{size / GB:,.1f} GB"


def describe(cluster: Cluster) -> str:
    """Return what was given of a cluster, in words."""
    return (
        f"{cluster.dimensions} dimensions, M {cluster.links}, {cluster.replicas} replicas, nodes of "
        f"{cluster.node_memory / GIB:g} GiB and shards of {cluster.shard_bytes / GIB:g} GiB, as given or by default"
    )
