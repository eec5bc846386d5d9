import asyncio
import copy

import pytest
from haystack import Document, Pipeline
from haystack.components.joiners import DocumentJoiner

from haystack_integrations.components.joiners.lrl import LRLDocumentJoiner
from haystack_lrl.evaluation.runs import hybrid_run
from haystack_lrl.records.errors import InputError


def ranking(**scores):
    return [
        Document(id=name, content=f"text of {name}", meta={"n": name}, score=score) for name, score in scores.items()
    ]


LEXICAL = ranking(a=21.5, b=9.25, c=3.0, d=3.0)
DENSE = ranking(e=0.91, b=0.88, a=0.5, f=-0.2)


def fused(joiner, lexical=LEXICAL, dense=DENSE, **options):
    return [(document.id, document.score) for document in joiner.run(lexical, dense, **options)["documents"]]


def scores(documents):
    return {document.id: document.score for document in documents}


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_scores_are_fused_exactly_as_the_evaluation_does(weight):
    reference = hybrid_run({"q": scores(LEXICAL)}, {"q": scores(DENSE)}, weight)["q"]
    found = fused(LRLDocumentJoiner(dense_weight=weight, top_k=None))
    assert dict(found) == reference
    assert [score for _, score in found] == sorted(reference.values(), reverse=True)


@pytest.mark.parametrize("weight", [0.2, 0.5])
def test_reciprocal_ranks_are_those_of_the_paper_and_of_haystack(weight):
    found = fused(LRLDocumentJoiner("reciprocal-rank", weight, top_k=None))
    stock = DocumentJoiner("reciprocal_rank_fusion", weights=[1 - weight, weight]).run([LEXICAL, DENSE])["documents"]
    assert found == [(document.id, document.score) for document in stock]
    paper = {}
    for documents, share in ((LEXICAL, 1 - weight), (DENSE, weight)):
        for rank, document in enumerate(documents, start=1):
            paper[document.id] = paper.get(document.id, 0) + share / (60 + rank)
    assert dict(found) == pytest.approx({name: 61 * value for name, value in paper.items()})


@pytest.mark.parametrize("fusion", ["scores", "reciprocal-rank"])
def test_documents_of_one_side_are_kept_and_equal_ones_keep_their_order(fusion):
    joiner = LRLDocumentJoiner(fusion, top_k=None)
    assert [name for name, _ in fused(joiner, dense=[])] == ["a", "b", "c", "d"]
    assert [name for name, _ in fused(joiner, lexical=[])] == ["e", "b", "a", "f"]
    assert fused(joiner, lexical=[], dense=[]) == []
    assert [name for name, _ in fused(joiner, ranking(x=1.0), ranking(y=1.0))] == ["x", "y"]  # by words first


@pytest.mark.parametrize("fusion", ["scores", "reciprocal-rank"])
def test_documents_stay_as_they_were(fusion):
    lexical, dense = copy.deepcopy((LEXICAL, DENSE))
    found = LRLDocumentJoiner(fusion).run(lexical, dense)["documents"]
    assert (lexical, dense) == (LEXICAL, DENSE)
    assert all(document.meta == {"n": document.id} and document.content for document in found)


def test_top_k_is_honoured_and_can_be_changed_for_one_run():
    joiner = LRLDocumentJoiner(top_k=3)
    assert [name for name, _ in fused(joiner)] == ["a", "b", "e"]
    assert len(fused(joiner, top_k=5)) == 5
    assert len(fused(joiner, top_k=1)) == 1
    assert LRLDocumentJoiner().top_k == 10


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"fusion": "merge"}, "choose one of scores, reciprocal-rank"),
        ({"dense_weight": 1.2}, "dense_weight=1.2 is not a share"),
        ({"top_k": 0}, "top_k=0 asks for no document"),
    ],
)
def test_settings_that_cannot_be_are_errors(settings, says):
    with pytest.raises(InputError, match=says):
        LRLDocumentJoiner(**settings)


def test_a_document_without_a_score_is_an_error_where_scores_are_added():
    with pytest.raises(InputError, match="has no score"):
        fused(LRLDocumentJoiner(), lexical=[Document(id="x", content="x")])
    assert fused(LRLDocumentJoiner("reciprocal-rank"), [Document(id="x", content="x")], [])
    with pytest.raises(InputError, match="top_k=-1"):
        fused(LRLDocumentJoiner(), top_k=-1)


def test_a_pipeline_in_yaml_joins_the_same_also_asynchronously():
    pipeline = Pipeline()
    pipeline.add_component("fusion", LRLDocumentJoiner("reciprocal-rank", 0.25, 2))
    loaded = Pipeline.loads(pipeline.dumps())
    assert loaded.to_dict() == pipeline.to_dict()
    data = {"fusion": {"lexical": LEXICAL, "dense": DENSE}}
    assert loaded.run(data) == pipeline.run(data) == asyncio.run(loaded.run_async(data))
