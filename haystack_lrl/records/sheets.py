"""Tables that people open in a spreadsheet program."""

import csv
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import open_text, writing

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet program would compute a cell that begins so
_MARK = "\ufeff"  # without it a spreadsheet program takes UTF-8 for another encoding


def write_sheet(path: Path, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV file, complete or not at all, in which no text is taken for a formula.

    :param rows: one value a column; texts that begin as a formula does get an apostrophe before them.
    """
    with writing(path) as file:
        file.write(_MARK)
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows([_guarded(cell) for cell in row] for row in rows)


def read_sheet(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield where a row ends, and its cells by column: what `write_sheet` wrote and a spreadsheet program saved.

    Commas, semicolons and tabs part cells, as programs of different countries save them. Apostrophes against formulas
    are taken off, cells stripped and NFC-normalised, and rows without any text left out.

    :param columns: that must be there.
    :raises InputError: with path and line for a missing column and for what is not UTF-8 or no table.
    """
    with open_text(path) as file:
        try:
            first = file.readline().removeprefix(_MARK)
            delimiter = max(",;\t", key=first.count)
            names = [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter), [])]
            if missing := [column for column in columns if column not in names]:
                raise InputError(f"{path} line 1 has the columns {names} but needs {', '.join(missing)}: add them.")
            table = csv.reader(file, delimiter=delimiter)
            for row in table:
                cells = dict(zip(names, (*map(_plain, row), *[""] * len(names)), strict=False))
                if any(cells.values()):
                    yield f"{path} line {table.line_num + 1}", cells
        except csv.Error as error:
            raise InputError(f"{path} cannot be read as a table ({error}): save it as CSV again.") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8: save it as 'CSV UTF-8' again.") from error


def _guarded(cell: object) -> object:
    return "'" + cell if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _plain(cell: str) -> str:
    cell = unicodedata.normalize("NFC", cell).strip()
    return cell[1:].strip() if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
