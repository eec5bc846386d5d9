import math

import pytest

from haystack_lrl.evaluation.table import bracket, count, estimate, figure, judgement, text_table


def interval(mean, low, high):
    return {"mean": mean, "low": low, "high": high}


def system(name, mean, difference=None):
    metrics = {"nDCG@10": interval(mean, mean - 0.02, mean + 0.02), "R@100": {"mean": 0.9}, "RR@10": {"mean": 0.4}}
    return {"name": name, "metrics": metrics, "difference": difference}


METRICS = {
    "version": 1,
    "language": {"code": "epo", "name": "Esperanto"},
    "verdict": {"success": True, "deploy": "hybrid"},
    "test_sets": [
        {
            "name": "epo-news",
            "role": "test",
            "language": "epo",
            "queries": 826,
            "documents": 12345,
            "split": True,
            "systems": [
                system("base", 0.5),
                system("control", 0.51, {"against": "base", **interval(0.01, -0.01, 0.03), "p": 0.3}),
                system("hybrid", 0.712, {"against": "base", **interval(0.212, 0.19, 0.234), "p": 0.0001}),
            ],
        }
    ],
}


def test_the_table_is_aligned_and_marks_the_system_to_deploy():
    assert text_table(METRICS) == (
        "epo-news: test set · epo · 826 queries · 12,345 documents · split into passages\n"
        "   system   nDCG@10 [95%]         R@100  RR@10  difference in nDCG@10 [95%]\n"
        "   base     0.500 [0.480, 0.520]  0.900  0.400\n"
        "   control  0.510 [0.490, 0.530]  0.900  0.400  +0.010 [-0.010, +0.030]  not distinguishable from base\n"
        "*  hybrid   0.712 [0.692, 0.732]  0.900  0.400  +0.212 [+0.190, +0.234]  better than base\n"
        "\n"
        "* the system to deploy\n"
    )


def test_every_test_set_has_its_block():
    first = METRICS["test_sets"][0]
    second = {
        "name": "tiny",
        "queries": 1,
        "systems": [{"name": "base", "metrics": {"nDCG@10": interval(0.5, None, None)}}],
    }
    text = text_table({"test_sets": [first, second]})
    assert "\n\ntiny: 1 query\n" in text
    assert text.endswith("\n   base    0.500          –      –\n")
    assert "to deploy" not in text


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.02, "better than BM25"),
        (-0.02, -0.01, "worse than BM25"),
        (-0.01, 0.01, "not distinguishable from BM25"),
        (0.0, 0.01, "not distinguishable from BM25"),
        (None, None, "not distinguishable from BM25"),
        (math.nan, math.nan, "not distinguishable from BM25"),
    ],
)
def test_an_interval_is_said_in_words(low, high, said):
    assert judgement({"against": "BM25", "low": low, "high": high}) == said


@pytest.mark.parametrize("value", [None, math.nan, math.inf, "0.5", True, {}])
def test_what_is_not_a_number_is_a_dash(value):
    assert figure(value) == "–"


def test_figures():
    assert figure(0.12345) == "0.123"
    assert count(1234567) == "1,234,567"
    assert bracket(interval(0, -0.1, 0.1), "+.2f") == "[-0.10, +0.10]"
    assert bracket(interval(0, None, None)) == ""
    assert estimate(None) == "–"
