import json
import re
import unicodedata

import numpy as np
import pytest
from haystack import Document
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from toy import build_tiny_model

from haystack_lrl.encoding.lexical import LexicalIndex
from haystack_lrl.languages.table import LANGUAGES, language
from haystack_lrl.languages.tokens import search_tokens
from haystack_lrl.records.errors import InputError
from pipelines.spaces import vector_space
from pipelines.stores import Place, embedder_of, empty_memory, open_store, save_store
from pipelines.word_pattern import word_pattern

TEXTS = {
    "epo": "La katoj ĉasis 20261121 musojn, tre rapide.",
    "hin": "डॉ. शर्मा कल आए। क्षत्रिय",
    "yor": "Ọjọ́ bọ̀ ni ọ̀rọ̀ tó wà níbẹ̀",
    "tam": "பூனை தூங்குகிறது",
    "amh": "ድመት ተኝታለች። በ2010",
    "hye": "Մեծ քաղաքներ։",
    "tha": "แมวนอนหลับ cats sleeping ok แม",
    "mya": "ကြောင်အိပ်နေသည်",
    "jpn": "猫が寝ている Tokyo2020",
    "heb": "החתול ישן",
}


@pytest.fixture
def place(tiny_model, tmp_path):
    return Place("memory", "epo", tiny_model, str(tmp_path / "index"))


def documents(count=4, dimension=32):
    rng = np.random.default_rng(0)
    texts = ["La hundoj dormas.", "Katoj ĉasas musojn.", "Birdoj kantas kaj dormas.", "Fiŝoj naĝas."]
    return [
        Document(
            id=str(n),
            content=texts[n % 4],
            meta={"title": f"t{n}", "tags": [1, {"a": None}]},
            embedding=rng.normal(size=dimension).astype(np.float32).tolist(),
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("code", TEXTS)
def test_words_are_cut_as_our_own_search_cuts_them(code):
    folded = unicodedata.normalize("NFC", TEXTS[code].lower())  # as Haystack's store does
    assert re.findall(word_pattern(language(code)), folded) == search_tokens(TEXTS[code], language(code))


def test_every_language_has_a_pattern_with_one_group():
    assert all(re.compile(word_pattern(row)).groups == 1 for row in LANGUAGES)


def test_scores_are_those_of_our_own_bm25():
    store = empty_memory("epo")
    store.write_documents(documents())
    spoken = language("epo")
    ours = LexicalIndex([search_tokens(document.content, spoken) for document in documents()])
    (_, expected), *_ = ours.blocks([search_tokens("hundoj dormas rapide", spoken)])
    found = InMemoryBM25Retriever(store, top_k=4).run("hundoj dormas rapide")["documents"]
    assert [document.id for document in found] == ["0", "2"]
    # Lucene leaves out the factor k1 + 1, which changes no order
    assert [document.score / 2.2 for document in found] == pytest.approx(sorted(expected[0], reverse=True)[:2])


def test_a_saved_store_is_the_same_after_loading(place):
    store = open_store(place, create=True)
    assert store.count_documents() == 0
    store.write_documents(documents())
    save_store(place, store)
    loaded = open_store(place)
    assert sorted(loaded.storage.values(), key=lambda d: d.id) == documents()
    query = documents()[2].embedding
    best = InMemoryEmbeddingRetriever(loaded, top_k=1).run(query)["documents"][0]
    assert (best.id, best.score) == ("2", pytest.approx(1))
    assert best.embedding is None
    assert [d.id for d in InMemoryBM25Retriever(loaded, top_k=1).run("musoj")["documents"]] == ["1"]
    loaded.delete_documents(["0"])
    save_store(place, loaded)
    assert open_store(place, create=True).count_documents() == 3


def test_another_model_dimension_or_language_is_refused(place, tmp_path):
    save_store(place, open_store(place, create=True))
    other = build_tiny_model(tmp_path / "other", seed=1)
    with pytest.raises(InputError, match="of the model"):
        open_store(Place("memory", "epo", other, place.index))
    with pytest.raises(InputError, match="of the language 'epo', not 'amh'"):
        open_store(Place("memory", "amh", place.model, place.index), create=True)
    manifest = tmp_path / "index" / "index.json"
    rows = json.loads(manifest.read_text())
    assert rows == {
        "model": vector_space(place.model).fingerprint,
        "dimension": 32,
        "language": "epo",
        "layout": 1,
        "documents": 0,
    }
    manifest.write_text(json.dumps({**rows, "dimension": 8}))
    with pytest.raises(InputError, match="of the dimension 8, not 32"):
        open_store(place)


def test_a_folder_that_is_not_an_index_is_left_alone(place, tmp_path):
    (tmp_path / "index").mkdir()
    mine = tmp_path / "index" / "thesis.txt"
    mine.write_text("years of work")
    with pytest.raises(InputError, match="is not an index"):
        open_store(place, create=True)
    with pytest.raises(InputError, match="is not an index"):
        save_store(place, empty_memory("epo"))
    assert mine.read_text() == "years of work"


def test_no_index_is_an_error(place):
    with pytest.raises(InputError, match="There is no index in"):
        open_store(place)


@pytest.mark.parametrize("dimension", [0, 8])
def test_documents_without_the_models_vectors_are_not_saved(place, tmp_path, dimension):
    store = open_store(place, create=True)
    store.write_documents(documents(1, dimension) if dimension else [Document(id="0", content="x")])
    with pytest.raises(InputError, match="Document 0 has no vector of 32 numbers"):
        save_store(place, store)
    assert not (tmp_path / "index").exists()


def test_opensearch_needs_hosts(tiny_model):
    with pytest.raises(InputError, match="give hosts"):
        open_store(Place("opensearch", "epo", tiny_model, "documents"))


def test_queries_are_embedded_with_the_model(place):
    assert len(embedder_of(place).run("hundo")["embedding"]) == 32
