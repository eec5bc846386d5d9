"""Sums of low-rank products, and the best shorter product for one, without ever computing a product."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Factors:
    """What a LoRA adds to the weight of one layer: the product of two factors.

    :param left: B times the LoRA's own scaling, of shape (outputs, rank).
    :param right: A, of shape (rank, inputs).
    """

    left: torch.Tensor
    right: torch.Tensor

    @property
    def rank(self) -> int:
        """The columns of the left factor and rows of the right one."""
        return self.right.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the product."""
        return self.left.shape[0], self.right.shape[1]


def combine(parts: Sequence[tuple[float, Factors]]) -> Factors:
    """Return the weighted sum of products as one product, exactly: its rank is the sum of the ranks."""
    left = torch.cat([weight * part.left.double() for weight, part in parts], dim=1)
    return Factors(left, torch.cat([part.right.double() for _, part in parts]))


def shorten(whole: Factors, rank: int) -> tuple[Factors, float, float]:
    """Return the product of this rank that comes nearest (Eckart, Young 1936), and the norms of the rest and the whole.

    The singular values of a product are those of the small matrix between the orthogonal parts of its factors. Both new
    factors take the square root of them; where there are fewer than `rank`, zeros fill up.
    """
    left, left_small = torch.linalg.qr(whole.left)
    right, right_small = torch.linalg.qr(whole.right.T)
    u, values, v = torch.linalg.svd(left_small @ right_small.T, full_matrices=False)
    root = values[:rank].sqrt()
    missing = rank - len(root)
    new_left = torch.nn.functional.pad(left @ (u[:, :rank] * root), (0, missing))
    new_right = torch.nn.functional.pad((root[:, None] * v[:rank]) @ right.T, (0, 0, 0, missing))
    return Factors(new_left, new_right), float(values[rank:].norm()), float(values.norm())
