"""The network of this chapter: word vectors, one cell, a linear output at each node."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sknets._engine.containers import Ragged
from sknets._inputs.tree_data import TreeBatch
from sknets._layers import Dropout
from sknets.recursive._cells import CELLS, Compose


class RecursiveNet(nn.Module):
    """States of leaves by their words, of other nodes by those of their children."""

    def __init__(
        self,
        n_words: int,
        n_outputs: int,
        cell: str,
        hidden_size: int,
        dropout: float,
        criterion: Any,
    ):
        super().__init__()
        d, self.criterion = hidden_size, criterion
        self.cell = CELLS[cell]
        self.words = nn.Embedding(n_words, d)
        nn.init.normal_(self.words.weight, std=0.1)
        self.leaf = None
        make = {"tree_lstm": _tree_lstm, "child_sum": _child_sum}.get(cell, _plain)
        self.weights = nn.ParameterList(make(d))
        if self.cell.n_states == 2:
            self.leaf = nn.Linear(d, 3 * d)  # o, i, u
        if cell == "rntn":
            bound = 1 / (4 * d)
            tensor = torch.empty(d, 4 * d * d).uniform_(-bound, bound)
            self.weights.append(nn.Parameter(tensor))
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(d, n_outputs)

    def states(self, trees: TreeBatch) -> Tensor:  # -> (n_nodes, d), by height
        leaves = [self.dropout(self.words(trees.words))]
        if self.leaf is not None:
            o, i, u = self.leaf(leaves[0]).chunk(3, 1)
            memory = i.sigmoid() * u.tanh()
            leaves = [o.sigmoid() * memory.tanh(), memory]
        kind = self.head.weight.dtype  # autocast may have changed it
        return Compose.apply(
            self.cell, trees, *(x.to(kind) for x in leaves), *self.weights
        )

    def features(self, trees: TreeBatch) -> Tensor:  # -> (n_trees, d)
        return self.states(trees).index_select(0, trees.roots)

    def nodes(self, trees: TreeBatch) -> Tensor:  # -> (n_nodes, n_outputs), by height
        return self.head(self.dropout(self.states(trees)))

    def forward(self, trees: TreeBatch) -> Tensor:  # -> (n_trees, n_outputs)
        return self.head(self.dropout(self.features(trees)))

    def loss(self, trees: TreeBatch, y: Any) -> Tensor:
        """A loss at each root or, where these have targets, at each node."""
        if not isinstance(y, Ragged):
            return self.criterion.each(self(trees), y)
        losses = self.criterion.each(self.nodes(trees), y.join()[trees.order])
        return trees.by_tree(losses).join()


def _linear(inputs: int, outputs: int) -> list[Tensor]:
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.bias)
    return [layer.weight, layer.bias]


def _tree_lstm(d: int) -> list[Tensor]:
    weight, bias = _linear(2 * d, 5 * d)
    with torch.no_grad():
        bias[2 * d : 4 * d] = 1.0  # remember, to begin with
    return [weight, bias]


def _child_sum(d: int) -> list[Tensor]:
    forget_weight, forget_bias = _linear(d, d)
    nn.init.ones_(forget_bias)
    return [*_linear(d, 3 * d), forget_weight, forget_bias]


def _plain(d: int) -> list[Tensor]:
    """A node begins as the mean of its children."""
    weight, bias = _linear(2 * d, d)
    with torch.no_grad():
        weight.copy_(torch.eye(d).repeat(1, 2) / 2)
    return [weight, bias]


__all__ = ["RecursiveNet"]
