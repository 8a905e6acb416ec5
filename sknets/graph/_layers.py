"""PyTorch Geometric's layers on sparse matrices, for parts of a graph too.

Weights, their names and how they begin are PyTorch Geometric's, and so are the outputs.
What differs is how they are computed: first what every node says (``message``), then
what reaches the nodes asked for (``aggregate``), by products with a constant sparse
matrix; and noise comes from the estimator's own generator.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._layers import Dropout
from sknets.graph._messages import SparseMatrix, multiply


@contextlib.contextmanager
def _later(*names: str) -> Iterator[None]:
    """Inside the block, the imports of these modules do nothing."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update({name: ModuleType(name) for name in absent})
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


# Torch's compiler and data sets, 4 s of 5, that others import where they use them.
with _later("torch._dynamo", "torch_geometric.datasets"), warnings.catch_warnings():
    # The news of torch for PyTorch Geometric is none for its users.
    warnings.simplefilter("ignore")
    import torch_geometric
    from torch_geometric.lazy_loader import LazyLoader
    from torch_geometric.nn import GATConv, GATv2Conv, GCNConv, GINConv, SAGEConv
if not hasattr(torch_geometric, "datasets"):
    torch_geometric.datasets = LazyLoader(
        "datasets", vars(torch_geometric), "torch_geometric.datasets"
    )

# Numbers of an attention layer held at a time where no gradient is wanted.
_PIECE = 2**24


class _Written:
    """What `propagate` would do is written here: no layer needs one of its own.

    PyTorch Geometric reads the source of a class for each layer that is made or loaded,
    which takes nine tenths of the time of making it.
    """

    def _set_jittable_templates(self, raise_on_error: bool = False) -> None:
        pass


