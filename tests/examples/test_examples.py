"""Every example runs as a reader would run it, in a folder that holds what the README makes, offline."""

import difflib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import toy
import yaml
from haystack import Document, Pipeline
from haystack.components.generators.chat import MockChatGenerator
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.embedders.sentence_transformers import SentenceTransformersDocumentEmbedder

from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder
from haystack_lrl.evaluation.metrics import PRIMARY, measure
from haystack_lrl.evaluation.runs import bm25_run
from haystack_lrl.evaluation.testset import load_test_set

EXAMPLES = Path(__file__).parents[2] / "examples"
SWAP = EXAMPLES / "swap_embedder"


@pytest.fixture
def folder(tmp_path, tiny_model):
    """A working folder in which the README's model is where the examples expect it."""
    (tmp_path / "runs" / "epo").mkdir(parents=True)
    (tmp_path / "runs" / "epo" / "model").symlink_to(tiny_model)
    return tmp_path


def run(example, folder, *arguments):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / example), *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def changed_lines(kind):
    before, after = ((SWAP / f"{name}.{kind}").read_text(encoding="utf-8").splitlines() for name in ("before", "after"))
    lines = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
    return [line[1:].strip() for line in lines if not line.startswith("@@")]


def as_ours(line):
    """Return a line with the stock names replaced by ours."""
    line = line.replace(
        "sentence_transformers.sentence_transformers_text_embedder", "sentence_transformers.text_embedder"
    )
    return line.replace("embedders.sentence_transformers", "embedders.lrl").replace("SentenceTransformers", "LRL")


@pytest.mark.parametrize(("kind", "lines"), [("py", 5), ("yaml", 1)])
def test_swapping_the_embedder_changes_only_names(kind, lines):
    changed = changed_lines(kind)
    assert len(changed) == 2 * lines
    stock, ours = ([line for line in changed if ("LRL" in line or ".lrl" in line) is own] for own in (False, True))
    assert [as_ours(line) for line in stock] == ours


@pytest.mark.slow
def test_swapped_embedders_find_the_same_documents(folder):
    before, after = (run(f"swap_embedder/{name}.py", folder) for name in ("before", "after"))
    assert before == after
    assert len(before.splitlines()) == 3


def test_swapped_yaml_finds_the_same_documents(tiny_model):
    found = {}
    documents = [Document(content=" ".join(toy.WORDS[start : start + 4])) for start in range(0, 40, 4)]
    for name, embedder in (("before", SentenceTransformersDocumentEmbedder), ("after", LRLDocumentEmbedder)):
        text = (SWAP / f"{name}.yaml").read_text(encoding="utf-8")
        search = Pipeline.loads(text.replace("runs/epo/model", str(tiny_model)).replace("news", f"news {name}"))
        settings = {"batch_size": 16, "normalize_embeddings": True, "progress_bar": False}
        store = InMemoryDocumentStore(index=f"news {name}")
        store.write_documents(embedder(model=str(tiny_model), **settings).run(documents)["documents"])
        found[name] = search.run({"embedder": {"text": "bridge river"}})["retriever"]["documents"]
    assert len(found["before"]) == 3
    assert [document.content for document in found["before"]] == [document.content for document in found["after"]]
    scores = [[document.score for document in found[name]] for name in ("before", "after")]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


@pytest.mark.slow
def test_adapting_from_python_ends_with_a_model_and_a_verdict(folder):
    rows = toy.toy_seeds(120)
    toy.write_jsonl(folder / "seeds.jsonl", rows)
    toy.write_jsonl(folder / "pairs.jsonl", toy.translated(rows))
    toy.write_test_set(folder / "TEST_SET", toy.translated(toy.toy_seeds(20, seed=5)))
    given = {
        "--translator": "file:pairs.jsonl",
        "--base-model": "runs/epo/model",
        "--test-set": "TEST_SET",
        "--output": "runs/new",
    }
    printed = run("adapt_from_python.py", folder, *(word for pair in given.items() for word in pair))
    assert re.search(r"merged +\d\.\d{3} \[", printed)
    assert "Estimated" in printed
    assert "The model is in runs/new/model" in printed
    assert (folder / "runs" / "new" / "model" / "modules.json").is_file()


@pytest.fixture
def bees(folder):
    (folder / "documents").mkdir()
    texts = {"bees.txt": "Abeloj sekigas la nektaron per siaj flugiloj.", "train.md": "La trajno venas je la sesa."}
    for name, text in texts.items():
        (folder / "documents" / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.slow
def test_a_folder_is_indexed_once_and_searched(bees):
    question = "Kiel abeloj sekigas la nektaron?"
    first, again = (run("index_folder_and_ask.py", bees, "documents", question) for _ in range(2))
    assert first.startswith("2 documents read, 2 passages written, 0 were there before")
    assert again.startswith("2 documents read, 0 passages written, 2 were there before")
    assert re.match(r"\d\.\d{3}  \S*bees\.txt  Abeloj sekigas", first.splitlines()[2])


def test_a_folder_answers_with_its_sources(bees):
    reply = MockChatGenerator("Abeloj sekigas la nektaron per siaj flugiloj [1].")
    (bees / "generator.yaml").write_text(yaml.safe_dump(reply.to_dict()), encoding="utf-8")
    question = "Kiel abeloj sekigas la nektaron?"
    printed = run("index_folder_and_ask.py", bees, "documents", question, "--generator", "generator.yaml")
    answer, source, _ = printed.splitlines()[2:]
    assert answer == "Abeloj sekigas la nektaron per siaj flugiloj [1]."
    assert source.strip().startswith("[1] Abeloj sekigas")


def test_a_filter_decides_which_languages_are_found(folder):
    parts = run("cross_lingual.py", folder, "Kiel abeloj sekigas la nektaron?").split("\n\n")
    question, english, own, both = ([line.split() for line in part.splitlines()] for part in parts)
    assert question[0][0] == "Kiel"
    assert [line[1] for line in english[1:]] == ["eng"] * 3
    assert [line[1] for line in own[1:]] == ["epo"] * 3
    assert both[1:] == sorted([*english[1:], *own[1:]], key=lambda line: -float(line[0]))[:3]


def test_the_comparison_tells_systems_apart(folder):
    toy.write_test_set(folder / "TEST_SET", toy.translated(toy.toy_seeds(30, seed=5)))
    printed = run("compare_on_your_queries.py", folder)
    means = dict(re.findall(r"^(\w+) +nDCG@10 (\d\.\d{3}) \(", printed, re.MULTILINE))
    assert set(means) == {"hybrid", "dense", "BM25"}
    test_set = load_test_set(folder / "TEST_SET", "epo")
    assert float(means["BM25"]) == pytest.approx(measure(test_set, bm25_run(test_set))[PRIMARY].mean(), abs=2e-3)
    assert means["BM25"] > means["dense"]
    assert re.search(r"^BM25 minus dense: \+0\.\d+ \(\+.*, p < 0\.001$", printed, re.MULTILINE)
    assert printed.count(" minus ") == 3
    assert "The best share of the vectors is" in printed


def test_the_table_lists_every_example():
    table = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| \[([^]]+)\]", table, re.MULTILINE))
    there = {path.name + ("/" if path.is_dir() else "") for path in EXAMPLES.glob("[a-z]*")}
    assert listed == there
