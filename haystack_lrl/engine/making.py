"""A making stage on Ray: read, leave out what is there or comes twice, make on workers, put together."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

import haystack_lrl
from haystack_lrl.engine.cluster import READING, Share, on_cluster
from haystack_lrl.engine.flow import dataset, on_workers, streamed, surviving
from haystack_lrl.engine.settings import Engine
from haystack_lrl.engine.targets import Target, is_folder, opened
from haystack_lrl.engine.work import KEY, Stretch, Survey, Worker, read_items, survey
from haystack_lrl.records.counts import Counts
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.keys import Keys
from haystack_lrl.records.parts import parts_of
from haystack_lrl.records.places import absolute, files_of
from haystack_lrl.records.store import settings_hash
from haystack_lrl.synthesis.asking import sample
from haystack_lrl.synthesis.jobs import Job, make_here
from haystack_lrl.synthesis.making import Intake

_BATCH = 1000  # items a worker takes at once, at most: programs such as Apertium start anew with every batch
_TURNS = 8  # batches a worker takes, at least: the last ones end together
_HANDED = 8  # times that a batch's rows are handed over: what a killed command may cost each worker

Outcome = tuple[Counts, Counter[str]]


def run_job(
    job: Job[Any, Any], source: str | Path, output: str | Path, engine: Engine | None = None, *, progress: bool = True
) -> Outcome:
    """Do a job here or on Ray, and return its counts and what its models used.

    Either goes on where the other was killed: the rows are the same, and have the same keys.

    :param source: JSONL or Parquet: file, folder, glob or URL.
    :param output: a file; on Ray also a folder or a URL, into which workers write shards.
    :raises InputError: for what the user can mend; rows made until then stay.
    :raises MissingExtraError: when a package is missing.
    """
    if engine is None:
        if is_folder(output):
            raise InputError(f"{output} is a folder, which takes --engine ray: name a file, or add it.")
        return make_here(job, source, Path(output), progress=progress)
    place = f"{absolute(output)}/" if is_folder(output) else absolute(output)
    done = on_cluster(partial(_on_ray, job, absolute(source), place), engine, progress=progress)
    if not is_folder(place) and not Path(place).is_file():
        raise InputError(f"{place} lies on the cluster, where this machine does not see it: name a shared folder.")
    return done


def _on_ray(job: Job[Any, Any], source: str, output: str, share: Share, *, progress: bool = False) -> Outcome:
    settings = job.build().settings
    with opened(output, settings) as target:
        return surviving(
            partial(_make_missing, job, source, settings_hash(settings), target, share, Counter(), progress=progress)
        )


def _make_missing(
    job: Job[Any, Any],
    source: str,
    settings: str,
    target: Target,
    share: Share,
    used: Counter[str],
    *,
    progress: bool,
) -> Outcome:
    with closing(Keys()) as seen:
        intake = Intake(seen=seen)
        todo = list(_todo(job, source, settings, intake, target))
        with tqdm(total=intake.distinct, desc=job.what, unit="row", disable=not progress) as bar:
            bar.update(len(target.keys))
            missing = sum(stretch.wanted.count(1) for stretch in todo if stretch.wanted)
            for made in _made(job, todo, missing, settings, target, share) if todo else ():
                bar.update(target.add(made))
                used.update(made.used)
        return target.finish(intake, job.what), used


def _todo(job: Job[Any, Any], source: str, settings: str, intake: Intake, target: Target) -> Iterator[Stretch]:
    """Yield what is to be read again, with the items that are new: neither there nor before in the input."""
    stretches = [Stretch(part) for file in files_of(source) for part in parts_of(file)]
    if job.sample and stretches:
        counts = [found.rows for found in _surveys(job, stretches, settings, counting=True)]
        stretches = _drawn(job, stretches, counts)
    path, lines = "", 0
    for stretch, found in zip(stretches, _surveys(job, stretches, settings), strict=True):
        part = stretch.part
        lines = lines if part.path == path and not part.path.endswith(".parquet") else part.first
        keys = (found.keys[at : at + KEY].hex() for at in range(0, len(found.keys), KEY))
        wanted = bytes(intake.take(key) and key not in target.keys for key in keys)
        if any(wanted):
            yield replace(stretch, part=replace(part, first=lines), wanted=wanted)
        path, lines = part.path, lines + found.lines


def _surveys(
    job: Job[Any, Any], stretches: list[Stretch], settings: str, *, counting: bool = False
) -> Iterator[Survey]:
    if stretches:
        given = {"job": job, "settings": settings, "counting": counting}
        flow = dataset(stretches, ordered=True).map_batches(survey, fn_kwargs=given, batch_size=None)
        yield from streamed(flow)


def _drawn(job: Job[Any, Any], stretches: list[Stretch], counts: list[int]) -> list[Stretch]:
    """Return the stretches with the records that the local engine would draw of as many."""
    drawn = bytearray(sum(counts))
    for place in sample(range(len(drawn)), job.sample, len(drawn), job.seed):
        drawn[place] = 1
    chosen, start = [], 0
    for stretch, count in zip(stretches, counts, strict=True):
        chosen.append(replace(stretch, chosen=bytes(drawn[start : start + count])))
        start += count
    return chosen


def _made(
    job: Job[Any, Any], todo: list[Stretch], items: int, settings: str, target: Target, share: Share
) -> Iterator[Any]:
    """Yield what the workers make, in whatever order they do."""
    size = max(1, min(_BATCH, items // (_TURNS * share.workers)))
    read = dataset(todo).map_batches(
        read_items, fn_kwargs={"job": job, "size": size}, batch_size=None, num_cpus=READING
    )
    made = on_workers(
        read,
        Worker,
        share,
        job=job,
        settings=settings,
        version=haystack_lrl.__version__,
        folder=os.getcwd(),  # noqa: PTH109 - as text
        step=max(1, size // _HANDED),
        shards=target.shards,
    )
    yield from streamed(made)
