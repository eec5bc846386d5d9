"""Armenian from an English encoder that knows no Armenian word, with nothing but parallel sentences.

Usage:
    python eval/armenian.py --base-model MINILM --sentences ntrex.jsonl.gz --tatoeba tatoeba-hye-eng.jsonl.gz \
        --test-set hye-ntrex --work FOLDER --output eval/results/armenian.json

First, the sentences of NTREX but some dev documents teach the words, and sentences of Tatoeba look for their
translations: accuracy@1. Then headlines of NTREX look for their articles: models are taught by Tatoeba's sentences and
those of the documents outside the fold that they are measured on. `hye-ntrex` numbers its documents as NTREX does.
`--parts` takes either alone; with `--epochs 0` nothing is trained.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from haystack_lrl.adaptation.merging import copy_state, merged_state
from haystack_lrl.adaptation.settings import TrainingSettings
from haystack_lrl.adaptation.training import train
from haystack_lrl.adaptation.vocabulary.growing import grow_vocabulary
from haystack_lrl.adaptation.vocabulary.tokenizer import is_one_piece, plain_tokenizer, words_of
from haystack_lrl.encoding.encoder import SentenceEncoder, load_model
from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.evaluation.metrics import PRIMARY, measure
from haystack_lrl.evaluation.runs import bm25_run, dense_run, hybrid_run
from haystack_lrl.evaluation.statistics import bootstrap, paired
from haystack_lrl.evaluation.testset import TestSet, load_test_set
from haystack_lrl.records.jsonl import read_jsonl, write_json
from haystack_lrl.records.lexicon import read_parallel
from haystack_lrl.records.pair import Pair, Triplet

PROMPTS = {"query": "", "passage": ""}
Values = NDArray[np.floating[Any]]
_DEV_DOCUMENTS = 10
_WEIGHT = 0.5


def accuracy(model: SentenceTransformer, pairs: Sequence[Pair]) -> Values:
    """Return for each sentence whether its translation is the nearest of all."""
    encoder = SentenceEncoder(model, prompts=PROMPTS)
    own = encoder.encode([pair.passage for pair in pairs], "query")
    english = encoder.encode([pair.english_passage for pair in pairs], "query")
    return np.asarray((own @ english.T).argmax(axis=1) == np.arange(len(pairs)), dtype=np.float64)


def adapted(
    options: argparse.Namespace, taught: Sequence[Pair], dev: Callable[[SentenceTransformer], float], seed: int
) -> dict[str, SentenceTransformer]:
    """Return the grown model, the same with its words trained, and trained whole and merged."""
    work, epochs = Path(options.work), options.epochs
    rows = [
        Triplet(Pair(pair.passage, pair.english_passage, english_passage=pair.english_passage), ()) for pair in taught
    ]
    grown, growth = grow_vocabulary(load_model(options.base_model, device="cpu"), taught)
    print(growth, flush=True)
    stages = {"words, untrained": grown}
    if not epochs:
        return stages
    for name, settings in {
        "words trained": TrainingSettings(method="new-words", learning_rate=2e-3, epochs=epochs, evaluations=1),
        "trained whole": TrainingSettings(epochs=epochs, evaluations=1),
    }.items():
        model = last_copy(stages, work)
        checkpoints = work / f"checkpoints-{name}-{seed}-{time.time_ns()}"
        train(
            model,
            rows,
            PROMPTS,
            settings,
            checkpoints=checkpoints,
            seed=seed,
            dev_ndcg=lambda m=model: dev(m),
            progress=False,
        )
        stages[name] = model
    before, after = copy_state(stages["words trained"]), copy_state(stages.pop("trained whole"))
    merged = last_copy(stages, work)
    merged.load_state_dict(merged_state(before, after, _WEIGHT))
    return {**stages, f"trained whole, merged at {_WEIGHT}": merged}


def last_copy(stages: dict[str, SentenceTransformer], work: Path) -> SentenceTransformer:
    """Return a copy of the last model."""
    folder = work / "last"
    list(stages.values())[-1].save_pretrained(str(folder), create_model_card=False)
    return load_model(folder, device="cpu")


def limits(model: SentenceTransformer, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return accuracy@1 by the share of a sentence's words that are one piece: what the lexicon lacks costs most."""
    backend = plain_tokenizer(model)
    known = [[is_one_piece(backend, w) for w in words_of(backend, p.passage) if w.isalpha()] for p in pairs]
    found = accuracy(model, pairs)
    bins = {"all words known": (1.0, 1.01), "two thirds or more": (2 / 3, 1.0), "fewer": (0.0, 2 / 3)}
    rows = {}
    for name, (low, high) in bins.items():
        chosen = np.array([low <= np.mean(each or [False]) < high for each in known])
        rows[name] = {"sentences": int(chosen.sum()), "accuracy": float(found[chosen].mean()) if chosen.any() else None}
    counts = Counter(flag for each in known for flag in each)
    return {"words known": counts[True] / max(1, counts.total()), "by share of known words": rows}


