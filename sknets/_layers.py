"""Blocks that several chapters build their networks from."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._engine.containers import Ragged

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    # In place: neither a linear layer nor a normalisation needs its output afterwards.
    "relu": partial(nn.ReLU, inplace=True),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


class Dropout(nn.Module):
    """Dropout whose noise comes from the estimator's own generator.

    torch's own draws from the global stream of the process: two fits in two threads
    would disturb each other.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = float(p)
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return x * kept(x, self.p, self.generator).div_(1 - self.p)


_FEW = 4096


def kept(x: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    """1 where a number of x stays, 0 where it is dropped, with probability p: as x.

    Of many on the CPU four numbers of 16 bits are cut of each one drawn, in which p is
    as near as 1 / 131,072: torch's own draw takes as long as a whole layer does.
    """
    like = torch.empty_like(x)
    if x.device.type != "cpu" or x.numel() < _FEW:
        return like.bernoulli_(1 - p, generator=generator)
    bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64)
    bits = bits.random_(-(2**63), None, generator=generator).view(torch.int16)
    dropped = min(round(p * 2**16), 2**16 - 1) - 2**15
    return torch.ge(bits.as_strided(like.shape, like.stride()), dropped, out=like)


class StochasticDepth(nn.Module):
    """Residual branches left out at random [Huang et al. 2016], with an own generator.

    ``mode`` is torchvision's: "row" decides for each sample, "batch" for all.
    """

    def __init__(self, p: float, mode: str):
        super().__init__()
        self.p, self.mode = p, mode
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        shape = [len(x) if self.mode == "row" else 1] + [1] * (x.ndim - 1)
        keep = 1 - self.p
        mask = x.new_empty(shape).bernoulli_(keep, generator=self.generator)
        return x * (mask.div_(keep) if keep > 0 else mask)


class _OfOne:
    """Batch normalisation that takes one number a channel in training.

    It has no variance, so it is normalised as in prediction, by the running statistics,
    and these stay as they are.
    """

    def forward(self: Any, x: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[1]:
            mean, variance = self.running_mean, self.running_var
            return F.batch_norm(x, mean, variance, self.weight, self.bias, eps=self.eps)
        return super().forward(x)  # type: ignore[misc]


class BatchNorm1d(_OfOne, nn.BatchNorm1d):
    """torch's for rows (B, F), of one row too."""


class BatchNorm2d(_OfOne, nn.BatchNorm2d):
    """torch's for images (B, C, H, W), of one image of one pixel too."""


class BatchNorm3d(_OfOne, nn.BatchNorm3d):
    """torch's for volumes (B, C, D, H, W), of one volume of one voxel too."""


class Standardize(nn.Module):
    """``(x - mean) / scale`` column by column, as the first layer of a net.

    Done per batch, so that raw tables work and no standardised copy of X is kept.
    The statistics are fitted attributes of the estimator, hence not saved twice.
    A prediction's values are cut off at the fourth root of the largest number, 4e9
    standard deviations in float32: the square of a sum of squares is still finite.
    """

    factor: Tensor
    shift: Tensor

    def __init__(self, mean: np.ndarray, scale: np.ndarray):
        super().__init__()
        factor = 1 / np.asarray(scale, dtype=np.float64)
        shift = -factor * np.asarray(mean, dtype=np.float64)
        for name, values in (("factor", factor), ("shift", shift)):
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.addcmul(self.shift, x, self.factor)
        if self.training:
            return z
        limit = _limit(z.dtype)
        return z.clamp_(-limit, limit)

    def learn(self, mean: np.ndarray, scale: np.ndarray) -> None:
        """Take other statistics; what further columns there are stay as they are."""
        other = Standardize(mean, scale)
        for mine, new in ((self.factor, other.factor), (self.shift, other.shift)):
            if mine.ndim == 1:
                mine[: len(new)] = new
            else:  # (1, C, ...), see `standardize_channels`
                mine.copy_(new.view(1, -1, *[1] * (mine.ndim - 2)).expand_as(mine))

    def inverse(self, z: Tensor) -> Tensor:
        """The values whose standardised ones are ``z``."""
        return (z - self.shift) / self.factor


class NumericEncoding(nn.Module):
    """Columns as they are (standardised), and by what else they are to be seen.

    Further inputs are ``clamp(shift + factor * x, low, high)`` of a column, or the
    cosine of that; as many of each column that has any.

    Parameters
    ----------
    standardize : Standardize or None
    numbers : dict of int to array-like of shape (n_inputs, 4)
        ``factor, shift, low, high`` of the inputs of a column.
    waves : bool
        Whether the cosine is taken.
    """

    columns: Tensor
    factor: Tensor
    shift: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self,
        standardize: Standardize | None,
        numbers: dict[int, list[tuple[float, float, float, float]]],
        waves: bool,
    ):
        super().__init__()
        self.standardize, self.waves = standardize, waves
        columns = torch.tensor(list(numbers), dtype=torch.long)
        self.register_buffer("columns", columns, persistent=False)
        # Inputs that a column with few values lacks are 0.
        size = max(map(len, numbers.values()), default=0)
        table = torch.zeros(4, len(numbers), size, dtype=torch.float64)
        for i, rows in enumerate(numbers.values()):
            table[:, i, : len(rows)] = torch.tensor(rows, dtype=torch.float64).t()
        for name, values in zip(("factor", "shift", "low", "high"), table):
            self.register_buffer(name, values.clone(), persistent=False)

    @classmethod
    def piecewise(cls, standardize: Standardize | None, knots: list[np.ndarray]):
        """An input for each stretch between two knots of a column [1]_.

        It rises from 0 to 1 along its stretch, less what it is on average where knots
        are quantiles.

        References
        ----------
        .. [1] Y. Gorishniy, I. Rubachev, A. Babenko. On Embeddings for Numerical
           Features in Tabular Deep Learning. NeurIPS 2022. Here beside the column
           itself, and centred.
        """
        numbers: dict[int, list[tuple[float, float, float, float]]] = {}
        for column, ends in enumerate(knots):
            for i, (start, end) in enumerate(itertools.pairwise(ends)):
                factor, mean = 1 / (end - start), 1 - (i + 0.5) / (len(ends) - 1)
                row = (factor, -factor * start - mean, -mean, 1 - mean)
                numbers.setdefault(column, []).append(row)
        return cls(standardize, numbers, waves=False)

    @classmethod
    def periodic(cls, standardize: Standardize | None, knots: list[np.ndarray]):
        """As many cosines as there are stretches between a column's knots.

        Of 1, 2, 3, ... half periods from its first knot to its last.
        """
        numbers: dict[int, list[tuple[float, float, float, float]]] = {}
        for column, ends in enumerate(knots):
            for i in range(1, len(ends)):
                factor = math.pi * i / (ends[-1] - ends[0])
                row = (factor, -factor * ends[0], 0.0, math.pi * i)
                numbers.setdefault(column, []).append(row)
        return cls(standardize, numbers, waves=True)

    @property
    def n_more(self) -> int:
        """How many inputs there are beside the columns."""
        return self.factor.numel()

    def forward(self, x: Tensor) -> Tensor:  # (B, F) -> (B, F + n_more)
        z = x if self.standardize is None else self.standardize(x)
        if len(self.columns) < x.shape[1]:
            x = x.index_select(1, self.columns)
        more = torch.addcmul(self.shift, x.unsqueeze(2), self.factor)
        more = more.clamp_(self.low, self.high)
        return torch.cat([z, (more.cos_() if self.waves else more).flatten(1)], 1)


