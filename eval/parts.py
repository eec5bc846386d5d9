"""What each part of adaptation contributes to Esperanto: lexicon, documents, dictionary, training, soups.

Usage:
    python eval/parts.py --pairs kept.jsonl --base-model MINILM --test-set epo-globalvoices --retention eng-xquad \
        --parallel tatoeba-epo-eng.jsonl.gz --reverse "apertium -u eo-en" --work FOLDER --output eval/results/parts.json

`kept.jsonl` is what `adapt` left of the translated seeds. The documents are those of the test set, without its queries:
what a user wants to search, unlabelled. The dictionary is what the reverse translator makes of the words that
translations and documents hold. Accuracy@1 is over the parallel sentences: does a sentence find its translation among
all. The merge weight is chosen on dev pairs and English samples for the first seed and for the soup. What is done is
kept in the work folder, so that a killed run goes on.
"""

import argparse
import functools
import json
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from haystack_lrl.adaptation.merging import copy_state, merged_state, soup
from haystack_lrl.adaptation.settings import MergeSettings, TrainingSettings
from haystack_lrl.adaptation.vocabulary.growing import grow_vocabulary
from haystack_lrl.adaptation.vocabulary.tokenizer import plain_tokenizer, words_of
from haystack_lrl.curation.split import Split, split_pairs
from haystack_lrl.encoding.encoder import SentenceEncoder, load_model
from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.evaluation.metrics import PRIMARY, measure
from haystack_lrl.evaluation.runs import Run, bm25_run, dense_run, hybrid_run
from haystack_lrl.evaluation.statistics import bootstrap, paired
from haystack_lrl.evaluation.testset import TestSet, load_test_set
from haystack_lrl.languages.table import language
from haystack_lrl.records.jsonl import write_json
from haystack_lrl.records.lexicon import read_parallel
from haystack_lrl.records.pair import Pair, read_pairs
from haystack_lrl.stages import DevSet, Trainer, as_rows

CODE = "epo"
PROMPTS = {"query": "", "passage": ""}
Values = NDArray[np.floating[Any]]
Make = Callable[[], SentenceTransformer]


@dataclass(frozen=True)
class Data:
    """What systems are made from and measured on."""

    split: Split
    dev: DevSet
    own: TestSet
    english: TestSet
    parallel: Sequence[Pair]
    lexical: Run


def trainer(data: Data, work: Path, seed: int) -> Trainer:
    """Return the default recipe's trainer."""
    return Trainer(PROMPTS, TrainingSettings(), data.dev, seed, work / "checkpoints", progress=False)


def kept(folder: Path, make: Callable[[], SentenceTransformer]) -> SentenceTransformer:
    """Return a model that was made before, or make it."""
    if not folder.is_dir():
        make().save_pretrained(str(folder), create_model_card=False)
    return load_model(folder, device="cpu")


def accuracy(encoder: SentenceEncoder, pairs: Sequence[Pair]) -> Values:
    """Return for each sentence whether its translation is the nearest of all."""
    own = encoder.encode([pair.passage for pair in pairs], "query")
    english = encoder.encode([pair.english_passage for pair in pairs], "query")
    return np.asarray((own @ english.T).argmax(axis=1) == np.arange(len(pairs)), dtype=np.float64)


def values_of(model: SentenceTransformer, data: Data) -> dict[str, Values]:
    """Return every measure, per query."""
    encoder = SentenceEncoder(model, prompts=PROMPTS)
    passages = dense_run(data.own, encoder, split=True).run
    runs = {"passages": passages, "hybrid": hybrid_run(data.lexical, passages, 0.5)}
    runs["document"] = dense_run(data.own, encoder, split=False).run
    found = {name: measure(data.own, run)[PRIMARY] for name, run in runs.items()}
    found["English"] = measure(data.english, dense_run(data.english, encoder, split=False).run)[PRIMARY]
    return {**found, "accuracy": accuracy(encoder, data.parallel)}


def dictionary_of(base: SentenceTransformer, data: Data, command: str) -> dict[str, list[str]]:
    """Translate every word of the training pairs and of the documents, a paragraph each."""
    backend = plain_tokenizer(base)
    texts = [*(pair.passage for pair in data.split.train), *data.own.documents.values()]
    words = sorted({word for text in texts for word in words_of(backend, text) if word.isalpha()})
    done = subprocess.run(shlex.split(command), input="\n\n".join(words), capture_output=True, text=True, check=True)
    meanings = done.stdout.split("\n\n")
    if len(meanings) != len(words):
        raise SystemExit(f"{command} made {len(meanings)} paragraphs of {len(words)}: it does not keep them apart.")
    noise = {"the", "a", "an", "to", "of"}
    found = {}
    for word, meaning in zip(words, meanings, strict=True):
        english = [part for part in words_of(backend, meaning.strip(" *@#\n")) if part.isalpha() and part not in noise]
        if english and english != [word]:
            found[word] = [" ".join(english)]
    return found


