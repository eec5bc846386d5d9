"""The components that make training data, by the checklist of a component."""

import asyncio
import json

import pytest
from haystack import Document, Pipeline
from haystack.components.generators.chat import MockChatGenerator
from haystack.core.serialization import component_from_dict, component_to_dict

from haystack_integrations.components.generators.lrl import LRLQueryGenerator, LRLTripletGenerator
from haystack_integrations.components.translators.lrl import LRLDocumentTranslator

TITLE, BODY = "La domo", "La granda domo staras apud la rivero en la urbo."
QUERY = "Kie staras la granda domo de la urbo?"
ANSWERS = {
    LRLDocumentTranslator: {"title": TITLE, "body": BODY},
    LRLQueryGenerator: {"summary": BODY, "query": QUERY},
    LRLTripletGenerator: {"positive": "Apud la rivero estas domo.", "negative": "Neniu domo estas apud la rivero."},
}
DOCUMENT = Document(content="The big house stands by the river in the town.", meta={"title": "The house", "page": 3})
INPUTS = {
    LRLDocumentTranslator: {"documents": [DOCUMENT]},
    LRLQueryGenerator: {"documents": [DOCUMENT]},
    LRLTripletGenerator: {"anchors": [BODY]},
}
KINDS = pytest.mark.parametrize("kind", list(ANSWERS))


def build(kind, answer=None, **parameters):
    return kind(MockChatGenerator(json.dumps(answer or ANSWERS[kind])), "epo", **parameters)


@KINDS
def test_defaults_are_stored_and_typos_fail(kind):
    made = build(kind)
    assert (made.language, made.workers) == ("epo", 1)
    with pytest.raises(TypeError):
        build(kind, langauge="epo")


@KINDS
def test_a_pipeline_survives_yaml(kind):
    pipeline = Pipeline()
    pipeline.add_component("made", build(kind))
    again = Pipeline.loads(pipeline.dumps())
    assert again.run({"made": INPUTS[kind]}) == pipeline.run({"made": INPUTS[kind]})
    assert component_to_dict(build(kind), "made")["type"].startswith("haystack_integrations.components.")


@KINDS
def test_parameters_round_trip(kind):
    data = component_to_dict(build(kind, workers=3, prompts=""), "made")
    again = component_from_dict(kind, data, "made")
    assert again.workers == 3
    assert isinstance(again.chat_generator, MockChatGenerator)


@KINDS
def test_warm_up_happens_once(kind):
    made = build(kind)
    made.warm_up()
    before = dict(vars(made))
    made.warm_up()
    assert vars(made) == before


@KINDS
def test_async_is_the_same(kind):
    made = build(kind)
    results = [made.run(**INPUTS[kind]), asyncio.run(made.run_async(**INPUTS[kind]))]
    assert str(results[0]) == str(results[1])


@KINDS
@pytest.mark.parametrize("wrong", ["text", None, [3]])
def test_wrong_input_names_the_component(kind, wrong):
    with pytest.raises(TypeError, match=kind.__name__):
        build(kind).run(wrong)


@KINDS
def test_nothing_in_gives_nothing_out(kind):
    assert all(rows == [] for rows in build(kind).run([]).values())


@KINDS
def test_what_the_gate_rejects_comes_out_with_its_reason(kind):
    english = dict.fromkeys(ANSWERS[kind], "This is an answer in the English language and not the other one.")
    out = build(kind, english).run(**INPUTS[kind])
    (row,) = out["rejected"]
    reason = row["reason"] if isinstance(row, dict) else row.meta["reason"]
    assert reason in {"wrong language", "positive is the negative"}
    assert sum(map(len, out.values())) == 1


def test_translation_keeps_metadata_and_the_source():
    (document,) = build(LRLDocumentTranslator).run([DOCUMENT])["documents"]
    assert document.content == BODY
    assert document.meta == {"title": TITLE, "page": 3, "source_id": DOCUMENT.id}
    assert DOCUMENT.meta == {"title": "The house", "page": 3}


def test_a_query_knows_its_passage():
    (document,) = build(LRLQueryGenerator, passage_language="eng").run([DOCUMENT])["documents"]
    assert document.content == QUERY
    assert document.meta == {"source_id": DOCUMENT.id, "style": "question", "passage": DOCUMENT.content}


def test_triplets_are_rows_that_train_reads():
    (row,) = build(LRLTripletGenerator).run([BODY])["triplets"]
    answer = ANSWERS[LRLTripletGenerator]
    assert (row["query"], row["passage"], row["negatives"]) == (BODY, answer["positive"], [answer["negative"]])


@pytest.mark.parametrize(("kind", "name"), [(LRLQueryGenerator, "ask"), (LRLTripletGenerator, "triplets")])
def test_an_unknown_strategy_is_named_at_warm_up(kind, name):
    with pytest.raises(ValueError, match=rf"{name}\.strategy is 'sop'"):
        build(kind, strategy="sop").warm_up()
