"""A test set of one's own documents: set aside, asked about, checked, and written with a sheet for a native speaker."""

import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import haystack_lrl
from haystack_lrl.curation.near_queries import near_copies, repeated
from haystack_lrl.curation.set_aside import PASSAGE, Documents, candidates
from haystack_lrl.encoding.encoder import SentenceEncoder
from haystack_lrl.evaluation.reviewing import REVIEWED, MadeQuestion, write_questions, write_review
from haystack_lrl.evaluation.round_trip import RoundTrip
from haystack_lrl.evaluation.testset import load_test_set
from haystack_lrl.languages.table import Language
from haystack_lrl.records.counts import Counts
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import dump_line, write_json, writing
from haystack_lrl.records.pair import Pair, Rejected, read_outcomes, read_pairs, write_rows
from haystack_lrl.records.passage import Passage
from haystack_lrl.records.text import text_hash
from haystack_lrl.synthesis.asking import Asker, ask_file

logger = logging.getLogger(__name__)

_SPARE = 5  # passages kept ready for each question that is wanted
_MORE = 1.25  # questions asked for each one that is missing: most are kept


@dataclass(frozen=True)
class TestSetSettings:
    """How a test set is made.

    :param questions: how many are wanted, each about a passage of its own.
    :param set_aside: share of the documents that the questions may be about, and training must leave alone.
    :param top_k: a question must find its passage among so many by BM25 or by the scorer.
    :param seed: of what is set aside and of the order of passages.
    """

    __test__ = False  # not a test class, whatever pytest makes of the name

    questions: int = 200
    set_aside: float = 0.2
    top_k: int = 20
    seed: int = 13

    def __post_init__(self) -> None:
        for name in ("questions", "top_k"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be 1 or above")
        if not 0 < self.set_aside < 1:
            raise ValueError(f"set_aside is {self.set_aside}, but must be between 0 and 1")


@dataclass
class _Kept:
    """The questions so far, and what became of all that were asked for."""

    questions: list[MadeQuestion] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    def keep(self, pair: Pair, found_by: Sequence[str]) -> None:
        name = text_hash(pair.query, pair.passage)[:12]
        self.questions.append(MadeQuestion(name, pair.query, pair.id, pair.passage, pair.source, tuple(found_by)))
        self.counts.keep()

    def reject(self, row: Rejected) -> None:
        self.rejected.append(row)
        self.counts.reject(row.reason)


def make_test_set(
    source: Path,
    output: Path,
    asker: Asker,
    settings: TestSetSettings,
    *,
    column: str = "text",
    pairs: Path | None = None,
    scorer: SentenceEncoder | None = None,
    scorer_name: str = "",
    progress: bool = True,
) -> dict[str, Any]:
    """Make a BEIR folder of questions about documents that were set aside first; a killed run goes on.

    The folder has the corpus of all documents, the questions, `review.html` and `review.csv` for a native speaker,
    `rejected.jsonl`, `for-training.jsonl` with the documents that were not set aside, `held-out.txt` with the ids of
    the others, and `test-set.json`, which accounts for every document, passage and question. `qrels/test.tsv` is
    written last: without it, the folder is no test set.

    :param source: JSONL file of documents; see `read_passages`.
    :param asker: writes the questions, one a passage, in the language of the documents.
    :param pairs: training pairs, whose passages and questions the test set must not have.
    :param scorer: finds passages beside BM25; what `round_trip` says of the bias holds for it.
    :returns: what test-set.json holds.
    :raises InputError: for what is wrong with the files, when no question is left, and for a folder whose questions
        were reviewed.
    """
    if (output / REVIEWED).exists():
        raise InputError(f"{output} holds a reviewed test set, which would be lost: use another --output.")
    if asker.settings.sample or asker.settings.per_passage > 1 or asker.settings.max_characters < PASSAGE:
        raise ValueError(f"a test set takes one question a passage, of up to {PASSAGE} characters, without sampling")
    documents = Documents(source, column, asker.language, settings.set_aside, settings.seed)
    taken = documents.write(output / "for-training.jsonl", output / "held-out.txt")
    passages, used = candidates(documents, _SPARE * settings.questions, pairs)
    corpus = {passage.id: passage.text for _, passage, why in documents.passages() if not why}
    checks = _Checks(RoundTrip(corpus, asker.language, scorer, settings.top_k), pairs)
    kept, asked = _ask(passages, output, asker, settings.questions, checks, progress=progress)
    for row in range(len(passages)):
        used.keep() if row < asked else used.reject("not needed")
    if used.kept != kept.counts.rows:
        raise AssertionError(f"{used.kept} passages were asked about, and {kept.counts.rows} questions judged")
    if not kept.questions:
        raise InputError(
            f"None of {kept.counts.rows} questions about {source} could be kept ({_reasons(kept.counts)}): "
            "use another --generator, or give more documents."
        )
    report = {
        "version": 1,
        "haystack_lrl": haystack_lrl.__version__,
        "language": asker.language.code,
        "settings": asdict(settings),
        "asker": asker.identity,
        "training_pairs": str(pairs) if pairs else None,
        "scorer": scorer_name or None,
        "documents": taken.to_json(),
        "passages": used.to_json(),
        "questions": kept.counts.to_json(),
        "found_by": dict(Counter(" and ".join(question.found_by) for question in kept.questions)),
        "corpus": len(corpus),
    }
    _write(output, asker.language, corpus, kept, report)
    return report


class _Checks:
    """What a question must pass after the language gate."""

    def __init__(self, round_trip: RoundTrip, pairs: Path | None) -> None:
        self._round_trip = round_trip
        self._pairs = pairs

    def judge(self, kept: _Kept, made: Iterable[Pair | Rejected], most: int) -> None:
        """Add questions to those kept, up to so many in all, and the rest to those rejected."""
        pairs: list[Pair] = []
        for outcome in made:
            kept.reject(outcome) if isinstance(outcome, Rejected) else pairs.append(outcome)
        trained = self._trained([pair.query for pair in pairs])
        found = self._round_trip.found_by([pair.query for pair in pairs], [pair.id for pair in pairs])
        for row, pair in enumerate(pairs):
            if row in trained:
                kept.reject(Rejected(pair, "question of the training pairs"))
            elif not found[row]:
                kept.reject(Rejected(pair, "does not find its passage"))
        rows = [row for row in range(len(pairs)) if found[row] and row not in trained]
        before = [question.text for question in kept.questions]
        again = repeated([*before, *(pairs[row].query for row in rows)])
        for place, row in enumerate(rows, start=len(before)):
            if place in again:
                kept.reject(Rejected(pairs[row], "nearly another question"))
            elif len(kept.questions) == most:
                kept.reject(Rejected(pairs[row], "more than asked for"))
            else:
                kept.keep(pairs[row], found[row])

    def _trained(self, queries: Sequence[str]) -> set[int]:
        if self._pairs is None:
            return set()
        texts = (text for pair in read_pairs(self._pairs) for text in (pair.query, pair.english_query) if text)
        return near_copies(queries, texts)


def _ask(
    passages: Sequence[Passage], output: Path, asker: Asker, questions: int, checks: _Checks, *, progress: bool
) -> tuple[_Kept, int]:
    """Ask about passages, round by round, until there are enough questions or no passages are left.

    Each round has a file of its own, since what it asks about depends on what the rounds before it kept.

    :returns: the questions, and how many passages were asked about.
    """
    kept, asked, number = _Kept(), 0, 0
    while asked < len(passages) and len(kept.questions) < questions:
        number += 1
        wanted = math.ceil(_MORE * (questions - len(kept.questions)))
        part = passages[asked : asked + wanted]
        path = output / "asked" / f"{number}.jsonl"
        ask_file(part, path, asker, total=len(part), progress=progress)
        checks.judge(kept, read_outcomes(path), questions)
        asked += len(part)
        logger.info("%d questions of %d asked for are kept", len(kept.questions), asked)
    if len(kept.questions) < questions:
        logger.warning("%d questions instead of %d: no passages are left", len(kept.questions), questions)
    return kept, asked


def _write(output: Path, spoken: Language, corpus: Mapping[str, str], kept: _Kept, report: Mapping[str, Any]) -> None:
    with suppress(FileNotFoundError):
        (output / "qrels" / "test.tsv").unlink()  # until all belongs together again, there is no test set
    with writing(output / "corpus.jsonl") as file:
        file.writelines(dump_line({"_id": name, "title": "", "text": text}) for name, text in corpus.items())
    write_rows(output / "rejected.jsonl", kept.rejected)
    write_review(output, kept.questions, spoken)
    write_json(output / "test-set.json", report)
    write_questions(output, kept.questions)
    load_test_set(output, spoken.code)


def _reasons(counts: Counts) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in counts.rejected.most_common())
