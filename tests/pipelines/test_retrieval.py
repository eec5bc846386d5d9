import asyncio
from dataclasses import replace

import numpy as np
import pytest
import toy
from haystack import Document, Pipeline, component
from haystack.document_stores.in_memory import InMemoryDocumentStore

from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder, LRLTextEmbedder
from haystack_integrations.components.joiners.lrl import LRLDocumentJoiner
from haystack_lrl.evaluation.runs import hybrid_run
from haystack_lrl.records.errors import InputError
from pipelines.rankings import rank_queries
from pipelines.retrieval import (
    CANDIDATES,
    add_search,
    build_search,
    explained,
    joiner_of,
    reranker_of,
    retrievers_of,
    search,
    search_inputs,
    search_parts,
    search_result,
)
from pipelines.stores import empty_memory

MEANINGS = ["dog", "cat", "bird", "fish", "bread", "river"]
ESPERANTO = dict(zip(["hundo", "kato", "birdo", "fiŝo", "pano", "rivero"], MEANINGS, strict=True))
ENGLISH_ONLY = {"field": "meta.language", "operator": "==", "value": "eng"}


def vector(text):
    """The sum of the meanings of a text's words, in either language, and a little noise of the text's own."""
    words = text.lower().replace(".", "").split()
    known = [ESPERANTO.get(word, word) for word in words]
    noise = np.random.default_rng(list(text.encode())).normal(scale=0.01, size=len(MEANINGS))
    return (noise + [known.count(meaning) for meaning in MEANINGS]).tolist()


@component
class Embedder:
    @component.output_types(embedding=list[float])
    def run(self, text: str):
        return {"embedding": vector(text)}


@component
class Shortest:
    """A reranker: the shortest first."""

    @component.output_types(documents=list[Document])
    def run(self, query: str, documents: list[Document], top_k: int | None = None):
        ranked = sorted(documents, key=lambda document: len(document.content))
        return {"documents": [replace(document, score=1 / rank) for rank, document in enumerate(ranked, 1)][:top_k]}


def document(name, text, language="epo"):
    return Document(id=name, content=text, embedding=vector(text), meta={"language": language})


def documents():
    """Two languages in one index, and more dogs of one language than a retriever hands on."""
    few = [
        document("e-dog", "The dog sleeps", "eng"),
        document("e-cat", "The cat sleeps", "eng"),
        document("e-dogs", "The dog and the hundo", "eng"),
        document("bird", "birdo flugas"),
        document("bread", "pano kaj fiŝo"),
    ]
    return few + [document(f"dog{n:03}", f"hundo {n} " + "kaj " * (n % 7)) for n in range(CANDIDATES + 30)]


@pytest.fixture(params=["memory", pytest.param("opensearch", marks=pytest.mark.integration)], scope="module")
def store(request):
    if request.param == "memory":
        made = empty_memory("epo")
        made.write_documents(documents())
        return made
    return request.getfixturevalue("in_opensearch")


@pytest.fixture(scope="module")
def in_opensearch(tmp_path_factory):
    pytest.importorskip("opensearchpy", reason="the extra opensearch is not installed")
    from haystack.utils import Secret
    from opensearch_node import running

    from pipelines.document_store import VectorSpace, build_document_store
    from pipelines.server import Server

    nobody = tuple(Secret.from_env_var(name, strict=False) for name in ("NO_SUCH_USER", "NO_SUCH_PASSWORD"))
    with running(tmp_path_factory.mktemp("opensearch")) as node:
        space = VectorSpace("0123456789abcdef0123", len(MEANINGS))
        made = build_document_store("epo", space, Server(node.url, nobody))
        made.write_documents(documents(), refresh=True)
        yield made


def of(store, mode="hybrid", **more):
    return build_search(**{**search_parts(store, Embedder(), mode), **more})


def ids(found):
    return [document.id for document in found]


def scores(found):
    return {document.id: document.score for document in found}


