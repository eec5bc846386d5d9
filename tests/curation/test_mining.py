import csv
import dataclasses
import json
import math
from html.parser import HTMLParser

import numpy as np
import pytest
from click.testing import CliRunner
from toy import toy_seeds, translated, write_jsonl

from haystack_lrl.cli.mining import mine_command
from haystack_lrl.curation import mining
from haystack_lrl.curation.candidates import overlap
from haystack_lrl.curation.mining import MiningSettings, mine, mine_file
from haystack_lrl.curation.teachers import Bm25, load_teacher
from haystack_lrl.encoding import nearest
from haystack_lrl.encoding.encoder import SentenceEncoder
from haystack_lrl.encoding.lexical import LexicalIndex
from haystack_lrl.languages.table import language
from haystack_lrl.languages.tokens import search_tokens
from haystack_lrl.recipe import build
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import Pair, read_triplets
from haystack_lrl.records.passage import Passage

SETTINGS = MiningSettings(negatives=3, margin=0.95)
EPO = language("epo")


def triplets_of(*arguments, **keywords):
    return [mined.triplet for mined in mine(*arguments, **keywords)]


def toy_pairs(count):
    return [
        Pair(row["query"], row["passage"], row["id"], "", row["english_query"], row["english_passage"])
        for row in translated(toy_seeds(count))
    ]


@pytest.fixture
def encoder(tiny):
    return SentenceEncoder(tiny, precision="fp32")


class Chart:
    """Place texts on the plane by their angle in degrees."""

    def __init__(self, **angles):
        self.angles = angles

    def encode(self, texts, role):
        radians = np.radians([self.angles[text] for text in texts])
        return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_negatives_score_below_the_margin_and_are_the_nearest_of_those(encoder):
    pairs = toy_pairs(40)
    queries = encoder.encode([pair.english_query for pair in pairs], "query")
    passages = encoder.encode([pair.english_passage for pair in pairs], "passage")
    scores = queries @ passages.T
    unrelated = scores.mean()  # over all pairs of texts, of which the mean vectors are a shorter way
    place = {pair.passage: number for number, pair in enumerate(pairs)}
    some = 0
    for row, triplet in enumerate(triplets_of(pairs, encoder, SETTINGS)):
        limit = unrelated + 0.95 * (scores[row, row] - unrelated)
        allowed = [p for p in np.argsort(-scores[row]) if p != row and scores[row, p] < limit]
        readable = scores[row, row] > unrelated
        assert [place[text] for text in triplet.negatives] == (allowed[:3] if readable else [])
        some += len(triplet.negatives)
    assert some > 40


def test_every_pair_comes_out_in_order(encoder):
    pairs = toy_pairs(12)
    assert [triplet.pair for triplet in triplets_of(pairs, encoder, SETTINGS)] == pairs


def test_a_positives_own_group_is_never_a_negative(encoder):
    pairs = [
        Pair(f"{pair.query} {copy}", f"{pair.passage} {copy}", "", "", pair.english_query, pair.english_passage)
        for pair in toy_pairs(10)
        for copy in range(3)
    ]
    groups = {pair.passage: pair.group for pair in pairs}
    triplets = triplets_of(pairs, encoder, MiningSettings(negatives=9, margin=1.0))
    assert sum(len(triplet.negatives) for triplet in triplets) > 30
    for triplet in triplets:
        negatives = [groups[text] for text in triplet.negatives]
        assert triplet.pair.group not in negatives
        assert len(negatives) == len(set(negatives))  # nor does a passage come twice


def test_another_answer_to_the_same_query_is_no_negative():
    chart = Chart(question=0, answer=10, second=30, far=60, elsewhere=90)
    pairs = [Pair("question", "answer"), Pair("question", "second"), Pair("elsewhere", "far")]
    first, second, _ = triplets_of(pairs, chart, SETTINGS)
    assert first.negatives == ("far",)
    assert second.negatives == ("far",)


def test_the_english_side_chooses_and_the_language_is_written():
    chart = Chart(q=0, good=5, near=40, far=80, x=100, y=120)
    pairs = [
        Pair("demando", "bona", english_query="q", english_passage="good"),
        Pair("alia", "proksima", english_query="x", english_passage="near"),
        Pair("tria", "fora", english_query="y", english_passage="far"),
    ]
    first, *_ = triplets_of(pairs, chart, MiningSettings(negatives=1))
    assert first.negatives == ("proksima",)


