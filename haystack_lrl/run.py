"""The stages in order over one run directory: translate, filter, mine, train, merge, control, evaluate."""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from haystack_lrl.adaptation.card import count_sources, data_card, model_card
from haystack_lrl.adaptation.saving import save_model
from haystack_lrl.adaptation.vocabulary.report import tokenizer_report
from haystack_lrl.curation.filtering import filter_file
from haystack_lrl.curation.mining import mine_file
from haystack_lrl.curation.mixture import Task, read_mixture
from haystack_lrl.curation.split import Split, split_pairs, with_dev
from haystack_lrl.encoding.encoder import Role, SentenceEncoder, load_model
from haystack_lrl.engine.making import run_job
from haystack_lrl.engine.settings import Engine
from haystack_lrl.evaluation.metrics import PRIMARY, measure
from haystack_lrl.evaluation.report import write_report
from haystack_lrl.evaluation.runs import dense_run
from haystack_lrl.inputs import check_inputs
from haystack_lrl.languages.table import Language, language
from haystack_lrl.measure import check_leaks, measure_run, primary_test_set
from haystack_lrl.recipe import Recipe
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import write_json, writing
from haystack_lrl.records.pair import Pair, Triplet, read_outcomes, read_pairs, read_triplets
from haystack_lrl.rundir import RunDirectory
from haystack_lrl.sources import scorer_of, teacher_of, with_vocabulary
from haystack_lrl.stages import DevSet, Trainer, as_rows, merge_at, prompts_of
from haystack_lrl.synthesis.jobs import Questions, Translation
from haystack_lrl.synthesis.translation import check_copies

logger = logging.getLogger(__name__)

_REPORTED = 2000  # pairs in the tokenizer report


def adapt(recipe: Recipe, output: Path, engine: Engine | None = None, *, progress: bool = True) -> dict[str, Any]:
    """Do every stage that is not done yet, and return what metrics.json holds.

    :param output: the run directory; one that a killed run left behind is gone on with.
    :param engine: where translating, asking, filtering and mining run; None for this process. Training is started with
        torchrun or accelerate where it is to run on several GPUs.
    :raises InputError: for what the user can mend; a rerun then goes on where this one stopped.
    """
    check_inputs(recipe)
    adaptation = Adaptation(RunDirectory.claim(output, recipe, progress=progress), engine)
    for name, artefact in adaptation.stages():
        adaptation.run.stage(name, artefact, getattr(adaptation, name))
    shutil.rmtree(adaptation.run.path("checkpoints"), ignore_errors=True)
    return adaptation.run.read("metrics.json")


