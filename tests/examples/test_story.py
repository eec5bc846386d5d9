"""The notebook: its cells run in order on a toy language, and what is stored of it was made by such a run."""

import copy
import json
import re
from pathlib import Path

import pytest
import toy

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

NOTEBOOK = Path(__file__).parents[2] / "examples" / "story.ipynb"
PARAMETERS = """
from pathlib import Path
from haystack_lrl.recipe import build

FOLDER = Path("story")
QUESTIONS = tuple(json_questions)
PAIRS = Path("pairs.jsonl")
GENERATOR = ""
RECIPE = build(
    {
        "language": "epo",
        "seeds": "seeds.jsonl",
        "translator": "file:pairs.jsonl",
        "base_model": "model",
        "training": {"learning_rate": 3e-3, "batch_size": 16},
        "evaluation": {"test_sets": ["TEST_SET"]},
    },
    "a toy language",
)
"""


@pytest.fixture(scope="module")
def stored():
    return nbformat.read(NOTEBOOK, as_version=4)


def shown(notebook, kind):
    """Return the outputs of a kind, such as `image/svg+xml`, or what was printed."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    if kind == "text":
        return [output.text for output in outputs if output.output_type == "stream" and output.name == "stdout"]
    return [output.data[kind] for output in outputs if kind in output.get("data", {})]


def doubled(rows):
    return [{**row, "query": toy.doubled(row["query"]), "passage": toy.doubled(row["passage"])} for row in rows]


@pytest.mark.slow
def test_the_notebook_runs(stored, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    rows = toy.toy_seeds(240)
    pairs = [
        {**new, "english_query": row["query"], "english_passage": row["passage"]}
        for new, row in zip(doubled(rows), rows, strict=True)
    ]
    toy.write_jsonl(tmp_path / "seeds.jsonl", rows)
    toy.write_jsonl(tmp_path / "pairs.jsonl", pairs)
    asked = doubled(toy.toy_seeds(40, seed=5))
    toy.write_test_set(tmp_path / "TEST_SET", asked)
    (tmp_path / "model").symlink_to(tiny_model)
    questions = json.dumps([row["query"] for row in asked[:3]])
    notebook = copy.deepcopy(stored)
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    cell.source = PARAMETERS.replace("json_questions", questions)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "\n".join(shown(notebook, "text"))
    assert "77 new words" in printed
    assert re.search(r"grown +\d\.\d{3} \[", printed)
    assert "cites [1]" in printed
    assert len(shown(notebook, "image/svg+xml")) == 3
    assert (tmp_path / "story" / "run" / "report.html").is_file()


def test_what_is_stored_was_run_once_in_order_and_whole(stored):
    cells = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert len(shown(stored, "image/svg+xml")) == 3
    assert any("is better" in text or "better than" in text for text in shown(stored, "text"))


def test_what_is_stored_is_small_and_says_nothing_of_the_machine(stored):
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text.encode()) < 300_000
    assert not re.search(r"/(home|root|tmp|opt|work|Users|usr|var)/", text)
    assert set(stored.metadata) == {"kernelspec", "language_info"}
    assert not any("execution" in cell.metadata for cell in stored.cells)
