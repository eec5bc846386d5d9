"""Prompts: text files with a version, the project's own or those of the user's folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.text import text_hash

_VERSION = "version:"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text with placeholders such as `$language`.

    :param name: the file's name without `.txt`.
    :param version: what the file's first line says; raise it with every change of wording.
    :param text: everything below the first line.
    """

    name: str
    version: str
    text: str

    @property
    def identity(self) -> Mapping[str, str]:
        """What goes into the key of every row made with it; the hash catches a change that kept the version."""
        return {"prompt": self.name, "version": self.version, "hash": text_hash(self.text)}

    def render(self, **values: str) -> str:
        """Return the text with every placeholder filled; values are never read as placeholders."""
        return Template(self.text).substitute(values)


def prompt_file(name: str, folder: Path | None) -> Path | Traversable:
    """Return a file of the user's folder where it has one by this name, otherwise the package's own."""
    if folder is not None and not folder.is_dir():
        raise InputError(f"{folder} is not a folder with prompts: check the path.")
    own = folder / name if folder else None
    return own if own and own.is_file() else resources.files("haystack_lrl.synthesis") / "prompts" / name


def load_prompt(name: str, placeholders: set[str], folder: Path | None = None) -> Prompt:
    """Load `NAME.txt`.

    :param placeholders: what the file must mention and nothing else, such as `{"language", "text"}`.
    :param folder: files that stand in for the package's own of the same name.
    :raises InputError: for a file without a version, or with other placeholders.
    """
    source = prompt_file(f"{name}.txt", folder)
    head, _, text = source.read_text(encoding="utf-8").partition("\n")
    if not head.startswith(_VERSION):
        raise InputError(f"{source} line 1 is {head!r:.40}, not a version: begin the file with '{_VERSION} 1'.")
    template = Template(text)
    if not template.is_valid() or set(template.get_identifiers()) != placeholders:
        wanted = " ".join(f"${placeholder}" for placeholder in sorted(placeholders))
        raise InputError(
            f"{source} must hold the placeholders {wanted}, each at least once and no other: mend the file."
        )
    return Prompt(name, head.removeprefix(_VERSION).strip(), text)