class Adaptation:
    """The stages of one run directory; each leaves its artefact and returns what goes into the manifest."""

    def __init__(self, run: RunDirectory, engine: Engine | None = None) -> None:
        self.run = run
        self.engine = engine
        self.recipe = run.recipe
        self.language: Language = language(run.recipe.language)

    def stages(self) -> list[tuple[str, str]]:
        """Return (stage, artefact) in order, without the stages that the recipe leaves out."""
        recipe = self.recipe
        order = [
            ("translate", "pairs.jsonl", True),
            ("filter", "kept.jsonl", True),
            ("ask", "asked.jsonl", recipe.passages is not None),
            ("mine", "triplets.jsonl", recipe.mining.negatives > 0),
            ("tokenizer", "tokenizer.json", True),
            ("grow", "grown", self._changes_vocabulary()),
            ("settle", "settled", self._settles()),
            ("train", "adapted", True),
            ("merge", "model", True),
            ("control", "control", recipe.control),
            ("curve", "curve.json", bool(recipe.evaluation.curve)),
            ("evaluate", "metrics.json", True),
        ]
        return [(name, artefact) for name, artefact, wanted in order if wanted]

    def translate(self) -> dict[str, Any]:
        """Seeds to pairs.jsonl; stops when too many translations are copies."""
        recipe = self.recipe
        job = Translation(
            self.language.code,
            recipe.translator,
            recipe.translator_timeout,
            recipe.gate,
            query_column=recipe.query_column,
            passage_column=recipe.passage_column,
        )
        output = self.run.path("pairs.jsonl")
        counts, _ = run_job(job, recipe.seeds, output, self.engine, progress=self.run.progress)
        return {"rows": counts.to_json(), "copied": check_copies(output, recipe.max_copied)}

    def ask(self) -> dict[str, Any]:
        """Passages to asked.jsonl: questions about them, made by a chat model."""
        recipe = self.recipe
        job = Questions(
            self.language.code, str(recipe.generator), recipe.ask, recipe.translator_timeout, recipe.gate, recipe.seed
        )
        output = self.run.path("asked.jsonl")
        counts, used = run_job(job, str(recipe.passages), output, self.engine, progress=self.run.progress)
        return {"rows": counts.to_json(), "tokens": dict(used)}

    def filter(self) -> dict[str, Any]:
        """pairs.jsonl to kept.jsonl and rejected.jsonl."""
        with scorer_of(self.recipe, self._prompts, self.engine) as scorer:
            counts = filter_file(
                self.run.path("pairs.jsonl"),
                self.run.path("kept.jsonl"),
                self.run.path("rejected.jsonl"),
                self.language,
                self.recipe.filter,
                scorer,
                progress=self.run.progress,
            )
        if not counts.kept:
            raise InputError(
                f"{self.run.path('rejected.jsonl')} holds every pair: none passed the filters; see its reasons."
            )
        return {"rows": counts.to_json()}

    def mine(self) -> dict[str, Any]:
        """Training pairs to triplets.jsonl, with a review sheet beside it."""
        with teacher_of(self.recipe, self._prompts, self.engine, progress=self.run.progress) as teacher:
            counts = mine_file(
                self._split.train,
                self.run.path("triplets.jsonl"),
                teacher,
                self.recipe.mining,
                seed=self.recipe.seed,
                review=self.run.path("review.html"),
            )
        return {"rows": {"rows": counts.rows, "kept": counts.rows, "rejected": {}}, "mining": counts.to_json()}

    def tokenizer(self) -> dict[str, Any]:
        """Say how the base's tokenizer cuts the language, before anything is trained: tokenizer.json."""
        sample = [pair for pair in self._split.train[:_REPORTED] if pair.english_passage]
        report = tokenizer_report(self._base(), (p.passage for p in sample), (p.english_passage for p in sample))
        logger.info("%s", report.to_text())
        write_json(self.run.path("tokenizer.json"), report.to_json())
        return {"tokenizer": report.to_json()}

    def grow(self) -> dict[str, Any]:
        """Give the base the words of the training pairs: grown/, which is the base itself where that is not needed."""
        base, facts = with_vocabulary(self._base(), self.recipe, self._split, self.engine)
        self._save(base, "grown", "before training, with the words of the language")
        return facts

    def settle(self) -> dict[str, Any]:
        """Train the vectors of the new words and nothing else: settled/, whose English is that of the base."""
        model, facts = load_model(self.run.path("grown")), {}
        if self.run.manifest()["stages"]["grow"]["vocabulary"]:
            rate = self.recipe.training.words_rate
            settings = replace(self.recipe.training, method="new-words", learning_rate=rate)
            result = replace(self._trainer(), settings=settings).train(model, self._rows(), "settled")
            facts = {"settling": result.to_json()}
        self._save(model, "settled", "before training, with the words of the language, their vectors trained alone")
        return facts

    def train(self) -> dict[str, Any]:
        """Training pairs or triplets to adapted/, after a look for test texts among them."""
        split = self._split
        tasks = self._tasks(split)
        leaks = check_leaks(self.recipe, [*split.train, *split.dev, *(row.pair for task in tasks for row in task.rows)])
        trainer = replace(self._trainer(), tasks=tasks)
        model, summary = trainer.train_soup(self._start, self._rows(), "adapted", self.recipe.merge.soup)
        self._save(model, "adapted", "before merging with the base")
        sources = count_sources(split.train)
        return {"split": split.sizes(), "sources": sources, "leaks": leaks, "training": summary}

    def merge(self) -> dict[str, Any]:
        """Average base and adapted/ to model/, with the weight that does best on the dev pairs."""
        base = self._start()
        trainer = self._trainer()
        result = trainer.merge(base, load_model(self.run.path("adapted")), self.recipe.merge)
        self._save(base, "model", f"merged with the base at weight {result.chosen:g}")
        trainer.forget("adapted")
        return {"merge": result.to_json()}

    def control(self) -> dict[str, Any]:
        """Train on the same pairs left in English: alike in all else, the dev pairs in the language included."""
        split, soup = self._split, self.recipe.merge.soup
        settings = replace(self.recipe.training, loss="contrastive", teacher=None)  # English needs no English teacher
        trainer = replace(self._trainer(), settings=settings)
        model, summary = trainer.train_soup(self._base, as_rows(split.train, english=True), "control", soup)
        base = self._base()
        merge_at(base, model, self._merge_weight())
        self._save(base, "control", "trained on the untranslated pairs, for comparison")
        trainer.forget("control")
        return {"training": summary}

    def curve(self) -> dict[str, Any]:
        """Training sets of the sizes asked for to curve.json: nDCG@10 per query of the first test set."""
        split, soup = self._split, self.recipe.merge.soup
        test_set = primary_test_set(self.recipe, split)
        values: dict[str, list[float]] = {}
        for size in self.recipe.evaluation.curve:
            base, trainer = self._start(), self._trainer()
            model, _ = trainer.train_soup(self._start, self._rows()[:size], f"curve-{size}", soup)
            merge_at(base, model, self._merge_weight())
            encoder = SentenceEncoder(base, prompts=self._prompts, progress=self.run.progress)
            run = dense_run(test_set, encoder, split=self.recipe.evaluation.split).run
            values[str(min(size, len(split.train)))] = measure(test_set, run)[PRIMARY].tolist()
            trainer.forget(f"curve-{size}")
        write_json(self.run.path("curve.json"), values)
        return {}

    def evaluate(self) -> dict[str, Any]:
        """Everything to metrics.json and report.html."""
        metrics = measure_run(self.run, self._split, self._base())
        write_report(self.run.path("report.html"), metrics)
        card = model_card(self.recipe.to_tree(), self.run.manifest(), f"merged at {self._merge_weight():g}", metrics)
        with writing(self.run.path("model") / "README.md") as file:
            file.write(card)
        with writing(self.run.path("DATA.md")) as file:
            file.write(data_card(self.recipe.to_tree(), self.run.manifest()))
        write_json(self.run.path("metrics.json"), metrics)
        return {}

    def _base(self) -> SentenceTransformer:
        return load_model(self.recipe.base_model, revision=self.recipe.revision)

    def _start(self) -> SentenceTransformer:
        """Return what training starts from: the base, with a grown vocabulary where there is one."""
        if self._settles():
            return load_model(self.run.path("settled"))
        return load_model(self.run.path("grown")) if self._changes_vocabulary() else self._base()

    def _settles(self) -> bool:
        return self.recipe.vocabulary != "none" and self.recipe.training.words_rate > 0

    def _changes_vocabulary(self) -> bool:
        return self.recipe.vocabulary != "none" or self.recipe.trim

    @cached_property
    def _prompts(self) -> Mapping[Role, str]:
        return prompts_of(self.recipe, self._base())

    @cached_property
    def _split(self) -> Split:
        """The same in every process: it depends on the kept pairs and the seed alone."""
        settings = self.recipe.evaluation
        pairs = list(read_pairs(self.run.path("kept.jsonl")))
        if self.recipe.passages:
            pairs += [row for row in read_outcomes(self.run.path("asked.jsonl")) if isinstance(row, Pair)]
        tenth = len(pairs) // 10
        held_out = 0 if settings.test_sets else min(settings.held_out, tenth)
        dev = 0 if settings.dev_pairs else min(settings.dev, tenth)
        split = split_pairs(pairs, dev=dev, held_out=held_out, seed=self.recipe.seed)
        return with_dev(split, Path(settings.dev_pairs)) if settings.dev_pairs else split

    def _rows(self) -> list[Triplet]:
        mined = self.run.path("triplets.jsonl")
        return list(read_triplets(mined)) if self.recipe.mining.negatives else as_rows(self._split.train)

    def _trainer(self) -> Trainer:
        return Trainer(
            prompts=self._prompts,
            settings=self.recipe.training,
            dev=DevSet.of(self._split, self.language, self.recipe.merge.retention),
            seed=self.recipe.seed,
            checkpoints=self.run.path("checkpoints"),
            progress=self.run.progress,
        )

    def _tasks(self, split: Split) -> list[Task]:
        unseen = {pair.group for pair in (*split.dev, *split.held_out)}
        return read_mixture(self.recipe.mixture, self._prompts, unseen) if self.recipe.mixture else []

    def _merge_weight(self) -> float:
        return float(self.run.manifest()["stages"]["merge"]["merge"]["chosen"])

    def _save(self, model: SentenceTransformer, name: str, what: str) -> None:
        card = model_card(self.recipe.to_tree(), self.run.manifest(), what, None)
        save_model(model, self.run.path(name), self._prompts, card)
