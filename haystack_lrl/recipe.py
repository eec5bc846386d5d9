"""The settings of a run: one frozen dataclass, read from YAML, printed resolved."""

import copy
import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args, get_type_hints

import pydantic
import yaml

from haystack_lrl.adaptation.settings import MergeSettings, TrainingSettings
from haystack_lrl.curation.filtering import FilterSettings
from haystack_lrl.curation.mining import MiningSettings
from haystack_lrl.curation.mixture import MixtureSettings
from haystack_lrl.languages.gate import GateSettings
from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.asking import AskSettings

Tree = dict[str, Any]
_Settings = TypeVar("_Settings")


@dataclass(frozen=True)
class EvaluationSettings:
    """What the models are measured on.

    :param test_sets: BEIR folders in the language, the first one decides; without any, pairs are held out of training.
    :param retention: BEIR folders by ISO 639-3 code: languages that the model must not forget.
    :param held_out: pairs held out where no test set is given; at most a tenth of the kept pairs.
    :param dev: pairs for early stopping, merge and hybrid weight; at most a tenth of the kept pairs.
    :param dev_pairs: JSONL file of dev pairs of your own, in place of some set aside.
    :param split: score a document longer than the model's input by its best passage.
    :param curve: sizes of training sets whose models are measured too, for the data-size curve.
    :param allow_leaks: measure on test sets of which more than 1% was trained on, and say so.
    """

    test_sets: tuple[str, ...] = ()
    retention: dict[str, str] = field(default_factory=dict)
    held_out: int = 300
    dev: int = 300
    dev_pairs: str | None = None
    split: bool = True
    curve: tuple[int, ...] = ()
    allow_leaks: bool = False

    def __post_init__(self) -> None:
        if self.dev < 1:
            raise ValueError(f"evaluation.dev is {self.dev}, but must be above 0")
        if self.held_out < 1 and not self.test_sets:
            raise ValueError(
                f"evaluation.held_out is {self.held_out}, but must be above 0 without evaluation.test_sets"
            )
        if any(size < 2 for size in self.curve):
            raise ValueError(f"evaluation.curve is {list(self.curve)}, but must hold numbers above 1")


