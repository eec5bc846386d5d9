"""A data set in BEIR's layout on the hub, in a copy of its repository, or saved to disk.

Layouts, from the hub's copies and mteb's own loader: configurations `corpus`, `queries` (or `query`) and `qrels` (or
`default`) of one repository, their names begun with another one's and a hyphen where the data set has several, such as
languages; or BeIR's, where the qrels are a repository of their own, NAME-qrels.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from haystack_lrl.evaluation.testset import TestSet, judged, relevance, texts_by_id
from haystack_lrl.records.errors import InputError

_Rows = Iterator[tuple[str, dict[str, Any]]]
_NAMES: Mapping[str, tuple[str, ...]] = {
    "queries": ("queries", "query"),
    "corpus": ("corpus",),
    "qrels": ("qrels", "default"),
}


def load_hub(place: Path, language: str, split: str = "test") -> TestSet:
    """Read OWNER/NAME on the hub, a folder that is a copy of such a repository, or what `save_to_disk` wrote.

    Queries have _id (or id) and text, documents _id, title and text, qrels query-id, corpus-id and score.
    OWNER/NAME#hye takes the configurations hye-queries, hye-corpus and hye-qrels. What was saved to disk may be the
    splits of one DatasetDict or three data sets side by side.

    :param split: of the qrels; of queries and documents too, where they have more than one.
    :raises InputError: with data set, configuration and row as `load_test_set`, and where the hub cannot be reached.
    """
    saved = (place / "queries").is_dir() and any((place / "queries").glob("dataset_info.json"))
    rows = _saved(place) if saved else _published(str(place), split)
    queries = texts_by_id(place / "queries", _with_id(rows("queries")), columns=("text",))
    documents = texts_by_id(place / "corpus", _with_id(rows("corpus")))
    qrels = relevance(_grades(rows("qrels")), queries, documents, ("the split queries", "the split corpus"))
    return judged(place.resolve().name, language, queries, documents, qrels, place / "qrels")


def _saved(folder: Path) -> Callable[[str], _Rows]:
    import datasets

    def rows(part: str) -> _Rows:
        path = folder / part
        if not (path / "dataset_info.json").is_file():
            raise InputError(
                f"{path} is not a split that `save_to_disk` wrote: save queries, corpus and qrels in {folder}."
            )
        for number, row in enumerate(datasets.load_from_disk(str(path)), start=1):
            yield f"{path} row {number}", row

    return rows


def _published(place: str, split: str) -> Callable[[str], _Rows]:
    import datasets

    name, _, prefix = place.partition("#")

    def rows(part: str) -> _Rows:
        try:
            repository, config = _configuration(name, prefix, part)
            splits = datasets.get_dataset_split_names(repository, config)
            chosen = splits[0] if len(splits) == 1 and part != "qrels" else split
            if chosen not in splits:
                raise InputError(f"{repository} {config} has the splits {', '.join(splits)}, but not {split}.")
            table = datasets.load_dataset(repository, config, split=chosen)
        except InputError:
            raise
        except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
            cause = str(error).strip().splitlines()[0]
            raise InputError(
                f"The data set {name} could not be loaded ({cause}): give OWNER/NAME where the hub can be reached, or "
                "the folder of a copy."
            ) from error
        for number, row in enumerate(table, start=1):
            yield f"{repository} {config} row {number}", row

    return rows


def _configuration(name: str, prefix: str, part: str) -> tuple[str, str]:
    """Return the repository and the configuration that hold a part."""
    import datasets

    known = datasets.get_dataset_config_names(name)
    wanted = [f"{prefix}-{each}" for each in _NAMES[part]] if prefix else [*_NAMES[part]]
    found = next((each for each in wanted if each in known), None)
    if found:
        return name, found
    if part == "qrels" and not prefix:
        return f"{name}-qrels", "default"
    raise InputError(
        f"{name} has the configurations {', '.join(known)}, but not {wanted[0]}: give a data set in BEIR's layout, or "
        "NAME#BEGINNING of its configurations' names."
    )


def _with_id(rows: _Rows) -> _Rows:
    for where, row in rows:
        yield where, {"_id": row["id"], **row} if "id" in row else row


def _grades(rows: _Rows) -> Iterator[tuple[str, str, str, int]]:
    for where, row in rows:
        missing = [name for name in ("query-id", "corpus-id", "score") if name not in row]
        if missing:
            raise InputError(f"{where} has the columns {', '.join(row)} but needs {', '.join(missing)}: rename them.")
        if int(row["score"]) != row["score"]:
            raise InputError(f"{where} has the score {row['score']!r}, but must have a whole number.")
        yield where, str(row["query-id"]), str(row["corpus-id"]), int(row["score"])
