import csv

import pytest

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.sheets import read_sheet, write_sheet

TEXTS = ["=1+1", "+x", "-x", "@x", "\tx", 'ջուր, "հող"; կրակ', "two\nlines", "'quoted'", "plain"]


def sheet(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "s.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_no_cell_is_a_formula_and_texts_come_back(tmp_path):
    path = tmp_path / "sheet.csv"
    write_sheet(path, ("id", "text"), enumerate(TEXTS))
    assert path.read_bytes().startswith(b"\xef\xbb\xbfid,text\n")
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = [row[1] for row in csv.reader(file)][1:]
    assert not any(cell[0] in "=+-@\t\r" for cell in cells)
    assert [row["text"] for _, row in read_sheet(path, ("id", "text"))] == [text.strip() for text in TEXTS]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_a_spreadsheet_program_saved_is_read(tmp_path, delimiter, mark, end):
    rows = [["ID", "Verdict "], ["1", 'no, "yes"'], ["", ""], ["2"]]
    lines = [delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    path = sheet(tmp_path, mark + end.join(lines) + end)
    found = list(read_sheet(path, ("id", "verdict")))
    assert found == [
        (f"{path} line 2", {"id": "1", "verdict": 'no, "yes"'}),
        (f"{path} line 4", {"id": "2", "verdict": ""}),
    ]


def test_sheets_that_cannot_be_read(tmp_path):
    for text, encoding, said in (
        ("id,x\n", "utf-8", r"line 1 has the columns \['id', 'x'\] but needs verdict"),
        ("", "utf-8", "line 1 has the columns"),
        ("id,verdict\n1,é\n", "latin-1", "is not UTF-8: save it as 'CSV UTF-8'"),
        ('id,verdict\n1,"\x00\n', "utf-16", "is not UTF-8"),
    ):
        with pytest.raises(InputError, match=said):
            list(read_sheet(sheet(tmp_path, text, encoding), ("id", "verdict")))
