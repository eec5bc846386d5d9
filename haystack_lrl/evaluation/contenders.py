"""What a comparison is asked to compare: models by name, several seeds of one training, rankings from files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from haystack_lrl.encoding.encoder import SentenceEncoder
from haystack_lrl.encoding.exported import MANIFEST, ExportedEncoder, Manifest, load_exported
from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError

BM25, HYBRID = "BM25", "hybrid"
_FORM = "NAME=PATH_OR_HUB_ID"


@dataclass(frozen=True)
class Contender:
    """A model by the name that tables give it.

    :param models: folder of a SentenceTransformer or an export, or a hub id; several where they are seeds.
    """

    name: str
    models: tuple[str, ...]

    @property
    def export(self) -> str:
        """Return the format of an exported model, else nothing."""
        folder = Path(self.models[0])
        return Manifest.read(folder).format if (folder / MANIFEST).is_file() else ""


@dataclass(frozen=True)
class Contest:
    """All that stands in one table beside BM25.

    :param contenders: in the order of the table.
    :param hybrid: the model that is fused with BM25; None where no model is compared.
    :param runs: TREC files by name.
    """

    contenders: Sequence[Contender]
    hybrid: Contender | None
    runs: Sequence[tuple[str, Path]]


def contest(systems: Iterable[str], seeds: Iterable[str], runs: Iterable[str]) -> Contest:
    """Read what the command line names.

    :param systems: `NAME=PATH_OR_HUB_ID`; `bm25`, which is always there; `hybrid=` with a model or another's name. The
        hybrid is of the last model by default.
    :param seeds: `NAME=PATH,PATH,...`.
    :param runs: `NAME=FILE`.
    :raises InputError: for another form, a name given twice, and nothing to compare.
    """
    given = [_named(spec) for spec in systems if spec.casefold() != "bm25"]
    contenders = [Contender(name, (model,)) for name, model in given if name.casefold() != HYBRID]
    contenders += [Contender(name, tuple(filter(None, models.split(",")))) for name, models in map(_named, seeds)]
    files = [(name, Path(path)) for name, path in map(_named, runs)]
    fused = [model for name, model in given if name.casefold() == HYBRID]
    _refuse_doubles(
        [*(one.name for one in contenders), *(name for name, _ in files), BM25, *[HYBRID] * max(1, len(fused))]
    )
    if not contenders and not files and not fused:
        raise InputError(f"There is nothing to compare: give --system {_FORM}.")
    hybrid = next((one for one in contenders if fused and fused[0] in (one.name, *one.models)), None)
    if fused and hybrid is None:
        hybrid = Contender(HYBRID, (fused[0],))
    return Contest(contenders, hybrid or (contenders[-1] if contenders else None), files)


def retention_specs(specs: Iterable[str]) -> list[tuple[str, str]]:
    """Return language code and test set of `CODE=FOLDER`.

    :raises InputError: for another form and an unknown language.
    """
    return [(language(code).code, place) for code, place in map(_named, specs)]


def _named(spec: str) -> tuple[str, str]:
    name, _, value = spec.partition("=")
    if not name.strip() or not value.strip():
        raise InputError(f"{spec!r} is not NAME=PATH: give a short name, an equals sign and the model or file.")
    return name.strip(), value.strip()


def _refuse_doubles(names: Sequence[str]) -> None:
    folded = [name.casefold() for name in names]
    for name in names:
        if folded.count(name.casefold()) > 1:
            raise InputError(f"Two systems are called {name!r}: give each a name of its own.")


def load_contender(model: str, *, progress: bool) -> SentenceEncoder | ExportedEncoder:
    """Load an export in its runtime, or a SentenceTransformer in torch.

    :raises InputError: when there is no such model.
    :raises MissingExtraError: when an export's runtime is not installed.
    """
    if (Path(model) / MANIFEST).is_file():
        return load_exported(Path(model))
    return SentenceEncoder.from_path(model, progress=progress)


def tokenizer_of(encoder: SentenceEncoder | ExportedEncoder) -> PreTrainedTokenizerBase:
    """Return the tokenizer that cuts this model's texts."""
    tokenizer: PreTrainedTokenizerBase = (
        encoder.tokenizer if isinstance(encoder, ExportedEncoder) else encoder.model.tokenizer
    )
    return tokenizer
