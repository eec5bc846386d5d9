"""ArmBench-TextEmbed's retrieval sets, in Armenian (Navasardyan et al., LoResLM 2026).

Layout, from the benchmark's own evaluation code, which reads no queries, corpus and qrels apart: rows of
`Metric-AI/retrieval_dataset_hye` in `data/train-*.parquet` with query, passages (all of a document), labels (0 or more
a passage) and type; rows of `Metric-AI/ms_marco_hye` in `data/validation-*.parquet` with query, passages and
is_selected. The names of the second's files are the hub's custom, not checked.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from haystack_lrl.evaluation.testset import TestSet, texts_as_test_set
from haystack_lrl.records.errors import InputError

_LABELS = ("labels", "is_selected")


def load_armbench(folder: Path, language: str) -> TestSet:
    """Read the parquet files under a folder as queries over the passages of all rows.

    Equal passages are one document, where the official code counts another row's copy as wrong; queries without a
    relevant passage are left out, where it counts them as missed. The benchmark prints Success@20 over all passages.

    :raises InputError: with file and row for a missing column, and for labels that are not one a passage.
    """
    files = sorted(folder.rglob("*.parquet"))
    if not files:
        raise InputError(f"{folder} holds no *.parquet: give the folder with the data set's own files.")
    rows = [row for path in files for row in _rows(path)]
    pairs = [(query, text) for query, passages in rows for text, label in passages if label > 0]
    further = (text for _, passages in rows for text, _ in passages)
    return texts_as_test_set("ArmBench retrieval", language, pairs, folder, further)


def _rows(path: Path) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    import pyarrow.parquet as pq

    present = pq.read_schema(path).names
    label = next((name for name in _LABELS if name in present), _LABELS[0])
    if missing := [name for name in ("query", "passages", label) if name not in present]:
        raise InputError(f"{path} has the columns {', '.join(present)} but needs {', '.join(missing)}: rename them.")
    table: list[dict[str, Any]] = pq.read_table(path, columns=["query", "passages", label]).to_pylist()
    for number, row in enumerate(table, start=1):
        if len(row["passages"]) != len(row[label]):
            raise InputError(
                f"{path} row {number} has {len(row['passages'])} passages but {len(row[label])} {label}: mend it."
            )
        yield row["query"], list(zip(row["passages"], row[label], strict=True))
