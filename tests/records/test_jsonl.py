import gzip
import json

import pytest

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import dump_line, open_text, read_jsonl, write_json, writing


def test_rows_come_with_their_line_number_and_blank_lines_are_skipped(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n  \n{"a": "ĉ"}', encoding="utf-8")
    assert list(read_jsonl(path)) == [(1, {"a": 1}), (4, {"a": "ĉ"})]


def test_a_gzipped_file_reads_as_the_plain_one(tmp_path):
    text = "".join(dump_line({"number": number, "text": "ĝardeno"}) for number in range(50))
    plain, zipped = tmp_path / "rows.jsonl", tmp_path / "rows.jsonl.gz"
    plain.write_text(text, encoding="utf-8")
    zipped.write_bytes(gzip.compress(text.encode()))
    assert list(read_jsonl(zipped)) == list(read_jsonl(plain))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"a": 1', r"rows\.jsonl line 3 is not valid JSON"),
        ("[1, 2]", r"rows\.jsonl line 3 is a JSON list, not an object"),
        ('"text"', r"rows\.jsonl line 3 is a JSON str, not an object"),
    ],
)
def test_a_bad_line_is_named_and_the_lines_before_it_are_read(tmp_path, line, said):
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"a": 1}}\n{{"a": 2}}\n{line}\n{{"a": 4}}\n', encoding="utf-8")
    rows = read_jsonl(path)
    assert [next(rows), next(rows)] == [(1, {"a": 1}), (2, {"a": 2})]
    with pytest.raises(InputError, match=said):
        next(rows)


def test_what_is_not_utf_8_is_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes('{"a": "ĉ"}\n'.encode("utf-16"))
    with pytest.raises(InputError, match="is not UTF-8: convert the file"):
        list(read_jsonl(path))


def damaged(data, how):
    if how == "cut":
        return data[:-20]
    if how == "not gzip":
        return b"plain text"
    middle = len(data) // 2
    return data[:middle] + bytes(255 - byte for byte in data[middle : middle + 40]) + data[middle + 40 :]


@pytest.mark.parametrize("how", ["cut", "not gzip", "other bytes"])
def test_damaged_gzip_is_refused(tmp_path, how):
    path = tmp_path / "rows.jsonl.gz"
    text = "".join(dump_line({"number": number * 7919 % 1000}) for number in range(1000))
    path.write_bytes(damaged(gzip.compress(text.encode()), how))
    with pytest.raises(InputError, match="is not whole gzip"):
        list(read_jsonl(path))


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_what_is_not_a_file_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="is not a file: check the path"):
        open_text(tmp_path / name)


def test_a_file_that_is_being_written_does_not_exist_until_it_is_complete(tmp_path):
    path = tmp_path / "folder" / "rows.jsonl"
    with writing(path) as file:
        file.write("first\n")
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "first\n"
    assert [file.name for file in path.parent.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_while_writing_leaves_the_old_file_and_nothing_half_written(tmp_path, error):
    path = tmp_path / "rows.jsonl"
    path.write_text("old\n", encoding="utf-8")

    def fail():
        with writing(path) as file:
            file.write("new\n")
            file.flush()
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text(encoding="utf-8") == "old\n"
    assert [file.name for file in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_value_that_json_does_not_have_leaves_no_document(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "metrics.json", {"first": 1, "second": object()})
    assert list(tmp_path.iterdir()) == []


def test_a_document_is_indented_and_readable_by_people(tmp_path):
    write_json(tmp_path / "metrics.json", {"name": "ĉevalo"})
    text = (tmp_path / "metrics.json").read_text(encoding="utf-8")
    assert text == '{\n  "name": "ĉevalo"\n}\n'
    assert json.loads(text) == {"name": "ĉevalo"}
