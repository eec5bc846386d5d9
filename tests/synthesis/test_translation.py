import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.fingerprint import file_hash, fingerprint
from haystack_lrl.records.pair import Pair, Rejected, read_outcomes, read_pairs
from haystack_lrl.records.store import Store
from haystack_lrl.synthesis.translation import copied_share, translate, translation_settings
from haystack_lrl.synthesis.translator import Unusable, text_by_text


class Upper:
    identity = {"fake": "upper"}  # noqa: RUF012

    def __init__(self):
        self.asked = []

    def translate(self, items):
        for item in items:
            self.asked.append(item)
            yield Unusable("no such word", "raw") if "bad" in item[0] else tuple(text.upper() for text in item)


class TooMany(Upper):
    def translate(self, items):
        yield from super().translate(items)
        yield "A", "B"


class TooFew(Upper):
    def translate(self, items):
        yield from list(super().translate(items))[:2]


class StopsEarly(Upper):
    def translate(self, items):
        yield from itertools.islice(super().translate(items), 2)


def seeds(count):
    return [Pair(f"title {n}", f"body {n}", id=str(n), source="test") for n in range(count)]


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "pairs.jsonl", translation_settings(Upper(), language("epo"))) as opened:
        yield opened


def test_each_pair_is_translated_and_remembers_its_source(store):
    bad = Pair("bad title", "body", id="9", source="test")
    outcomes = list(translate([*seeds(1), bad], Upper(), store))
    kept = Pair("TITLE 0", "BODY 0", id="0", source="test", english_query="title 0", english_passage="body 0")
    lost = Pair("", "", id="9", source="test", english_query="bad title", english_passage="body")
    assert outcomes == [kept, Rejected(lost, "no such word", "raw")]
    store.complete()
    assert list(read_outcomes(store.path)) == outcomes


def test_each_row_is_in_the_store_before_it_is_yielded(store):
    for count, _ in enumerate(translate(seeds(5), Upper(), store), start=1):
        assert len(list(store.rows())) == count


def test_rows_in_the_store_are_not_translated_again(store):
    assert len(list(translate(seeds(3), Upper(), store))) == 3
    translator = Upper()
    assert [pair.id for pair in translate(seeds(5), translator, store)] == ["3", "4"]
    assert [query for query, _ in translator.asked] == ["title 3", "title 4"]


def test_a_pair_that_comes_twice_is_translated_once(store):
    class Late(Upper):
        def translate(self, items):
            yield from super().translate(list(items))  # the second comes while the first is still waiting

    twice = Pair("title 0", "body 0", id="other")
    assert [pair.id for pair in translate([*seeds(2), twice], Late(), store)] == ["0", "1"]
    assert [pair.id for pair in translate([twice, *seeds(3)], Late(), store)] == ["2"]


def test_pairs_are_taken_as_they_are_needed(store):
    taken = []
    outcomes = translate((taken.append(1) or pair for pair in seeds(100)), Upper(), store)
    next(outcomes)
    assert len(taken) == 1


@pytest.mark.parametrize(("fake", "results", "kept"), [(TooMany, 6, 5), (TooFew, 2, 2), (StopsEarly, 2, 2)])
def test_a_translator_that_miscounts_stops_the_run_and_its_rows_stay(store, fake, results, kept):
    with pytest.raises(InputError, match=f"{fake.__name__} gave {results} results for 5 rows"):
        list(translate(seeds(5), fake(), store))
    assert len(list(store.rows())) == kept


def test_settings_hold_language_and_translator():
    settings = translation_settings(Upper(), language("epo"))
    assert settings["language"] == "epo"
    assert settings["translator"] == Upper.identity
    assert json.loads(json.dumps(settings)) == settings


def test_texts_of_items_of_any_size_come_back_together():
    items = [("a",), ("b", "c"), ("d", "e", "f"), ("",)]
    taken = []
    results = text_by_text((taken.append(item) or item for item in items), lambda texts: (t.upper() for t in texts))
    assert next(results) == ("A",)
    assert taken == [("a",)]
    assert list(results) == [("B", "C"), ("D", "E", "F"), ("",)]


