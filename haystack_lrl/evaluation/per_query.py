"""Query by query: what a system won and lost against the reference, with both rankings, and on what kind of query."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedTokenizerBase

from haystack_lrl.evaluation.statistics import paired
from haystack_lrl.evaluation.systems import Scored, changes
from haystack_lrl.evaluation.testset import TestSet
from haystack_lrl.languages.table import language
from haystack_lrl.languages.tokens import search_tokens

Features = Mapping[str, npt.NDArray[np.float64]]
"""Values by feature, in the order of the test set's queries."""

_SHOWN = 10  # documents of a ranking
_CHANGED = 20  # queries that gained most, and that lost most
_LETTERS = 300  # of a text


def features(test_set: TestSet, tokenizer: PreTrainedTokenizerBase | None) -> Features:
    """Return what may explain why a query is hard.

    `length` counts words, or letters where words are not parted by spaces. `unknown` is the share of the query's words
    that the tokenizer does not know as one piece. `overlap` is the share of the query's search tokens that stand in
    one of its relevant documents, the one with most: what BM25 lives on.

    :param tokenizer: of the reference; without one nothing is said of unknown words.
    """
    unspaced = language(test_set.language).ngram > 0
    texts = list(test_set.queries.values())
    found = {
        "length": np.array([len("".join(text.split())) if unspaced else len(text.split()) for text in texts], float),
        "overlap": np.array([_overlap(test_set, query) for query in test_set.queries]),
    }
    if tokenizer is not None:
        found["unknown"] = np.array([_unknown(text, tokenizer) for text in texts])
    return found


def _overlap(test_set: TestSet, query: str) -> float:
    table = language(test_set.language)
    asked = set(search_tokens(test_set.queries[query], table))
    documents = (set(search_tokens(test_set.documents[name], table)) for name in test_set.qrels[query])
    return float(max(len(asked & tokens) for tokens in documents) / max(1, len(asked)))


def _unknown(text: str, tokenizer: PreTrainedTokenizerBase) -> float:
    """Return the share of words that become several pieces or the piece for what cannot be spelt."""
    words = [f" {word}" for word in text.split()]  # with the space: some tokenizers know words by it
    if not words:
        return 0.0
    pieces = tokenizer(words, add_special_tokens=False, verbose=False)["input_ids"]
    known = [len(ids) == 1 and ids[0] != tokenizer.unk_token_id for ids in pieces]
    return 1.0 - sum(map(bool, known)) / len(known)


def breakdown(scored: Scored, name: str, found: Features) -> dict[str, list[dict[str, Any]]]:
    """Return both means, and the difference with its interval, in thirds of the queries by each feature.

    Equal values stay together, so that thirds may be unequal, and fewer than three.
    """
    own, before = scored.primary(name), scored.primary(scored.reference)
    rows: dict[str, list[dict[str, Any]]] = {}
    for feature, values in found.items():
        rows[feature] = [
            {
                "low": float(values[inside].min()),
                "high": float(values[inside].max()),
                "queries": int(inside.sum()),
                "before": float(before[inside].mean()),
                "after": float(own[inside].mean()),
                "difference": {"against": scored.reference, **paired(own[inside], before[inside]).to_json()},
            }
            for inside in _thirds(values)
        ]
    return rows


def _thirds(values: npt.NDArray[np.float64]) -> Iterator[npt.NDArray[np.bool_]]:
    edges = np.unique(np.quantile(values, [1 / 3, 2 / 3], method="lower"))
    groups = np.searchsorted(edges, values, side="left")
    for group in np.unique(groups):
        yield groups == group


def changed(scored: Scored, name: str) -> dict[str, Any]:
    """Return what `changes` returns, each query with the first documents of both rankings and their texts."""
    runs = {system.name: system.run for system in scored.systems}
    found = changes(scored, name, _CHANGED)
    for row in (*found["improved"], *found["harmed"]):
        row["rankings"] = {
            which: ranking(scored.test_set, runs[which].get(row["id"], {}), row["id"])
            for which in (scored.reference, name)
        }
    return {"system": name, "against": scored.reference, **found}


def ranking(test_set: TestSet, scores: Mapping[str, float], query: str) -> list[dict[str, Any]]:
    """Return the first documents of a ranking with grade and the beginning of their text."""
    first = sorted(scores.items(), key=lambda item: -item[1])[:_SHOWN]
    return [
        {
            "id": document,
            "score": score,
            "grade": test_set.qrels[query].get(document, 0),
            "text": test_set.documents[document][:_LETTERS],
        }
        for document, score in first
    ]


def query_rows(scored: Scored, found: Features) -> Iterator[dict[str, Any]]:
    """Yield one row a query: text, features, and every system's metrics."""
    for number, (query, text) in enumerate(scored.test_set.queries.items()):
        yield {
            "id": query,
            "query": text,
            **{feature: float(values[number]) for feature, values in found.items()},
            "metrics": {
                name: {metric: float(own[number]) for metric, own in values.items()}
                for name, values in scored.values.items()
            },
        }


def points(scored: Scored, name: str) -> list[tuple[float, float, int]]:
    """Return (reference, system, queries) for every pair of values, to two decimals, in the first metric."""
    both: Sequence[npt.NDArray[np.float64]] = (scored.primary(scored.reference), scored.primary(name))
    places, counts = np.unique(np.round(np.stack(both, axis=1), 2), axis=0, return_counts=True)
    return [(float(x), float(y), int(count)) for (x, y), count in zip(places, counts, strict=True)]