class MembersLinear(nn.Module):
    """A linear layer for each of several nets; their units are side by side."""

    def __init__(self, n_members: int, n_inputs: int, n_outputs: int):
        super().__init__()
        layers = [nn.Linear(n_inputs, n_outputs) for _ in range(n_members)]
        weights = torch.stack([layer.weight.detach().t() for layer in layers])
        self.weight = nn.Parameter(weights)  # (M, I, O)
        self.bias = nn.Parameter(torch.cat([layer.bias.detach() for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:  # (B, M * I) -> (B, M * O)
        x = x.unflatten(1, self.weight.shape[:2]).transpose(0, 1)
        return torch.bmm(x, self.weight).transpose(0, 1).flatten(1) + self.bias


class Missing(nn.Module):
    """NaN becomes a value of its column; further columns tell where it was."""

    fill: Tensor
    columns: Tensor

    def __init__(self, fill: np.ndarray, columns: np.ndarray):
        super().__init__()
        values = np.asarray(fill, dtype=np.float64)
        self.register_buffer("fill", torch.from_numpy(values), persistent=False)
        self.register_buffer("columns", torch.from_numpy(columns), persistent=False)

    def learn(self, fill: np.ndarray) -> None:
        """Take other values for NaN."""
        self.fill.copy_(torch.from_numpy(fill))

    def forward(self, x: Tensor) -> Tensor:  # (B, F) -> (B, F + M)
        gaps = x.isnan()
        told = gaps.index_select(1, self.columns).to(x.dtype)
        return torch.cat([torch.where(gaps, self.fill, x), told], 1)


@functools.cache
def _limit(dtype: torch.dtype) -> float:
    return torch.finfo(dtype).max ** 0.25


def rescale(head: Any, factor: np.ndarray, shift: np.ndarray) -> None:
    """Let a last layer say ``factor * output + shift``.

    One that is not linear, such as a layer of messages, is left to learn it.
    """
    head = head[-1] if isinstance(head, nn.Sequential) else head
    if not isinstance(head, nn.Linear | MembersLinear):
        return
    scale, more = (torch.from_numpy(each).to(head.weight) for each in (factor, shift))
    with torch.no_grad():
        head.weight.mul_(scale if head.weight.ndim == 3 else scale[:, None])
        head.bias.view(-1, len(scale)).mul_(scale).add_(more)


def standardize_channels(
    mean: np.ndarray, scale: np.ndarray, size: tuple[int, ...]
) -> Standardize:
    """`Standardize` for batches (B, C, *size), a signal being an image of height 1.

    As large as an image: broadcasting over the batch alone takes a fifth of the time of
    broadcasting over the pixels too.
    """
    size = size if len(size) > 1 else (1, *size)
    shape = (1, len(mean), *size)
    ones = [1] * len(size)
    return Standardize(
        *(np.broadcast_to(each.reshape(1, -1, *ones), shape) for each in (mean, scale))
    )


class OwnScale(nn.Module):
    """Series (B, C, 1, T) beside their own shape: each centred and scaled by itself.

    The shape alone would hide what only the level tells.
    """

    def forward(self, x: Tensor) -> Tensor:  # -> (B, 2 C, 1, T)
        return torch.cat([x, own_scale(x, 3)], 1)


class Stem(nn.Module):
    """Long sequences with fewer steps: two convolutions, the first in strides.

    Each channel comes in the scale of all samples and in that of its own sequence. The
    first kernel sees ``2 stride + 1`` steps, the second five of what the first makes of
    them; zeros stand before the first step and after the last. Both are normalised by
    the real steps of a batch: without it neither attention nor cells learn the shapes
    of long series in a few hundred steps.
    """

    def __init__(
        self, standardize: Standardize, n_channels: int, width: int, stride: int
    ):
        super().__init__()
        self.standardize, self.stride = standardize, stride
        self.first = nn.Conv1d(
            2 * n_channels, width, 2 * stride + 1, stride, stride, bias=False
        )
        self.second = nn.Conv1d(width, width, 5, padding=2, bias=False)
        # Of the real steps of a batch.
        self.norms = nn.ModuleList(BatchNorm1d(width) for _ in range(2))

    def forward(self, x: Ragged) -> Ragged:  # (B, T, C) -> (B, T / stride, width)
        z = self.standardize(x.padded())
        mask = None if x.mask is None else x.mask[:, :, None]
        own = own_scale(z, 1, mask)
        z = torch.cat([z if mask is None else z * mask, own], 2)
        steps = Ragged(z[:, :: self.stride])
        if x.lengths is not None:
            steps.lengths = (x.lengths + self.stride - 1) // self.stride
        for layer, norm in zip((self.first, self.second), self.norms):
            found = layer(z.transpose(1, 2)).transpose(1, 2)
            steps = steps.like(norm(steps.real(found)).relu())
            z = steps.padded()
        return steps


# Sequences of more steps than the first number are read in strides, which leave no more
# than the second: recurrent nets forget over longer ones, and attention takes the
# square of their length.
_MOST_STEPS, _MOST_STRIDES = 32, 64


def stride_of(stride: int | str, longest: int) -> int:
    """Every how many steps there is one for the network; "auto" by the longest."""
    if stride != "auto":
        return int(stride)
    return 1 if longest <= _MOST_STEPS else max(2, -(-longest // _MOST_STRIDES))


def own_scale(x: Tensor, steps: int, mask: Tensor | None = None) -> Tensor:
    """Series of standardised channels, each centred and scaled along its own steps.

    A deviation below a thousandth of that of all samples is noise, and stays small.
    """
    if mask is None:
        z = x - x.mean(steps, keepdim=True)
        variance = z.square().mean(steps, keepdim=True)
    else:
        n = mask.sum(steps, keepdim=True)
        x = x.masked_fill(~mask, 0)
        z = (x - x.sum(steps, keepdim=True) / n) * mask
        variance = z.square().sum(steps, keepdim=True) / n
    return z * (variance + 1e-6).rsqrt()


class ColumnEmbedding(nn.Module):
    """Entity embeddings: a learned vector a category, beside the numeric columns.

    A category code of 0 means unknown and is the zero vector, which moves a row
    neither way.
    """

    numeric: Tensor

    def __init__(self, n_columns: int, columns: list[int], cardinalities: list[int]):
        super().__init__()
        numeric = [j for j in range(n_columns) if j not in set(columns)]
        self.columns = list(columns)
        positions = torch.tensor(numeric, dtype=torch.long)
        self.register_buffer("numeric", positions, persistent=False)
        self.embeddings = nn.ModuleList(
            nn.Embedding(size, embedding_size(size), padding_idx=0)
            for size in cardinalities
        )
        widths = [embedding_size(size) for size in cardinalities]
        self.n_outputs = len(numeric) + sum(widths)

    def forward(self, x: Tensor) -> Tensor:
        vectors = [
            embed(x[:, column].long())
            for column, embed in zip(self.columns, self.embeddings)
        ]
        return torch.cat([x.index_select(1, self.numeric), *vectors], dim=1)


class TokenEmbedding(nn.Module):
    """A learned vector for each token of a vocabulary, for steps (B, T, 1).

    Token 0 is unknown and the zero vector, which says nothing.
    """

    def __init__(self, n_tokens: int, size: int):
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, size, padding_idx=0)
        # torch's vectors of length sqrt(size) take long to be unlearned.
        with torch.no_grad():
            self.embedding.weight.mul_(0.3)

    def forward(self, x: Tensor) -> Tensor:
        return self.embedding(x[..., 0])


def embedding_size(n_categories: int) -> int:
    """Half as many dimensions as categories, at most 50."""
    return min(50, (n_categories + 1) // 2)
