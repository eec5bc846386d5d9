"""The lexicon and the words it gives to the tokenizer, on a toy language the tiny encoder has never seen."""

import numpy as np
import pytest
import tiny_tokenizers
import toy
from sentence_transformers import SentenceTransformer

from haystack_lrl.adaptation.saving import save_model
from haystack_lrl.adaptation.vocabulary.growing import can_grow, grow_vocabulary, shatters
from haystack_lrl.adaptation.vocabulary.lexicon import align
from haystack_lrl.adaptation.vocabulary.tokenizer import token_table
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import Pair


@pytest.fixture(scope="module")
def pairs():
    rows = toy.toy_seeds(300)
    return [
        Pair(toy.doubled(r["query"]), toy.doubled(r["passage"]), english_query=r["query"], english_passage=r["passage"])
        for r in rows
    ]


def test_every_word_is_aligned_with_its_translation(pairs):
    entries = align(pairs, str.split)
    assert {entry.word for entry in entries} == {toy.doubled(word) for word in toy.WORDS}
    assert all(toy.doubled(entry.english[0][0]) == entry.word for entry in entries)
    assert all(abs(sum(p for _, p in entry.english) - 1) < 1e-9 for entry in entries)


def test_alignment_survives_words_that_were_dropped(pairs):
    noisy = [
        Pair(p.query, " ".join(p.passage.split()[1:]), english_query=p.english_query, english_passage=p.english_passage)
        for p in pairs
    ]
    right = [toy.doubled(entry.english[0][0]) == entry.word for entry in align(noisy, str.split)]
    assert np.mean(right) > 0.95


def test_a_word_seen_once_learns_from_words_that_begin_alike():
    seen = [("tramvaj", "tram"), ("biciklo", "bicycle"), ("aviadil", "plane"), ("trotuar", "pavement")]
    rows = [
        (f"{own}{end} {other}{end}", f"{source} {target}")
        for end in ("o", "oj", "on")
        for own, source in seen
        for other, target in seen
        if other != own
    ]
    once = Pair("", "tramvajista aviadilisto", english_passage="plane tram")  # in the other order, and seen only here
    pairs = [Pair("", own, english_passage=english) for own, english in rows] + [once]
    found = {entry.word: entry.english[0][0] for entry in align(pairs, str.split, rarest=1)}
    assert (found["tramvajista"], found["aviadilisto"]) == ("tram", "plane")


def test_rare_words_are_left_out():
    once = [Pair("ab", "ab cd", english_query="x", english_passage="x y")]
    assert {entry.word for entry in align(once, str.split)} == {"ab"}
    assert align([], str.split) == []


@pytest.fixture(scope="module")
def grown(pairs, tiny_model):
    return grow_vocabulary(SentenceTransformer(str(tiny_model), device="cpu"), pairs)


def test_each_word_becomes_one_piece(grown):
    model, growth = grown
    assert growth.words == len(toy.WORDS)
    assert growth.pieces_a_word[1] == 1 < growth.pieces_a_word[0]
    assert model.tokenizer.tokenize(toy.doubled("river")) == [toy.doubled("river")]


def test_a_new_word_means_what_its_translation_means(grown):
    model, _ = grown
    ours, theirs = model.encode([toy.doubled("river bridge"), "river bridge"], normalize_embeddings=True)
    assert ours @ theirs > 0.99


def test_english_is_untouched(grown, tiny_model):
    model, _ = grown
    before = SentenceTransformer(str(tiny_model), device="cpu")
    texts = [row["passage"] for row in toy.toy_seeds(20, seed=9)]
    assert [model.tokenizer.tokenize(text) for text in texts] == [before.tokenizer.tokenize(text) for text in texts]
    np.testing.assert_allclose(model.encode(texts), before.encode(texts), atol=1e-6)


def test_saved_model_is_an_ordinary_one(grown, tmp_path):
    model, _ = grown
    text = [toy.doubled("garden school winter")]
    save_model(model, tmp_path / "grown", {"query": "", "passage": ""}, "# card")
    again = SentenceTransformer(str(tmp_path / "grown"), device="cpu")
    assert len(again.tokenizer) == again[0].auto_model.config.vocab_size
    np.testing.assert_allclose(again.encode(text), model.encode(text), atol=1e-6)