def test_a_hybrid_is_what_the_evaluation_measures(store):
    found = search(of(store, joiner=joiner_of(store, dense_weight=0.3)), "hundo kaj kato", top_k=500)
    assert min(len(found.lexical), len(found.dense)) > CANDIDATES
    memory = isinstance(store, InMemoryDocumentStore)
    cosines = {name: score if memory else 2 * score - 1 for name, score in scores(found.dense).items()}
    reference = hybrid_run({"q": scores(found.lexical)}, {"q": cosines}, 0.3)["q"]
    assert scores(found.documents) == pytest.approx(reference)
    assert [d.score for d in found.documents] == pytest.approx(sorted(reference.values(), reverse=True))


def test_words_and_vectors_alone_are_their_retrievers(store):
    bm25, dense = retrievers_of(store)
    by_words, by_vectors = search(of(store, "bm25"), "flugas"), search(of(store, "dense"), "kato")
    assert ids(by_words.documents) == ids(bm25.run(query="flugas")["documents"]) == ["bird"]
    assert ids(by_vectors.documents) == ids(dense.run(query_embedding=vector("kato"))["documents"])[:10]
    assert by_words.dense == by_vectors.lexical == []
    assert by_words.lexical == by_words.documents


def test_a_query_finds_documents_in_another_language_and_in_its_own(store):
    found = search(of(store, "dense"), "kato")
    assert found.documents[0].id == "e-cat"
    both = search(of(store), "hundo", top_k=3 * CANDIDATES).documents
    assert {document.meta["language"] for document in both} == {"epo", "eng"}


def test_filters_come_before_the_choice_of_both_retrievers(store):
    # of all documents more than a retriever hands on are better
    found = search(of(store), "hundo", filters=ENGLISH_ONLY)
    assert set(ids(found.lexical)) == {"e-dogs"}
    assert set(ids(found.dense)) == {"e-dog", "e-dogs", "e-cat"}
    assert {document.meta["language"] for document in found.documents} == {"eng"}
    assert search(of(store, "dense"), "hundo", filters=ENGLISH_ONLY, top_k=2).dense != []
    nothing = search(of(store), "hundo", filters={**ENGLISH_ONLY, "value": "swa"})
    assert nothing.documents == nothing.lexical == nothing.dense == []


@pytest.mark.parametrize("mode", ["hybrid", "bm25", "dense"])
@pytest.mark.parametrize("top_k", [1, 15, CANDIDATES + 20])
def test_top_k_is_honoured(store, mode, top_k):
    found = search(of(store, mode), "hundo", top_k=top_k)
    assert len(found.documents) == top_k
    assert len(set(ids(found.documents))) == top_k


def test_no_word_is_guessed(store):
    assert ids(search(of(store, "bm25"), "fluganto").documents) == ["bird"]  # the same first five letters
    assert search(of(store, "bm25"), "qlq").lexical == []  # fuzziness would find runs that differ in one letter


@pytest.mark.parametrize("mode", ["hybrid", "bm25", "dense"])
def test_a_reranker_orders_the_candidates(store, mode):
    found = search(of(store, mode, ranker=Shortest()), "hundo", top_k=4)
    assert len(found.documents) == 4
    assert found.documents[0].score == 1
    lengths = sorted(len(document.content) for document in [*found.lexical, *found.dense])
    assert len(lengths) >= CANDIDATES
    assert len(found.documents[0].content) <= lengths[10]  # not only of the ten that fusion put first
    assert [len(document.content) for document in found.documents] == sorted(len(d.content) for d in found.documents)


def test_asynchronously_the_same_is_found(store):
    pipeline = of(store)
    data = search_inputs(pipeline, "hundo kato", filters=ENGLISH_ONLY)
    outputs = asyncio.run(pipeline.run_async(data, include_outputs_from={"bm25", "dense"}))
    assert search_result(pipeline, outputs) == search(pipeline, "hundo kato", filters=ENGLISH_ONLY)


# in memory


@pytest.fixture
def memory():
    made = empty_memory("epo")
    made.write_documents(documents()[:5])
    return made


def test_components_have_fixed_names(memory):
    pipeline = Pipeline()
    assert add_search(pipeline, **search_parts(memory, Embedder()), ranker=Shortest()) == "ranker"
    assert sorted(pipeline.graph.nodes) == ["bm25", "dense", "embedder", "fusion", "query", "ranker"]
    assert add_search(Pipeline(), **search_parts(memory, Embedder())) == "fusion"
    assert add_search(Pipeline(), **search_parts(memory, Embedder(), "dense")) == "dense"
    assert add_search(Pipeline(), **search_parts(memory, Embedder(), "bm25")) == "bm25"


