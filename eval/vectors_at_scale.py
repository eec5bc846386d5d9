"""What quantised vectors cost and save in a real OpenSearch: disk, memory, recall@10 against exact search, latency.

Usage:
    OMP_NUM_THREADS=1 taskset -c 0 python eval/vectors_at_scale.py --model MINILM --texts FOLDER_OR_JSONL ... \
        --hosts http://localhost:9200 --heap-pid $(cat DIR/pid) --output eval/results/vectors_at_scale.json

Passages are the sentences of the texts, embedded for `--encode-seconds` at most; where there are fewer than
`--passages`, points between random near neighbours with a little noise fill up, and the result says how many. Queries
are the column `query` of the texts. Each form has an index of its own, of one shard merged into one segment, where a
graph search misses most; forms that the server does not have are named with its words. A query goes to all forms in
turn, so that other work on the machine meets all of them. Our searches ask for 100 documents of each ranking, others
mostly for 10, so both are measured. Searches need the files `memory` in the page cache (Lucene) or in native memory
(faiss): the graph, and the vectors that it is searched with. `heap` is what the Java heap holds with that index alone
open, less what it holds with none, after a collection. `text` is what the texts take without vectors.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from opensearchpy import OpenSearch
from opensearchpy.exceptions import TransportError
from opensearchpy.helpers import bulk
from sentence_vectors import exact_run, texts_of, vectors_of

from haystack_lrl.encoding.encoder import Vectors
from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.evaluation.approximate import approximate_recall
from haystack_lrl.evaluation.statistics import bootstrap
from haystack_lrl.languages.table import language
from haystack_lrl.records.jsonl import write_json
from pipelines.server import Server
from pipelines.text_fields import text_mapping, text_settings

_PACKAGES = ("opensearch-py", "sentence-transformers", "torch", "numpy")
_GRAPH = {"ef_construction": 100, "m": 16}
_TEXTS = 20_000  # stored without vectors, to see what they take
_FIELD = "embedding"
# without the interval the server says what the store took some seconds ago
_ONE_SHARD = {"number_of_shards": 1, "number_of_replicas": 0, "store.stats_refresh_interval": "0s"}


def _method(engine: str, **encoder: Any) -> dict[str, Any]:  # noqa: ANN401
    parameters = _GRAPH | ({"encoder": encoder} if encoder else {})
    method = {"name": "hnsw", "engine": engine, "parameters": parameters}
    return {"space_type": "cosinesimil" if engine == "lucene" else "innerproduct", "method": method}


def _on_disk(level: str) -> dict[str, Any]:
    return {"mode": "on_disk", "compression_level": level, "space_type": "innerproduct"}


# name -> what differs in the mapping of the field, beside type and dimension
FORMS: dict[str, dict[str, Any]] = {
    "lucene float": _method("lucene"),
    "lucene sq (7 bits)": _method("lucene", name="sq"),
    "lucene on_disk 4x (7 bits, rescored)": _on_disk("4x"),
    "lucene byte": {"data_type": "byte", **_method("lucene")},
    "faiss float": _method("faiss"),
    "faiss sq (fp16)": _method("faiss", name="sq", parameters={"type": "fp16"}),
    "faiss byte": {"data_type": "byte", **_method("faiss")},
    "faiss on_disk 8x": _on_disk("8x"),
    "faiss on_disk 16x": _on_disk("16x"),
    "faiss on_disk 32x": _on_disk("32x"),
}


def merge(client: OpenSearch, index: str) -> None:
    """Merge an index into one segment, the files of which are all that is left."""
    client.indices.forcemerge(index=index, max_num_segments=1, request_timeout=3600)
    client.indices.flush(index=index, force=True, wait_if_ongoing=True, request_timeout=600)
    client.indices.refresh(index=index)


class Form:
    """The index of one form.

    :param scale: by which numbers become bytes; None for forms that take floats.
    """

    def __init__(self, client: OpenSearch, name: str, scale: float | None) -> None:
        self.client, self.name, self.scale = client, name, scale
        self.index = f"form-{list(FORMS).index(name)}"

    def body_of(self, vector: Vectors) -> list[Any]:
        """Return a vector as the field takes it."""
        if self.scale is None:
            return vector.tolist()
        return np.clip(np.rint(vector * self.scale), -128, 127).astype(int).tolist()

    def make(self, vectors: Vectors) -> dict[str, Any]:
        """Write the vectors and return seconds and bytes by kind of file."""
        mapping = {"type": "knn_vector", "dimension": vectors.shape[1], **FORMS[self.name]}
        settings = {"index.knn": True, "refresh_interval": -1, **_ONE_SHARD}
        self.client.indices.delete(index=self.index, ignore=404)
        self.client.indices.create(
            index=self.index, body={"settings": settings, "mappings": {"properties": {_FIELD: mapping}}}
        )
        start = time.monotonic()
        rows = ({"_index": self.index, "_id": str(n), _FIELD: self.body_of(v)} for n, v in enumerate(vectors))
        patient = {"max_retries": 10, "raise_on_exception": False, "raise_on_error": False}  # where its heap is full
        assert bulk(self.client, rows, chunk_size=500, **patient) == (len(vectors), [])
        merge(self.client, self.index)
        seconds = time.monotonic() - start
        return {"index_seconds": round(seconds, 1), **self.sizes()}

    def sizes(self) -> dict[str, Any]:
        """Return bytes on disk, and of the files that a search reads."""
        found = self.client.indices.stats(
            index=self.index, metric="store,segments,docs", include_segment_file_sizes=True
        )
        total = found["_all"]["total"]
        files = {name: value["size_in_bytes"] for name, value in total["segments"]["file_sizes"].items()}
        exact = 0 if any(name in files for name in ("veq", "veb")) else files.get("vec", 0)
        searched = exact + sum(files.get(name, 0) for name in ("vex", "vem", "veq", "veb", "faiss"))
        return {
            "documents": total["docs"]["count"],
            "segments": total["segments"]["count"],
            "disk_mb": round(total["store"]["size_in_bytes"] / 1e6, 1),
            "memory_mb": round(searched / 1e6, 1),
            "files_mb": {name: round(size / 1e6, 2) for name, size in sorted(files.items()) if size > 1e5},
        }

    def search(self, vector: Vectors, k: int) -> tuple[float, dict[str, float]]:
        """Return milliseconds and the ids found with their scores."""
        knn = {"vector": self.body_of(vector), "k": k}
        body = {"size": k, "_source": False, "query": {"knn": {_FIELD: knn}}}
        start = time.perf_counter()
        found = self.client.search(index=self.index, body=body)
        taken = 1000 * (time.perf_counter() - start)
        return taken, {hit["_id"]: hit["_score"] for hit in found["hits"]["hits"]}


def heap_mb(client: OpenSearch, pid: int) -> float:
    """Return what the Java heap holds after a collection."""
    jcmd = Path(f"/proc/{pid}/exe").resolve().parent / "jcmd"  # of the node's own Java
    subprocess.run([jcmd, str(pid), "GC.run"], check=True, capture_output=True)
    nodes = client.nodes.stats(metric="jvm")["nodes"]
    return sum(node["jvm"]["mem"]["heap_used_in_bytes"] for node in nodes.values()) / 1e6


def alone(client: OpenSearch, forms: Sequence[Form], queries: Vectors, pid: int) -> dict[str, dict[str, float]]:
    """Return heap and native memory of each form with no other open."""
    taken = {}
    for form in forms:
        client.indices.close(index=form.index)
    without = heap_mb(client, pid)
    for form in forms:
        client.indices.open(index=form.index, wait_for_active_shards=1)
        for query in queries[:100]:
            form.search(query, 10)
        native = client.transport.perform_request("GET", "/_plugins/_knn/stats/graph_memory_usage")["nodes"]
        used = sum(node["graph_memory_usage"] for node in native.values()) / 1000  # kilobytes
        taken[form.name] = {"heap_mb": round(heap_mb(client, pid) - without, 1), "native_graph_mb": round(used, 1)}
        client.indices.close(index=form.index)
    for form in forms:
        client.indices.open(index=form.index, wait_for_active_shards=1)
    return taken


def round_of(
    forms: Sequence[Form], queries: Vectors, k: int, number: int
) -> dict[str, tuple[list[float], dict[str, Any]]]:
    """Send each query to all forms in turn, in an order that changes from query to query."""
    times: dict[str, tuple[list[float], dict[str, Any]]] = {form.name: ([], {}) for form in forms}
    order, rng = list(forms), random.Random(number)
    for position, query in enumerate(queries):
        rng.shuffle(order)
        for form in order:
            taken, found = form.search(query, k)
            times[form.name][0].append(taken)
            times[form.name][1][str(position)] = found
    return times


def measured(forms: Sequence[Form], queries: Vectors, exact: dict[str, Any], rounds: int, k: int) -> dict[str, Any]:
    """Return recall@10 and latencies of each form when asked for k."""
    for form in forms:
        for query in queries[:50]:
            form.search(query, k)
    done = [round_of(forms, queries, k, number) for number in range(rounds)]
    told = {}
    for form in forms:
        recall = bootstrap(approximate_recall(exact, done[0][form.name][1]))
        quantiles = {q: [float(np.percentile(one[form.name][0], q)) for one in done] for q in (50, 95)}
        told[form.name] = {
            "recall@10": {name: round(value or 0, 4) for name, value in recall.to_json().items()},
            **{
                f"p{q}_ms": {"median": round(float(np.median(v)), 2), "rounds": [round(x, 2) for x in v]}
                for q, v in quantiles.items()
            },
        }
    return told


def text_cost(client: OpenSearch, texts: Sequence[str]) -> dict[str, Any]:
    """Return what texts take that are stored and searched by words, a byte of UTF-8."""
    told = {}
    size = sum(len(text.encode()) for text in texts)
    for name, spoken in (("built-in analyzer", language("eng")), ("three fields", language("epo"))):
        index = "text-alone"
        body = {
            "settings": {**text_settings(spoken), **_ONE_SHARD},
            "mappings": {"properties": {"content": text_mapping(spoken)}},
        }
        client.indices.create(index=index, body=body)
        bulk(client, ({"_index": index, "_id": str(n), "content": text} for n, text in enumerate(texts)))
        merge(client, index)
        stored = client.indices.stats(index=index, metric="store")["_all"]["total"]["store"]["size_in_bytes"]
        told[name] = {"disk_mb": round(stored / 1e6, 1), "disk_bytes_a_byte": round(stored / size, 2)}
        client.indices.delete(index=index)
    return {"texts": len(texts), "utf8_mb": round(size / 1e6, 1), **told}


def has_faiss(hosts: str) -> bool:
    """Tell whether the server has faiss: without its native library a first document is never answered."""
    index, field = "faiss-probe", {"type": "knn_vector", "dimension": 8, **FORMS["faiss float"]}
    with OpenSearch(hosts, timeout=20, max_retries=0) as client:
        client.indices.create(
            index=index, body={"settings": {"index.knn": True}, "mappings": {"properties": {_FIELD: field}}}
        )
        try:
            client.index(index=index, id="1", body={_FIELD: [1.0] * 8}, refresh=True)
        except TransportError:
            return False
        finally:
            client.indices.delete(index=index)
        return True


def made(client: OpenSearch, names: Sequence[str], vectors: Vectors) -> tuple[list[Form], dict[str, Any]]:
    """Return the indices and what they cost."""
    scale = 127 / float(np.abs(vectors).max())
    forms = [Form(client, name, scale if "byte" in name else None) for name in names]
    costs = {}
    for form in forms:
        costs[form.name] = form.make(vectors)
        print(form.name, costs[form.name], flush=True)
    return forms, costs


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "hosts", "output"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--texts", type=Path, nargs="+", required=True)
    parser.add_argument("--vectors", type=Path, default=Path("vectors_at_scale.npz"))
    parser.add_argument("--heap-pid", type=int, required=True, help="process of the only node, for its heap")
    for name, default in (("passages", 100_000), ("queries", 500), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--encode-seconds", type=float, default=480)
    options = parser.parse_args()
    passages, queries, real = vectors_of(options)
    with Server(options.hosts, timeout_s=120).client() as client:
        text = text_cost(client, texts_of(options.texts)[0][:_TEXTS])
        faiss = has_faiss(options.hosts)
        names = [name for name in FORMS if faiss or not name.startswith("faiss")]
        forms, costs = made(client, names, passages)
        memory = alone(client, forms, queries, options.heap_pid)
        exact = exact_run(queries, passages)
        asked = {str(k): measured(forms, queries, exact, options.rounds, k) for k in (10, 100)}
        server = client.info()["version"]["number"]
    told = {
        form.name: {**costs[form.name], **memory[form.name], "asked_for": {k: asked[k][form.name] for k in asked}}
        for form in forms
    }
    outcome = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in _PACKAGES}
        | {"opensearch": server, "python": sys.version.split()[0]},
        "passages": {"count": len(passages), "real": real, "interpolated": len(passages) - real},
        "dimensions": passages.shape[1],
        "queries": len(queries),
        "rounds": options.rounds,
        "graph": _GRAPH,
        "forms": told,
        "text": text,
        "not_in_this_server": [name for name in FORMS if name not in names],
        "load": os.getloadavg(),
    }
    write_json(Path(options.output), outcome)
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