def test_a_pair_without_english_side_is_mined_as_it_is():
    chart = Chart(q=0, good=5, near=40, x=100)
    first, _ = triplets_of([Pair("q", "good"), Pair("x", "near")], chart, MiningSettings(negatives=1))
    assert first.negatives == ("near",)


def test_passages_within_the_margin_are_left_out():
    chart = Chart(q=0, good=20, close=21, near=50, x=120, y=140)
    pairs = [Pair("q", "good"), Pair("x", "close"), Pair("y", "near")]
    first, *_ = triplets_of(pairs, chart, MiningSettings(negatives=2))
    assert first.negatives == ("near",)


@pytest.mark.parametrize(
    "settings",
    [
        {"negatives": -1},
        {"margin": 0.0},
        {"margin": 1.5},
        {"margin": math.nan},
        {"depth": 0},
        {"duplicates": 0.0},
        {"duplicates": 1.1},
        {"duplicates": math.nan},
        {"teacher": " "},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=rf"mining\.{name} is"):
        MiningSettings(**settings)


@pytest.mark.parametrize(("name", "value"), [("side", "french"), ("choice", "random")])
def test_a_choice_that_does_not_exist_is_refused_by_the_recipe(name, value):
    tree = {"language": "epo", "seeds": "", "translator": "", "base_model": "", "mining": {name: value}}
    with pytest.raises(InputError, match=rf"mining\.{name} = '{value}'"):
        build(tree, "the recipe")


def reference(pairs, scores, unrelated, settings, passages):
    """Return each row's negatives by looking at all scores at once; the passages are all different."""
    for row in range(len(pairs)):
        limit = unrelated + settings.margin * (scores[row, row] - unrelated)
        ranked = [p for p in np.argsort(-scores[row], kind="stable")[: settings.depth] if p != row]
        allowed = [p for p in ranked if scores[row, p] < limit and scores[row, p] > 0]
        yield tuple(passages[p] for p in allowed[: settings.negatives]) if scores[row, row] > unrelated else ()


@pytest.mark.parametrize("depth", [5, 50, 1000])
def test_candidates_in_blocks_with_a_corpus_are_those_of_brute_force(encoder, monkeypatch, depth):
    monkeypatch.setattr(mining, "_QUERIES", 7)
    monkeypatch.setattr(nearest, "BLOCK_FLOATS", 7 * 11)
    settings = MiningSettings(negatives=4, side="own", depth=depth)
    pairs = toy_pairs(30)
    corpus = [Passage(pair.passage) for pair in toy_pairs(90)]  # of which the first thirty are the pairs' own
    texts = [passage.text for passage in corpus]
    queries = encoder.encode([pair.query for pair in pairs], "query")
    passages = encoder.encode(texts, "passage")
    unrelated = queries.mean(axis=0) @ passages.mean(axis=0)
    expected = list(reference(pairs, queries @ passages.T, unrelated, settings, texts))
    found = [triplet.negatives for triplet in triplets_of(pairs, encoder, settings, corpus=[*corpus, *corpus])]
    assert found == expected
    assert any(text in texts[30:] for negatives in found for text in negatives)


@pytest.mark.parametrize("side", ["english", "own"])
def test_bm25_ranks_by_shared_words_on_the_side_asked_for(side):
    settings = MiningSettings(negatives=3, teacher="bm25", side=side, margin=0.9)
    pairs = toy_pairs(60)
    code, query, passage = (
        ("eng", "english_query", "english_passage") if side == "english" else ("epo", "query", "passage")
    )
    index = LexicalIndex([search_tokens(getattr(pair, passage), language(code)) for pair in pairs])
    asked = [search_tokens(getattr(pair, query), language(code)) for pair in pairs]
    scores = np.hstack([block for _, block in index.blocks(asked)])
    expected = list(reference(pairs, scores, 0, settings, [pair.passage for pair in pairs]))
    found = [triplet.negatives for triplet in triplets_of(pairs, Bm25(EPO), settings)]
    assert found == expected
    assert sum(map(len, found)) > 60


def test_bm25_reads_each_side_as_its_own_language():
    pairs = [  # in Turkish the small letter of I is another than i
        Pair("q", "a", english_query="INDIGO", english_passage="indigo paint and indigo ink"),
        Pair("p", "b", english_query="x", english_passage="the indigo sky above the red earth"),
        Pair("IŞIK", "c ışık"),
    ]
    first, *_ = mine(pairs, Bm25(language("tur")), MiningSettings(negatives=1))
    assert (first.triplet.negatives, first.positive > 0) == (("b",), True)
    *_, third = mine(pairs, Bm25(language("tur")), MiningSettings(negatives=1))
    assert third.positive > 0


def test_bm25_gives_no_passage_that_shares_no_word():
    pairs = [Pair("bela rivero", "la bela rivero fluas"), Pair("nova lernejo", "nova lernejo"), Pair("x", "bela domo")]
    first, second, third = mine(pairs, Bm25(EPO), MiningSettings(negatives=3))
    assert first.triplet.negatives == ("bela domo",)
    assert (second.negatives, second.lacking) == ((), "no other passage found")
    assert (third.negatives, third.positive) == ((), 0)  # the query has no word of its own passage


def test_a_pair_whose_passage_scores_like_unrelated_text_gets_no_negatives():
    # the mean is near 60 degrees; the margin would put the limit above the positive's own score
    chart = Chart(q=0, good=110, near=40, far=80, x=40, y=80)
    pairs = [Pair("q", "good"), Pair("x", "near"), Pair("y", "far")]
    first, second, _ = mine(pairs, chart, MiningSettings(negatives=3))
    assert first.negatives == ()
    assert first.lacking == "the passage scores no more than unrelated text"
    assert len(second.negatives) == 2


def test_scores_ranks_and_closeness_are_those_of_the_teacher():
    chart = Chart(q=0, good=20, close=21, near=50, x=120, y=140)
    pairs = [Pair("q", "good"), Pair("x", "close"), Pair("y", "near")]
    first, *_ = mine(pairs, chart, MiningSettings(negatives=2))
    (negative,) = first.negatives
    cosines = np.cos(np.radians([20, 21, 50]))
    assert (first.positive, negative.score) == pytest.approx((cosines[0], cosines[2]))
    assert negative.rank == 3  # after the positive, and one within the margin
    queries, passages = chart.encode(["q", "x", "y"], ""), chart.encode(["good", "close", "near"], "")
    unrelated = (queries @ passages.T).mean()
    assert negative.closeness == pytest.approx((cosines[2] - unrelated) / (cosines[0] - unrelated), abs=1e-5)


LONG = "la maljuna ponto trans la larĝa rivero estis konstruita antaŭ du jarcentoj de la urbo"
COPY = "la maljuna ponto trans la larĝa rivero estis konstruita antaŭ tri jarcentoj de la urbo"
OTHER = "la ponto trans la rivero estas fermita hodiaŭ pro la forta vento kaj la alta akvo"


def test_near_copies_of_the_positive_are_never_negatives():
    pairs = [Pair("ponto du", LONG), Pair("ponto urbo", COPY), Pair("vento akvo", OTHER)]
    mined = triplets_of(pairs, Bm25(EPO), MiningSettings(negatives=3, margin=1.0))
    assert [triplet.negatives for triplet in mined[:2]] == [(OTHER,), (OTHER,)]
    allowed = triplets_of(pairs, Bm25(EPO), MiningSettings(negatives=3, margin=1.0, duplicates=1.0))
    assert COPY in allowed[0].negatives


def test_copies_on_the_compared_side_count_too():
    pairs = [
        Pair("q1", "tute alia traduko", english_query="the old bridge", english_passage=f"a {LONG}"),
        Pair("q2", "nenio samas ĉi tie", english_query="the new bridge", english_passage=f"b {COPY} ponto"),
    ]
    first, _ = mine([*pairs], Bm25(EPO), MiningSettings(negatives=1, margin=1.0))
    assert first.negatives == ()


@pytest.mark.parametrize(
    ("first", "second", "share"),
    [
        ("abcdef", "abcdef", 1.0),
        ("ABC  DEF\n", "abc def", 1.0),
        ("abcdef", "abcdeg", 1 / 3),
        ("abc", "abd", 0.0),
        ("", "", 1.0),
        ("", "abcdef", 0.0),
    ],
)
def test_overlap_is_the_share_of_common_runs_of_five_letters(first, second, share):
    assert overlap(first, second) == overlap(second, first) == pytest.approx(share)


def test_sampled_negatives_are_drawn_from_the_allowed_by_the_seed(encoder):
    pairs = toy_pairs(60)
    settings = MiningSettings(negatives=3, choice="sampled", depth=40)
    every = triplets_of(pairs, encoder, dataclasses.replace(settings, choice="top", negatives=40))
    drawn = list(mine(pairs, encoder, settings, seed=5))
    assert [mined.triplet for mined in drawn] == triplets_of(pairs, encoder, settings, seed=5)
    assert [mined.triplet for mined in drawn] != triplets_of(pairs, encoder, settings, seed=6)
    for mined, whole in zip(drawn, every, strict=True):
        assert len(mined.negatives) == min(3, len(whole.negatives))
        assert set(mined.triplet.negatives) <= set(whole.negatives)
        assert [n.rank for n in mined.negatives] == sorted(n.rank for n in mined.negatives)  # nearest first
    assert sum(mined.triplet.negatives != whole.negatives[:3] for mined, whole in zip(drawn, every, strict=True)) > 20


def test_english_sides_are_not_compared_with_a_corpus():
    with pytest.raises(InputError, match=r"set mining\.side=own"):
        list(mine(toy_pairs(3), Bm25(EPO), SETTINGS, corpus=[Passage("a")]))


def test_a_corpus_goes_with_pairs_that_were_not_translated():
    pairs = [Pair("bela rivero", "la bela rivero fluas for"), Pair("nova lernejo", "nova lernejo")]
    first, _ = triplets_of(
        pairs, Bm25(EPO), SETTINGS, corpus=[Passage("bela domo"), Passage("la bela rivero  fluas for")]
    )
    assert first.negatives == ("bela domo",)


@pytest.mark.parametrize("teacher", ["dense", "bm25"])
@pytest.mark.parametrize("corpus", [(), [Passage("domo")]])
def test_nothing_in_nothing_out(tmp_path, encoder, teacher, corpus):
    teacher = encoder if teacher == "dense" else Bm25(EPO)
    counts = mine_file([], tmp_path / "t.jsonl", teacher, SETTINGS, corpus=corpus, seed=1, review=tmp_path / "r.html")
    assert counts.to_json() == {"rows": 0, "negatives": 0, "fewer": 0, "none": {}}
    assert (tmp_path / "t.jsonl").read_text() == ""
    assert "Hard negatives to review" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize("text", ["domo", "", "…"])
@pytest.mark.parametrize("teacher", ["dense", "bm25"])
def test_one_pair_has_no_negatives(encoder, teacher, text):
    (mined,) = mine([Pair(text, text)], encoder if teacher == "dense" else Bm25(EPO), SETTINGS)
    assert (mined.negatives, mined.lacking) == ((), "no other passage found")


def test_none_wanted_none_lacking(tmp_path):
    counts = mine_file(toy_pairs(5), tmp_path / "t.jsonl", Bm25(EPO), MiningSettings(), seed=1)
    assert counts.to_json() == {"rows": 5, "negatives": 0, "fewer": 0, "none": {}}


def test_every_row_is_accounted_for(tmp_path, encoder):
    chart = Chart(q=0, good=5, near=40, far=80, x=38, y=78, bad=200, z=20)
    pairs = [Pair("q", "good"), Pair("x", "near"), Pair("y", "far"), Pair("z", "bad")]
    counts = mine_file(iter(pairs), tmp_path / "t.jsonl", chart, MiningSettings(negatives=3), seed=1)
    rows = list(read_triplets(tmp_path / "t.jsonl"))
    assert [row.pair.query for row in rows] == ["q", "x", "y", "z"]
    sizes = [len(row.negatives) for row in rows]
    assert (counts.rows, counts.negatives) == (4, sum(sizes))
    assert counts.fewer == sum(0 < size < 3 for size in sizes)
    assert dict(counts.none) == {"the passage scores no more than unrelated text": 1}
    assert sizes[3] == 0


def test_a_failure_leaves_neither_triplets_nor_temporary_files(tmp_path):
    def broken():
        yield Pair("a", "b")
        raise InputError("line 2 is wrong")

    with pytest.raises(InputError, match="line 2"):
        mine_file(broken(), tmp_path / "t.jsonl", Bm25(EPO), SETTINGS, seed=1)
    assert list(tmp_path.iterdir()) == []


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def test_the_review_sheet_shows_texts_as_texts(tmp_path):
    evil = '<script>alert(1)</script><img src=x onerror="a"> bela'
    pairs = [Pair(evil, f"{evil} rivero", id="=HYPERLINK(1)"), Pair("x", "=cmd bela"), Pair("שלום", "שלום bela עולם")]
    sheet = tmp_path / "review.html"
    mine_file(pairs, tmp_path / "t.jsonl", Bm25(language("heb")), MiningSettings(negatives=3), seed=1, review=sheet)
    page = Tags()
    page.feed(sheet.read_text(encoding="utf-8"))
    assert not {"script", "img", "link", "a"} & {tag for tag, _ in page.seen}
    assert evil in page.text
    assert all(attrs["dir"] == "auto" for _, attrs in page.seen if attrs.get("class") in {"query", "passage"})
    assert "prefers-color-scheme: dark" in sheet.read_text(encoding="utf-8")
    with (tmp_path / "review.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["query"] == evil
    assert not any(value.startswith("=") for row in rows for value in row.values())
    assert {row["id"] for row in rows if row["row"] == "1"} == {"'=HYPERLINK(1)"}


def test_the_review_sheet_draws_thirty_rows_by_the_seed(tmp_path):
    pairs = toy_pairs(200)
    settings = MiningSettings(negatives=2, margin=0.9)

    def drawn(seed):
        sheet = tmp_path / f"r{seed}.html"
        mine_file(pairs, tmp_path / "t.jsonl", Bm25(EPO), settings, seed=seed, review=sheet)
        with sheet.with_suffix(".csv").open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file)), sheet.read_text(encoding="utf-8")

    rows, page = drawn(1)
    numbers = list(dict.fromkeys(int(row["row"]) for row in rows))
    assert len(numbers) == page.count("<article>") == 30
    assert numbers == sorted(numbers)
    assert max(numbers) > 100
    assert drawn(1) == (rows, page)
    assert [int(row["row"]) for row in drawn(2)[0]] != [int(row["row"]) for row in rows]
    mined = list(mine(pairs, Bm25(EPO), settings))
    for row in rows:
        source = mined[int(row["row"]) - 1]
        assert row["query"] == source.pair.query
        if row["negative"]:
            negative = next(n for n in source.negatives if n.source.passage == row["negative"])
            share = f"{negative.closeness:.0%}"
            assert row["reason"] == f"number {negative.rank} for the query, {share} of the positive's score"
            assert float(row["score"]) == round(negative.score, 4)
            assert row["reason"].replace("'", "&#39;") in page
        else:
            assert row["reason"] == source.lacking