def test_nothing_or_half_of_a_search_is_an_error(memory):
    bm25, dense = retrievers_of(memory)
    for parts, says in (
        ({}, "nothing to search with"),
        ({"dense": dense}, "give both"),
        ({"bm25": bm25, "embedder": Embedder()}, "give both"),
        ({"bm25": bm25, "joiner": LRLDocumentJoiner()}, "two rankings"),
    ):
        with pytest.raises(InputError, match=says):
            build_search(**parts)
    with pytest.raises(TypeError, match="not object"):
        retrievers_of(object())


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"text": "  "}, "The query is empty"),
        ({"text": "hundo", "top_k": 0}, "top_k=0 asks for no document"),
        ({"text": "hundo", "filters": {"language": "eng"}}, "have no operator"),
        ({"text": "hundo", "filters": {**ENGLISH_ONLY, "operator": "~"}}, "The filters cannot be used"),
        ({"text": "hundo", "filters": {"operator": "AND"}}, "The filters cannot be used"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(memory, asked, says):
    with pytest.raises(InputError, match=says):
        search(of(memory), **asked)


def test_other_errors_stay_as_they_are():
    with pytest.raises(ZeroDivisionError), explained():
        _ = 1 / 0


def test_documents_in_the_store_and_candidates_stay_as_they_were(memory):
    before = [document.to_dict() for document in memory.filter_documents()]
    found = search(of(memory), "hundo kato birdo")
    assert [document.to_dict() for document in memory.filter_documents()] == before
    assert scores(found.documents) != scores(found.lexical)


def test_an_empty_store_finds_nothing():
    found = search(of(empty_memory("epo")), "hundo")
    assert found.documents == []


def test_the_real_embedder_searches_and_the_pipeline_goes_to_yaml_and_back(tiny_model):
    rows = [Document(id=str(n), content=row["passage"]) for n, row in enumerate(toy.toy_seeds(30))]
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    store.write_documents(LRLDocumentEmbedder(str(tiny_model), progress_bar=False).run(rows)["documents"])
    bm25, dense = retrievers_of(store)
    embedder = LRLTextEmbedder(str(tiny_model))
    pipeline = build_search(bm25=bm25, embedder=embedder, dense=dense, joiner=LRLDocumentJoiner("reciprocal-rank"))
    loaded = Pipeline.loads(pipeline.dumps())
    assert search(loaded, rows[3].content).documents[0].id == "3"  # memory is shared under the store's own name
    assert search(loaded, rows[3].content) == search(pipeline, rows[3].content)


def test_a_cross_encoder_reranks(memory, tiny_model, tmp_path):
    pytest.importorskip("haystack_integrations.components.rankers.sentence_transformers")
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    config = BertConfig.from_pretrained(tiny_model, num_labels=1)
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path)
    plain, reranked = (
        search(of(memory), "hundo kato"),
        search(of(memory, ranker=reranker_of(str(tmp_path))), "hundo kato"),
    )
    assert sorted(ids(reranked.documents)) == sorted(ids(plain.documents))
    assert scores(reranked.documents) != scores(plain.documents)
    assert all(0 <= document.score <= 1 for document in reranked.documents)


def test_many_queries_are_ranked_and_passages_count_as_their_document():
    store = empty_memory("epo")
    cut = [("p1", "hundo", "d1"), ("p2", "hundo hundo kaj", "d1"), ("p3", "kato", "d2"), ("p4", "hundo kato", None)]
    store.write_documents(
        [replace(document(name, text), meta={"source_id": source} if source else {}) for name, text, source in cut]
    )
    rankings = rank_queries(of(store), {"q1": "hundo", "q2": "kato", "q3": "xyz"}, top_k=2)
    assert set(rankings.documents["q1"]) == {"d1", "p4"}
    assert next(iter(rankings.documents["q2"])) == "d2"
    assert rankings.lexical["q3"] == {}
    assert set(rankings.lexical["q1"]) == {"d1", "p4"}
    passages = search(of(store), "hundo", top_k=100).lexical
    assert rankings.lexical["q1"]["d1"] == max(d.score for d in passages if d.meta.get("source_id") == "d1")
