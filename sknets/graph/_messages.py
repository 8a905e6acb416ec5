"""Who hears from whom, as sparse matrices that products and gradients are taken of."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from sknets._engine.device import as_tensor
from sknets._inputs.graph_store import Graph
from sknets._layers import Dropout
from sknets.graph._walks import uniform


def _csr(starts: Tensor, columns: Tensor, values: Tensor, shape: Any) -> Tensor:
    return torch.sparse_csr_tensor(starts, columns, values, shape)


with warnings.catch_warnings():
    # torch says once a process that sparse tensors are in beta; now is that once.
    warnings.simplefilter("ignore")
    _csr(torch.tensor([0, 1]), torch.tensor([0]), torch.ones(1), (1, 1))


class SparseMatrix:
    """A constant matrix by rows, and by columns as soon as a gradient needs them.

    Parameters
    ----------
    starts : int ndarray of shape (n_rows + 1,)
    columns : int ndarray of shape (n_values,)
    values : tensor of shape (n_values,)
    n_columns : int
    """

    def __init__(self, starts: Any, columns: Any, values: Tensor, n_columns: int):
        self.starts, self.columns, self.values = starts, columns, values
        self.shape = (len(starts) - 1, n_columns)
        self._matrix: Tensor | None = None
        self._turned: list[Tensor] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def with_values(self, values: Tensor) -> SparseMatrix:
        """Other values at the same places."""
        other = SparseMatrix(self.starts, self.columns, values, self.shape[1])
        other._turned = self._turned
        return other

    def rows(self, index: np.ndarray) -> SparseMatrix:
        """The matrix of these rows, in this order."""
        first, counts = self.starts[index], np.diff(self.starts)[index]
        starts = np.concatenate([[0], np.cumsum(counts)])
        at = np.arange(starts[-1]) + np.repeat(first - starts[:-1], counts)
        values = self.values[torch.from_numpy(at).to(self.values.device)]
        starts = starts.astype(self.starts.dtype)
        return SparseMatrix(starts, self.columns[at], values, self.shape[1])

    def head(self, n: int) -> SparseMatrix:
        """The first rows."""
        if n == len(self):
            return self
        end = self.starts[n]
        starts, columns = self.starts[: n + 1], self.columns[:end]
        return SparseMatrix(starts, columns, self.values[:end], self.shape[1])

    def by_rows(self) -> Tensor:
        if self._matrix is None:
            places = (self._device(self.starts), self._device(self.columns))
            self._matrix = _csr(*places, self.values, self.shape)
        return self._matrix

    def by_columns(self) -> Tensor:
        """The transposed matrix."""
        if self._turned is None:
            order = np.arange(len(self.columns), dtype=self.starts.dtype)
            turned = sp.csr_array((order, self.columns, self.starts), self.shape)
            turned = turned.tocsc()
            parts = turned.indptr, turned.indices, turned.data
            self._turned = [self._device(part) for part in parts]
        starts, columns, places = self._turned
        return _csr(starts, columns, self.values[places], self.shape[::-1])

    def turn(self, starts: Any, columns: Any, places: Any) -> None:
        """Say what is known: the matrix by columns, and where the values of it are."""
        self._turned = [self._device(part) for part in (starts, columns, places)]

    def _device(self, places: np.ndarray) -> Tensor:
        return as_tensor(places).to(self.values.device)

    def row_numbers(self) -> Tensor:
        """The row of each value."""
        counts = np.diff(self.starts)
        return self._device(np.repeat(np.arange(len(counts)), counts))

    def column_numbers(self) -> Tensor:
        return self._device(self.columns).long()

    def __matmul__(self, dense: Tensor) -> Tensor:
        return _Product.apply(dense, self)


class _Product(torch.autograd.Function):
    """torch's own gradient transposes the matrix anew at every step."""

    @staticmethod
    def forward(ctx: Any, dense: Tensor, matrix: SparseMatrix) -> Tensor:
        ctx.matrix, ctx.dtype = matrix, dense.dtype
        return product(matrix.by_rows(), dense.to(matrix.values.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        turned = ctx.matrix.by_columns()
        return product(turned, gradients[0].to(turned.dtype)).to(ctx.dtype), None


def product(sparse: Tensor, dense: Tensor) -> Tensor:
    """A matrix by rows times another, the same bits each time on any device."""
    with torch.autocast(dense.device.type, enabled=False):  # which knows no bfloat16
        return sparse @ dense if dense.device.type == "cpu" else in_order(sparse, dense)


def in_order(sparse: Tensor, dense: Tensor, piece: int = 2**26) -> Tensor:
    """The product as sums in the order of the columns, some rows at a time.

    CUDA's own adds in whatever order its threads come.
    """
    starts, columns = sparse.crow_indices(), sparse.col_indices()
    values, n = sparse.values(), sparse.shape[0]

    def sums(offsets: Tensor, at: slice) -> Tensor:
        said = dense.index_select(0, columns[at]) * values[at, None]
        return torch.segment_reduce(said, "sum", offsets=offsets, initial=0)

    step = max(1, piece // dense.shape[1])
    if len(columns) <= step:
        return sums(starts, slice(None))
    # Rows in which the next so many values begin, each of them once.
    wanted = torch.arange(0, len(columns), step).to(starts)
    cuts = sorted({*torch.searchsorted(starts, wanted).tolist(), n})
    parts = []
    for low, high in pairwise(cuts):
        first, last = int(starts[low]), int(starts[high])
        parts.append(sums(starts[low : high + 1] - first, slice(first, last)))
    return torch.cat(parts)


def multiply(x: Tensor | SparseMatrix, weight: Tensor) -> Tensor:
    """``x`` times the transposed weight, as a linear layer does."""
    return x @ weight.t()


def dropped(x: Any, dropout: Dropout) -> Any:
    """Dropout; of sparse features their values."""
    if isinstance(x, SparseMatrix):
        if not dropout.training or dropout.p == 0:
            return x
        return x.with_values(dropout(x.values))
    return dropout(x)


class Propagation:
    """What a kind of layer multiplies the neighbours by, for all nodes of a graph.

    Attributes
    ----------
    starts, columns : int ndarrays
        The neighbours of each node, as in `Graph`.
    values : ndarray of shape (n_edges,)
    self_loops : ndarray of shape (n_nodes,) or None
        By what a node multiplies its own state, if it hears itself.
    """

    def __init__(self, starts: Any, columns: Any, values: Any, self_loops: Any):
        self.starts, self.columns = starts, columns
        self.values, self.self_loops = values, self_loops

    @property
    def n_nodes(self) -> int:
        return len(self.starts) - 1


def operator_of(conv: str, graph: Graph, dtype: np.dtype[Any]) -> Propagation:
    """Coefficients of the layers: "gcn", "sage", "gin" or, all 1, "gat" and "gatv2"."""
    starts, columns, n = graph.starts, graph.neighbors, graph.n_nodes
    weights = graph.weights
    values = np.ones(len(columns), dtype) if weights is None else weights.astype(dtype)
    if conv == "gin":
        return Propagation(starts, columns, values, None)
    rows = np.repeat(np.arange(n, dtype=columns.dtype), np.diff(starts))
    if conv == "sage":
        sums = np.bincount(rows, values, minlength=n)
        values *= np.divide(1, sums, out=np.zeros(n), where=sums > 0).astype(dtype)[
            rows
        ]
        return Propagation(starts, columns, values, None)
    # A self-loop of the graph adds to the one that every node has.
    loops = rows == columns
    own = np.ones(n, dtype)
    if loops.any():
        if conv == "gcn":
            own[rows[loops]] += values[loops]
        keep = ~loops
        counts = np.bincount(rows[keep], minlength=n)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(starts.dtype)
        rows, columns, values = rows[keep], columns[keep], values[keep]
    if conv == "gcn":
        root = (1 / np.sqrt(np.bincount(rows, values, minlength=n) + own)).astype(dtype)
        values *= root[rows]
        values *= root[columns]
        own *= root * root
    return Propagation(starts, columns, values, own)


# Which edges of these nodes to take: positions, their number a node, their factors.
Choice = Callable[[Propagation, np.ndarray], tuple[np.ndarray, np.ndarray, Any]]


def all_edges(operator: Propagation, nodes: np.ndarray) -> Any:
    """Every edge of these nodes."""
    first = operator.starts[:-1][nodes]
    counts = np.diff(operator.starts)[nodes]
    ends = np.cumsum(counts)
    at = np.arange(ends[-1] if len(ends) else 0)
    return at + np.repeat(first - (ends - counts), counts), counts, None


class SampledEdges:
    """At most so many edges a node, without replacement and all alike, weighing more.

    A node's sum over the edges drawn has the sum over all of its edges as its mean.
    """

    def __init__(self, n_neighbors: int, generator: torch.Generator | None):
        self.n_neighbors, self.generator = n_neighbors, generator

    def __call__(self, operator: Propagation, nodes: np.ndarray) -> Any:
        k = self.n_neighbors
        first = operator.starts[:-1][nodes].astype(np.int64)
        degrees = operator.starts[1:][nodes] - first
        at = np.broadcast_to(np.arange(k), (len(nodes), k)).copy()
        crowded = np.flatnonzero(degrees > k)
        if len(crowded):
            at[crowded] = self._draw(degrees[crowded], k)
        counts = np.minimum(degrees, k)
        valid = np.arange(k) < counts[:, None]
        factors = np.repeat(degrees / np.maximum(counts, 1), counts)
        return (at + first[:, None])[valid], counts, factors

    def _draw(self, degrees: np.ndarray, k: int) -> np.ndarray:
        """k different numbers below each degree [Floyd], all sets alike."""
        shape = (k, len(degrees))
        shares = uniform(self.generator, *shape)
        chosen = np.empty(shape, dtype=np.int64)
        for i in range(k):
            last = degrees - k + i
            drawn = (shares[i] * (last + 1)).astype(np.int64)
            taken = (chosen[:i] == drawn).any(0)
            chosen[i] = np.where(taken, last, drawn)
        return chosen.T


class Neighborhood:
    """The nodes that some nodes hear from in a layer, and by which coefficients.

    Attributes
    ----------
    nodes : int ndarray
        Positions in the graph: first those that hear, then the others.
    adjacency : SparseMatrix
        Of shape (those that hear, nodes).
    """

    def __init__(
        self, operator: Propagation, targets: np.ndarray, choice: Choice, like
    ):
        n = len(targets)
        at, counts, factors = choice(operator, targets)
        sources, values = operator.columns[at], operator.values[at]
        if factors is not None:
            values = values * factors.astype(values.dtype)
        if n == operator.n_nodes and (targets == np.arange(n)).all():
            self.nodes, local = targets, sources
        else:
            place = np.full(operator.n_nodes, -1, dtype=operator.columns.dtype)
            place[targets] = np.arange(n)
            place[sources[place[sources] < 0]] = -2
            fresh = np.flatnonzero(place == -2)
            place[fresh] = np.arange(n, n + len(fresh))
            self.nodes, local = np.concatenate([targets, fresh]), place[sources]
        starts = np.concatenate([[0], np.cumsum(counts)])
        if operator.self_loops is not None:
            # Each row begins with the node itself.
            edges = np.arange(len(local)) + np.repeat(np.arange(1, n + 1), counts)
            starts += np.arange(n + 1)
            joined = np.empty(starts[-1], dtype=local.dtype)
            joined[edges], joined[starts[:-1]] = local, np.arange(n)
            weighed = np.empty(starts[-1], dtype=values.dtype)
            weighed[edges], weighed[starts[:-1]] = values, operator.self_loops[targets]
            local, values = joined, weighed
        self.adjacency = SparseMatrix(
            starts.astype(local.dtype),
            local,
            torch.from_numpy(values).to(like),
            len(self.nodes),
        )


def neighborhoods(
    operator: Propagation, nodes: np.ndarray, choices: Sequence[Choice], like: Any
) -> list[Neighborhood]:
    """What each layer needs for the states of these nodes, the first layer first."""
    found: list[Neighborhood] = []
    for choice in reversed(choices):
        found.insert(0, Neighborhood(operator, nodes, choice, like))
        nodes = found[0].nodes
    return found


__all__ = [
    "Neighborhood",
    "Propagation",
    "SampledEdges",
    "SparseMatrix",
    "all_edges",
    "dropped",
    "multiply",
    "neighborhoods",
    "operator_of",
]
