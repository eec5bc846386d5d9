import random

import numpy as np
import pytest
from toy import WORDS

from haystack_lrl.encoding.encoder import SentenceEncoder
from haystack_lrl.evaluation.passages import split_documents
from haystack_lrl.languages.table import language

ESPERANTO = language("epo")


@pytest.fixture
def encoder(tiny):
    return SentenceEncoder(tiny, precision="fp32")


def prose(seed, sentences, words):
    """Return a text of sentences of so many words."""
    rng = random.Random(seed)
    return " ".join(" ".join(rng.choices(WORDS, k=words)).capitalize() + "." for _ in range(sentences))


def assert_sound(documents, passages, encoder):
    bounds = [*passages.starts, len(passages.texts)]
    for document, start, end in zip(documents, bounds, bounds[1:], strict=False):
        assert " ".join(passages.texts[start:end]).split() == document.split()  # no word lost, none twice
    assert max(encoder.token_counts(passages.texts)) <= encoder.passage_budget


@pytest.mark.parametrize("seed", range(5))
def test_long_documents_are_cut_at_sentence_ends(encoder, seed):
    documents = [prose(seed, 30, 7), prose(seed, 1, 5), prose(seed + 9, 12, 11)]
    passages = split_documents(documents, encoder, ESPERANTO, split=True)
    assert_sound(documents, passages, encoder)
    assert all(text.endswith(".") and text[0].isupper() for text in passages.texts)
    counts = encoder.token_counts(passages.texts)
    for one, (following, count) in enumerate(zip(passages.texts[1:], counts, strict=False)):
        if one + 1 not in passages.starts:  # as full as sentences allow
            first_sentence = following.split(".")[0] + "."
            assert count + encoder.token_counts([first_sentence])[0] > encoder.passage_budget


def test_a_sentence_that_is_too_long_is_cut_between_words(encoder):
    documents = [prose(1, 1, 150), prose(2, 2, 4) + " " + prose(3, 1, 120) + " " + prose(4, 2, 4)]
    passages = split_documents(documents, encoder, ESPERANTO, split=True)
    assert_sound(documents, passages, encoder)
    assert len(passages.texts) >= 5


def test_a_text_without_any_sentence_end_is_cut_between_words(encoder):
    documents = [" ".join(WORDS * 3)]
    assert_sound(documents, split_documents(documents, encoder, ESPERANTO, split=True), encoder)


def test_short_documents_are_untouched(encoder):
    documents = ["", "river  bridge\nbread ", prose(1, 3, 4)]
    passages = split_documents(documents, encoder, ESPERANTO, split=True)
    assert passages.texts == documents
    assert passages.starts.tolist() == [0, 1, 2]
    assert passages.cut == 0


def test_the_prompt_takes_its_part_of_the_budget(tiny):
    documents = [prose(1, 30, 7)]
    encoder = SentenceEncoder(tiny, prompts={"query": "", "passage": " ".join(WORDS[:20]) + " "})
    assert encoder.passage_budget < 45
    assert_sound(documents, split_documents(documents, encoder, ESPERANTO, split=True), encoder)


def test_the_model_reads_the_passages_to_their_last_word(encoder):
    texts = split_documents([prose(1, 30, 7)], encoder, ESPERANTO, split=True).texts
    changed = [text.rpartition(" ")[0] + " island." for text in texts]
    moved = np.abs(encoder.encode(texts, "passage") - encoder.encode(changed, "passage")).max(axis=1)
    assert moved.min() > 1e-4


def test_without_splitting_documents_stay_whole_and_the_loss_is_told(encoder):
    documents = [prose(1, 30, 7), prose(2, 2, 4), prose(3, 20, 9)]
    whole = split_documents(documents, encoder, ESPERANTO, split=False)
    assert whole.texts == documents
    assert whole.starts.tolist() == [0, 1, 2]
    counts = encoder.token_counts(documents)
    expected = (counts[0] - 62 + counts[2] - 62) / sum(counts)
    assert whole.cut == pytest.approx(expected)
    assert 0.3 < whole.cut < 1
    assert split_documents(documents, encoder, ESPERANTO, split=True).cut == whole.cut


def test_no_documents_are_no_passages(encoder):
    assert split_documents([], encoder, ESPERANTO, split=True).cut == 0


def test_text_without_spaces_is_cut_to_the_budget(encoder):
    text = "zv" * 45  # one word of more pieces than the model reads
    found = split_documents([text], encoder, language("tha"), split=True)
    assert len(found.texts) > 1
    assert "".join("".join(found.texts).split()) == text
    assert max(encoder.token_counts(found.texts)) <= encoder.passage_budget