def test_the_page_may_not_take_the_name_of_its_csv(tmp_path):
    with pytest.raises(InputError, match=r"r\.csv"):
        mine_file(toy_pairs(3), tmp_path / "t.jsonl", Bm25(EPO), SETTINGS, seed=1, review=tmp_path / "r.csv")


def test_teachers_by_name(tiny_model):
    assert load_teacher("bm25", EPO) == Bm25(EPO)
    assert isinstance(load_teacher(str(tiny_model), EPO), SentenceEncoder)
    with pytest.raises(InputError, match="base model's folder"):
        load_teacher("base", EPO)


@pytest.mark.parametrize("teacher", ["bm25", "model"])
def test_the_command_writes_triplets_and_sheet(tmp_path, tiny_model, teacher):
    pairs = write_jsonl(tmp_path / "kept.jsonl", [pair.to_json() for pair in toy_pairs(40)])
    corpus = write_jsonl(tmp_path / "corpus.jsonl", [{"text": pair.passage} for pair in toy_pairs(80)])
    name = tiny_model if teacher == "model" else teacher
    arguments = ["--language", "epo", "--pairs", pairs, "--teacher", name, "--output", tmp_path / "t.jsonl"]
    more = ["--corpus", corpus, "--set", "mining.side=own", "--set", "mining.margin=0.9", "--negatives", "4"]
    arguments += [*more, "--review", tmp_path / "r.html", "--quiet"]
    done = CliRunner().invoke(mine_command, [str(argument) for argument in arguments], catch_exceptions=False)
    counts = json.loads(done.stdout)
    rows = list(read_triplets(tmp_path / "t.jsonl"))
    assert counts["rows"] == len(rows) == 40
    assert counts["negatives"] == sum(len(row.negatives) for row in rows) > 40
    assert max(len(row.negatives) for row in rows) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "corpus.jsonl", "kept.jsonl", "r.csv", "r.html", "t.jsonl",
    ]  # fmt: skip
