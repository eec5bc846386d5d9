"""Make what somebody typed a query that every retriever takes."""

import unicodedata

from haystack import component

from haystack_lrl.records.errors import InputError


@component
class LRLQueryCleaner:
    """Write a query as documents are written (NFC), without blanks around it, and no longer than servers take.

    Retrievers get the text as it is: quotes, brackets, `AND`, `*` and JSON are words or nothing to them.

    :param max_characters: where a query is cut. OpenSearch refuses more than 1,024 words with a built-in analyzer, and
        a query has at most as many words as characters.
    :raises InputError: when `max_characters` is below 1.
    """

    def __init__(self, max_characters: int = 1000) -> None:
        if max_characters < 1:
            raise InputError(f"max_characters={max_characters!r} leaves nothing of a query: choose at least 1.")
        self.max_characters = max_characters

    @component.output_types(query=str)
    def run(self, query: str) -> dict[str, str]:
        """Return the query, cleaned.

        :param query: what was typed; halves of surrogate pairs, which no server takes, are left out.
        :raises TypeError: when it is not a string.
        :raises InputError: when nothing but blanks was typed.
        """
        if not isinstance(query, str):
            raise TypeError(f"LRLQueryCleaner takes a string, not {type(query).__name__}.")
        whole = query.encode("utf-8", "ignore").decode("utf-8")
        cleaned = unicodedata.normalize("NFC", whole.strip())[: self.max_characters].strip()
        if not cleaned:
            raise InputError("The query is empty: ask for at least one word.")
        return {"query": cleaned}
