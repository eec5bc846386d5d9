"""Endings and compounds in a script that the tokenizer does not know, on English words written in Armenian letters."""

import random

import pytest
import tiny_tokenizers
import toy
from sentence_transformers import SentenceTransformer

from haystack_lrl.adaptation.vocabulary.growing import grow_vocabulary
from haystack_lrl.adaptation.vocabulary.insides import commonest_ending, endings_of, strange_words
from haystack_lrl.adaptation.vocabulary.tokenizer import plain_tokenizer, token_table
from haystack_lrl.records.pair import Pair

ENDINGS = ("", "ում", "ներ", "ով")
LETTERS = {chr(97 + n): chr(0x561 + n) for n in range(26)}


def own(word, ending=""):
    return "".join(LETTERS[letter] for letter in word) + ending


@pytest.fixture(scope="module", params=["WordPiece", "Unigram"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return SentenceTransformer(
        str(tiny_tokenizers.build_model(request.param, folder, tiny_tokenizers.english_texts())), device="cpu"
    )


@pytest.fixture(scope="module")
def grown(model):
    """The model taught by sentences in which no form of the last words but the bare one stands."""
    draw, pairs = random.Random(3), []
    for _ in range(400):
        words = draw.choices(toy.WORDS, k=6)
        forms = [own(word, "" if word in toy.WORDS[-3:] else draw.choice(ENDINGS)) for word in words]
        pairs.append(Pair("", " ".join(forms), english_passage=" ".join(words)))
    return grow_vocabulary(model, pairs)


def pieces(model, word):
    first = len(model.tokenizer.tokenize("a"))
    return [piece.strip("#▁") for piece in model.tokenizer.tokenize(f"a {word}")[first:]]


def test_a_form_that_was_never_seen_is_its_stem_and_an_ending(grown):
    model, growth = grown
    assert growth.insides > len(ENDINGS)
    for ending in ENDINGS[1:]:
        assert pieces(model, own(toy.WORDS[-1], ending)) == [own(toy.WORDS[-1]), ending]


def test_a_compound_is_its_words(grown):
    assert pieces(grown[0], own("river") + own("bridge")) == [own("river"), own("bridge")]


def test_an_ending_is_read_as_an_english_one(model, grown):
    backend, table = plain_tokenizer(grown[0]), token_table(grown[0]).weight.detach()
    mark = "##" if backend.token_to_id("##ներ") is not None else ""
    rows = table[[backend.token_to_id(f"{mark}{ending}") for ending in ENDINGS[1:]]]
    assert (rows == rows[0]).all()
    assert (token_table(model).weight.detach() == rows[0]).all(dim=1).any()


def test_the_commonest_ending_is_counted_by_words(model):
    backend, table = plain_tokenizer(model), token_table(model).weight.detach()
    ids = backend.encode("zxq", add_special_tokens=False).ids
    assert (commonest_ending(backend, {"zxq": 5, "the": 90}, table) == table[ids[1]]).all()
    assert commonest_ending(backend, {"the": 1}, table) is None


def test_english_is_cut_as_before(model, grown):
    texts = tiny_tokenizers.english_texts()
    assert [grown[0].tokenizer.tokenize(text) for text in texts] == [model.tokenizer.tokenize(text) for text in texts]


def test_letters_of_english_are_not_strange(model):
    assert strange_words(model, ["river", own("river"), "revirojn", "rivեr"]) == [1, 3]


def test_endings_follow_known_words_and_are_shared():
    words = ["kata", "katan", "katas", "muse", "musen", "birdo", "birdon", "domo", "domos", "fino", "finor"]
    assert endings_of(words) == ["n"]


def test_one_short_word_is_enough(model):
    grown, growth = grow_vocabulary(model, [], dictionary={own("cat"): ["river"]})
    assert (growth.words, growth.insides) == (1, 0)
    assert pieces(grown, own("cat")) == [own("cat")]
