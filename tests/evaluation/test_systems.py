import json

import pytest

from haystack_lrl.evaluation.systems import System, changes, score, verdict
from haystack_lrl.evaluation.testset import TestSet

QUERIES = 60
KINDS = {"BM25": "lexical", "hybrid": "hybrid"}


def toy_set(queries):
    ids = [str(number) for number in range(queries)]
    return TestSet(
        "toy", "epo", {i: f"query {i}" for i in ids}, {i: f"text {i}" for i in ids}, {i: {i: 1} for i in ids}
    )


def scored(queries=QUERIES, **ranks):
    """Score systems given by the rank of every query's one answer; 0 where it is not found."""
    test_set = toy_set(queries)
    systems = []
    for name, own in ranks.items():
        run = {}
        for number, rank in enumerate((own * queries)[:queries]):
            fillers = [str(other) for other in range(queries) if other != number]
            ranking = [*fillers[: rank - 1], str(number)] if rank else fillers[:12]
            run[str(number)] = {document: 1.0 - 0.01 * place for place, document in enumerate(ranking)}
        systems.append(System(name, KINDS.get(name, "dense"), run))
    return score(test_set, "test", systems)


GOOD, FAIR, POOR = [1, 1, 1, 2], [2, 3, 1, 2], [9, 0, 3, 7]


def test_the_means_are_those_of_the_ranks():
    table = scored(base=[1], merged=[0], BM25=[3])
    assert [table.mean(name) for name in ("base", "merged", "BM25")] == pytest.approx([1, 0, 0.5])
    assert table.difference("merged").mean == -1
    assert table.difference("BM25", "merged").mean == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("ranks", "deployed"),
    [
        ({"BM25": POOR, "base": POOR, "merged": FAIR, "hybrid": GOOD}, "hybrid"),
        ({"BM25": POOR, "base": POOR, "merged": GOOD, "hybrid": GOOD}, "merged"),  # the hybrid adds nothing
        ({"BM25": GOOD, "base": POOR, "merged": FAIR, "hybrid": GOOD}, "BM25"),
        ({"BM25": GOOD, "base": GOOD, "merged": GOOD, "hybrid": GOOD}, "BM25"),  # the simplest of equals
        ({"BM25": POOR, "base": GOOD, "merged": GOOD, "hybrid": GOOD}, "base"),
        ({"BM25": POOR, "base": GOOD, "merged": POOR, "hybrid": FAIR}, "base"),
        ({"BM25": POOR, "base": FAIR, "merged": GOOD, "hybrid": FAIR}, "merged"),
        ({"base": POOR, "merged": GOOD}, "merged"),
        # better by a hair that 60 queries cannot show
        (
            {"BM25": POOR, "base": POOR, "merged": [*GOOD * 14, 1, 1, 1, 3], "hybrid": [*GOOD * 14, 1, 1, 1, 2]},
            "merged",
        ),
    ],
)
def test_the_simplest_of_the_best_is_deployed(ranks, deployed):
    said = verdict(scored(**ranks))
    assert said["deploy"] == deployed
    assert said["sentence"].startswith(f"Deploy {deployed} (nDCG@10 ")


def test_neither_control_nor_unmerged_model_is_deployed():
    assert verdict(scored(BM25=POOR, base=POOR, control=[1], adapted=[1], merged=FAIR))["deploy"] == "merged"


def test_success_is_a_gain_that_chance_does_not_make():
    said = verdict(scored(BM25=POOR, base=POOR, merged=GOOD))
    assert said["success"] is True
    table = scored(base=POOR, merged=GOOD)
    gain = table.difference("merged")
    assert (
        f"Adaptation moved the model from {table.mean('base'):.3f} to {table.mean('merged'):.3f} "
        f"({gain.mean:+.3f}, 95% interval {gain.low:+.3f} to {gain.high:+.3f})."
    ) in said["sentence"]


@pytest.mark.parametrize(
    ("base", "merged", "words"),
    [
        (GOOD, POOR, "Adaptation moved the model from"),  # for the worse
        (GOOD, GOOD, "Adaptation did not distinguishably move the model from"),
        ([*GOOD * 14, 1, 1, 1, 3], GOOD, "Adaptation did not distinguishably move the model from"),
    ],
)
def test_without_such_a_gain_there_is_no_success(base, merged, words):
    said = verdict(scored(BM25=POOR, base=base, merged=merged))
    assert said["success"] is False
    assert said["deploy"] == "base"
    assert words in said["sentence"]


def test_one_query_proves_nothing():
    said = verdict(scored(1, base=[0], merged=[1]))
    assert (said["success"], said["deploy"]) == (False, "base")


@pytest.mark.parametrize(
    ("control", "words"),
    [(POOR, "of which the language +"), (GOOD, "but the language did not distinguishably add to it: +0.000")],
)
def test_the_control_says_what_the_language_added(control, words):
    said = verdict(scored(base=POOR, control=control, merged=GOOD))["sentence"]
    assert f"The same training on untranslated pairs reached {scored(x=control).mean('x'):.3f}, {words}" in said


def test_a_harmful_language_is_not_called_a_gain():
    said = verdict(scored(base=POOR, control=GOOD, merged=FAIR))["sentence"]
    assert "and the language made it worse: -" in said


def test_without_a_control_nothing_is_said_of_it():
    assert "untranslated" not in verdict(scored(base=POOR, merged=GOOD))["sentence"]


def test_changes_account_for_every_query_and_show_the_largest():
    table = scored(4, base=[2, 1, 5, 3], merged=[1, 0, 5, 1])
    found = changes(table, "merged", most=1)
    assert (found["won"], found["lost"], found["tied"]) == (2, 1, 1)
    assert found["improved"] == [{"id": "3", "query": "query 3", "base_rank": 3, "rank": 1, "passage": "text 3"}]
    assert found["harmed"] == [{"id": "1", "query": "query 1", "base_rank": 1, "rank": None, "passage": "text 1"}]
    assert [row["query"] for row in changes(table, "merged")["improved"]] == ["query 3", "query 0"]


def test_the_table_is_json_with_the_base_as_reference():
    row = json.loads(json.dumps(scored(BM25=POOR, base=FAIR, merged=GOOD).to_json(), allow_nan=False))
    assert (row["name"], row["role"], row["language"]) == ("toy", "test", "epo")
    assert (row["queries"], row["documents"]) == (60, 60)
    assert row["smallest_gain"] > 0
    systems = {system["name"]: system for system in row["systems"]}
    assert systems["base"]["difference"] is None
    assert systems["merged"]["difference"]["against"] == "base"
    assert systems["merged"]["difference"]["low"] > 0 > systems["BM25"]["difference"]["high"]
    assert set(systems["BM25"]["metrics"]) == {"nDCG@10", "R@100", "RR@10"}
    assert scored(BM25=POOR).to_json()["smallest_gain"] is None
