"""Vectors to measure indices with: of real sentences as many as time allows, then points between them."""

import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from haystack_lrl.encoding.encoder import SentenceEncoder, Vectors
from haystack_lrl.encoding.search import top_k
from haystack_lrl.languages.sentences import split_sentences
from haystack_lrl.languages.table import language
from haystack_lrl.records.jsonl import read_jsonl

_BATCH = 1024


def rows_of(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Yield the rows of JSON lines, gzipped or not, and of all such files in folders."""
    for path in paths:
        files = sorted(path.rglob("*.jsonl*")) if path.is_dir() else [path]
        for file in files:
            yield from (row for _, row in read_jsonl(file))


def texts_of(paths: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Return distinct sentences, in random order, and distinct queries."""
    english, passages, queries = language("eng"), {}, {}
    for row in rows_of(paths):
        for name, value in row.items():
            if name == "query":
                queries[value] = None
            elif isinstance(value, str) and not name.endswith("id") and name not in {"document", "source"}:
                passages.update(dict.fromkeys(filter(_is_readable, split_sentences(value, english))))
    mixed = [passage for passage in passages if passage not in queries]
    asked = list(queries)
    for texts in (mixed, asked):
        random.Random(13).shuffle(texts)
    return mixed, asked


def _is_readable(sentence: str) -> bool:
    """Tell what an English model reads: scripts that it does not know are all one unknown word to it."""
    return 20 < len(sentence) < 200 and sum(letter < "\u0250" for letter in sentence) > 0.9 * len(sentence)


def encoded(encoder: SentenceEncoder, texts: Sequence[str], seconds: float) -> Vectors:
    """Return the vectors of as many texts as the time allows, shape (texts, dimensions)."""
    deadline, parts = time.monotonic() + seconds, []
    for start in range(0, len(texts), _BATCH):
        parts.append(encoder.encode(texts[start : start + _BATCH], "passage"))
        print(f"{start + len(parts[-1])} of {len(texts)} texts embedded", file=sys.stderr, flush=True)
        if time.monotonic() > deadline:
            break
    return np.concatenate(parts)


def filled_up(vectors: Vectors, count: int) -> Vectors:
    """Add points between near neighbours until there are so many, shape (count, dimensions)."""
    missing = count - len(vectors)
    if missing <= 0:
        return vectors[:count]
    rng = np.random.default_rng(13)
    firsts = rng.integers(len(vectors), size=missing)
    pool = vectors[rng.choice(len(vectors), min(len(vectors), 4000), replace=False)]
    _, near = top_k(vectors[firsts], pool, 4)
    seconds = pool[near[np.arange(missing), rng.integers(1, 4, size=missing)]]
    share = rng.uniform(0.3, 0.7, size=(missing, 1))
    made = share * vectors[firsts] + (1 - share) * seconds + rng.normal(0, 0.01, size=seconds.shape)
    return np.concatenate([vectors, made / np.linalg.norm(made, axis=1, keepdims=True)]).astype(np.float32)


def vectors_of(options: Any) -> tuple[Vectors, Vectors, int]:  # noqa: ANN401 - argparse.Namespace
    """Return vectors of passages and queries, and how many passages are real; kept in a file for the next run."""
    if not options.vectors.exists():
        passages, queries = texts_of(options.texts)
        encoder = SentenceEncoder.from_path(options.model)
        asked = encoded(encoder, queries[: options.queries], 600)
        real = encoded(encoder, passages[: options.passages], options.encode_seconds)
        np.savez(options.vectors, passages=filled_up(real, options.passages), queries=asked, real=len(real))
    with np.load(options.vectors) as kept:
        return kept["passages"], kept["queries"], int(kept["real"])


def exact_run(queries: Vectors, passages: Vectors, k: int = 10) -> dict[str, dict[str, float]]:
    """Return the k best by exact search."""
    scores, found = top_k(queries, passages, k)
    return {
        str(number): {str(p): float(s) for p, s in zip(found[number], scores[number], strict=True)}
        for number in range(len(queries))
    }
