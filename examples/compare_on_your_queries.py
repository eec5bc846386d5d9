"""Measure hybrid against dense against BM25 on your own queries, through the pipeline that you would deploy.

    python examples/compare_on_your_queries.py TEST_SET --language epo --model runs/epo/model

TEST_SET is a BEIR folder: queries.jsonl, corpus.jsonl and qrels/test.tsv. Intervals are over queries; every pair of
systems is tested on the same queries, corrected for the number of pairs. To compare models too, and to get a report:
`haystack-lrl compare`.
"""

import argparse
from pathlib import Path

from haystack import Document

from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder, LRLTextEmbedder
from haystack_integrations.components.preprocessors.lrl import LRLDocumentSplitter
from haystack_integrations.components.writers.lrl import LRLDocumentWriter
from haystack_lrl.evaluation.fusion_weight import tune_weight
from haystack_lrl.evaluation.metrics import PRIMARY, measure
from haystack_lrl.evaluation.pairwise import contrasts, letters
from haystack_lrl.evaluation.statistics import Interval, bootstrap
from haystack_lrl.evaluation.testset import load_test_set
from pipelines.indexing import index_documents
from pipelines.rankings import rank_queries
from pipelines.retrieval import build_search, search_parts
from pipelines.stores import empty_memory


def shown(interval: Interval, form: str) -> str:
    """Return a mean with its 95% interval."""
    return f"{interval.mean:{form}} ({interval.low:{form}} to {interval.high:{form}})"


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("test_set", type=Path, nargs="?", default=Path("TEST_SET"))
parser.add_argument("--language", default="epo")
parser.add_argument("--model", default="runs/epo/model")
options = parser.parse_args()

test_set = load_test_set(options.test_set, options.language)
store = empty_memory(options.language)
index_documents(
    [Document(id=name, content=text) for name, text in test_set.documents.items()],
    splitter=LRLDocumentSplitter(options.language, options.model),
    embedder=LRLDocumentEmbedder(options.model, backend="auto", progress_bar=False),
    writer=LRLDocumentWriter(store),
)
pipeline = build_search(**search_parts(store, LRLTextEmbedder(options.model, backend="auto", progress_bar=False)))
rankings = rank_queries(pipeline, test_set.queries, top_k=100)

runs = {"hybrid": rankings.documents, "dense": rankings.dense, "BM25": rankings.lexical}
values = {name: measure(test_set, run) for name, run in runs.items()}
pairs = contrasts({name: value[PRIMARY] for name, value in values.items()})
best_first = sorted(values, key=lambda name: -values[name][PRIMARY].mean())
marks = letters(best_first, pairs)

print(f"{len(test_set.queries)} queries, {len(test_set.documents)} documents\n")
for name in best_first:
    mean = shown(bootstrap(values[name][PRIMARY]), ".3f")
    further = "  ".join(f"{metric} {row.mean():.3f}" for metric, row in values[name].items() if metric != PRIMARY)
    print(f"{name:<7} {PRIMARY} {mean} {marks[name]:<3} {further}")

print("\nSystems that share a letter cannot be told apart.")
for pair in pairs:
    p = "< 0.001" if pair.holm < 0.001 else f"= {pair.holm:.3f}"
    print(f"{pair.first} minus {pair.second}: {shown(pair.difference, '+.3f')}, p {p}")

if len(test_set.queries) >= 10:
    tuned = tune_weight(test_set, rankings.lexical, rankings.dense)
    print(f"\nThe best share of the vectors is {tuned.weight} ({tuned.low} to {tuned.high}).")
    print(f"On queries that did not choose it: {shown(tuned.against_equal, '+.3f')} against equal shares.")
