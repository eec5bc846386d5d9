"""What identifies the content of files: a path says where weights lie, not which."""

import hashlib
from pathlib import Path


def file_hash(path: Path) -> str:
    """Return the sha256 of a file, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(path: Path) -> str:
    """Return 20 hex digits that change with any weight, tokenizer or configuration file of a model.

    Names inside the folder count, its own place does not; hidden files and model cards (`.md`) are left out.

    :param path: a model's folder, or its one file.
    """
    if path.is_file():
        return file_hash(path)[:20]
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path)
        if file.is_file() and file.suffix != ".md" and not any(part.startswith(".") for part in name.parts):
            digest.update(f"{name.as_posix()}\0{file_hash(file)}\n".encode())
    return digest.hexdigest()[:20]
