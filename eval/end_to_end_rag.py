"""The whole road: adapt, index, search, answer and measure; base, adapted, BM25 and hybrid through the real pipelines.

Usage:
    python -m eval.end_to_end_rag --work FOLDER --output eval/results/end_to_end_rag.json
    python -m eval.end_to_end_rag --run RUN_DIRECTORY --language hye --test-set FOLDER --generator http://localhost:8080/v1
    python -m eval.end_to_end_rag --base-model FOLDER --model FOLDER --judge http://localhost:8081/v1

Without a run or a model, the sample encoder is adapted to Esperanto on the package's sample data, offline. Documents go
into a store in memory, saved under the work folder, or into the OpenSearch of OPENSEARCH_HOSTS (addresses parted by
commas; user and password in OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD). The generator is any that `haystack-lrl ask`
takes; without one, the first sentence of the first source is quoted, which measures the search and no language model.
Exact match and F1 need references: `answers.jsonl` with `{"_id": QUERY, "answers": [...]}` in the test set's folder.
Latency is of one query after the other, in this process; that of answers includes the search.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from haystack import Document
from haystack.components.generators.chat import MockChatGenerator
from haystack.components.generators.chat.types import ChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.document_stores.types import DocumentStore

from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder
from haystack_integrations.components.preprocessors.lrl import LRLDocumentSplitter
from haystack_integrations.components.writers.lrl import LRLDocumentWriter
from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.evaluation.answers import (
    GivenAnswer,
    judge_faithfulness,
    read_references,
    score_citations,
    score_texts,
)
from haystack_lrl.evaluation.metrics import PRIMARY, PerQuery, measure
from haystack_lrl.evaluation.pairwise import contrasts, letters
from haystack_lrl.evaluation.runs import Run
from haystack_lrl.evaluation.statistics import bootstrap
from haystack_lrl.evaluation.table import estimate
from haystack_lrl.evaluation.testset import TestSet, load_test_set
from haystack_lrl.languages.sentences import split_sentences
from haystack_lrl.languages.table import Language
from haystack_lrl.languages.table import language as look_up
from haystack_lrl.quickstart import prepare
from haystack_lrl.records.fingerprint import fingerprint
from haystack_lrl.records.jsonl import write_json
from haystack_lrl.records.text import text_hash
from haystack_lrl.run import adapt
from haystack_lrl.synthesis.chat import ChatModel
from haystack_lrl.synthesis.generators import load_chat
from pipelines.answering import ask, build_rag
from pipelines.indexing import index_documents
from pipelines.rankings import by_document
from pipelines.retrieval import Mode, build_search, joiner_of, search, search_parts
from pipelines.stores import Place, embedder_of, open_store, save_store

METRICS = (PRIMARY, "R@10", "R@100", "RR@10")
_DEPTH = 100  # documents that R@100 looks at
_WARM_UP = 5  # queries before the clock starts
# system -> the model whose index is searched, and how
SYSTEMS: Mapping[str, tuple[str, Mode]] = {
    "BM25": ("adapted", "bm25"),
    "base": ("base", "dense"),
    "adapted": ("adapted", "dense"),
    "hybrid": ("adapted", "hybrid"),
}


@dataclass(frozen=True)
class Index:
    """The documents as one model sees them.

    :param depth: passages that hold at least 100 documents, if there are so many.
    """

    place: Place
    store: DocumentStore
    counts: Mapping[str, Any]
    depth: int

    def parts(self, mode: Mode) -> dict[str, Any]:
        """Return new components that search it."""
        parts = search_parts(self.store, embedder_of(self.place), mode)
        return {**parts, "joiner": joiner_of(self.store, top_k=None)} if mode == "hybrid" else parts


@dataclass(frozen=True)
class Outcome:
    """What a system found and answered, with the milliseconds of each query."""

    run: Run
    answers: Mapping[str, GivenAnswer]
    language_ok: float
    search_ms: Sequence[float]
    answer_ms: Sequence[float]


def quote_first_sentence(language: Language) -> ChatGenerator:
    """Return a stand-in for a language model: it quotes the first sentence of the first source, whatever is asked."""

    def reply(messages: list[ChatMessage]) -> str:
        first = next(line for line in (messages[-1].text or "").splitlines() if line.startswith("{"))
        return f"{split_sentences(json.loads(first)['text'], language)[0]} [1]"

    return MockChatGenerator(response_fn=reply)


def models_of(options: argparse.Namespace) -> dict[str, Path]:
    """Return the base and the adapted model: those given, those of a run, or those of a run that is made now."""
    if options.model:
        return {"base": options.base_model, "adapted": options.model}
    run = options.run
    if run is None:
        run = options.work / "run"
        adapt(prepare(options.work), run)
    base = options.base_model or yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))["base_model"]
    return {"base": Path(base), "adapted": run / "model"}


def index(name: str, model: Path, test_set: TestSet, work: Path) -> Index:
    """Split, embed and store the documents, or find them there."""
    corpus = text_hash(*test_set.documents, *test_set.documents.values())[:8]
    hosts = tuple(filter(None, os.environ.get("OPENSEARCH_HOSTS", "").split(",")))
    folder = work / f"index-{name}-{corpus}"
    place = (
        Place("opensearch", test_set.language, model, f"end-to-end-{corpus}", hosts)
        if hosts
        else Place("memory", test_set.language, model, str(folder))
    )
    store = open_store(place, create=True)
    counts = index_documents(
        (Document(id=name, content=text) for name, text in test_set.documents.items()),
        splitter=LRLDocumentSplitter(test_set.language, str(model)),
        embedder=LRLDocumentEmbedder(str(model), backend="auto", progress_bar=False),
        writer=LRLDocumentWriter(store),
    )
    save_store(place, store)
    depth = _DEPTH * math.ceil(counts.passages / len(test_set.documents))
    shown = ("read", "indexed", "passages", "written", "existing", "failed")
    told = {"model": fingerprint(model), **{key: counts.to_json()[key] for key in shown}}
    return Index(place, store, told, depth)


def timed(ask_one: Callable[[str], Any], queries: Mapping[str, str]) -> tuple[dict[str, Any], list[float]]:
    """Return what each query gives, and its milliseconds."""
    for text in list(queries.values())[:_WARM_UP]:
        ask_one(text)
    found: dict[str, Any] = {}
    spent: list[float] = []
    for name, text in queries.items():
        start = time.perf_counter()
        found[name] = ask_one(text)
        spent.append(1000 * (time.perf_counter() - start))
    return found, spent


def outcome(where: Index, mode: Mode, test_set: TestSet, generator: ChatGenerator) -> Outcome:
    """Ask a system every query, first for documents and then for an answer."""
    finder = build_search(**where.parts(mode))
    found, search_ms = timed(lambda text: search(finder, text, top_k=where.depth).documents, test_set.queries)
    rag = build_rag(language=test_set.language, generator=generator, **where.parts(mode))
    answered, answer_ms = timed(lambda text: ask(rag, text), test_set.queries)
    rag.remove_component("generator")  # for the next pipeline: a component is part of one
    spoken = [answer.meta["language_ok"] for answer in answered.values() if answer.meta["answered"]]
    return Outcome(
        {query: dict(list(by_document(passages).items())[:_DEPTH]) for query, passages in found.items()},
        {query: GivenAnswer.from_haystack(answer) for query, answer in answered.items()},
        sum(spoken) / max(1, len(spoken)),
        search_ms,
        answer_ms,
    )


def answer_values(
    test_set: TestSet, answers: Mapping[str, GivenAnswer], references: Mapping[str, Sequence[str]]
) -> PerQuery:
    """Return the answer metrics of every query; exact match and F1 only where there are references."""
    cited = score_citations(answers, test_set.qrels)
    return {**cited, **score_texts(answers, references, look_up(test_set.language))} if references else cited


def percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99."""
    return {f"p{share}": float(np.percentile(milliseconds, share)) for share in (50, 95, 99)}