def test_shattered_words_are_noticed(pairs, tiny_model):
    model = SentenceTransformer(str(tiny_model), device="cpu")
    known = [Pair(p.english_query, p.english_passage, "", "", p.english_query, p.english_passage) for p in pairs]
    assert can_grow(model)
    assert shatters(model, pairs)
    assert not shatters(model, known)


def test_pairs_without_english_are_refused(tiny_model):
    with pytest.raises(InputError, match="No pair has an English side"):
        grow_vocabulary(SentenceTransformer(str(tiny_model), device="cpu"), [Pair("a", "b")])


def row_of(model, word):
    """Return the mean vector of a word's pieces in running text."""
    first = len(model.tokenizer.tokenize("a"))
    pieces = model.tokenizer.convert_tokens_to_ids(model.tokenizer.tokenize(f"a {word}")[first:])
    return token_table(model).weight.detach()[pieces].mean(0).numpy()


@pytest.mark.parametrize("kind", ["Unigram", "bytes", "spaces"])
def test_every_kind_of_tokenizer_grows(kind, pairs, tmp_path):
    model = SentenceTransformer(str(tiny_tokenizers.build_model(kind, tmp_path, tiny_tokenizers.english_texts())))
    grown, growth = grow_vocabulary(model, pairs)
    assert growth.pieces_a_word[1] < growth.pieces_a_word[0]
    assert len(grown.tokenizer.tokenize(f"a {toy.doubled('mountain')}")) == 1 + len(grown.tokenizer.tokenize("a"))
    np.testing.assert_allclose(row_of(grown, toy.doubled("mountain")), row_of(model, "mountain"), atol=0.05)
    texts = tiny_tokenizers.english_texts()[:50]
    assert [grown.tokenizer.tokenize(text) for text in texts] == [model.tokenizer.tokenize(text) for text in texts]


def test_a_dictionary_alone_is_enough(tiny_model):
    model = SentenceTransformer(str(tiny_model), device="cpu")
    grown, growth = grow_vocabulary(model, [], dictionary={"revirojn": ["river", "bridge"], "river": ["bridge"]})
    assert growth.words == 1
    ours, theirs = grown.encode(["revirojn", "river bridge"], normalize_embeddings=True)
    assert ours @ theirs > 0.9


def test_a_word_that_is_english_too_belongs_to_whom_it_serves_more(tiny_model):
    own = [Pair("", "zed zed zed zed", english_passage="river")] * 10
    rare = [*own, Pair("", "x", english_passage="zed")]
    model = SentenceTransformer(str(tiny_model), device="cpu")
    assert grow_vocabulary(model, rare)[0].tokenizer.tokenize("zed") == ["zed"]
    often = [*own, *[Pair("", "x", english_passage="zed zed")] * 10]
    assert grow_vocabulary(model, often)[0].tokenizer.tokenize("zed") == model.tokenizer.tokenize("zed")


def test_documents_give_words_that_no_translation_held(tiny_model):
    stems = [f"{a}{b}{c}" for a in "bdfgklm" for b in ("ar", "er", "ol") for c in ("pt", "vz")]
    forms = [f"{stem}{ending}" for stem in stems for ending in ("oj", "ojn", "as", "is", "os", "eto")]
    teach = [
        Pair("", form, english_passage=toy.WORDS[number % len(toy.WORDS)])
        for number, form in enumerate(forms)
        if not form.endswith("eto")
        for _ in range(2)
    ]
    documents = [f"{form} {form}" for form in forms]
    grown, growth = grow_vocabulary(SentenceTransformer(str(tiny_model), device="cpu"), teach, documents=documents)
    assert growth.derived > 0.9 * len(stems)
    assert growth.stems > 0
    assert grown.tokenizer.tokenize("barpteto") == ["barpteto"]
    assert grow_vocabulary(SentenceTransformer(str(tiny_model), device="cpu"), teach)[1].derived == 0
