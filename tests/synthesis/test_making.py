import itertools
from dataclasses import dataclass

import pytest

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import read_jsonl
from haystack_lrl.synthesis.making import Making, estimate, make, make_file, span


@dataclass
class Line:
    text: str
    reason: str = ""

    def to_json(self):
        return {"text": self.text, **({"reason": self.reason} if self.reason else {})}


def making(made):
    return Making(
        who="The stub",
        content=lambda text: (text,),
        make=lambda texts: (made.append(text) or text.upper() for text in texts),
        row=lambda text, result: Line(result, "odd" if text.startswith("odd") else ""),
    )


def test_every_row_is_accounted_for(tmp_path):
    output = tmp_path / "rows.jsonl"
    counts = make_file(["a", "odd", "a", "b"], making([]), output, {"v": 1}, progress=False)
    assert counts.to_json() == {"rows": 4, "kept": 2, "rejected": {"odd": 1, "duplicate": 1}}
    assert [row["text"] for _, row in read_jsonl(output)] == ["A", "ODD", "B"]


def test_a_second_run_makes_only_what_is_new_and_counts_all(tmp_path):
    output, made = tmp_path / "rows.jsonl", []
    make_file(["a", "b"], making(made), output, {"v": 1}, progress=False)
    counts = make_file(["a", "b", "c", "b"], making(made), output, {"v": 1}, progress=False)
    assert made == ["a", "b", "c"]
    assert counts.to_json() == {"rows": 4, "kept": 3, "rejected": {"duplicate": 1}}


def test_rows_of_another_input_are_refused_and_stay(tmp_path):
    output = tmp_path / "rows.jsonl"
    make_file(["a", "b"], making([]), output, {"v": 1}, progress=False)
    with pytest.raises(InputError, match="holds 1 rows that are not of this input"):
        make_file(["a", "c"], making([]), output, {"v": 1}, progress=False)
    counts = make_file(["a", "b", "c"], making([]), output, {"v": 1}, progress=False)
    assert counts.kept == 3


def test_other_settings_do_not_reuse_rows(tmp_path):
    output = tmp_path / "rows.jsonl"
    make_file(["a"], making([]), output, {"v": 1}, progress=False)
    with pytest.raises(InputError, match="made with other settings"):
        make_file(["a"], making([]), output, {"v": 2}, progress=False)


def test_an_empty_input_is_named(tmp_path):
    with pytest.raises(InputError, match="nothing to ask: the input holds no rows"):
        make_file([], making([]), tmp_path / "rows.jsonl", {}, what="ask", progress=False)


def test_without_a_store_items_give_rows_in_order():
    assert [row.text for row in make(["a", "b", "a"], making([]))] == ["A", "B", "A"]


def test_an_estimate_makes_eight_rows_of_any_number():
    made = []
    text = estimate((f"odd {n}" for n in itertools.count()), making(made), 800, lambda: {"prompt_tokens": 80})
    assert len(made) == 8
    assert "8 of which were rejected" in text
    assert "800 rows" in text
    assert "8,000 prompt tokens (10 a row)" in text
    with pytest.raises(InputError, match="nothing to estimate from"):
        estimate([], making([]), 0, dict)


@pytest.mark.parametrize(("seconds", "words"), [(5, "5 s"), (300, "5 min"), (7200, "2.0 h")])
def test_spans(seconds, words):
    assert span(seconds) == words