def intervals(values: PerQuery) -> dict[str, Any]:
    """Return each metric's mean with its interval."""
    return {name: bootstrap(column).to_json() for name, column in values.items()}


def report(
    test_set: TestSet,
    outcomes: Mapping[str, Outcome],
    references: Mapping[str, Sequence[str]],
    judge: ChatModel | None,
) -> dict[str, Any]:
    """Return every figure, and all pairs of systems compared, by each metric of the search."""
    values = {name: measure(test_set, each.run, METRICS) for name, each in outcomes.items()}
    found = {metric: contrasts({name: each[metric] for name, each in values.items()}) for metric in METRICS}
    order = sorted(values, key=lambda name: -values[name][PRIMARY].mean())
    marks = letters(order, found[PRIMARY])
    systems = {}
    for name, each in outcomes.items():
        faithful = judge and judge_faithfulness(each.answers, test_set.queries, judge, look_up(test_set.language))
        judged = np.array(list(faithful.values.values())) if faithful else np.empty(0)
        systems[name] = {
            "letters": marks[name],
            "search": intervals(values[name]),
            "answers": intervals(answer_values(test_set, each.answers, references)),
            "in the language": each.language_ok,
            "faithfulness": bootstrap(judged).to_json() if judged.size else None,
            "not judged": dict(faithful.failures) if faithful else None,
            "search_ms": percentiles(each.search_ms),
            "answer_ms": percentiles(each.answer_ms),
        }
    compared = {metric: [row.to_json() for row in rows] for metric, rows in found.items()}
    return {"systems": systems, "contrasts": compared}


