import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from haystack_lrl.adaptation.saving import save_model
from haystack_lrl.encoding.encoder import SentenceEncoder

PROMPTS = {"query": "river ", "passage": "bridge "}
TEXTS = ["river bridge bread", "garden winter"]


def test_a_saved_model_is_a_plain_sentence_transformer_with_its_prompts(tiny, tmp_path):
    expected = {role: SentenceEncoder(tiny, prompts=PROMPTS, precision="fp32").encode(TEXTS, role) for role in PROMPTS}
    save_model(tiny, tmp_path / "model", PROMPTS, "# A card\n")
    loaded = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    queries = loaded.encode_query(TEXTS, normalize_embeddings=True)
    passages = loaded.encode_document(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(queries, expected["query"], atol=1e-6)
    np.testing.assert_allclose(passages, expected["passage"], atol=1e-6)
    assert loaded.max_seq_length == 64


def test_no_prompt_is_the_default(tiny, tmp_path):
    tiny.prompts, tiny.default_prompt_name = {"query": "x "}, "query"
    save_model(tiny, tmp_path / "model", PROMPTS, "")
    loaded = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    assert loaded.default_prompt_name is None
    np.testing.assert_allclose(loaded.encode(TEXTS), tiny.encode(TEXTS, prompt=""), atol=1e-6)


def test_the_card_lies_beside_the_weights_which_no_pickle_holds(tiny, tmp_path):
    save_model(tiny, tmp_path / "model", PROMPTS, "# Nomo: ĉevalo\n")
    assert (tmp_path / "model" / "README.md").read_text(encoding="utf-8") == "# Nomo: ĉevalo\n"
    names = {path.name for path in (tmp_path / "model").rglob("*")}
    assert "model.safetensors" in names
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in names)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_model_replaces_the_one_before_it_and_what_a_killed_process_left(tiny, tmp_path):
    for leftover in ("model", "model.partial"):
        (tmp_path / leftover).mkdir()
        (tmp_path / leftover / "old").touch()
    save_model(tiny, tmp_path / "model", PROMPTS, "")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert not (tmp_path / "model" / "old").exists()


def test_an_error_leaves_no_half_written_model_and_the_one_before_it_whole(tiny, tmp_path):
    with pytest.raises(UnicodeEncodeError):
        save_model(tiny, tmp_path / "model", PROMPTS, "\ud83d")
    assert not (tmp_path / "model").exists()
    save_model(tiny, tmp_path / "model", PROMPTS, "first")
    with pytest.raises(UnicodeEncodeError):
        save_model(tiny, tmp_path / "model", PROMPTS, "\ud83d")
    assert (tmp_path / "model" / "README.md").read_text(encoding="utf-8") == "first"
    assert SentenceTransformer(str(tmp_path / "model"), device="cpu").encode(TEXTS).shape == (2, 32)
