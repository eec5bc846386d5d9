import json
from dataclasses import replace

import numpy as np
import pytest
from toy import toy_seeds, translated

from haystack_lrl.curation.filtering import (
    FilterSettings,
    drift_limits,
    drift_scores,
    filter_file,
    judge,
    screen,
    text_rules,
)
from haystack_lrl.encoding.encoder import SentenceEncoder
from haystack_lrl.languages.table import language
from haystack_lrl.records.pair import Pair, Rejected, read_outcomes, read_pairs, write_rows

ENGLISH = "The old bridge over the river was built by farmers who needed a short way to the market in the valley."
ARMENIAN = "Գետի վրայի հին կամուրջը կառուցել են գյուղացիները, որոնց պետք էր կարճ ճանապարհ դեպի հովտի շուկան։"
AMHARIC = "በወንዙ ላይ ያለው አሮጌ ድልድይ የተሠራው በሸለቆው ውስጥ ወዳለው ገበያ አጭር መንገድ በሚያስፈልጋቸው ገበሬዎች ነበር።"
ESPERANTO = "La malnovan ponton trans la rivero konstruis kamparanoj, kiuj bezonis mallongan vojon al la valo."
GOOD = Pair("հարց", ARMENIAN, english_query="question", english_passage=ENGLISH)
TEXT_ONLY = FilterSettings(thresholds="none")


def reason(pair, code="hye", settings=TEXT_ONLY, median=1.0):
    (outcome,) = screen([pair], text_rules(language(code), settings, median)())
    return outcome.reason if isinstance(outcome, Rejected) else None


@pytest.mark.parametrize(("code", "text"), [("hye", ARMENIAN), ("amh", AMHARIC), ("epo", ESPERANTO)])
def test_a_good_translation_passes_every_text_rule(code, text):
    median = len(text) / len(ENGLISH)
    assert reason(replace(GOOD, passage=text), code, median=median) is None


@pytest.mark.parametrize("change", [{"query": " \n"}, {"passage": ""}])
def test_an_empty_side_is_rejected(change):
    assert reason(replace(GOOD, **change)) == "empty"


def test_a_repeated_pair_is_rejected_and_the_first_one_kept():
    other_query = replace(GOOD, query="այլ")
    rules = text_rules(language("hye"), TEXT_ONLY, 1.0)
    outcomes = list(screen([GOOD, replace(GOOD, id="2"), other_query], rules()))
    assert outcomes == [GOOD, Rejected(replace(GOOD, id="2"), "duplicate"), other_query]
    assert list(screen([GOOD], rules())) == [GOOD]  # each pass over the file begins anew


def test_a_copy_of_the_source_is_rejected():
    assert reason(replace(GOOD, passage=ENGLISH), "epo") == "copied source"
    assert reason(replace(GOOD, passage=ENGLISH, english_passage=""), "epo") is None  # there is nothing to copy


@pytest.mark.parametrize(("factor", "rejected"), [(2.9, False), (3.1, True), (1 / 2.9, False), (1 / 3.1, True)])
def test_lengths_far_from_the_usual_ratio_are_rejected(factor, rejected):
    assert reason(GOOD, median=len(ARMENIAN) / len(ENGLISH) / factor) == ("length ratio" if rejected else None)


def test_a_pair_without_english_side_has_no_length_ratio():
    assert reason(replace(GOOD, english_passage=""), median=1000.0) is None