def markdown(figures: Mapping[str, Any]) -> str:
    """Return the table: systems that share a letter cannot be told apart in nDCG@10."""
    answers = list(next(iter(figures["systems"].values()))["answers"])
    head = ["system", *METRICS, "p50 / p95 / p99 ms", *answers, "faithfulness"]
    rows = [head, ["---"] * len(head)]
    for name, row in figures["systems"].items():
        spent = " / ".join(f"{row['search_ms'][share]:.1f}" for share in ("p50", "p95", "p99"))
        found = [estimate(row["search"][METRICS[0]]), *(f"{row['search'][each]['mean']:.3f}" for each in METRICS[1:])]
        said = [estimate(row["answers"][each]) for each in answers]
        rows.append([f"{name} ({row['letters']})", *found, spent, *said, estimate(row["faithfulness"])])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language", default="epo")
    for name in ("run", "model", "base-model", "test-set", "output"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--work", type=Path, default=Path("end-to-end"))
    for name in ("generator", "judge"):
        parser.add_argument(f"--{name}")
    options = parser.parse_args(arguments)
    if options.model and not options.base_model:
        parser.error("--model needs --base-model, with which it is compared")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Run everything, write the result and print the table."""
    options = options_of(arguments)
    spoken = look_up(options.language)
    folder = options.test_set or Path(__file__).parents[1] / "haystack_lrl" / "samples" / "epo-sample"
    test_set = load_test_set(folder, spoken.code)
    references = read_references(folder / "answers.jsonl") if (folder / "answers.jsonl").is_file() else {}
    models = models_of(options)
    indices = {name: index(name, model, test_set, options.work) for name, model in models.items()}
    chat = load_chat(options.generator) if options.generator else ChatModel(quote_first_sentence(spoken))
    chat.warm_up()
    outcomes = {name: outcome(indices[of], mode, test_set, chat.generator) for name, (of, mode) in SYSTEMS.items()}
    figures = report(test_set, outcomes, references, load_chat(options.judge) if options.judge else None)
    result = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": {**describe_machine(), "load": os.getloadavg()[1]},  # milliseconds on a busy machine say little
        "versions": {name: version(name) for name in ("haystack-ai", "sentence-transformers", "torch")},
        "test_set": {"name": test_set.name, "queries": len(test_set.queries), "documents": len(test_set.documents)},
        "store": indices["adapted"].place.store,
        "generator": options.generator or "none: the first sentence of the first source is quoted",
        "judge": options.judge or "none",
        "indices": {name: each.counts for name, each in indices.items()},
        **figures,
    }
    if options.output:
        write_json(options.output, result)
    print(markdown(figures))


if __name__ == "__main__":
    main()
