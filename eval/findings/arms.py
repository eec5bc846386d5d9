"""The arms that findings compare: all differ from `translated` in one thing, or say in what."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from eval.findings.bench import Arm
from haystack_lrl.curation.mining import MiningSettings, mine
from haystack_lrl.encoding.encoder import Role, SentenceEncoder, load_model
from haystack_lrl.records.pair import Pair, Triplet

NEGATIVES = 3  # 7 are usual, and take longer


def spoilt(text: str, english: str, share: float, rng: random.Random) -> str:
    """Return the text with that share of its words dropped, moved behind the next, or left in English."""
    words, source = text.split(), english.split() or [""]
    kept: list[str] = []
    for place, word in enumerate(words):
        kind = rng.randrange(3) if rng.random() < share else None
        if kind == 1 and kept:
            kept.insert(-1, word)
        elif kind == 2:
            kept.append(source[min(len(source) - 1, place * len(source) // len(words))])
        elif kind != 0:
            kept.append(word)
    return " ".join(kept) or text


def noise(share: float) -> Callable[[Sequence[Pair], int], list[Pair]]:
    """Return what spoils that share of the words of both sides of every pair."""

    def prepared(pairs: Sequence[Pair], seed: int) -> list[Pair]:
        rng = random.Random(seed)
        return [
            replace(
                pair,
                query=spoilt(pair.query, pair.english_query, share, rng),
                passage=spoilt(pair.passage, pair.english_passage, share, rng),
            )
            for pair in pairs
        ]

    return prepared


def in_english(pairs: Sequence[Pair], seed: int) -> list[Triplet]:  # noqa: ARG001 - one signature for all
    """Return the untranslated control."""
    return [Triplet(pair.in_english(), ()) for pair in pairs]


def cross_lingual(pairs: Sequence[Pair], seed: int) -> list[Triplet]:  # noqa: ARG001 - one signature for all
    """Return queries of the language with untranslated passages."""
    return [Triplet(_with_english(pair), ()) for pair in pairs]


def half_cross_lingual(pairs: Sequence[Pair], seed: int) -> list[Triplet]:
    """Return translated pairs, of which every other keeps its English passage."""
    return [cross_lingual([pair], seed)[0] if place % 2 else Triplet(pair, ()) for place, pair in enumerate(pairs)]


def three_combinations(pairs: Sequence[Pair], seed: int) -> list[Triplet]:
    """Return a third of the pairs translated, a third with English passages, a third left in English."""
    kinds = (lambda pair: Triplet(pair, ()), lambda p: cross_lingual([p], seed)[0], lambda p: in_english([p], seed)[0])
    return [kinds[place % 3](pair) for place, pair in enumerate(pairs)]


def _with_english(pair: Pair) -> Pair:
    return replace(pair, passage=pair.english_passage)


class Mined:
    """Rows with hard negatives that the base mined on the English side, in the language or left in English."""

    def __init__(self, base_model: str, *, english: bool) -> None:
        self.base_model, self.english = base_model, english

    def __call__(self, pairs: Sequence[Pair], seed: int) -> list[Triplet]:
        """Mine among the pairs' own passages."""
        teacher = SentenceEncoder(load_model(self.base_model, device="cpu"), max_length=64)
        mined = mine(pairs, teacher, MiningSettings(negatives=NEGATIVES), seed=seed)
        if not self.english:
            return [row.triplet for row in mined]
        return [
            Triplet(_with_english(row.pair), tuple(negative.source.english_passage for negative in row.negatives))
            for row in mined
        ]


def of(*sources: str) -> Callable[[Pair], bool]:
    """Return what takes the pairs of these data sets."""
    return lambda pair: pair.source in sources


E5_PROMPTS: dict[Role, str] = {"query": "query: ", "passage": "passage: "}


def arms(base_model: str) -> dict[str, Arm]:
    """Return all arms by name."""
    return {
        "translated": Arm(trained_as="translated"),
        "not merged": Arm(weight=1.0, trained_as="translated"),
        "words untrained": Arm(rows=None),
        "plain": Arm(grown=False),
        "in English": Arm(rows=in_english),
        "50% noise": Arm(prepared=noise(0.5)),
        "hard negatives": Arm(rows=Mined(base_model, english=False)),
        "English positives and negatives": Arm(rows=Mined(base_model, english=True)),
        "3,000 pairs": Arm(pairs=3_000),
        "8,114 pairs": Arm(pairs=8_114),
        "titles only": Arm(taken=of("digitalgov", "18f-blog")),
        "questions only": Arm(taken=of("afriqa")),
        "30% noise": Arm(prepared=noise(0.3)),
        "plain in English": Arm(grown=False, rows=in_english),
        "10% noise": Arm(prepared=noise(0.1)),
        "English positives": Arm(rows=cross_lingual),
        "half with English passages": Arm(rows=half_cross_lingual),
        "scale 10": Arm(settings={"scale": 10.0}),
        "scale 50": Arm(settings={"scale": 50.0}),
        "batch 16": Arm(settings={"batch_size": 16, "mini_batch_size": 16}),
        "batch 128": Arm(settings={"batch_size": 128}),
        "prompts": Arm(prompts=E5_PROMPTS),
        "plain, three combinations": Arm(grown=False, rows=three_combinations),
        "plain, a third of the pairs": Arm(grown=False, pairs=333),
        "plain, distilled": Arm(grown=False, distilled=True),
    }