class Parts:
    """The models that are compared; each is made when it is asked for, and kept in the work folder."""

    def __init__(self, data: Data, options: argparse.Namespace) -> None:
        self.data, self.options, self.work = data, options, Path(options.work)
        self.seeds: list[int] = options.training_seeds
        self.documents = list(data.own.documents.values())

    def systems(self) -> dict[str, Make]:
        """Return what is compared, in order."""
        first, *others = self.seeds
        return {
            "base": self.base,
            "words of lexicon, dictionary and documents": self.grown,
            "new words trained": self.settled,
            f"seed {first}, merged": lambda: self.merged(self.settled, self.of_seed(first), "seed"),
            **{f"seed {seed}, merged": functools.partial(self.at_chosen_weight, seed) for seed in others},
            "soup of the seeds, merged": lambda: self.merged(self.settled, self.average(), "soup"),
            "plain recipe, no new words, merged": lambda: self.merged(self.base, self.plain(), "plain"),
            "words of the lexicon": self.lexicon,
            "words of lexicon and documents": self.documented,
        }

    def base(self) -> SentenceTransformer:
        """Return the encoder as it came."""
        return load_model(self.options.base_model, device="cpu")

    def lexicon(self) -> SentenceTransformer:
        """Return the base with the words of the translated pairs."""
        return kept(self.work / "lexicon", lambda: grow_vocabulary(self.base(), self.data.split.train)[0])

    def documented(self) -> SentenceTransformer:
        """Return the base with the words of pairs and documents."""
        pairs, documents = self.data.split.train, self.documents
        return kept(self.work / "documents", lambda: grow_vocabulary(self.base(), pairs, documents=documents)[0])

    def grown(self) -> SentenceTransformer:
        """Return the base with the words of pairs, documents and, where it can be made, the dictionary."""
        if not self.options.reverse:
            return self.documented()

        def make() -> SentenceTransformer:
            known = dictionary_of(self.base(), self.data, self.options.reverse)
            return grow_vocabulary(self.base(), self.data.split.train, dictionary=known, documents=self.documents)[0]

        return kept(self.work / "dictionary", make)

    def trained(self, start: Make, name: str, usual: Trainer) -> SentenceTransformer:
        """Return a model trained on the pairs."""

        def make() -> SentenceTransformer:
            model = start()
            usual.train(model, as_rows(self.data.split.train), name)
            return model

        return kept(self.work / name, make)

    def settled(self) -> SentenceTransformer:
        """Return the grown model after its new words were trained alone."""
        usual = trainer(self.data, self.work, self.seeds[0])
        settings = replace(usual.settings, method="new-words", learning_rate=usual.settings.words_rate)
        return self.trained(self.grown, "settled", replace(usual, settings=settings))

    def of_seed(self, seed: int) -> SentenceTransformer:
        """Return a model trained whole, before merging."""
        return self.trained(self.settled, f"adapted-{seed}", trainer(self.data, self.work, seed))

    def plain(self) -> SentenceTransformer:
        """Return the base trained without new words."""
        return self.trained(self.base, "plain", trainer(self.data, self.work, self.seeds[0]))

    def average(self) -> SentenceTransformer:
        """Return the soup of all seeds."""
        model = self.of_seed(self.seeds[0])
        model.load_state_dict(soup([copy_state(self.of_seed(seed)) for seed in self.seeds]))
        return model

    def merged(self, start: Make, adapted: SentenceTransformer, name: str) -> SentenceTransformer:
        """Return the merge that the recipe would choose, and note its curve."""
        model = start()
        result = trainer(self.data, self.work, self.seeds[0]).merge(model, adapted, MergeSettings())
        write_json(self.work / f"{name}-merge.json", result.to_json())
        return model

    def at_chosen_weight(self, seed: int) -> SentenceTransformer:
        """Return another seed's merge at the first one's weight."""
        weight = json.loads((self.work / "seed-merge.json").read_text(encoding="utf-8"))["chosen"]
        model = self.settled()
        model.load_state_dict(merged_state(copy_state(model), copy_state(self.of_seed(seed)), weight))
        return model


def main() -> None:
    """Make and measure every system and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("pairs", "base-model", "test-set", "retention", "parallel", "work", "output"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--reverse", help="translator from the language into English, for a dictionary")
    parser.add_argument("--training-seeds", type=int, nargs="+", default=[13, 14, 15])
    options = parser.parse_args()
    split = split_pairs(read_pairs(Path(options.pairs)), dev=300, held_out=0, seed=13)
    own = load_test_set(Path(options.test_set), CODE)
    english = load_test_set(Path(options.retention), "eng")
    parallel = list(read_parallel(Path(options.parallel), CODE))
    data = Data(split, DevSet.of(split, language(CODE)), own, english, parallel, bm25_run(own))
    work = Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    measured: dict[str, dict[str, Values]] = {}
    lexical = measure(own, data.lexical)[PRIMARY]
    for name, make in Parts(data, options).systems().items():
        file = work / f"{name}.npz"
        if not file.is_file():
            np.savez(file, **values_of(make(), data))  # type: ignore[arg-type]
        measured[name] = dict(np.load(file))
        write_json(Path(options.output), outcome(measured, lexical, data, work))
        print(name, {kind: round(float(values.mean()), 4) for kind, values in measured[name].items()}, flush=True)


def outcome(measured: dict[str, dict[str, Values]], lexical: Values, data: Data, work: Path) -> dict[str, Any]:
    """Return what results/parts.json holds: every mean with its interval, and differences to what matters."""
    base, plain = measured["base"], measured.get("plain recipe, no new words, merged")
    table = {}
    for name, values in measured.items():
        table[name] = {
            **{kind: bootstrap(each).to_json() for kind, each in values.items()},
            "passages - base": paired(values["passages"], base["passages"]).to_json(),
            "English - base": paired(values["English"], base["English"]).to_json(),
            "hybrid - BM25": paired(values["hybrid"], lexical).to_json(),
        }
        if plain is not None:
            table[name]["passages - plain"] = paired(values["passages"], plain["passages"]).to_json()
    merges = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(work.glob("*-merge.json"))}
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("torch", "transformers", "sentence-transformers")},
        "pairs": len(data.split.train),
        "queries": {"own": len(data.own.queries), "English": len(data.english.queries), "parallel": len(data.parallel)},
        "BM25": bootstrap(lexical).to_json(),
        "systems": table,
        "merges": merges,
    }


if __name__ == "__main__":
    main()
