import math
from collections import Counter

import bm25s
import numpy as np
import pytest
from toy import WORDS, toy_seeds

from haystack_lrl.encoding.encoder import SentenceEncoder
from haystack_lrl.encoding.fusion import fuse_scores
from haystack_lrl.evaluation.passages import split_documents
from haystack_lrl.evaluation.runs import bm25_run, dense_run, hybrid_run
from haystack_lrl.evaluation.testset import TestSet
from haystack_lrl.languages.table import language
from haystack_lrl.languages.tokens import search_tokens


def make(queries, documents):
    return TestSet("toy", "epo", queries, documents, {query: {next(iter(documents)): 1} for query in queries})


@pytest.fixture
def toy():
    seeds = toy_seeds(60)
    return make(
        {f"q{n}": row["query"] for n, row in enumerate(seeds[:20])},
        {f"d{n}": r["passage"] for n, r in enumerate(seeds)},
    )


@pytest.fixture
def long_documents():
    rows = toy_seeds(60)
    documents = {
        f"d{n}": ". ".join(row["passage"].capitalize() for row in rows[6 * n : 6 * n + 6]) + "." for n in range(10)
    }
    return make({f"q{n}": row["query"] for n, row in enumerate(rows[:25])}, documents)


@pytest.fixture
def encoder(tiny):
    return SentenceEncoder(tiny, precision="fp32")


def formula(query, document, corpus, k1=1.2, b=0.75):
    """Return Lucene's BM25, which leaves the factor k1 + 1 out."""
    tokens = [search_tokens(text, language("epo")) for text in corpus]
    mean = sum(map(len, tokens)) / len(tokens)
    own = Counter(tokens[document])
    total = 0.0
    for token in search_tokens(query, language("epo")):
        holding = sum(token in other for other in tokens)
        idf = math.log(1 + (len(tokens) - holding + 0.5) / (holding + 0.5))
        total += idf * own[token] / (own[token] + k1 * (1 - b + b * len(tokens[document]) / mean))
    return total


def test_bm25_is_the_formula(long_documents):
    corpus = list(long_documents.documents.values())
    run = bm25_run(long_documents)
    for query, text in long_documents.queries.items():
        expected = {f"d{n}": formula(text, n, corpus) for n in range(len(corpus))}
        assert run[query] == pytest.approx({name: score for name, score in expected.items() if score > 0}, rel=1e-5)
        assert list(run[query].values()) == sorted(run[query].values(), reverse=True)


def test_bm25_is_that_of_bm25s(toy):
    words = [search_tokens(text, language("epo")) for text in toy.documents.values()]
    index = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    index.index(words, show_progress=False)
    found, scores = index.retrieve(
        [search_tokens(text, language("epo")) for text in toy.queries.values()], k=5, show_progress=False
    )
    for row, ranking in enumerate(bm25_run(toy).values()):
        assert list(ranking.values())[:5] == pytest.approx([score for score in scores[row] if score > 0])
        if len(set(scores[row])) == 5:
            assert list(ranking)[:5] == [f"d{n}" for n in found[row]]


def test_documents_without_a_word_of_the_query_are_not_found():
    run = bm25_run(
        make({"a": "river", "b": "zebra", "c": "river zebra", "d": "?"}, {"x": "river bridge", "y": "bread"})
    )
    assert list(run["a"]) == ["x"]
    assert run["b"] == run["d"] == {}
    assert run["c"] == run["a"]


def test_a_word_said_twice_counts_twice():
    documents = {"x": "river bridge", "y": "bread river", "z": "school"}
    run = bm25_run(make({"a": "bread", "b": "bread bread"}, documents))
    assert run["b"]["y"] == pytest.approx(2 * run["a"]["y"])


@pytest.mark.parametrize("text", ["", "...", "—"])
def test_documents_without_words_are_no_problem(text):
    assert bm25_run(make({"a": "river"}, {"x": text, "y": text})) == {"a": {}}
    assert list(bm25_run(make({"a": "river"}, {"x": text, "y": "river"}))["a"]) == ["y"]


def test_equal_bm25_scores_come_in_the_order_of_the_corpus():
    documents = dict.fromkeys("dacb", "river bridge")
    assert list(bm25_run(make({"a": "river"}, documents))["a"]) == ["d", "a", "c", "b"]


