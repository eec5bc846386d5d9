import numpy as np
import pytest
from exports import export
from tiny_tokenizers import KINDS, build_model, english_texts

from haystack_lrl.encoding.encoder import load_model
from haystack_lrl.encoding.exported import load_exported

pytest.importorskip("openvino", reason="the extra openvino is not installed")


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tmp_path_factory):
    """An export and its model, with a tokenizer of every kind."""
    folder = tmp_path_factory.mktemp(request.param)
    model = load_model(build_model(request.param, folder, english_texts()[:200], pieces=600), device="cpu")
    return load_exported(export(model, folder / "export", "openvino-fp32")), model


def long_texts():
    words = " ".join(english_texts()[:80])
    return [
        words,
        words.replace(" ", "  \n "),
        words.replace(" ", ""),  # nowhere to cut
        "ten\u0303 " + words,
        " " * 5000 + words,  # the head is blank
        "x" * 600 + " " + words,  # one token, or hundreds
        ("internationalisations" * 40 + " ") * 40,
        words[:400] + " " * 3000 + words,
    ]


def test_long_texts_have_the_tokens_and_vectors_of_the_whole(pair):
    encoder, model = pair
    texts = [model.prompts["document"] + text for text in long_texts()]
    whole = encoder._tokens(texts, truncation=True, max_length=encoder.max_length)
    assert encoder._cut_tokens(texts) == whole
    expected = model.encode_document(long_texts(), normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(long_texts(), "passage"), expected, atol=1e-6)


def test_only_the_head_of_a_long_text_is_tokenised(pair, monkeypatch):
    encoder, _ = pair
    seen = []
    tokens = encoder._tokens
    monkeypatch.setattr(encoder, "_tokens", lambda texts, **given: seen.extend(texts) or tokens(texts, **given))
    encoder.encode([" ".join(english_texts()[:40])], "passage")
    assert [len(text) <= encoder.max_length * 8 for text in seen] == [True]


def test_a_text_cut_on_the_left_is_tokenised_whole(pair, monkeypatch):
    encoder, _ = pair
    monkeypatch.setattr(encoder.tokenizer, "truncation_side", "left")
    text = " ".join(english_texts()[:80])
    assert encoder._cut_tokens([text]) == encoder._tokens([text], truncation=True, max_length=encoder.max_length)
