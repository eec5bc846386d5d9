"""The indexing of `pipelines.indexing` on the machines of a Ray cluster: the same code over blocks of documents.

The files are read twice. First every document's id and the hash of its text come to this process, in the order of the
files, which decides what is indexed, as on one machine: of two documents with one id the first. Then workers read,
split, embed and write, each with a model of its own. A block whose worker dies is done again by another one: passages
are written by id, so that nothing is lost or doubled.
"""

import platform
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import haystack_lrl
from haystack_lrl.engine.cluster import READING, Share, check_version, on_cluster
from haystack_lrl.engine.flow import Batch, dataset, on_workers, streamed, surviving, told, values_of
from haystack_lrl.engine.settings import Engine
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.places import absolute
from pipelines.index_counts import IndexCounts
from pipelines.index_settings import IndexSettings, Steps
from pipelines.indexing import Intake, Progress, load
from pipelines.reading import sources_of
from pipelines.reading_ray import LeftOut, Source, read_blocks, read_facts
from pipelines.replicas import without_replicas
from pipelines.server import Server
from pipelines.spaces import VectorSpace, vector_space
from pipelines.stores import open_store

if TYPE_CHECKING:
    from ray.data import Dataset


def index_on_ray(
    paths: Iterable[str | Path], settings: IndexSettings, engine: Engine, *, progress: Progress | None = None
) -> IndexCounts:
    """Split, embed and write documents on Ray, and sum up what became of them.

    Every machine reads the files and the model under the same paths, and takes user and password of the server from
    its own environment. While it is loaded, the index has no replicas and makes nothing searchable; both come back at
    the end, also after an error.

    :param paths: files, folders and URLs that `read_documents` takes.
    :param settings: of an OpenSearch index.
    :param progress: called after each block; not from outside a cluster.
    :returns: what became of each document and passage, as `index_documents` counts it; what was written before a node
        was lost counts as existing.
    :raises InputError: for what cannot be read, when the cluster cannot be used, and when the server refuses the user,
        has no space, or takes nothing for too long.
    :raises MissingExtraError: when Ray is not installed.
    """
    settings = replace(settings, place=replace(settings.place, model=settings.place.model.absolute()))
    found = [absolute(path) for path in paths]
    return on_cluster(partial(_on_ray, found, settings), engine, progress=progress)


def _on_ray(
    paths: list[str], settings: IndexSettings, share: Share, *, progress: Progress | None = None
) -> IndexCounts:
    place = settings.place
    sources = [Source(number, part) for number, part in enumerate(sources_of(paths))]
    space, writer = vector_space(place.model), settings.steps(open_store(place))["writer"]
    name = str(writer.document_store.to_dict()["init_parameters"]["index"])
    server = Server(place.hosts, certificates=place.certificates)

    def attempt() -> IndexCounts:
        with closing(Intake()) as intake:
            left_out = _left_out(sources, intake)
            with without_replicas(server, name), writer.loading():
                for done in streamed(_indexed(sources, left_out, settings, space, share)) if sources else ():
                    intake.counts.merge(done)
                    if progress:
                        progress(intake.counts)
            return intake.counts

    with closing(writer):
        return surviving(attempt)


def _left_out(sources: list[Source], intake: Intake) -> LeftOut:
    """Return which documents are not indexed, and count all."""
    left_out: defaultdict[int, set[int]] = defaultdict(set)
    if not sources:
        return {}
    read = dataset(sources, ordered=True).map_batches(read_facts, batch_size=None)
    for number, first, facts in streamed(read):
        left_out[number].update(first + place for place, one in enumerate(facts) if not intake.take(one))
    return {number: frozenset(places) for number, places in left_out.items() if places}


def _indexed(
    sources: list[Source], left_out: LeftOut, settings: IndexSettings, space: VectorSpace, share: Share
) -> "Dataset":
    blocks = dataset(sources).map_batches(
        read_blocks, batch_size=None, num_cpus=READING, fn_kwargs={"left_out": left_out}
    )
    indexed: Dataset = on_workers(
        blocks, _Worker, share, settings=settings, space=space, version=haystack_lrl.__version__
    )
    return indexed


class _Worker:
    """Holds splitter, embedder and writer in a process of its own, and indexes blocks.

    :param space: of the model's vectors, as the caller has it.
    :param version: of this package, by which the caller splits.
    """

    def __init__(self, settings: IndexSettings, space: VectorSpace, version: str) -> None:
        self._settings = settings
        self._space = space
        self._version = version

    def __call__(self, batch: Batch) -> Iterator[Batch]:
        return told(self._indexed(batch))

    def _indexed(self, batch: Batch) -> Iterator[IndexCounts]:
        for block in values_of(batch):
            counts = IndexCounts()
            load(block, counts=counts, **self._steps)
            yield counts

    @cached_property  # not in the constructor, whose errors Ray reports as the death of a worker
    def _steps(self) -> Steps:
        check_version(self._version)
        place = self._settings.place
        if vector_space(place.model) != self._space:
            # another model has an index of its own, into which this worker would write
            raise InputError(f"The model in {place.model} on {platform.node()} is another one: copy it there anew.")
        return self._settings.steps(open_store(place))
