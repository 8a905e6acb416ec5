"""The network of this chapter: word vectors, one cell, a linear output at each node."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sknets._inputs.forest import Grove
from sknets._layers import Dropout
from sknets.recursive._cells import CELLS, Compose


class NodeOutputs:
    """In training: the output of every node that has a target, and the targets."""

    def __init__(self, values: Tensor, grove: Grove, roots: Tensor):
        self.values, self.grove, self.roots = values, grove, roots

    def detach(self) -> Tensor:
        """The output of each tree: what callbacks see."""
        return self.values.detach().index_select(0, self.roots)


class NodeLoss(nn.Module):
    """A loss at the roots, or at all nodes where these have targets."""

    def __init__(self, loss: nn.Module):
        super().__init__()
        self.loss = loss

    def forward(self, output: Any, target: Tensor, weight: Tensor | None = None):
        if isinstance(output, NodeOutputs):
            grove = output.grove
            return self.loss(output.values, grove.targets, grove.weights)
        return self.loss(output, target, weight)


class RecursiveNet(nn.Module):
    """States of leaves by their words, of other nodes by those of their children."""

    def __init__(
        self, n_words: int, n_outputs: int, cell: str, hidden_size: int, dropout: float
    ):
        super().__init__()
        d = hidden_size
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

    def states(self, grove: Grove) -> Tensor:  # -> (n_nodes, d), by height
        leaves = [self.dropout(self.words(grove.words))]
        if self.leaf is not None:
            o, i, u = self.leaf(leaves[0]).chunk(3, 1)
            memory = i.sigmoid() * u.tanh()
            leaves = [o.sigmoid() * memory.tanh(), memory]
        kind = self.head.weight.dtype  # autocast may have changed it
        return Compose.apply(
            self.cell, grove, *(x.to(kind) for x in leaves), *self.weights
        )

    def features(self, grove: Grove) -> Tensor:  # -> (n_trees, d)
        return self.states(grove).index_select(0, grove.roots)

    def nodes(self, grove: Grove) -> Tensor:  # -> (n_nodes, n_outputs), by height
        return self.head(self.states(grove))

    def forward(self, grove: Grove) -> Any:  # -> (n_trees, n_outputs)
        states = self.states(grove)
        if not self.training or grove.targets is None:
            return self.head(self.dropout(states.index_select(0, grove.roots)))
        roots = grove.roots
        if grove.scored is not None:
            states = states.index_select(0, grove.scored)
            roots = torch.searchsorted(grove.scored, roots)
        return NodeOutputs(self.head(self.dropout(states)), grove, roots)


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


__all__ = ["NodeLoss", "NodeOutputs", "RecursiveNet"]
