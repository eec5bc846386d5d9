"""How sure a mean over queries is: bootstrap intervals and paired differences.

Both resample queries, the unit that a test set draws at random (Smucker, Allan and Carterette, CIKM 2007).
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit  # come without stubs

_CELLS = 1 << 20  # resampled queries held at once: 8 MiB of indices, which is small and fast enough
_ALPHA = 0.05  # 95%, two-sided
_POWER = 2.8  # 1.96 + 0.84: two-sided 5% and 80% power, in standard errors


def or_none(value: float) -> float | None:
    """Return the number, or None for nan and infinity, which JSON does not have."""
    return float(value) if math.isfinite(value) else None


@dataclass(frozen=True)
class Interval:
    """A mean over queries with its 95% interval.

    :param mean: mean over queries.
    :param low: lower end; nan where there is one query, of which nobody can say how much it varies.
    :param high: upper end; nan where there is one query.
    """

    mean: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | None]:
        """Return the fields for metrics.json; nan becomes null."""
        return {name: or_none(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Difference(Interval):
    """A mean difference over the same queries, with its 95% interval.

    :param p: two-sided p of the sign-flip test: how often chance alone makes a difference this large.
    """

    p: float

    def reversed(self) -> "Difference":
        """Return b minus a, where this is a minus b."""
        return Difference(0.0 - self.mean, 0.0 - self.high, 0.0 - self.low, self.p)  # zero keeps its sign

    @property
    def distinguishable(self) -> bool:
        """Say whether the interval excludes zero; never so with one query."""
        return self.low > 0 or self.high < 0


def _chunks(resamples: int, queries: int) -> Iterator[int]:
    size = max(1, _CELLS // queries)
    for start in range(0, resamples, size):
        yield min(size, resamples - start)


def _checked(values: NDArray[np.floating]) -> NDArray[np.float64]:
    checked = np.asarray(values, dtype=np.float64)
    if checked.ndim != 1 or not checked.size or not np.isfinite(checked).all():
        raise ValueError(f"expected one finite value per query, got an array of shape {checked.shape}")
    return checked


def bootstrap(values: NDArray[np.floating], resamples: int = 10_000, seed: int = 13) -> Interval:
    """Return the mean with its 95% bootstrap interval over queries.

    The percentiles lie a little further out than 2.5 and 97.5, without which intervals over few queries are too narrow:
    with 50 queries they would cover 93% (the expanded percentile interval of Hesterberg, The American Statistician 69,
    2015).

    :param values: one value per query, shape (queries,).
    :raises ValueError: when there is no query or a value is not finite.
    """
    values = _checked(values)
    mean, queries = float(values.mean()), len(values)
    if queries == 1:
        return Interval(mean, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    draws = (rng.integers(queries, size=(size, queries), dtype=np.int32) for size in _chunks(resamples, queries))
    means = np.concatenate([values[draw].mean(axis=1) for draw in draws])
    tail = float(ndtr(math.sqrt(queries / (queries - 1)) * stdtrit(queries - 1, _ALPHA / 2)))
    low, high = np.quantile(means, (tail, 1 - tail))
    return Interval(mean, float(low), float(high))


def _sign_flip(differences: NDArray[np.float64], resamples: int, seed: int) -> float:
    """Return p by flipping the sign of each difference at random; ties with the observed sum count against it."""
    moved = differences[differences != 0]  # a zero adds nothing under either sign
    if not moved.size:
        return 1.0
    total = moved.sum()
    bound = abs(total) - 1e-9 * np.abs(moved).sum()  # the same sum in another order rounds differently
    rng = np.random.default_rng(seed)
    extreme = 0
    for size in _chunks(resamples, moved.size):
        bits = np.frombuffer(rng.bytes(size * -(-moved.size // 8)), dtype=np.uint8).reshape(size, -1)
        kept = np.unpackbits(bits, axis=1, count=moved.size) @ moved
        extreme += int(np.count_nonzero(np.abs(2 * kept - total) >= bound))
    return (1 + extreme) / (1 + resamples)


def paired(a: NDArray[np.floating], b: NDArray[np.floating], resamples: int = 10_000, seed: int = 13) -> Difference:
    """Return the mean of a minus b over the same queries: bootstrap interval and sign-flip test.

    :param a: one value per query, shape (queries,).
    :param b: the values of the other system for the same queries in the same order.
    :raises ValueError: when the shapes differ, there is no query, or a value is not finite.
    """
    differences = _differences(a, b)
    interval = bootstrap(differences, resamples, seed)
    return Difference(interval.mean, interval.low, interval.high, _sign_flip(differences, resamples, seed))


def _differences(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    a, b = _checked(a), _checked(b)
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} and {len(b)} values are not pairs: compare systems on the same queries")
    return a - b


def smallest_gain(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Return the smallest mean difference that these queries detect with 80% power at 5%, two-sided.

    :raises ValueError: as `paired`.
    :returns: nan with one query; `or_none` makes it fit for JSON.
    """
    differences = _differences(a, b)
    if len(differences) == 1:
        return math.nan
    return float(_POWER * differences.std(ddof=1) / math.sqrt(len(differences)))