class GCN(_Written, GCNConv):
    """Graph convolution: a sum over neighbours, weighed by degrees."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__(n_in, n_out, normalize=False)

    def message(self, x: Any) -> Tensor:
        return multiply(x, self.lin.weight)

    def aggregate(self, said: Tensor, x: Any, adjacency: SparseMatrix) -> Tensor:
        return adjacency @ said + self.bias


class SAGE(_Written, SAGEConv):
    """GraphSAGE: the mean over neighbours beside the node itself.

    Means are taken of the narrower: of the input, or of what it is multiplied to.
    """

    def __init__(self, n_in: int, n_out: int):
        super().__init__(n_in, n_out)
        self.narrow = n_in <= n_out

    def message(self, x: Any) -> Tensor:
        return x if _is_narrow(x, self.narrow) else multiply(x, self.lin_l.weight)

    def aggregate(self, said: Tensor, x: Any, adjacency: SparseMatrix) -> Tensor:
        heard = adjacency @ said
        if said is x:
            heard = multiply(heard, self.lin_l.weight)
        own = multiply(head(x, len(adjacency)), self.lin_r.weight)
        return heard + self.lin_l.bias + own


class GIN(_Written, GINConv):
    """Graph isomorphism network: two dense layers of the sum, the node included."""

    def __init__(self, n_in: int, n_out: int, n_hidden: int):
        dense = nn.Sequential(
            nn.Linear(n_in, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_out)
        )
        super().__init__(dense)
        self.narrow = n_in <= n_hidden

    def message(self, x: Any) -> Tensor:
        return x if _is_narrow(x, self.narrow) else multiply(x, self.nn[0].weight)

    def aggregate(self, said: Tensor, x: Any, adjacency: SparseMatrix) -> Tensor:
        heard = adjacency @ said + (1 + self.eps) * head(said, len(adjacency))
        if said is x:
            heard = multiply(heard, self.nn[0].weight)
        heard = heard + self.nn[0].bias
        return self.nn[2](self.nn[1](heard))


class _Attention(_Written):
    """What the two kinds of attention share: softmax over neighbours, and their sum."""

    def __init__(self, n_in: int, n_out: int, heads: int, dropout: float):
        super().__init__(  # type: ignore[call-arg]
            n_in, n_out // heads, heads=heads, add_self_loops=False
        )
        self.attention_dropout = Dropout(dropout)

    def _attend(self, said: Tensor, scores: Any, adjacency: SparseMatrix) -> Tensor:
        """``scores(rows, columns)`` of edges to the sum of what is said.

        All at once where a gradient is wanted, else some nodes at a time.
        """
        n, starts = len(adjacency), adjacency.starts
        total = said.new_empty(n, *said.shape[1:])
        if (
            torch.is_grad_enabled()
            or len(adjacency.columns) * said[0].numel() <= _PIECE
        ):
            total = self._sum_of(said, scores, adjacency, 0, n)
        else:
            step = max(1, _PIECE // said[0].numel())
            low = 0
            while low < n:
                high = int((starts > starts[low] + step).argmax()) - 1
                high = max(low + 1, high if starts[-1] > starts[low] + step else n)
                total[low:high] = self._sum_of(said, scores, adjacency, low, high)
                low = high
        return total.flatten(1) + self.bias  # type: ignore[attr-defined]

    def _sum_of(self, said, scores, adjacency, low, high):
        part = slice(int(adjacency.starts[low]), int(adjacency.starts[high]))
        rows = adjacency.row_numbers()[part] - low
        columns = adjacency.column_numbers()[part]
        score = scores(rows + low, columns)
        n, heads = high - low, score.shape[1]
        index = rows[:, None].expand(-1, heads)
        highest = score.new_full((n, heads), -torch.inf)
        highest = highest.scatter_reduce(0, index, score.detach(), "amax")
        powers = (score - highest[rows]).exp()
        sums = powers.new_zeros(n, heads).index_add(0, rows, powers)
        share = self.attention_dropout(powers / sums[rows])
        said = said.index_select(0, columns) * share[..., None]
        return said.new_zeros(n, *said.shape[1:]).index_add(0, rows, said)


class GAT(_Attention, GATConv):
    """Attention by a score of each of both ends."""

    def message(self, x: Any) -> Tensor:
        said = multiply(x, self.lin.weight)
        return said.view(-1, self.heads, self.out_channels)

    def aggregate(self, said: Tensor, x: Any, adjacency: SparseMatrix) -> Tensor:
        source = (said * self.att_src).sum(-1)
        target = (head(said, len(adjacency)) * self.att_dst).sum(-1)

        def scores(rows: Tensor, columns: Tensor) -> Tensor:
            return F.leaky_relu(source[columns] + target[rows], self.negative_slope)

        return self._attend(said, scores, adjacency)


class GATv2(_Attention, GATv2Conv):
    """Attention by a score of both ends together."""

    def message(self, x: Any) -> Tensor:
        said = multiply(x, self.lin_l.weight) + self.lin_l.bias
        return said.view(-1, self.heads, self.out_channels)

    def aggregate(self, said: Tensor, x: Any, adjacency: SparseMatrix) -> Tensor:
        own = multiply(head(x, len(adjacency)), self.lin_r.weight) + self.lin_r.bias
        own = own.view(-1, self.heads, self.out_channels)

        def scores(rows: Tensor, columns: Tensor) -> Tensor:
            both = F.leaky_relu(own[rows] + said[columns], self.negative_slope)
            return (both * self.att).sum(-1)

        return self._attend(said, scores, adjacency)


def _is_narrow(x: Any, narrow: bool) -> bool:
    """Whether to sum what comes in; sparse features are always multiplied first."""
    return narrow and not isinstance(x, SparseMatrix)


def head(x: Any, n: int) -> Any:
    """The first rows, dense or sparse."""
    return x.head(n) if isinstance(x, SparseMatrix) else x[:n]


def make_layer(
    conv: str, n_in: int, n_out: int, n_hidden: int, heads: int, dropout: float
) -> nn.Module:
    """A layer that gives ``n_out`` numbers a node, shared among the heads."""
    if conv == "gcn":
        return GCN(n_in, n_out)
    if conv == "sage":
        return SAGE(n_in, n_out)
    if conv == "gin":
        return GIN(n_in, n_out, n_hidden)
    kind = GAT if conv == "gat" else GATv2
    return kind(n_in, n_out, heads, dropout)


__all__ = ["GAT", "GCN", "GIN", "SAGE", "GATv2", "head", "make_layer"]
