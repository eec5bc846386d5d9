"""`haystack-lrl serve` as a process of its own, over a small index that is made on the spot."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
from haystack import Document
from haystack.components.generators.chat import MockChatGenerator


@dataclass(frozen=True)
class Served:
    """A server that runs: its address, and what it wrote to standard error."""

    url: str
    errors: Path
    process: subprocess.Popen

    def post(self, path, body, **options):
        return httpx.post(self.url + path, json=body, timeout=60, **options)

    def result(self, path, body):
        answer = self.post(path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]


def documents_of(rows):
    return [
        Document(id=f"d{n}", content=row["content"], meta={**row.get("meta", {}), "secret_path": "/somewhere/private"})
        for n, row in enumerate(rows)
    ]


def build_index(folder, language, model, documents):
    """Index documents into a memory store's folder."""
    from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder
    from pipelines.stores import Place, open_store, save_store

    place = Place("memory", language, model, str(folder))
    store = open_store(place, create=True)
    store.write_documents(LRLDocumentEmbedder(str(model), progress_bar=False).run(documents)["documents"])
    save_store(place, store)
    return folder


def write_generator(path, reply):
    """Write a generator that always says the same."""
    path.write_text(json.dumps(MockChatGenerator(reply).to_dict()), encoding="utf-8")
    return path


def command(language, model, *options):
    first = [sys.executable, "-m", "haystack_lrl.cli", "serve", "--language", language, "--model", str(model)]
    return [*first, *map(str, options)]


@contextlib.contextmanager
def serving(folder, language, model, *options, **environment):
    """Start a server on a free port, and yield it when it is ready."""
    errors = folder / "errors.txt"
    with errors.open("w") as file:
        process = subprocess.Popen(
            command(language, model, "--port", "0", *options),
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        )
        try:
            line = process.stdout.readline()
            assert line.startswith("Ready at http://"), errors.read_text()
            yield Served(line.split()[-1].rstrip("/"), errors, process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            process.stdout.close()
