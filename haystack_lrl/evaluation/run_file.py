"""Rankings in TREC's form: those of another program, and ours for another program."""

import math
from pathlib import Path

from haystack_lrl.evaluation.runs import Run
from haystack_lrl.evaluation.testset import TestSet
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import read_lines, writing


def read_run(path: Path, test_set: TestSet) -> Run:
    """Read lines of `query Q0 document rank score tag`, gzipped or not; the score ranks, as in trec_eval.

    Queries that the file leaves out score 0. BEIR's qrels may judge fewer queries than a system was asked, so that a
    line about a query that the test set does not ask is refused rather than skipped: it may be the wrong test set.

    :raises InputError: with path and line for another form, an unknown query or document, a document that is ranked
        twice, and a score that is no number.
    """
    run: dict[str, dict[str, float]] = {}
    for number, line in read_lines(path):
        where = f"{path} line {number}"
        fields = line.split()
        if len(fields) != 6:
            raise InputError(f"{where} has {len(fields)} fields, but must be query, Q0, document, rank, score and tag.")
        query, document, score = fields[0], fields[2], _number(fields[4], where)
        if query not in test_set.queries:
            raise InputError(f"{where} ranks for the query {query!r}, which {test_set.name} does not ask.")
        if document not in test_set.documents:
            raise InputError(f"{where} ranks the document {document!r}, which {test_set.name} does not hold.")
        if document in run.setdefault(query, {}):
            raise InputError(f"{where} ranks the document {document!r} again for {query!r}: keep one of the lines.")
        run[query][document] = score
    return run


def write_run(path: Path, run: Run, tag: str = "haystack-lrl") -> None:
    """Write lines of `query Q0 document rank score tag`, complete or not at all, each ranking best first.

    :raises InputError: for an id with a blank in it, which the form cannot hold.
    """
    with writing(path) as file:
        for query, scores in run.items():
            ranking = sorted(scores.items(), key=lambda item: -item[1])
            for rank, (document, score) in enumerate(ranking, start=1):
                for name in (query, document):
                    if len(name.split()) != 1:
                        raise InputError(f"The id {name!r} has a blank in it, which a TREC run cannot hold: rename it.")
                file.write(f"{query} Q0 {document} {rank} {score!r} {tag}\n")


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where} has the score {text!r}, but must have a number.")
    return number
