import gzip
import unicodedata

import pytest
from toy import toy_seeds, write_jsonl, write_test_set

from haystack_lrl.evaluation.testset import load_test_set, test_set_of_pairs, texts_as_test_set
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import Pair


@pytest.fixture
def folder(tmp_path):
    return write_test_set(tmp_path / "beir", toy_seeds(5))


def qrels(folder, *lines):
    (folder / "qrels" / "test.tsv").write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def zipped(path):
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def test_a_beir_folder_is_read(folder):
    test_set = load_test_set(folder, "epo")
    seeds = toy_seeds(5)
    assert (test_set.name, test_set.language) == ("beir", "epo")
    assert list(test_set.queries.items()) == [(f"q{n}", row["query"]) for n, row in enumerate(seeds)]
    assert list(test_set.documents.items()) == [(f"d{n}", row["passage"]) for n, row in enumerate(seeds)]
    assert test_set.qrels == {f"q{n}": {f"d{n}": 1} for n in range(5)}


def test_gzipped_files_read_as_plain_ones(folder):
    plain = load_test_set(folder, "epo")
    zipped(folder / "corpus.jsonl")
    assert load_test_set(folder, "epo") == plain
    zipped(folder / "queries.jsonl")
    assert load_test_set(folder, "epo") == plain
    zipped(folder / "qrels" / "test.tsv")
    assert load_test_set(folder, "epo") == plain


def test_title_and_text_are_one_document_in_nfc(folder):
    decomposed = unicodedata.normalize("NFD", "ĉevalo")
    rows = [{"_id": 0, "title": "La", "text": decomposed}, {"_id": "d1", "text": "b"}, {"_id": "d2", "text": ""}]
    write_jsonl(folder / "corpus.jsonl", [*rows, {"_id": "d3", "title": None, "text": "c"}])
    qrels(folder, "q0\t0\t1")
    assert load_test_set(folder, "epo").documents == {"0": "La ĉevalo", "d1": "b", "d2": "", "d3": "c"}


@pytest.mark.parametrize(
    "lines",
    [
        ["query-id\tcorpus-id\tscore", "q0\td1\t1", "q0\td2\t2", "q3\td3\t0", "", "q4\td4\t-1"],
        ["q0\t0\td1\t1", "q0\t0\td2\t2", "q3\t0\td3\t0", "q4\tQ0\td4\t-1"],  # TREC
    ],
)
def test_grades_above_zero_are_relevant_and_queries_without_any_are_left_out(folder, lines):
    qrels(folder, *lines)
    test_set = load_test_set(folder, "epo")
    assert test_set.qrels == {"q0": {"d1": 1, "d2": 2}}
    assert list(test_set.queries) == ["q0"]
    assert len(test_set.documents) == 5


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("q9\td1\t1", r"test\.tsv line 2 names the query 'q9', which queries\.jsonl does not hold"),
        ("q1\td9\t1", r"test\.tsv line 2 names the document 'd9', which corpus\.jsonl does not hold"),
        ("q1 d1 1", r"test\.tsv line 2 is .* but must be query, document and a whole-number grade"),
        ("q1\td1\tyes", r"test\.tsv line 2 is .* but must be"),
        ("q1\td1\t0.5", r"test\.tsv line 2 is .* but must be"),
        ("q1\td1\t²", r"test\.tsv line 2 is .* but must be"),
        ("q1\td1\t--1", r"test\.tsv line 2 is .* but must be"),
        ("q0\td0\t2", r"test\.tsv line 2 gives 'd0' the grade 2 for 'q0' after 1: keep one of the lines"),
        ("q0\td0\t0", r"test\.tsv line 2 gives 'd0' the grade 0 for 'q0' after 1"),
    ],
)
def test_bad_qrels_are_named(folder, line, said):
    qrels(folder, "q0\td0\t1", line)
    with pytest.raises(InputError, match=said):
        load_test_set(folder, "epo")


@pytest.mark.parametrize("lines", [[], ["query-id\tcorpus-id\tscore"], ["q0\td0\t0"]])
def test_a_set_without_relevant_documents_is_refused(folder, lines):
    qrels(folder, *lines)
    with pytest.raises(InputError, match=r"test\.tsv gives no query a relevant document"):
        load_test_set(folder, "epo")


@pytest.mark.parametrize("name", ["queries", "corpus"])
def test_duplicate_ids_missing_columns_and_empty_files_are_named(folder, name):
    path = folder / f"{name}.jsonl"
    write_jsonl(path, [{"_id": "x", "text": "a"}, {"_id": "x", "text": "b"}])
    with pytest.raises(InputError, match=rf"{name}\.jsonl line 2 repeats the _id 'x'"):
        load_test_set(folder, "epo")
    write_jsonl(path, [{"_id": "x", "body": "a"}])
    with pytest.raises(InputError, match=rf"{name}\.jsonl line 1 has the columns _id, body but needs _id and text"):
        load_test_set(folder, "epo")
    path.write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=rf"{name}\.jsonl is empty"):
        load_test_set(folder, "epo")


@pytest.mark.parametrize("name", ["queries.jsonl", "corpus.jsonl", "qrels/test.tsv"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=rf"{name} is not a file"):
        load_test_set(folder, "epo")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="no-such-set is not a folder with a BEIR test set"):
        load_test_set(tmp_path / "no-such-set", "epo")


def test_qrels_that_are_not_utf_8_are_refused(folder):
    (folder / "qrels" / "test.tsv").write_bytes("q0\td0\t1\n".encode("utf-16"))
    with pytest.raises(InputError, match=r"test\.tsv .*is not UTF-8"):
        load_test_set(folder, "epo")


def test_pairs_make_a_test_set_with_one_right_answer_each():
    test_set = test_set_of_pairs("dev", "epo", [Pair("q", "p", id="9"), Pair("r", "s", id="9")])
    assert test_set.queries == {"0": "q", "1": "r"}
    assert test_set.documents == {"0": "p", "1": "s"}
    assert test_set.qrels == {"0": {"0": 1}, "1": {"1": 1}}


def test_a_judgement_may_be_repeated_and_queries_that_are_not_asked_are_counted(folder, caplog):
    qrels(folder, "q0\td0\t1", "q0\td0\t1")
    with caplog.at_level("INFO"):
        assert load_test_set(folder, "epo").qrels == {"q0": {"d0": 1}}
    assert "beir: 4 of 5 queries have no relevant document and are not asked" in caplog.text


def test_equal_texts_are_one_query_and_one_document(tmp_path):
    rows = [("a", "p"), ("a", "r"), ("b ", "p"), (unicodedata.normalize("NFD", "ĉ"), "r"), ("ĉ", "s")]
    test_set = texts_as_test_set("set", "epo", rows, tmp_path, ["s", "t"])
    assert test_set.queries == {"q0": "a", "q1": "b", "q2": "ĉ"}
    assert test_set.documents == {"d0": "p", "d1": "r", "d2": "s", "d3": "t"}
    assert test_set.qrels == {"q0": {"d0": 1, "d1": 1}, "q1": {"d0": 1}, "q2": {"d1": 1, "d2": 1}}
    with pytest.raises(InputError, match="gives no query a relevant document"):
        texts_as_test_set("set", "epo", [], tmp_path, ["t"])
