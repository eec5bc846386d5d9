"""What an OpenSearch cluster needs for so many vectors, by the formulas of its documentation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

GB = 1e9
GIB = 2**30

_OVERHEAD = 1.1  # of the HNSW formula
_LINK = 8  # bytes a link, by the same formula
_NATIVE_SHARE = 0.5  # knn.memory.circuit_breaker.limit
_HEAP_SHARE, _LARGEST_HEAP = 0.5, 32 * GIB
_FULL_DISK = 0.85  # cluster.routing.allocation.disk.watermark.low
# bytes on disk a byte of text, stored and searchable by words, in the language that needs most: the three fields of a
# language without an analyzer; measured by eval/vectors_at_scale.py
_TEXT_ON_DISK = 4.4
_DOCUMENTATION = "docs.opensearch.org/latest"

SOURCES = {
    "memory": f'{_DOCUMENTATION}/vector-search/optimizing-storage, "HNSW memory estimation": '
    "1.1 * (bytes of a vector + 8 * M) bytes a vector; float 4d, fp16 2d, byte and 7 bits d, 8x d/2, 16x d/4, 32x d/8",
    "disk": "the vectors as floats, which all forms but byte keep, the quantised vectors, 8 * M bytes of links, and "
    f"{_TEXT_ON_DISK:g} bytes a byte of text (measured by eval/vectors_at_scale.py), with {_FULL_DISK:.0%} of "
    f"the disks used at most: {_DOCUMENTATION}/install-and-configure/configuring-opensearch/cluster-settings, "
    "cluster.routing.allocation.disk.watermark.low",
    "nodes": f"{_DOCUMENTATION}/vector-search/settings, knn.memory.circuit_breaker.limit: vectors and graphs may take "
    "50% of what the Java heap leaves, and the heap takes half of the memory and at most 32 GiB "
    f"({_DOCUMENTATION}/install-and-configure/install-opensearch, important settings)",
    "shards": 'Amazon OpenSearch Service Lens, AOSPERF01-BP01, "Maintain shard sizes at recommended ranges": 10 to '
    "50 GiB",
}
"""Where each formula is from."""


@dataclass(frozen=True)
class VectorForm:
    """How an index holds vectors.

    :param name: as OpenSearch has it.
    :param bits: of a dimension in what a search reads.
    :param keeps_floats: whether the vectors lie on disk as floats too, to be rescored with or merged anew.
    """

    name: str
    bits: int
    keeps_floats: bool = True


FORMS = (
    VectorForm("float (lucene)", 32, keeps_floats=False),  # what is searched are the floats themselves
    VectorForm("float (faiss)", 32),
    VectorForm("fp16 (faiss sq)", 16),
    VectorForm("7 bits (lucene sq, 4x)", 8),
    VectorForm("byte", 8, keeps_floats=False),
    VectorForm("4 bits (on_disk 8x)", 4),
    VectorForm("2 bits (on_disk 16x)", 2),
    VectorForm("1 bit (on_disk 32x)", 1),
)


@dataclass(frozen=True)
class Cluster:
    """What is given of a cluster.

    :param dimensions: numbers in a vector.
    :param links: M of the HNSW graph.
    :param replicas: copies of each shard beyond the first.
    :param node_memory: bytes of memory of a node.
    :param shard_bytes: size that a shard should have.
    """

    dimensions: int
    links: int = 16
    replicas: int = 1
    node_memory: float = 64 * GIB
    shard_bytes: float = 30 * GIB

    @property
    def native_memory(self) -> float:
        """Bytes of a node that vectors and graphs may take."""
        heap = min(_HEAP_SHARE * self.node_memory, _LARGEST_HEAP)
        return _NATIVE_SHARE * (self.node_memory - heap)


@dataclass(frozen=True)
class IndexNeeds:
    """What an index of one form needs; bytes are those of all copies.

    :param shards: primary shards.
    :param nodes: that hold the memory, and each copy of a shard on another one.
    """

    form: str
    memory: float
    disk: float
    shards: int
    nodes: int


def searched_bytes(form: VectorForm, dimensions: int, links: int) -> float:
    """Return the bytes a vector that a search holds in memory."""
    return _OVERHEAD * (dimensions * form.bits / 8 + _LINK * links)


def stored_bytes(form: VectorForm, dimensions: int, links: int) -> float:
    """Return the bytes a vector on disk."""
    floats = 4 * dimensions if form.keeps_floats else 0
    return floats + dimensions * form.bits / 8 + _LINK * links


def index_needs(form: VectorForm, passages: int, passage_bytes: float, cluster: Cluster) -> IndexNeeds:
    """Return what an index of so many passages needs.

    :param passage_bytes: of a passage's text in UTF-8.
    """
    copies = 1 + cluster.replicas
    memory = copies * passages * searched_bytes(form, cluster.dimensions, cluster.links)
    stored = stored_bytes(form, cluster.dimensions, cluster.links) + _TEXT_ON_DISK * passage_bytes
    return IndexNeeds(
        form.name,
        memory,
        copies * passages * stored / _FULL_DISK,
        max(1, math.ceil(passages * stored / cluster.shard_bytes)),
        max(copies, math.ceil(memory / cluster.native_memory)),
    )


def suggested(index: Sequence[IndexNeeds]) -> Literal["float", "4x"]:
    """Return the form for `haystack-lrl index --vectors`: 4x where it saves nodes.

    By eval/results/vectors_at_scale.json: 4x finds what float does and takes a quarter of the memory, but 24% more disk
    and 12% more time a search.
    """
    nodes = {needs.form: needs.nodes for needs in index}
    return "4x" if nodes[FORMS[3].name] < nodes[FORMS[0].name] else "float"
