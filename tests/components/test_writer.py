"""The Haystack writer, by the checklist of a component, on the store in memory; OpenSearch is in tests/pipelines."""

import asyncio

import pytest
from haystack import Document, Pipeline
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DuplicatePolicy

from haystack_integrations.components.writers.lrl import LRLDocumentWriter


def documents(count=3, text="x"):
    return [Document(id=f"d{n}", content=f"{text}{n}", meta={"source_id": f"s{n // 2}"}) for n in range(count)]


@pytest.fixture
def store():
    return InMemoryDocumentStore(shared=False)


def test_defaults_and_parameters(store):
    writer = LRLDocumentWriter(store)
    assert (writer.policy, writer.workers, writer.patience_s) == (DuplicatePolicy.OVERWRITE, 2, 300)
    writer = LRLDocumentWriter(store, DuplicatePolicy.SKIP, workers=4, patience_s=5)
    assert (writer.policy, writer.workers, writer.patience_s) == (DuplicatePolicy.SKIP, 4, 5)
    with pytest.raises(ValueError, match="workers is 0"):
        LRLDocumentWriter(store, workers=0)
    with pytest.raises(TypeError):
        LRLDocumentWriter(store, polcy=DuplicatePolicy.SKIP)


def test_a_pipeline_in_yaml_is_the_same_after_loading():
    pipeline = Pipeline()
    pipeline.add_component("writer", LRLDocumentWriter(InMemoryDocumentStore(), DuplicatePolicy.SKIP, workers=3))
    loaded = Pipeline.loads(pipeline.dumps())
    assert loaded.dumps() == pipeline.dumps()
    writer = loaded.get_component("writer")
    assert (writer.policy, writer.workers) == (DuplicatePolicy.SKIP, 3)
    assert isinstance(writer.document_store, InMemoryDocumentStore)


def test_each_document_is_counted_once(store):
    writer = LRLDocumentWriter(store)
    assert writer.run(documents()) == {"documents_written": 3, "skipped": 0, "refused": []}
    again = [*documents(4, "y"), Document(id="d0", content="last")]
    assert writer.run(again) == {"documents_written": 4, "skipped": 1, "refused": []}
    assert store.count_documents() == 4
    assert store.storage["d0"].content == "last"
    assert writer.run([]) == {"documents_written": 0, "skipped": 0, "refused": []}


def test_the_policy_is_that_of_haystack(store):
    LRLDocumentWriter(store).run(documents(2))
    skipping = LRLDocumentWriter(store, DuplicatePolicy.SKIP)
    assert skipping.run(documents(3, "new")) == {"documents_written": 1, "skipped": 2, "refused": []}
    assert store.storage["d0"].content == "x0"


@pytest.mark.parametrize("policy", [DuplicatePolicy.FAIL, DuplicatePolicy.NONE])
def test_policies_that_no_rerun_survives_are_refused(store, policy):
    with pytest.raises(ValueError, match=f"policy is {policy.name}"):
        LRLDocumentWriter(store, policy)


def test_run_async_does_the_same(store):
    done = asyncio.run(LRLDocumentWriter(store).run_async(documents()))
    assert done == {"documents_written": 3, "skipped": 0, "refused": []}


def test_in_a_pipeline(store):
    pipeline = Pipeline()
    pipeline.add_component("writer", LRLDocumentWriter(store))
    assert pipeline.run({"writer": {"documents": documents()}})["writer"]["documents_written"] == 3


@pytest.mark.parametrize("wrong", ["text", [1], Document(content="x")])
def test_wrong_input_names_the_remedy(store, wrong):
    with pytest.raises(TypeError, match="list of Documents"):
        LRLDocumentWriter(store).run(wrong)


def test_passages_are_known_by_their_source_and_deleted_by_id(store):
    writer = LRLDocumentWriter(store)
    writer.run(documents(4))
    with writer.loading():
        assert writer.ids_from(["s0", "nowhere"]) == {"d0", "d1"}
        assert writer.ids_from([]) == set()
        writer.delete(["d0", "none"])
    with writer.loading():
        assert writer.ids_from(["s0"]) == {"d1"}


def test_telemetry_holds_no_address(store):
    assert LRLDocumentWriter(store)._get_telemetry_data() == {"document_store": "InMemoryDocumentStore"}
