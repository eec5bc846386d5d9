import os
import threading

import numpy as np
import pytest
from exports import PASSAGES, TEXTS, assert_same_vectors, export, least_cosine

from haystack_lrl.encoding.encoder import SentenceEncoder, load_model
from haystack_lrl.encoding.exported import Manifest, by_length, load_encoder, load_exported
from haystack_lrl.records.errors import InputError, MissingExtraError

pytest.importorskip("openvino", reason="the extra openvino is not installed")


@pytest.fixture(scope="module")
def folder(tiny_model_with_prompts, tmp_path_factory):
    return export(tiny_model_with_prompts, tmp_path_factory.mktemp("exports") / "fp32", "openvino-fp32")


@pytest.fixture(scope="module")
def model(tiny_model_with_prompts):
    return load_model(tiny_model_with_prompts, device="cpu")


def test_fp32_vectors_are_those_of_sentence_transformers_prompts_once(folder, model):
    assert_same_vectors(load_exported(folder), model, 1e-6)


def test_several_streams_keep_the_order(folder, model):
    encoder = load_exported(folder, threads=3)
    encoder._batch_tokens = 40
    assert_same_vectors(encoder, model, 1e-6)


def test_bf16_gives_nearly_the_same_unit_vectors(folder, model):
    encoder = load_exported(folder, precision="bf16")
    assert encoder.graph.bf16
    assert least_cosine(encoder, model) > 0.999
    np.testing.assert_allclose(np.linalg.norm(encoder.encode(TEXTS, "query"), axis=1), 1, atol=1e-6)
    assert not load_exported(folder).graph.bf16  # what was exported as fp32 stays that by default


def test_tokens_and_budget_are_those_of_the_sentence_encoder(folder, model):
    encoder, reference = load_exported(folder), SentenceEncoder(model)
    assert encoder.token_counts(TEXTS) == reference.token_counts(TEXTS)
    assert encoder.passage_budget == reference.passage_budget
    assert encoder.token_counts([]) == []
    assert encoder.max_length == reference.max_length


def test_no_texts_are_no_vectors_of_the_right_width(folder):
    vectors = load_exported(folder).encode([], "query")
    assert (vectors.shape, vectors.dtype) == ((0, 32), np.float32)


def test_threads_share_one_encoder(folder):
    encoder = load_exported(folder)
    expected = encoder.encode(PASSAGES, "passage")
    found = {}

    def work(number):
        found[number] = encoder.encode(PASSAGES, "passage")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for vectors in found.values():
        np.testing.assert_array_equal(vectors, expected)
    assert len(found) == 4


def test_batches_are_bounded_by_padded_tokens_and_hold_every_text_once():
    lengths = [5, 300, 7, 7, 100, 1, 1]
    batches = list(by_length(lengths, 120))
    assert sorted(np.concatenate(batches)) == list(range(7))
    assert all(len(rows) == 1 or len(rows) * max(lengths[row] for row in rows) <= 120 for rows in batches)
    assert [list(rows) for rows in batches] == [[1], [4], [2, 3, 0, 5, 6]]
    assert list(by_length([], 120)) == []


def test_a_folder_without_manifest_is_a_sentence_transformer(tiny_model):
    assert isinstance(load_encoder(tiny_model), SentenceEncoder)
    with pytest.raises(InputError, match=r"is not an exported model \(it has no export.json\)"):
        Manifest.read(tiny_model)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("export.json", "{broken", "is damaged"),
        ("export.json", "{}", "is damaged"),
        ("openvino/openvino_model.xml", "<net", "cannot load .*damaged: export the model again"),
        ("openvino/openvino_model.xml", None, "lacks openvino/openvino_model.xml"),
    ],
)
def test_a_damaged_export_is_refused(tiny_model, folder, tmp_path, name, content, said):
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        load_encoder(copy)


def test_a_missing_runtime_is_named_with_its_install_line(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r'pip install "haystack-lrl\[openvino\]"'):
        load_encoder(folder)


def test_nothing_is_reported_to_the_makers_of_openvino(tiny_model, tmp_path, monkeypatch):
    from openvino_telemetry import Telemetry

    sent = []
    monkeypatch.setattr(Telemetry, "send_event", lambda self, *arguments, **_: sent.append((self.consent, arguments)))
    before = dict(os.environ)
    export(tiny_model, tmp_path / "export", "openvino-fp32")
    assert not [arguments for consent, arguments in sent if consent]
    assert dict(os.environ) == before


def test_a_query_by_itself_has_the_vector_it_has_among_others(folder, model):
    encoder = load_exported(folder)
    expected = model.encode_query(TEXTS, normalize_embeddings=True)
    for text, vector in zip(TEXTS, expected, strict=True):
        np.testing.assert_allclose(encoder.encode([text], "query")[0], vector, atol=1e-6)


def test_a_query_is_padded_to_shapes_that_come_again(folder):
    encoder = load_exported(folder)
    widths = [encoder._inputs([[5] * length])["input_ids"].shape[1] for length in (1, 16, 17, encoder.max_length)]
    assert widths == [16, 16, min(32, encoder.max_length), encoder.max_length]
    assert encoder._inputs([[5], [5] * 7])["input_ids"].shape == (2, 7)
