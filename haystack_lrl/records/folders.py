"""Folders that exist only when they are whole, and checkpoints that were written to their end."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from haystack_lrl.records.jsonl import sync_folder


@contextlib.contextmanager
def writing_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that takes this name, in place of what had it, when the block ends without an error."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    for path in partial.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    sync_folder(folder.parent)


def last_whole_checkpoint(folder: Path) -> str | None:
    """Return the newest checkpoint that was written to its end, and delete what a killed process left half-written.

    The trainer writes `trainer_state.json` last.
    """
    steps = sorted((int(path.name.rpartition("-")[2]), path) for path in folder.glob("checkpoint-*"))
    for _, path in reversed(steps):
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            shutil.rmtree(path)
        else:
            return str(path)
    return None
