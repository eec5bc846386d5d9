import gzip
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import read_outcomes, read_pairs
from haystack_lrl.records.parts import Part, lines_before, parts_of, read_part, read_rows
from haystack_lrl.records.passage import read_passages
from haystack_lrl.records.places import UNFINISHED, files_of

ROWS = [{"query": f"q{n} é", "passage": "p " * (n % 7 + 1)} for n in range(40)]


def write(path, rows=ROWS, end="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = end.join(json.dumps(row, ensure_ascii=False) for row in rows).encode() + end.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def values(rows):
    return [row.values for row in rows]


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "in" / "b.jsonl", ROWS[10:20])
    write(tmp_path / "in" / "a.jsonl.gz", ROWS[:10])
    (tmp_path / "in" / "deep").mkdir()
    pq.write_table(pa.Table.from_pylist(ROWS[20:]), tmp_path / "in" / "deep" / "c.parquet", row_group_size=7)
    for name in ("_manifest.json", "notes.txt", "_old.jsonl", ".hidden.jsonl"):
        (tmp_path / "in" / name).write_text("{}\n")
    return tmp_path / "in"


@pytest.mark.parametrize("url", [False, True])
def test_a_folder_holds_files_of_every_kind(folder, url):
    source = f"file://{folder}" if url else folder
    assert [path.rpartition("/in/")[2] for path in files_of(source)] == ["a.jsonl.gz", "b.jsonl", "deep/c.parquet"]
    assert values(read_rows(source)) == ROWS
    assert [pair.query for pair in read_pairs(source)] == [row["query"] for row in ROWS]
    assert [passage.id for passage in read_passages(source, "query")][18:22] == ["9", "10", "1", "2"]


def test_globs_name_files_wherever_they_lie(folder):
    assert values(read_rows(f"{folder}/b*.jsonl")) == ROWS[10:20]
    assert values(read_rows(f"file://{folder}/b*")) == ROWS[10:20]
    assert values(read_rows(f"file://{folder}/d*/*.parquet")) == ROWS[20:]
    assert values(read_rows(f"{folder}/**/*.parquet")) == ROWS[20:]


def test_a_name_with_a_bracket_that_exists_is_no_glob(tmp_path):
    assert values(read_rows(write(tmp_path / "a[1].jsonl"))) == ROWS


@pytest.mark.parametrize("size", [1, 7, 64, 200, 100_000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_parts_hold_every_row_once_and_know_its_line(tmp_path, size, end):
    path = write(tmp_path / "rows.jsonl", end=end)
    whole = list(read_rows(path))
    parts = [Part(part.path, part.start, part.stop, lines_before(part)) for part in parts_of(str(path), size)]
    assert [row for part in parts for row in read_part(part)] == whole
    url = [Part(f"file://{part.path}", part.start, part.stop, part.first) for part in parts]
    assert [row.values for part in url for row in read_part(part)] == ROWS


def test_row_groups_are_parts_whose_rows_are_numbered(folder):
    path = str(folder / "deep" / "c.parquet")
    parts = list(parts_of(path))
    assert [(part.start, part.first) for part in parts] == [(0, 0), (1, 7), (2, 14)]
    assert [row.where for row in read_part(parts[2])] == [f"{path} row {number}" for number in range(15, 21)]


def test_gzip_is_one_part(folder):
    assert list(parts_of(str(folder / "a.jsonl.gz"), 3)) == [Part(str(folder / "a.jsonl.gz"))]


def test_errors_name_file_and_row(tmp_path, folder):
    path = write(tmp_path / "bad.jsonl")
    path.write_bytes(path.read_bytes() + b'{"query": 1}\n')
    last = list(parts_of(str(path), 50))[-1]
    with pytest.raises(InputError, match=r"bad.jsonl line 41 has query = 1, which is not text"):
        list(read_pairs(path))
    path.write_bytes(b'{"query": "\xff"}\n')
    with pytest.raises(InputError, match=r"line 1 is not UTF-8"):
        list(read_part(Part(str(path))))
    assert last.start > 50
    pq.write_table(pa.table({"query": ["a", "b"], "passage": ["c", None]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"x.parquet row 2 has the columns query but not 'passage'"):
        list(read_pairs(tmp_path / "x.parquet"))
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match=r"x.parquet cannot be read"):
        list(read_rows(tmp_path / "x.parquet"))
    torn = tmp_path / "t.jsonl.gz"
    torn.write_bytes((folder / "a.jsonl.gz").read_bytes()[:-12])
    with pytest.raises(InputError, match=r"t.jsonl.gz after line \d+ is not whole gzip"):
        list(read_part(Part(str(torn))))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing.jsonl", "missing.jsonl is not a file"),
        ("no-*.jsonl", "holds no file"),
        ("file:///nowhere/at/all.jsonl", "cannot be read|is not a file"),
        ("nosuch://a/b.jsonl", "cannot be read"),
    ],
)
def test_what_is_not_there_is_named(source, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        list(read_rows(source))


def test_an_unfinished_folder_is_refused(folder):
    (folder / UNFINISHED).write_text("")
    with pytest.raises(InputError, match="is not finished: run the command that writes it again"):
        list(read_rows(folder))


def test_outcomes_keep_their_reasons(tmp_path):
    path = write(tmp_path / "o.jsonl", [*ROWS[:1], {**ROWS[1], "reason": "odd", "raw": "x"}])
    kept, rejected = read_outcomes(path)
    assert (kept.query, rejected.reason, rejected.raw) == ("q0 é", "odd", "x")


def test_local_lines_need_no_pyarrow(tmp_path):
    code = (
        "import sys\nfrom haystack_lrl.records.pair import read_pairs\n"
        f"assert len(list(read_pairs({str(write(tmp_path / 'rows.jsonl'))!r}))) == 40\n"
        "assert not {'pyarrow', 'ray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
