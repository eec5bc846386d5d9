"""Every code block of the README runs, in order, in one folder, as a reader would type it."""

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import toy
import yaml
from chat_server import ChatServer
from haystack.components.generators.chat import MockChatGenerator
from opensearch_node import running

README = Path(__file__).parents[1] / "README.md"


def blocks():
    """Return (language, code) of the fenced blocks, with continued lines joined; some name no language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [(language, code.replace("\\\n", " ")) for language, code in found]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_model):
    folder = tmp_path_factory.mktemp("readme")
    rows = toy.toy_seeds(240)
    toy.write_jsonl(folder / "seeds.jsonl", rows)
    toy.write_test_set(folder / "TEST_SET", toy.translated(toy.toy_seeds(40, seed=5)))
    toy.write_test_set(folder / "ENGLISH_SET", toy.toy_seeds(40, seed=6))
    (folder / "PATH_OR_HUB_ID").symlink_to(tiny_model)
    for name in ("corpus", "sentences"):
        toy.write_jsonl(folder / f"{name}.jsonl", [{"text": row["passage"]} for row in rows[:5]])
    answer = dict.fromkeys(("summary", "query", "positive", "negative"), "Ո՞ր կամուրջն է ամենահինը այս քաղաքում։")
    (folder / "generator.yaml").write_text(yaml.safe_dump(MockChatGenerator(json.dumps(answer)).to_dict()))
    return folder


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    """A program named apertium that translates into the toy language: the real one needs real English."""
    bin_folder = tmp_path_factory.mktemp("bin")
    program = bin_folder / "apertium"
    reverse = "' '.join(w if w.isdigit() else w[::-1] + 'oj' for w in line.split())"
    program.write_text(f"#!{sys.executable}\nimport sys\nfor line in sys.stdin:\n    print({reverse})\n")
    program.chmod(0o755)
    return bin_folder


@pytest.fixture(scope="module")
def run(folder, translator):
    path = os.pathsep.join([str(translator), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    return functools.partial(subprocess.run, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def followed(run):
    """How many commands and blocks of a reader who starts at the top ran."""
    ran = 0
    for language, code in blocks():
        if language == "python":
            done = run([sys.executable, "-c", code])
            assert done.returncode == 0, f"{code}\n{done.stderr}"
            ran += 1
        elif language == "sh":
            for line in code.splitlines():
                if line.startswith("haystack-lrl") and "quickstart" not in line:  # which has a test of its own
                    local = line.replace("PATH_OR_HUB_ID", "./PATH_OR_HUB_ID")
                    done = run(["sh", "-c", local])
                    assert done.returncode in {0, 3}, f"{line}\n{done.stderr}"
                    ran += 1
    return ran


def test_code_blocks_run(followed):
    assert followed >= 14


def lines_with(words):
    return [
        line
        for language, code in blocks()
        for line in code.splitlines()
        if not language and line.startswith("haystack-lrl") and words in line
    ]


@pytest.mark.integration
def test_the_lines_for_opensearch_run(followed, folder, run, tmp_path):
    lines = [line for line in lines_with("--store opensearch") if "--engine" not in line]
    assert [line.split()[1] for line in lines] == ["index", "search"]
    (folder / "documents").mkdir()
    (folder / "documents" / "tren.txt").write_text("La trajno al Prago venas je la sesa.", encoding="utf-8")
    with running(tmp_path / "node") as node:  # without certificates and users, which test_document_store tries
        for line in lines:
            line = line.replace("https://localhost:9200", node.url).replace("--certificates root-ca.pem", "")
            done = run(["sh", "-c", line])
            assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert "La trajno al Prago" in done.stdout


@pytest.mark.integration
def test_the_line_that_serves_runs(followed, folder, run):
    pytest.importorskip("hayhooks", reason="the extra serve is not installed")
    (line,) = lines_with(" serve ")
    with ChatServer(lambda _: "Je la sesa [1].").running_at() as chat:
        line = line.replace("http://localhost:8080/v1", chat) + " --port 0"
        process = subprocess.Popen(
            ["sh", "-c", f"exec {line}"], cwd=folder, env=run.keywords["env"], stdout=subprocess.PIPE, text=True
        )
        try:
            url = process.stdout.readline().split()[-1].rstrip("/")
            answer = httpx.post(f"{url}/ask/run", json={"query": "Kiam venas la trajno?"}, timeout=60)
        finally:
            process.terminate()
            process.wait(30)
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"]["answer"].startswith("Je la sesa")


def test_every_path_of_the_tree_exists():
    root = README.parent
    tree = README.read_text(encoding="utf-8").split("## How it is built")[1].split("```")[1]
    names = re.findall(r"(?:^|  )([a-z_]+(?:/[a-z_/]*|\.py))(?= |\n)", tree)
    assert len(names) > 15
    for name in names:
        assert (root / name).exists() or (root / "haystack_lrl" / name).exists(), name
