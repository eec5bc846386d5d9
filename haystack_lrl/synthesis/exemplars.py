"""Exemplars and query styles: YAML files with a version, the project's own or those of the user's folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from haystack_lrl.languages.table import Language
from haystack_lrl.languages.table import language as language_of
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.text import text_hash
from haystack_lrl.synthesis.prompts import prompt_file

Exemplar = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Versioned:
    """What a YAML file with a version holds.

    :param name: the file's name.
    :param content: everything but the version.
    """

    name: str
    version: str
    content: Mapping[str, Any]

    @property
    def identity(self) -> Mapping[str, str]:
        """What goes into the key of every row made with it."""
        content = json.dumps(self.content, sort_keys=True, ensure_ascii=False)
        return {"file": self.name, "version": self.version, "hash": text_hash(content)}


def load_versioned(name: str, holds: str, kind: type, folder: Path | None = None) -> Versioned:
    """Load a YAML file.

    :param holds: the key that must be there, with a value of this kind.
    :param folder: files that stand in for the package's own of the same name.
    :raises InputError: when it is no such file.
    """
    source = prompt_file(name, folder)
    try:
        tree = yaml.safe_load(source.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{source} is not valid YAML ({' '.join(str(error).split())}): mend the file.") from error
    if not isinstance(tree, dict) or "version" not in tree or not isinstance(tree.get(holds), kind):
        raise InputError(f"{source} must hold version: and {holds}: (a {kind.__name__}): mend the file.")
    return Versioned(name, str(tree.pop("version")), tree)


def load_styles(folder: Path | None = None) -> Versioned:
    """Load what each query style is, in words for a prompt."""
    styles = load_versioned("styles.yaml", "styles", dict, folder)
    for name, words in styles.content["styles"].items():
        if not isinstance(words, str):
            raise InputError(f"styles.yaml has {name}: {words!r:.60}, which is not text: say what such a query is.")
    return styles


def choose_exemplars(file: Versioned, spoken: Language, count: int) -> list[Exemplar]:
    """Return that many exemplars, those in the language first.

    :raises InputError: when the file has fewer, or one without a known language.
    """
    rows = file.content["exemplars"]
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or "language" not in row:
            raise InputError(f"{file.name}: exemplar {number} has no language: add it as an ISO 639-3 code.")
        language_of(row["language"])
    if count > len(rows):
        raise InputError(
            f"{file.name} has {len(rows)} exemplars, but {count} are asked for: add some, or ask for less."
        )
    return sorted(rows, key=lambda row: bool(row["language"] != spoken.code))[:count]


def show(exemplars: Sequence[tuple[Mapping[str, str], Mapping[str, str]]]) -> str:
    """Return requests with their answers as a prompt shows them: one line of JSON each, which no text can break."""
    return "".join(
        f"{show_request(request)} {json.dumps(answer, ensure_ascii=False)}\n" for request, answer in exemplars
    )


def show_request(request: Mapping[str, str]) -> str:
    """Return a request as a prompt shows it, up to where the answer begins."""
    return f"\nRequest: {json.dumps(request, ensure_ascii=False)}\nAnswer:"
