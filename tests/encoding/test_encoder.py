import shutil

import numpy as np
import pytest
from toy import WORDS, toy_seeds

from haystack_lrl.encoding.encoder import SentenceEncoder, load_model, model_length, model_prompts, set_prompts
from haystack_lrl.records.errors import InputError

TEXTS = [row["passage"] for row in toy_seeds(20)] + ["river", " ".join(WORDS)]
LONG = " ".join(WORDS * 2)


def encoder_of(model, **settings):
    return SentenceEncoder(model, precision="fp32", **settings)


@pytest.fixture
def prompted(tiny_model_with_prompts):
    return load_model(tiny_model_with_prompts, device="cpu")


@pytest.mark.parametrize("name", ["tiny", "prompted"])
def test_vectors_are_those_of_sentence_transformers(name, request):
    model = request.getfixturevalue(name)
    encoder = encoder_of(model, batch_size=7)
    queries = model.encode_query(TEXTS, normalize_embeddings=True)
    passages = model.encode_document(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(TEXTS, "query"), queries, atol=1e-6)
    np.testing.assert_allclose(encoder.encode(TEXTS, "passage"), passages, atol=1e-6)
    assert np.allclose(queries, passages, atol=1e-3) == (name == "tiny")  # prompts do something


def test_prompts_are_put_before_the_text_once(prompted):
    expected, bare = (
        prompted.encode([prompt + text for text in TEXTS], prompt="", normalize_embeddings=True)
        for prompt in ("query: ", "")
    )
    np.testing.assert_allclose(encoder_of(prompted).encode(TEXTS, "query"), expected, atol=1e-6)
    prompted.default_prompt_name = "query"  # as a careless model may have it
    np.testing.assert_allclose(encoder_of(prompted).encode(TEXTS, "query"), expected, atol=1e-6)
    plain = encoder_of(prompted, prompts={"query": "", "passage": ""})
    np.testing.assert_allclose(plain.encode(TEXTS, "query"), bare, atol=1e-6)


def test_own_prompts_replace_those_of_the_model(prompted):
    encoder = encoder_of(prompted, prompts={"query": "river ", "passage": "bridge "})
    expected = prompted.encode(["bridge " + text for text in TEXTS], prompt="", normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(TEXTS, "passage"), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("stored", "prompts"),
    [
        ({}, {"query": "", "passage": ""}),
        ({"query": "q: ", "document": "d: "}, {"query": "q: ", "passage": "d: "}),
        ({"query": "q: ", "passage": "p: "}, {"query": "q: ", "passage": "p: "}),
        ({"query": "q: ", "document": "", "passage": "p: "}, {"query": "q: ", "passage": "p: "}),
        ({"document": "d: ", "passage": "p: "}, {"query": "", "passage": "d: "}),
        ({"retrieval": "r: "}, {"query": "", "passage": ""}),
    ],
)
def test_prompts_are_found_under_the_names_that_models_use(tiny, stored, prompts):
    tiny.prompts = stored
    assert model_prompts(tiny) == prompts


def test_saved_prompts_are_found_by_sentence_transformers_itself(tiny, tmp_path):
    set_prompts(tiny, {"query": "river ", "passage": "bridge "})
    assert model_prompts(tiny) == {"query": "river ", "passage": "bridge "}
    tiny.save_pretrained(str(tmp_path / "model"))
    loaded = load_model(tmp_path / "model", device="cpu")
    np.testing.assert_allclose(loaded.encode_document(TEXTS), loaded.encode([f"bridge {t}" for t in TEXTS]), atol=1e-6)
    np.testing.assert_allclose(loaded.encode_query(TEXTS), loaded.encode([f"river {t}" for t in TEXTS]), atol=1e-6)
    np.testing.assert_allclose(loaded.encode(TEXTS), tiny.encode(TEXTS, prompt=""), atol=1e-6)


def test_vectors_are_unit_float32_in_the_order_of_the_texts(tiny):
    encoder = encoder_of(tiny, batch_size=4)
    vectors = encoder.encode(TEXTS, "passage")
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    for text, vector in zip(TEXTS, vectors, strict=True):
        np.testing.assert_allclose(encoder.encode([text], "passage")[0], vector, atol=1e-6)


def test_no_texts_are_no_vectors_of_the_right_width(tiny):
    vectors = encoder_of(tiny).encode([], "query")
    assert (vectors.shape, vectors.dtype) == ((0, 32), np.float32)


def test_texts_are_cut_at_the_length_asked_for(tiny):
    short = encoder_of(tiny, max_length=8).encode([LONG], "query")
    assert not np.allclose(short, encoder_of(tiny).encode([LONG], "query"), atol=1e-3)
    tiny.max_seq_length = 8
    np.testing.assert_allclose(short, tiny.encode([LONG], normalize_embeddings=True), atol=1e-6)


def test_the_models_own_length_stays_and_cannot_be_exceeded(tiny):
    encoder = encoder_of(tiny, max_length=8)
    encoder.encode([LONG], "query")
    assert tiny.max_seq_length == model_length(tiny) == 64
    with pytest.raises(KeyError):
        encoder.encode([LONG], "no role")
    assert tiny.max_seq_length == 64
    assert encoder_of(tiny, max_length=1000).max_length == 64


def test_tokens_are_counted_uncut_and_the_budget_leaves_room_for_prompt_and_special_tokens(tiny, prompted):
    count = encoder_of(tiny).token_counts([LONG, ""])
    assert count == [len(tiny.tokenizer.tokenize(LONG)), 0]
    assert count[0] > 64
    assert encoder_of(tiny).passage_budget == 62
    assert encoder_of(prompted).passage_budget == 62 - len(prompted.tokenizer.tokenize("passage: "))
    assert encoder_of(tiny, max_length=16).passage_budget == 14


def test_bf16_gives_nearly_the_same_vectors(tiny):
    half = SentenceEncoder(tiny, precision="bf16").encode(TEXTS, "query")
    full = encoder_of(tiny).encode(TEXTS, "query")
    assert half.dtype == np.float32
    assert (half * full).sum(1).min() > 0.999
    assert not np.array_equal(half, full)


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_a_path_without_a_model_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("text", encoding="utf-8")
    said = "could not be loaded as a base model" if name == "empty" else "is not a folder with a model"
    with pytest.raises(InputError, match=f"{name} {said}"):
        load_model(tmp_path / name)


@pytest.mark.parametrize("name", ["no-such-organisation/no-such-model", "no-such-model", "two words/in it"])
def test_a_model_that_the_hub_cannot_serve_is_refused(name):
    with pytest.raises(InputError, match=f"{name} could not be loaded as a base model"):
        load_model(name)


def test_a_damaged_model_is_refused(tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="could not be loaded as a base model"):
        load_model(tmp_path / "model")


def test_a_model_is_found_by_a_relative_path_and_from_home(tiny_model, monkeypatch):
    monkeypatch.chdir(tiny_model.parent)
    assert load_model(f"./{tiny_model.name}", device="cpu").max_seq_length == 64
    assert SentenceEncoder.from_path(tiny_model.name, device="cpu").max_length == 64
    monkeypatch.setenv("HOME", str(tiny_model.parent))
    assert load_model(f"~/{tiny_model.name}", device="cpu").max_seq_length == 64
