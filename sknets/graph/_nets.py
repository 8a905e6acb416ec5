"""Networks of graph layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sknets._engine.containers import Cache
from sknets._engine.device import as_tensor
from sknets._inputs.graph_store import Graph
from sknets._inputs.nodes import NodeBatch, NodeSamples
from sknets._layers import Dropout, Standardize
from sknets.graph._layers import make_layer
from sknets.graph._messages import (
    Neighborhood,
    SampledEdges,
    SparseMatrix,
    all_edges,
    dropped,
    neighborhoods,
    operator_of,
)

# One column for each number of neighbours up to this, the last for more.
_DEGREES = 16


class Inputs(nn.Module):
    """What the first layer sees of nodes: scaled features, degrees or learned vectors.

    Parameters
    ----------
    kind : {"given", "degree", "embedding"}
    scale : {"columns", "rows", "none"}
    mean, spread : ndarray or None
        Of the columns, for "columns".
    n_nodes, size : int
        Of the learned vectors.
    """

    def __init__(self, kind, scale, mean=None, spread=None, n_nodes=0, size=0):
        super().__init__()
        self.kind, self.scale = kind, scale
        self.standardize = Standardize(mean, spread) if scale == "columns" else None
        self.embedding = nn.Embedding(n_nodes, size) if kind == "embedding" else None

    def forward(self, of: NodeSamples, nodes: np.ndarray) -> Any:
        """Of these nodes: a tensor, or a `SparseMatrix`."""
        if self.embedding is not None:
            places = nodes if of.places is None else of.places[nodes]
            return self.embedding(torch.from_numpy(places).long().to(of.device))
        with torch.inference_mode(False), torch.no_grad():
            if self.kind == "degree":
                return as_tensor(degrees(of.graph)[nodes]).to(of.device, of.dtype)
            features = of.graph.features
            if isinstance(features, np.ndarray):
                dense = as_tensor(features)[torch.from_numpy(nodes)]
                return self._scaled(dense.to(of.device, of.dtype))
            values = as_tensor(features.data).to(of.device, of.dtype)
            n_columns = features.shape[1]
            rows = SparseMatrix(features.indptr, features.indices, values, n_columns)
            return self._scaled_sparse(rows.rows(nodes))

    def _scaled(self, x: Tensor) -> Tensor:
        if self.standardize is not None:
            return self.standardize(x)
        if self.scale == "rows":
            return x / x.abs().sum(1, keepdim=True).clamp_min(1e-12)
        return x

    def _scaled_sparse(self, x: SparseMatrix) -> SparseMatrix:
        """As dense ones, but that columns are not centred."""
        if self.standardize is not None:
            factor = self.standardize.factor[x.column_numbers()]
            return x.with_values(x.values * factor)
        if self.scale == "rows":
            rows = x.row_numbers()
            sums = x.values.new_zeros(len(x)).index_add(0, rows, x.values.abs())
            return x.with_values(x.values / sums.clamp_min(1e-12)[rows])
        return x


def degrees(graph: Graph) -> np.ndarray:
    """The logarithm of the degree, and a column for each small one."""
    counts = graph.degrees()
    table = np.zeros((graph.n_nodes, 2 + _DEGREES), dtype=np.float32)
    table[:, 0] = np.log1p(counts)
    table[np.arange(graph.n_nodes), 1 + np.minimum(counts, _DEGREES)] = 1
    return table


N_DEGREE_COLUMNS = 2 + _DEGREES


class GraphNet(nn.Module):
    """Layers of messages along edges, for the nodes of a batch.

    Only what these nodes hear from, layer by layer, is computed; in training, where
    ``n_neighbors`` is given, of so many neighbours drawn anew each time.

    Parameters
    ----------
    inputs : Inputs
    conv : {"gcn", "sage", "gat", "gatv2", "gin"}
    widths : list of int
        Of the input, of each hidden layer and of the output.
    heads : int
        Of the hidden layers of attention.
    dropout : float
    residual : bool
    n_neighbors : tuple of int or None
    """

    def __init__(self, inputs, conv, widths, heads, dropout, residual, n_neighbors):
        super().__init__()
        self.inputs, self.conv, self.n_neighbors = inputs, conv, n_neighbors
        n = len(widths) - 1
        self.layers = nn.ModuleList(
            make_layer(
                conv,
                widths[i],
                widths[i + 1],
                max(widths[1:]),
                heads if i < n - 1 else 1,
                dropout,
            )
            for i in range(n)
        )
        self.dropout = Dropout(dropout)
        self.activation = nn.ELU() if conv in ("gat", "gatv2") else nn.ReLU()
        self.residual = residual
        self.cache = Cache()
        self.generator: torch.Generator | None = None

    def forward(self, batch: NodeBatch) -> Tensor:
        nodes, order = np.unique(batch.nodes.numpy(), return_inverse=True)
        states = self.states(*self.prepared(batch.of, nodes))
        return states[torch.from_numpy(order).to(states.device)]

    def states(self, x: Any, near: list[Neighborhood]) -> Tensor:
        """The last layer's outputs, from inputs and neighbourhoods."""
        last = len(self.layers) - 1
        for i, (layer, each) in enumerate(zip(self.layers, near)):
            x = dropped(x, self.dropout)
            out = layer.aggregate(layer.message(x), x, each.adjacency)
            if i < last:
                out = self.activation(out)
                if self.residual and i and x.shape[1] == out.shape[1]:
                    out = out + x[: len(out)]
            x = out
        return x

    def prepared(self, of: NodeSamples, nodes: np.ndarray) -> Any:
        """Inputs and neighbourhoods; those of a whole training set are kept."""
        kind = torch.zeros(0, dtype=of.dtype).numpy().dtype
        operator = self.cache(
            of, "operator", lambda: operator_of(self.conv, of.graph, kind)
        )
        like = torch.zeros(0, dtype=of.dtype, device=of.device)
        if self.training and self.n_neighbors is not None:
            drawn = [SampledEdges(k, self.generator) for k in self.n_neighbors]
            near = neighborhoods(operator, nodes, drawn, like)
            return self.inputs(of, near[0].nodes), near
        learned = self.inputs.embedding is not None

        def make() -> Any:
            near = neighborhoods(operator, nodes, [all_edges] * len(self.layers), like)
            return None if learned else self.inputs(of, near[0].nodes), near

        x, near = self.cache(of, nodes.tobytes(), make)
        # The nodes to train on and those to validate by are two sets.
        known = self.cache.of(of)
        for old in [name for name in known if isinstance(name, bytes)][:-2]:
            known.pop(old, None)
        return (self.inputs(of, near[0].nodes) if x is None else x), near


__all__ = ["N_DEGREE_COLUMNS", "GraphNet", "Inputs", "degrees"]
