"""Peak memory of mining among 10k, 100k and 1M passages, by vectors and by BM25.

Usage:
    python eval/mining_memory.py --work runs/mining --output eval/results/mining_memory.json

Each size runs in a process of its own, which reports its highest resident memory. A stand-in takes the encoder's place:
vectors of an ordinary length, drawn by the hash of the words. Two thousand passages are the pairs', the rest a corpus.
"""

import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from peak_memory import Figures, main

from haystack_lrl.curation.mining import MiningSettings, mine_file
from haystack_lrl.curation.teachers import Bm25, Teacher
from haystack_lrl.encoding.encoder import Role, Vectors
from haystack_lrl.languages.table import language
from haystack_lrl.records.pair import Pair
from haystack_lrl.records.passage import Passage

PAIRS = 2_000
_DIMENSIONS = 384
_VOCABULARY = 100_000
_STOCK, _PART = 20_000, 20  # parts of passages, and their words


class HashEncoder:
    """Gives every word a vector by its hash, and every text the sum of the vectors of its first words."""

    def __init__(self) -> None:
        self.table = np.random.default_rng(0).standard_normal((4096, _DIMENSIONS), dtype=np.float32)

    def encode(self, texts: Sequence[str], role: Role) -> Vectors:  # noqa: ARG002 - an encoder's signature
        """Return unit vectors."""
        rows = [[zlib.crc32(word.encode()) % len(self.table) for word in text.split()[:8]] for text in texts]
        vectors = np.stack([self.table[row].sum(axis=0) for row in rows])
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def texts(count: int) -> Iterator[str]:
    """Yield made-up passages, each of three parts of a stock whose words are as unevenly frequent as a language's."""
    rng = np.random.default_rng(2)
    words = ["".join(rng.choice(list("aeioubdfgklmnprstvz"), size=6)) for _ in range(_VOCABULARY)]
    ranks = _VOCABULARY ** rng.random((_STOCK, _PART)) - 1  # Zipf
    stock = [" ".join(words[rank] for rank in row) for row in ranks.astype(int)]
    for _ in range(count):
        yield " ".join(stock[part] for part in rng.integers(_STOCK, size=3))


def mine(teacher: str, passages: int, folder: Path) -> Figures:
    """Mine among that many passages."""
    lines = texts(passages)
    pairs = (Pair(" ".join(text.split()[:8]), text) for text in islice(lines, PAIRS))
    corpus = (Passage(text) for text in lines)
    chosen: Teacher = Bm25(language("epo")) if teacher == "bm25" else HashEncoder()
    output = folder / f"triplets-{teacher}-{passages}.jsonl"
    counts = mine_file(pairs, output, chosen, MiningSettings(negatives=7, side="own"), corpus=corpus, seed=13)
    return {"rows": counts.rows, "negatives": counts.negatives}


if __name__ == "__main__":
    teachers = {teacher: partial(mine, teacher) for teacher in ("vectors", "bm25")}
    main(__doc__, teachers, {"pairs": PAIRS, "dimensions": _DIMENSIONS})
