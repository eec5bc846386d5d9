import re

import pytest

from haystack_lrl.evaluation import comparison_plots as charts
from haystack_lrl.evaluation.table import judgement


def test_dots_lie_on_their_side_of_the_diagonal_and_the_largest_are_below():
    laid = charts.scatter([(0.0, 1.0, 30), (1.0, 0.5, 10), (1.0, 1.0, 60)])
    assert [bubble.fate for bubble in laid.bubbles] == ["tied", "won", "lost"]
    assert [bubble.radius for bubble in laid.bubbles] == sorted((b.radius for b in laid.bubbles), reverse=True)
    tied, won, lost = laid.bubbles
    assert (tied.x, tied.y) == (charts.RIGHT, charts.TOP)
    assert (won.x, won.y) == (charts.LEFT, charts.TOP)
    assert lost.y == (charts.TOP + laid.bottom) / 2
    assert won.label == "0.00 to 1.00: 30"
    assert charts.scatter([]).bubbles == []


def test_outlines_are_closed_steps_over_a_common_axis():
    row = {"edges": [0.0, 0.5, 1.0], "positives": [0.25, 0.75], "negatives": [1.0, 0.0]}
    other = {"edges": [-0.5, 0.0, 0.5], "positives": [0.0, 1.0], "negatives": [1.0, 0.0]}
    laid = charts.histograms({"a": row, "b": other})
    assert laid["a"].x_ticks == laid["b"].x_ticks
    for histogram in laid.values():
        for path in (histogram.positives, histogram.negatives):
            assert re.fullmatch(r"M[\d.]+,[\d.]+(V[\d.]+H[\d.]+){2}V[\d.]+Z", path)
    heights = [float(y) for y in re.findall(r"V([\d.]+)H", laid["a"].positives)]
    assert laid["a"].bottom - heights[1] == pytest.approx(3 * (laid["a"].bottom - heights[0]), abs=0.3)


@pytest.mark.parametrize(
    ("mean", "corrected", "said"),
    [(0.2, 0.01, "better"), (-0.2, 0.05, "worse"), (0.2, 0.06, "not distinguishable"), (None, 0.01, "not")],
)
def test_the_corrected_test_goes_before_the_interval(mean, corrected, said):
    assert judgement({"mean": mean, "low": 0.1, "high": 0.3, "holm": corrected}).startswith(said)
