import json
import random
import signal
import subprocess
import sys
import time

import pytest

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.store import Store, settings_hash

SETTINGS = {"model": "a", "options": {"beam": 1}}

WRITER = """
import sys
from pathlib import Path
from haystack_lrl.records.store import Store

with Store(Path(sys.argv[1]), {"model": "a"}) as store:
    for number in range(int(sys.argv[2])):
        key = store.key(str(number))
        if key not in store.keys:
            store.append(key, {"number": number, "text": "ĉ" * (number % 700)})
    store.complete()
"""


def fill(path, numbers):
    with Store(path, SETTINGS) as store:
        for number in numbers:
            store.append(store.key(str(number)), {"number": number})


def numbers_of(path):
    return [json.loads(line)["number"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_store_goes_on_where_it_stopped_and_takes_its_name_when_complete(tmp_path):
    path = tmp_path / "pairs.jsonl"
    fill(path, [1, 2])
    assert not path.exists()
    with Store(path, SETTINGS) as store:
        assert set(store.keys) == {store.key("1"), store.key("2")}
        store.append(store.key("3"), {"number": 3})
        assert [row["number"] for row in store.rows()] == [1, 2, 3]
        store.complete()
    assert numbers_of(path) == [1, 2, 3]
    assert [file.name for file in tmp_path.iterdir()] == ["pairs.jsonl"]


def test_a_row_is_on_the_disk_before_append_returns(tmp_path):
    store = Store(tmp_path / "pairs.jsonl", SETTINGS)
    store.append(store.key("1"), {"number": 1})
    assert numbers_of(store.partial) == [1]


def test_a_complete_store_can_be_added_to(tmp_path):
    path = tmp_path / "pairs.jsonl"
    for numbers in ([1], [2]):
        with Store(path, SETTINGS) as store:
            for number in numbers:
                store.append(store.key(str(number)), {"number": number})
            store.complete()
    assert numbers_of(path) == [1, 2]


@pytest.mark.parametrize("torn", [b'{"key": "x", "sett', '{"text": "ĉ'.encode()[:-1], b"{", b"\xc4"])
def test_a_torn_last_line_is_cut(tmp_path, torn):
    path = tmp_path / "pairs.jsonl"
    fill(path, [1, 2])
    partial = tmp_path / "pairs.jsonl.partial"
    whole = partial.read_bytes()
    partial.write_bytes(whole + torn)
    fill(path, [3])
    assert numbers_of(partial) == [1, 2, 3]


def test_a_first_line_that_was_torn_leaves_an_empty_store(tmp_path):
    path = tmp_path / "pairs.jsonl"
    (tmp_path / "pairs.jsonl.partial").write_text('{"key": ', encoding="utf-8")
    with Store(path, SETTINGS) as store:
        assert not len(store.keys)


def test_rows_of_other_settings_are_refused_and_left_alone(tmp_path):
    path = tmp_path / "pairs.jsonl"
    with Store(path, SETTINGS) as store:
        store.append(store.key("1"), {"number": 1})
        store.complete()
    with pytest.raises(InputError, match=r"line 1 was made with other settings .* use another output path"):
        Store(path, {**SETTINGS, "model": "b"})
    assert numbers_of(path) == [1]


def test_a_file_that_no_store_wrote_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"query": "mine"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="other settings"):
        Store(path, SETTINGS)
    assert path.read_text(encoding="utf-8") == '{"query": "mine"}\n'


@pytest.mark.parametrize(
    "other",
    [
        {"model": "b", "options": {"beam": 1}},
        {"model": "a", "options": {"beam": 2}},
        {"model": "a"},
        {**SETTINGS, "x": 0},
    ],
)
def test_a_key_changes_with_any_setting(tmp_path, other):
    assert settings_hash(other) != settings_hash(SETTINGS)
    with Store(tmp_path / "a.jsonl", SETTINGS) as one, Store(tmp_path / "b.jsonl", other) as two:
        assert one.key("text") != two.key("text")


def test_the_order_of_settings_does_not_matter():
    assert settings_hash({"a": 1, "b": 2}) == settings_hash({"b": 2, "a": 1})


def test_a_row_cannot_be_appended_twice(tmp_path):
    with Store(tmp_path / "pairs.jsonl", SETTINGS) as store:
        store.append("key", {"number": 1})
        with pytest.raises(ValueError, match="already holds the row key"):
            store.append("key", {"number": 2})
        assert [row["number"] for row in store.rows()] == [1]


def test_a_process_killed_at_random_moments_loses_and_repeats_no_row(tmp_path):
    path, rows, rng = tmp_path / "pairs.jsonl", 40_000, random.Random(5)
    command = [sys.executable, "-c", WRITER, str(path), str(rows)]
    partial = tmp_path / "pairs.jsonl.partial"
    lengths = [0]
    for _ in range(4):
        process = subprocess.Popen(command)
        size = partial.stat().st_size if partial.exists() else 0
        while not partial.exists() or partial.stat().st_size <= size:  # until it writes rows of its own
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        lengths.append(partial.read_bytes().count(b"\n"))
    assert lengths == sorted(set(lengths))  # each run added to what the killed ones had written
    assert lengths[-1] < rows
    subprocess.run(command, check=True)
    assert numbers_of(path) == list(range(rows))
    assert not partial.exists()
