"""The texts of rows: checked, normalised, identified."""

import hashlib
import unicodedata
from collections.abc import Mapping
from typing import Any

from haystack_lrl.records.errors import InputError


def text_hash(*parts: str) -> str:
    """Return 20 hex digits that identify texts in this order (sha256 over length-prefixed UTF-8)."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:20]


def text_of(row: Mapping[str, Any], column: str, where: str) -> str:
    """Return the text in a column, NFC-normalised.

    :param where: path and line, for the error.
    :raises InputError: for a missing column or a value that is not text.
    """
    if column not in row:
        raise InputError(
            f"{where} has the columns {', '.join(row) or 'none'} but not {column!r}: "
            "rename it, or name yours (query_column and passage_column in a recipe, --...-column in a command)."
        )
    value = row[column]
    if not isinstance(value, str):
        raise InputError(f"{where} has {column} = {value!r:.60}, which is not text: put a string there.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{where} has {column} = {value!a:.60}, which is not valid Unicode: mend the text.") from error
    return unicodedata.normalize("NFC", value)