def retrieval(
    options: argparse.Namespace, sentences: Sequence[tuple[str, Pair]], more: Sequence[Pair]
) -> dict[str, Any]:
    """Return headline -> article by models that never saw a sentence of the document, and BM25."""
    test_set: TestSet = load_test_set(Path(options.test_set), "hye")
    order = list(dict.fromkeys(document for document, _ in sentences))
    lexical = bm25_run(test_set)
    bm25 = measure(test_set, lexical)[PRIMARY]
    values: dict[str, Values] = {}
    queries = list(test_set.queries)
    for fold in range(options.folds):
        held = {name for place, name in enumerate(order) if place % options.folds == fold}
        taught = [*more, *(pair for document, pair in sentences if document not in held)]
        dev = [pair for document, pair in sentences if document not in held][:200]
        models = {"base": load_model(options.base_model, device="cpu")}
        models |= adapted(options, taught, lambda m, dev=dev: float(accuracy(m, dev).mean()), 13)
        for name, model in models.items():
            run = dense_run(test_set, SentenceEncoder(model, prompts=PROMPTS), split=True).run
            for kind, each in {name: run, f"hybrid with {name}": hybrid_run(lexical, run, 0.5)}.items():
                found = measure(test_set, each)[PRIMARY]
                kept = values.setdefault(kind, np.full(len(queries), np.nan))
                for place, query in enumerate(queries):
                    (document,) = test_set.qrels[query]
                    if order[int(document.lstrip("d"))] in held:
                        kept[place] = found[place]
    table = {
        name: {**bootstrap(v).to_json(), "difference to BM25": paired(v, bm25).to_json()} for name, v in values.items()
    }
    return {"queries": len(queries), "folds": options.folds, "BM25": bootstrap(bm25).to_json(), "systems": table}


def main() -> None:
    """Run both parts and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("base-model", "sentences", "tatoeba", "test-set", "work", "output"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--parts", nargs="+", choices=["sentences", "articles"], default=["sentences", "articles"])
    parser.add_argument("--training-seeds", type=int, nargs="+", default=[13])
    options = parser.parse_args()
    documents = [str(row["document"]) for _, row in read_jsonl(Path(options.sentences))]
    sentences = list(zip(documents, read_parallel(Path(options.sentences), "hye"), strict=True))
    tatoeba = list(read_parallel(Path(options.tatoeba), "hye"))
    order = list(dict.fromkeys(documents))
    held = set(order[:_DEV_DOCUMENTS])
    dev = [pair for document, pair in sentences if document in held]
    taught = [pair for document, pair in sentences if document not in held]
    outcome: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("torch", "transformers", "sentence-transformers")},
        "sentences": len(taught),
        "epochs": options.epochs,
        "tatoeba": {"sentences": len(tatoeba), "systems": {}},
    }
    for seed in options.training_seeds if "sentences" in options.parts else ():
        models = {"base": load_model(options.base_model, device="cpu")}
        models |= adapted(options, taught, lambda m: float(accuracy(m, dev).mean()), seed)
        for name, model in models.items():
            found = {
                "seed": seed,
                "dev": float(accuracy(model, dev).mean()),
                **bootstrap(accuracy(model, tatoeba)).to_json(),
            }
            outcome["tatoeba"]["systems"].setdefault(name, []).append(found)
            print(name, json.dumps(found), flush=True)
        outcome["tatoeba"]["limits"] = limits(list(models.values())[-1], tatoeba)
        write_json(Path(options.output), outcome)
    if "articles" in options.parts:
        outcome["retrieval"] = retrieval(options, sentences, tatoeba)
        write_json(Path(options.output), outcome)
        print(json.dumps(outcome["retrieval"], indent=1))


if __name__ == "__main__":
    main()
