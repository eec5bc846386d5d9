"""The Haystack embedders, by the checklist of a component."""

import numpy as np
import pytest
from haystack import Document, Pipeline
from haystack.core.serialization import component_from_dict, component_to_dict
from haystack.utils import ComponentDevice
from sentence_transformers import SentenceTransformer

from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder, LRLTextEmbedder
from haystack_lrl.records.errors import InputError


def test_defaults_and_parameters():
    text = LRLTextEmbedder("model")
    assert (text.model, text.device) == ("model", None)
    documents = LRLDocumentEmbedder("model", ComponentDevice.from_str("cpu"), False, ["title"], " | ")
    assert documents.meta_fields_to_embed == ["title"]
    assert documents.embedding_separator == " | "
    with pytest.raises(TypeError):
        LRLTextEmbedder("model", prefx="query: ")


@pytest.mark.parametrize("kind", [LRLTextEmbedder, LRLDocumentEmbedder])
def test_round_trip_keeps_an_open_device_open(kind):
    data = component_to_dict(kind("some/model"), "embedder")
    assert data["init_parameters"]["device"] is None
    assert data["type"].startswith("haystack_integrations.components.embedders.lrl.")
    assert component_from_dict(kind, data, "embedder").model == "some/model"


def test_pipeline_survives_yaml_without_an_allowlist(tiny_model):
    pipeline = Pipeline()
    pipeline.add_component("embedder", LRLTextEmbedder(str(tiny_model)))
    again = Pipeline.loads(pipeline.dumps())
    vector = again.run({"embedder": {"text": "river"}})["embedder"]["embedding"]
    assert vector == pipeline.run({"embedder": {"text": "river"}})["embedder"]["embedding"]


def test_vectors_are_those_of_sentence_transformers(tiny_model_with_prompts):
    reference = SentenceTransformer(str(tiny_model_with_prompts), device="cpu")
    query = LRLTextEmbedder(str(tiny_model_with_prompts), ComponentDevice.from_str("cpu")).run("river bridge")
    expected = reference.encode_query("river bridge", normalize_embeddings=True)
    np.testing.assert_allclose(query["embedding"], expected, atol=1e-6)
    embedder = LRLDocumentEmbedder(str(tiny_model_with_prompts), ComponentDevice.from_str("cpu"), progress_bar=False)
    found = embedder.run([Document(content="garden school")])["documents"][0]
    expected = reference.encode_document("garden school", normalize_embeddings=True)
    np.testing.assert_allclose(found.embedding, expected, atol=1e-6)


def test_documents_are_copied_and_metadata_comes_first(tiny_model):
    embedder = LRLDocumentEmbedder(str(tiny_model), progress_bar=False, meta_fields_to_embed=["title"])
    given = [Document(content="river", meta={"title": "bridge"}), Document(content=None, meta={"title": None})]
    embedded = embedder.run(given)["documents"]
    assert [document.embedding for document in given] == [None, None]
    assert [document.id for document in embedded] == [document.id for document in given]
    plain = LRLDocumentEmbedder(str(tiny_model), progress_bar=False).run([Document(content="bridge\nriver")])
    np.testing.assert_allclose(embedded[0].embedding, plain["documents"][0].embedding, atol=1e-6)
    assert embedder.run([]) == {"documents": []}


def test_model_is_loaded_once(tiny_model):
    embedder = LRLTextEmbedder(str(tiny_model))
    embedder.warm_up()
    encoder = embedder._encoder
    embedder.warm_up()
    embedder.run("river")
    assert embedder._encoder is encoder


def test_wrong_input_names_the_other_component(tiny_model):
    with pytest.raises(TypeError, match="LRLDocumentEmbedder"):
        LRLTextEmbedder(str(tiny_model)).run([Document(content="river")])
    with pytest.raises(TypeError, match="LRLTextEmbedder"):
        LRLDocumentEmbedder(str(tiny_model)).run("river")


def test_missing_model_is_one_sentence():
    with pytest.raises(InputError, match="check the path"):
        LRLTextEmbedder("/no/such/model").warm_up()


def test_telemetry_sends_no_path():
    assert LRLTextEmbedder("/home/me/model")._get_telemetry_data() == {}
    assert LRLDocumentEmbedder("/home/me/model")._get_telemetry_data() == {}