@dataclass(frozen=True)
class Recipe:
    """Everything that a run depends on.

    :param language: ISO 639-3 code of the language to adapt to.
    :param seeds: JSONL file of English (query, passage) pairs.
    :param translator: `command:`, `seq2seq:`, `ct2:`, `chat:` or `file:` and what to run.
    :param base_model: folder or hub id of the embedder to adapt.
    :param revision: of the hub's base model.
    :param prompts: text before `query` and `passage`; the base model's own configuration by default.
    :param passages: JSONL file of passages that a chat model asks questions about, for training beside the seeds.
    :param generator: that chat model: a server's URL#MODEL, FILE.gguf, FOLDER or GENERATOR.yaml.
    :param gate: what every text that is made must pass; null leaves the gate open.
    :param query_column: name of the seeds' query column.
    :param passage_column: name of the seeds' passage column.
    :param translator_timeout: seconds without an answer after which a translator counts as hung.
    :param max_copied: share of translations that may be copies of their source before the run stops.
    :param parallel: JSONL file of parallel sentences, `{"hye": ..., "eng": ...}`, which teach words too.
    :param dictionary: file of `word<TAB>English word; English word` lines, likewise.
    :param documents: text in the language alone, such as the documents to be searched, whose words become known too.
    :param trim: drop the pieces that the language and English do not use, before training.
    :param vocabulary: `lexicon` gives the tokenizer the words of the translations, with the vectors of their English
        counterparts; `auto` does so where the tokenizer shatters them; `none` leaves it alone.
    :param mixture: files of other pairs, triplets, parallel sentences or inferences to train on beside the pairs.
    :param licences: of the data by source, for the cards.
    :param control: train on the same pairs left in English as well, and show the result.
    :param seed: of splits, order and training.
    """

    language: str
    seeds: str
    translator: str
    base_model: str
    revision: str | None = None
    prompts: dict[str, str] | None = None
    passages: str | None = None
    generator: str | None = None
    query_column: str = "query"
    passage_column: str = "passage"
    translator_timeout: float = 600.0
    max_copied: float = 0.2
    parallel: str | None = None
    dictionary: str | None = None
    documents: str | None = None
    trim: bool = False
    vocabulary: Literal["auto", "lexicon", "none"] = "auto"
    control: bool = False
    seed: int = 13
    gate: GateSettings | None = field(default_factory=GateSettings)
    ask: AskSettings = field(default_factory=AskSettings)
    filter: FilterSettings = field(default_factory=FilterSettings)
    licences: dict[str, str] = field(default_factory=dict)
    mixture: tuple[MixtureSettings, ...] = ()
    mining: MiningSettings = field(default_factory=MiningSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    merge: MergeSettings = field(default_factory=MergeSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)

    def __post_init__(self) -> None:
        language(self.language)
        if self.prompts is not None and set(self.prompts) != {"query", "passage"}:
            raise ValueError(f"prompts has the keys {sorted(self.prompts)}, but must have query and passage")
        if self.passages and not self.generator:
            raise ValueError("passages need a generator to ask questions about them")

    def to_tree(self) -> Tree:
        """Return the recipe as plain YAML values."""
        tree: Tree = pydantic.TypeAdapter(Recipe).dump_python(self, mode="json")
        return tree

    def to_yaml(self) -> str:
        """Return the resolved recipe as recipe.yaml holds it."""
        return yaml.safe_dump(self.to_tree(), sort_keys=False, allow_unicode=True)


def load_tree(name: str) -> Tree:
    """Read a recipe that ships with the package by its name, or one's own by its path.

    :raises InputError: when there is no such recipe or it is not a YAML mapping.
    """
    shipped = {
        path.name.removesuffix(".yaml"): path
        for path in resources.files("haystack_lrl.recipes").iterdir()
        if path.name.endswith(".yaml")
    }
    source = shipped.get(name) or Path(name)
    if not source.is_file():
        names = ", ".join(sorted(n for n in shipped if not n.startswith("_")))
        raise InputError(
            f"{name} is neither a recipe that ships with the package ({names}) nor a file: check the path."
        )
    try:
        tree = yaml.safe_load(source.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{name} is not valid YAML ({' '.join(str(error).split())}): mend the file.") from error
    if not isinstance(tree, dict):
        raise InputError(f"{name} holds a {type(tree).__name__}, but a recipe is a mapping of settings: mend the file.")
    return tree


def set_values(tree: Tree, assignments: Iterable[str]) -> Tree:
    """Return the tree with settings such as `training.epochs=3` put in, values read as YAML."""
    tree = copy.deepcopy(tree)
    for assignment in assignments:
        path, separator, value = assignment.partition("=")
        if not separator:
            raise InputError(f"--set {assignment} has no '=': write it as training.epochs=3.")
        *parents, last = path.split(".")
        branch = tree
        for parent in parents:
            if branch.get(parent) is None:
                branch[parent] = {}
            branch = branch[parent]
            if not isinstance(branch, dict):
                raise InputError(
                    f"--set {assignment}: {parent} is {branch!r:.40}, which holds no settings: mend the name."
                )
        try:
            branch[last] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"--set {assignment} gives no valid YAML: quote the value as in YAML.") from error
    return tree


def build(tree: Mapping[str, Any], where: str) -> Recipe:
    """Check every setting and return the recipe.

    :param where: what to call the source of the settings in an error.
    :raises InputError: for a setting that is unknown, missing, of the wrong type or out of range.
    """
    return validated(Recipe, tree, where)


def validated(settings: type[_Settings], tree: Mapping[str, Any], where: str) -> _Settings:
    """Check every value of a dataclass of settings and return it.

    :param where: what to call the source of the settings in an error.
    :raises InputError: for a setting that is unknown, missing, of the wrong type or out of range.
    """
    _check_names(tree, settings, where, "")
    try:
        return pydantic.TypeAdapter(settings).validate_python(dict(tree))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise InputError(f"{where} does not give {name}, which has no default: add it.") from error
        message = first["msg"].removeprefix("Value error, ").rstrip(".")
        value = f" for {name} = {first['input']!r:.80}" if name else ""
        raise InputError(f"{where} cannot be used: {message}{value}; correct the setting.") from error


def _check_names(tree: Mapping[str, Any], settings: type, where: str, prefix: str) -> None:
    """Refuse names that no setting has: a typing error must not be silently ignored."""
    kinds = get_type_hints(settings)
    names = [item.name for item in dataclasses.fields(settings)]
    for name, value in tree.items():
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"known are {', '.join(names)}."
            raise InputError(f"{where} has the setting {prefix}{name}, which does not exist: {hint}")
        nested = [kind for kind in (kinds[name], *get_args(kinds[name])) if dataclasses.is_dataclass(kind)]
        if nested and isinstance(value, Mapping):
            _check_names(value, cast(type, nested[0]), where, f"{prefix}{name}.")
