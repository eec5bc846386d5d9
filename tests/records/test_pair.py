import json
import unicodedata

import pytest

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import (
    Pair,
    Rejected,
    Triplet,
    read_outcomes,
    read_pairs,
    read_triplets,
    text_hash,
    write_rows,
)

FULL = Pair("kio", "ĝi estas", id="7", source="wiki", english_query="what", english_passage="it is")


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_texts_are_nfc_and_ids_are_line_numbers_where_there_are_none(tmp_path):
    decomposed = unicodedata.normalize("NFD", "ĉu ĝi")
    path = write(
        tmp_path / "seeds.jsonl", {"query": decomposed, "passage": decomposed}, {"query": "a", "passage": "b", "id": 12}
    )
    first, second = read_pairs(path)
    assert (first.query, first.passage, first.id) == ("ĉu ĝi", "ĉu ĝi", "1")
    assert second.id == "12"


def test_columns_may_have_other_names(tmp_path):
    path = write(tmp_path / "seeds.jsonl", {"title": "a", "body": "b", "query": "not this"})
    assert list(read_pairs(path, "title", "body")) == [Pair("a", "b", id="1")]


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path):
    path = write(tmp_path / "seeds.jsonl", {"query": "a", "passage": "b"}, {"title": "a", "body": "b"})
    with pytest.raises(InputError, match=r"seeds\.jsonl line 2 has the columns title, body but not 'query'"):
        list(read_pairs(path))


@pytest.mark.parametrize("value", [None, 3, ["a"]])
def test_a_value_that_is_not_text_is_refused(tmp_path, value):
    path = write(tmp_path / "seeds.jsonl", {"query": "a", "passage": value})
    with pytest.raises(InputError, match=r"line 1 has passage = .*, which is not text"):
        list(read_pairs(path))


def test_half_a_character_is_refused_before_hours_of_work_with_it(tmp_path):
    path = tmp_path / "seeds.jsonl"
    path.write_text('{"query": "a", "passage": "cut emoji \\ud83d"}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"line 1 has passage .*, which is not valid Unicode"):
        list(read_pairs(path))


def test_a_group_is_the_english_passage_where_there_is_one():
    assert FULL.group == Pair("other", "another", english_passage=" it\n is ").group
    assert FULL.group != Pair("kio", "ĝi estas").group
    assert Pair("x", "it is").group == FULL.group


def test_the_english_side_keeps_id_and_source():
    assert FULL.in_english() == Pair("what", "it is", id="7", source="wiki")


def test_hashes_know_where_one_text_ends():
    assert text_hash("ab", "c") != text_hash("a", "bc")
    assert text_hash("a", "b") != text_hash("b", "a")


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "rows.jsonl"
    outcomes = [FULL, Rejected(FULL, "duplicate"), Rejected(Pair("", "", id="8"), "no JSON", raw="sorry")]
    assert write_rows(path, outcomes) == 3
    assert list(read_outcomes(path)) == outcomes
    triplets = [Triplet(FULL, ("no", "not this")), Triplet(FULL, ())]
    write_rows(path, triplets)
    assert list(read_triplets(path)) == triplets


def test_a_row_that_cannot_be_made_leaves_no_file(tmp_path):
    def rows():
        yield FULL
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_rows(tmp_path / "rows.jsonl", rows())
    assert list(tmp_path.iterdir()) == []
