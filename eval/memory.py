"""Peak memory of `translate` and `ask` over 10k, 100k and 1M rows, with stand-ins that answer at once.

Usage:
    python eval/memory.py --work runs/memory --output eval/results/memory.json

Each size runs in a process of its own, which reports its highest resident memory. What is measured is everything around
the model but the gate, which looks at one text at a time: keys, requests, store, counting.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from peak_memory import main

from haystack_lrl.languages.table import language
from haystack_lrl.records.pair import Pair
from haystack_lrl.records.passage import Passage
from haystack_lrl.synthesis.answers import Answer
from haystack_lrl.synthesis.asking import Asker, AskSettings, ask_file
from haystack_lrl.synthesis.chat import ChatModel, Question
from haystack_lrl.synthesis.translation import translate_file

EPO = language("epo")
_TEXT = "The house number {n} stands by the river, and nobody has lived in it for a long time. " * 4


class Translator:
    """Answers at once."""

    identity = {"stand-in": 1}  # noqa: RUF012

    def translate(self, items: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
        """Yield the texts in capitals."""
        return (tuple(text.upper() for text in item) for item in items)


class Chat(ChatModel):
    """Answers at once."""

    def __init__(self) -> None:
        self.identity = {"stand-in": 1}

    def answers(self, questions: Iterable[Question | None]) -> Iterator[Answer]:
        """Yield the same answer, whatever is asked."""
        return ({"summary": "s", "query": f"Kie staras la domo numero {n}?"} for n, _ in enumerate(questions))


def translate(rows: int, folder: Path) -> None:
    """Translate that many pairs."""
    pairs = (Pair(f"House {n}", _TEXT.format(n=n), id=str(n)) for n in range(rows))
    translate_file(pairs, folder / f"pairs-{rows}.jsonl", Translator(), EPO, progress=False)


def ask(rows: int, folder: Path) -> None:
    """Ask about that many passages."""
    passages = (Passage(_TEXT.format(n=n), str(n)) for n in range(rows))
    ask_file(passages, folder / f"asked-{rows}.jsonl", Asker(Chat(), EPO, AskSettings(exemplars=0)), progress=False)


if __name__ == "__main__":
    main(__doc__, {"translate": translate, "ask": ask}, {})