def pair(english, text):
    return Pair("demando", text, english_query="question", english_passage=english)


@pytest.mark.parametrize(
    ("translated", "share"),
    [
        ([pair("The cat sleeps on a mat.", "La kato dormas sur mato.")], 0.0),
        ([pair("The cat sleeps on a mat.", "the CAT sleeps on a mat!")], 1.0),
        ([pair("one two three four five", "one two three four kvin")], 1.0),
        ([pair("one two three four five", "one two three kvar kvin")], 0.0),
        ([pair("The cat sleeps on a mat.", "The cat sleeps")], 1.0),
        ([pair("a b c", ""), pair("a b c", "a b c")], 0.5),
        ([Pair("Who sleeps?", "La kato", english_query="who sleeps", english_passage="The cat")], 1.0),
        ([Pair("1999", "12 34", english_query="1999", english_passage="12 34")], 0.0),
        ([Pair("not translated", "at all")], 0.0),
        ([], 0.0),
    ],
)
def test_copied_share(translated, share):
    assert copied_share(iter(translated)) == share


def test_fingerprint_follows_content_and_not_place(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "1_Pooling").mkdir(parents=True)
        (tmp_path / name / "model.safetensors").write_bytes(b"weights")
        (tmp_path / name / "1_Pooling" / "config.json").write_text("{}")
    (tmp_path / "b" / "README.md").write_text("a card")
    (tmp_path / "b" / ".cache").mkdir()
    (tmp_path / "b" / ".cache" / "lock").write_text("")
    one = fingerprint(tmp_path / "a")
    assert one == fingerprint(tmp_path / "b")
    assert fingerprint(tmp_path / "a" / "model.safetensors") == file_hash(tmp_path / "a" / "model.safetensors")[:20]
    (tmp_path / "b" / "1_Pooling" / "config.json").write_text("{ }")
    assert fingerprint(tmp_path / "b") != one


SLOW_RUN = """
import sys, time
from pathlib import Path
from haystack_lrl.records.pair import Pair, read_pairs
from haystack_lrl.records.store import Store
from haystack_lrl.synthesis.translation import translate

class Slow:
    identity = {"fake": "slow"}
    def translate(self, items):
        batch = []
        for item in items:  # in batches, as real ones do
            batch.append(item)
            if len(batch) == 7:
                yield from self.answers(batch)
                batch = []
        yield from self.answers(batch)
    def answers(self, batch):
        for item in batch:
            time.sleep(0.002)
            yield tuple(text.upper() for text in item)

with Store(Path(sys.argv[2]), {"translator": Slow.identity}) as store:
    for _ in translate(read_pairs(Path(sys.argv[1])), Slow(), store):
        pass
    store.complete()
"""


def test_kill_9_at_any_point_loses_repeats_and_shifts_nothing(tmp_path):
    pairs = seeds(300)
    source, output = tmp_path / "seeds.jsonl", tmp_path / "pairs.jsonl"
    source.write_text("".join(json.dumps(pair.to_json()) + "\n" for pair in pairs))
    partial = tmp_path / "pairs.jsonl.partial"
    command = [sys.executable, "-c", SLOW_RUN, str(source), str(output)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    rng = random.Random(7)
    for stop in sorted(rng.sample(range(10, 250), 4)):
        process = subprocess.Popen(command, env=environment)
        while process.poll() is None and (not partial.exists() or partial.read_bytes().count(b"\n") < stop):
            time.sleep(0.002)
        time.sleep(rng.random() * 0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not output.exists()
    with partial.open("a") as file:  # a line that the killed process did not finish
        file.write('{"key": "abc", "settings": "de')
    subprocess.run(command, env=environment, check=True)
    made = list(read_pairs(output))
    assert [pair.english_query for pair in made] == [pair.query for pair in pairs]
    assert all(
        (pair.query, pair.passage) == (pair.english_query.upper(), pair.english_passage.upper()) for pair in made
    )
    keys = [json.loads(line)["key"] for line in output.read_text().splitlines()]
    assert len(set(keys)) == 300