def test_a_passage_that_repeats_itself_is_rejected():
    looped = ARMENIAN + " և այդպես" * 100
    english = ENGLISH * (len(looped) // len(ENGLISH))
    assert reason(replace(GOOD, passage=looped, english_passage=english)) == "repetition"
    assert reason(replace(GOOD, passage="այո այո այո այո", english_passage="yes yes yes yes")) is None  # too short


@pytest.mark.parametrize("code", ["hye", "amh"])
def test_a_passage_in_another_script_is_rejected(code):
    assert reason(replace(GOOD, passage=ESPERANTO), code) == "script"


def test_a_passage_may_hold_names_in_another_script():
    assert reason(replace(GOOD, passage=ARMENIAN + " (OpenStreetMap)")) is None
    assert reason(replace(GOOD, passage=ARMENIAN), settings=replace(TEXT_ONLY, script_share=1.0)) is None


def test_the_script_says_nothing_of_a_language_written_as_english_is():
    assert reason(replace(GOOD, passage=ARMENIAN), "epo") is None


def test_what_comes_in_rejected_stays_so():
    early = Rejected(Pair("", "", english_query="q"), "no JSON", raw="sorry")
    assert list(screen([early], text_rules(language("hye"), TEXT_ONLY, 1.0)())) == [early]
    assert list(judge([early], np.zeros((0, 3), dtype=np.float32), (0.0, 1.0, 1.0))) == [early]


def toy_pairs(count, **changes):
    fields = ("id", "query", "passage", "english_query", "english_passage")
    return [Pair(**{name: row[name] for name in fields} | changes) for row in translated(toy_seeds(count))]


def test_drift_is_what_the_paper_says_it_is(tiny):
    pairs = toy_pairs(5)
    (scores,) = drift_scores(pairs, SentenceEncoder(tiny, precision="fp32"))
    assert scores.shape == (5, 3)
    for pair, row in zip(pairs, scores, strict=True):
        query, passage, english_query, english_passage = tiny.encode(
            [pair.query, pair.passage, pair.english_query, pair.english_passage], normalize_embeddings=True
        )
        drift = abs(float(english_query @ english_passage) - float(query @ passage))
        assert row == pytest.approx([drift, english_query @ query, english_passage @ passage], abs=1e-6)


def test_long_files_are_scored_in_chunks_in_their_order(tiny, monkeypatch):
    pairs = toy_pairs(7)
    encoder = SentenceEncoder(tiny, precision="fp32")
    (whole,) = drift_scores(pairs, encoder)
    monkeypatch.setattr("haystack_lrl.curation.filtering._CHUNK", 3)
    parts = list(drift_scores(pairs, encoder))
    assert [len(part) for part in parts] == [3, 3, 1]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


def test_a_pair_without_english_side_cannot_drift(tiny):
    (scores,) = drift_scores(toy_pairs(2, english_query="", english_passage=""), SentenceEncoder(tiny))
    assert scores.tolist() == [[0, 1, 1], [0, 1, 1]]


SCORES = np.array([[0.01, 0.9, 0.9], [0.06, 0.9, 0.9], [0.01, 0.8, 0.9], [0.01, 0.9, 0.8], [0.06, 0.8, 0.8]], "f4")


def test_absolute_thresholds_are_cosines():
    settings = FilterSettings("absolute", semantic_drift=0.05, query_drift=0.85, passage_drift=0.85)
    assert drift_limits(SCORES, settings) == (0.05, 0.85, 0.85)
    pairs = [Pair(str(number), "p") for number in range(5)]
    outcomes = list(judge(pairs, SCORES, (0.05, 0.85, 0.85)))
    assert outcomes[0] == pairs[0]
    assert [outcome.reason for outcome in outcomes[1:]] == [
        "semantic drift",
        "translation drift",
        "translation drift",
        "semantic drift",
    ]


def test_percentiles_are_those_of_the_run():
    scores = np.random.default_rng(3).random((1000, 3), dtype=np.float32)
    limits = drift_limits(scores, FilterSettings(semantic_drift=90, query_drift=20, passage_drift=1))
    assert (scores[:, 0] > limits[0]).mean() == pytest.approx(0.10, abs=0.002)
    assert (scores[:, 1] < limits[1]).mean() == pytest.approx(0.20, abs=0.002)
    assert (scores[:, 2] < limits[2]).mean() == pytest.approx(0.01, abs=0.002)


def test_scores_go_to_the_pairs_and_skip_the_rejected():
    early = Rejected(Pair("", ""), "empty")
    pairs = [Pair(str(number), "p") for number in range(3)]
    outcomes = list(judge([early, pairs[0], early, pairs[1], pairs[2]], SCORES[:3], (0.05, 0.85, 0.85)))
    assert outcomes == [
        early,
        pairs[0],
        early,
        Rejected(pairs[1], "semantic drift"),
        Rejected(pairs[2], "translation drift"),
    ]


@pytest.mark.parametrize(("thresholds", "value"), [("percentile", 101), ("absolute", 1.5), ("absolute", -0.1)])
def test_thresholds_off_their_scale_are_refused(thresholds, value):
    with pytest.raises(ValueError, match=rf"filter\.query_drift is {value}, but {thresholds} means 0 to"):
        FilterSettings(thresholds, 0.5, query_drift=value, passage_drift=0.5)


def test_a_length_ratio_that_no_pair_could_meet_is_refused():
    with pytest.raises(ValueError, match=r"filter\.length_ratio is 0"):
        FilterSettings(length_ratio=0)


def run_filter(folder, outcomes, settings, scorer, code="epo"):
    source, kept, rejected = (folder / f"{name}.jsonl" for name in ("pairs", "kept", "rejected"))
    write_rows(source, outcomes)
    counts = filter_file(source, kept, rejected, language(code), settings, scorer)
    return counts, list(read_pairs(kept)), list(read_outcomes(rejected))


@pytest.mark.parametrize("thresholds", ["percentile", "absolute", "none"])
def test_every_row_of_a_file_ends_in_one_of_two_files(tmp_path, tiny, thresholds):
    good = toy_pairs(40)
    early = Rejected(replace(good[0], id="early", query="", passage=""), "no JSON", raw="sorry")
    bad = [replace(good[1], id="twice"), replace(good[2], id="copy", passage=good[2].english_passage, query="x")]
    outcomes = [early, *good[:20], *bad, *good[20:]]
    limits = {} if thresholds != "absolute" else {"semantic_drift": 0.02, "query_drift": 0.5, "passage_drift": 0.5}
    settings = FilterSettings(thresholds, **limits, compression=0)
    counts, kept, rejected = run_filter(tmp_path, outcomes, settings, SentenceEncoder(tiny, precision="fp32"))
    assert counts.rows == len(outcomes) == counts.kept + counts.rejected.total()
    assert (counts.kept, counts.rejected.total()) == (len(kept), len(rejected))
    assert {row.id for row in kept} | {row.pair.id for row in rejected} == {
        outcome.pair.id if isinstance(outcome, Rejected) else outcome.id for outcome in outcomes
    }
    assert [row.id for row in kept] == [pair.id for pair in good if pair in kept]  # in their order
    assert rejected[0] == early
    assert counts.rejected["duplicate"] == counts.rejected["copied source"] == counts.rejected["no JSON"] == 1
    drifted = counts.rejected["semantic drift"] + counts.rejected["translation drift"]
    (scores,) = drift_scores(good, SentenceEncoder(tiny, precision="fp32"))
    expected = sum(isinstance(row, Rejected) for row in judge(good, scores, drift_limits(scores, settings)))
    assert drifted == (0 if thresholds == "none" else expected)
    assert thresholds == "none" or 0 < drifted < 40


def test_without_a_scorer_the_text_rules_are_all(tmp_path):
    counts, kept, _ = run_filter(tmp_path, toy_pairs(5), FilterSettings(), None)
    assert counts.to_json() == {"rows": 5, "kept": 5, "rejected": {}}
    assert len(kept) == 5


def test_the_median_ratio_is_that_of_the_file(tmp_path):
    pairs = [replace(pair, passage=pair.passage * 5) for pair in toy_pairs(9)]  # a language of long words
    usual = replace(toy_pairs(10)[9], id="short")
    counts, _, rejected = run_filter(tmp_path, [*pairs, usual], replace(TEXT_ONLY, compression=0), None)
    assert counts.kept == 9
    assert [(row.pair.id, row.reason) for row in rejected] == [("short", "length ratio")]


@pytest.mark.parametrize("outcomes", [[], [Rejected(Pair("", "", id="1"), "no JSON")]])
def test_a_file_without_pairs_is_no_problem(tmp_path, tiny, outcomes):
    counts, kept, rejected = run_filter(tmp_path, outcomes, FilterSettings(), SentenceEncoder(tiny))
    assert (counts.rows, kept, rejected) == (len(outcomes), [], outcomes)


def test_a_bad_row_leaves_neither_file(tmp_path):
    source = tmp_path / "pairs.jsonl"
    source.write_text(json.dumps({"query": "a", "passage": "b"}) + "\n{", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2 is not valid JSON"):
        filter_file(source, tmp_path / "kept", tmp_path / "rejected", language("epo"), TEXT_ONLY, None)
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.jsonl"]