def test_a_document_scores_as_its_best_passage(long_documents, encoder, tiny):
    ranked = dense_run(long_documents, encoder)
    texts = list(long_documents.documents.values())
    passages = split_documents(texts, encoder, language("epo"), split=True)
    assert ranked.passages == len(passages.texts) > len(texts)
    assert ranked.cut == passages.cut > 0
    bounds = [*passages.starts, len(passages.texts)]
    for query, text in long_documents.queries.items():
        vector = tiny.encode_query(text, normalize_embeddings=True)
        scores = {
            f"d{n}": max(
                float(vector @ other)
                for other in tiny.encode_document(passages.texts[bounds[n] : bounds[n + 1]], normalize_embeddings=True)
            )
            for n in range(len(texts))
        }
        assert ranked.run[query] == pytest.approx(scores, abs=1e-5)
        assert list(ranked.run[query].values()) == sorted(ranked.run[query].values(), reverse=True)


def test_without_splitting_the_document_scores_as_it_is_cut(long_documents, encoder, tiny):
    ranked = dense_run(long_documents, encoder, split=False)
    assert ranked.passages == len(long_documents.documents)
    queries = tiny.encode_query(list(long_documents.queries.values()), normalize_embeddings=True)
    documents = tiny.encode_document(list(long_documents.documents.values()), normalize_embeddings=True)
    for row, scores in enumerate(queries @ documents.T):
        assert ranked.run[f"q{row}"] == pytest.approx({f"d{n}": score for n, score in enumerate(scores)}, abs=1e-5)


def order(ranking):
    return sorted(ranking, key=lambda name: (-ranking[name], name))


def test_the_hybrid_at_its_ends_ranks_as_its_parents(toy, encoder):
    lexical, dense = bm25_run(toy), dense_run(toy, encoder).run
    only_lexical, only_dense = hybrid_run(lexical, dense, 0.0), hybrid_run(lexical, dense, 1.0)
    for query in toy.queries:
        assert order(only_dense[query]) == order(dense[query])
        found = [name for name in order(only_lexical[query]) if only_lexical[query][name] > 0]
        assert found == order(lexical[query])[: len(found)]
        assert len(found) == sum(score > 0 for score in lexical[query].values()) > 0


def test_the_hybrid_adds_scaled_scores():
    lexical = {"q": {"a": 10.0, "b": 5.0, "c": 0.0}}
    dense = {"q": {"b": 0.9, "d": 0.8, "c": 0.7}}
    assert hybrid_run(lexical, dense, 0.25) == {
        "q": pytest.approx({"a": 0.75, "b": 0.75 * 0.5 + 0.25, "c": 0.25 * 7 / 9, "d": 0.25 * 8 / 9})
    }


def test_a_fused_score_does_not_depend_on_how_many_were_ranked():
    lexical, dense = {"a": 9.0, "b": 4.0}, {"b": 0.8, "a": 0.5}
    longer = hybrid_run({"q": {**lexical, "c": 0.5}}, {"q": {**dense, "c": -0.1}}, 0.4)["q"]
    assert {name: longer[name] for name in "ab"} == hybrid_run({"q": lexical}, {"q": dense}, 0.4)["q"]
    assert fuse_scores(lexical, {n: (1 + s) / 2 for n, s in dense.items()}, 0.4, floor=0.5) == pytest.approx(
        fuse_scores(lexical, dense, 0.4)
    )


@pytest.mark.parametrize("lexical", [{}, {"q": {}}])
def test_a_query_that_bm25_knows_nothing_of_is_ranked_by_the_encoder(lexical):
    fused = hybrid_run(lexical, {"q": {"a": 0.7, "b": 0.9}}, 0.1)
    assert order(fused["q"]) == ["b", "a"]


def test_one_document_alone_or_equals_score_one():
    assert hybrid_run({"q": {"a": 3.0}}, {"q": {"a": 0.2, "b": 0.2}}, 0.5) == {"q": {"a": 1.0, "b": 0.5}}
    assert hybrid_run({"q": {"a": 3.0}}, {"q": {"a": -0.2}}, 0.5) == {"q": {"a": 0.5}}  # nothing is like the query


def test_rankings_end_at_a_thousand_documents(encoder):
    documents = {f"d{n}": f"{WORDS[n % 60]} {WORDS[n % 59]}" for n in range(1100)}
    test_set = make({"q": " ".join(WORDS)}, documents)
    assert len(bm25_run(test_set)["q"]) == len(dense_run(test_set, encoder).run["q"]) == 1000
    scores = np.array(list(dense_run(test_set, encoder).run["q"].values()))
    assert (np.diff(scores) <= 0).all()
