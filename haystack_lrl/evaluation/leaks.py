"""What a model was trained on among what judges it, looked for before any number is computed."""

from collections.abc import Iterable, Mapping
from typing import Any

from haystack_lrl.curation.leaks import Leak, Unseen
from haystack_lrl.evaluation.testset import TestSet
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import Pair

_LEAKED = 0.01  # of the queries: what a test set may have in common with training before its figures mean nothing


def check_leaks(test_sets: Iterable[TestSet], rows: Iterable[Pair], *, allow: bool = False) -> dict[str, Any]:
    """Count the queries of every test set whose text or relevant document is a training text, or nearly so.

    What counts as nearly the same is said in `curation.leaks`; documents that answer no query do not count.

    :param rows: everything that was trained on; read once.
    :param allow: return what would be refused, for a report that says so.
    :returns: by test set with any, the queries that leak and an example.
    :raises InputError: when more than 1% of a test set's queries leak, unless that is allowed.
    """
    checks = [_Check(test_set) for test_set in test_sets]
    for row in rows:
        for check in checks:
            check.look_at(row)
    for check in checks:
        if not allow and len(check.queries) > _LEAKED * len(check.test_set.queries):
            raise InputError(
                f"{check.test_set.name} has {len(check.queries)} of its {len(check.test_set.queries)} queries in the "
                f"training data ({check.example}), so it cannot judge the model: take these rows out of the training "
                "data, give another set, or allow leaks, which the results then say."
            )
    return {
        check.test_set.name: {"queries": len(check.queries), "example": check.example}
        for check in checks
        if check.queries
    }


def leak_warnings(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say in a report what `check_leaks` found, one sentence a test set."""
    return [
        f"{name} has {leak['queries']} queries in the training data ({leak['example']})."
        for name, leak in found.items()
    ]


class _Check:
    """The queries of one test set that leak, and the first leak in words."""

    def __init__(self, test_set: TestSet) -> None:
        self.test_set = test_set
        self.queries: set[str] = set()
        self.example = ""
        self._asked: dict[str, list[str]] = {}
        for query, relevant in test_set.qrels.items():
            for document in relevant:
                self._asked.setdefault(document, []).append(query)
        passages = ((name, test_set.documents[name]) for name in self._asked)
        self._unseen = Unseen(test_set.queries.items(), passages)

    def look_at(self, row: Pair) -> None:
        for leak in self._unseen.leaks([row]):
            self.queries.update(self._leaked(leak))
            self.example = self.example or f"its {leak.side} {leak.unseen} is {leak.described}"

    def _leaked(self, leak: Leak) -> list[str]:
        return [leak.unseen] if leak.side == "query" else self._asked[leak.unseen]
