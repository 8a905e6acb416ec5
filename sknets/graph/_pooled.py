"""Networks of graph layers whose nodes are pooled to one vector a graph."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._engine.containers import Cache
from sknets._engine.device import as_tensor
from sknets._inputs.graph_lists import GraphBatch, GraphSamples
from sknets._layers import Dropout, Standardize
from sknets.graph._layers import make_layer
from sknets.graph._messages import (
    Neighborhood,
    SparseMatrix,
    all_edges,
    operator_of,
)
from sknets.graph._nets import degrees


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that is right after few steps, and takes a single node.

    The running statistics are plain means as long as these are of less than five
    batches: torch's own still hold nine tenths of their start after the first step.
    Where nodes are alike, a larger ``eps`` keeps their differences from being blown up.
    """

    def __init__(self, width: int):
        super().__init__(width, eps=1e-2)

    def forward(self, x: Tensor) -> Tensor:
        learns = self.training and len(x) > 1
        share = 0.0
        if learns:
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
            share = max(0.2, 1 / int(self.num_batches_tracked))  # type: ignore[arg-type]
        mean, variance = self.running_mean, self.running_var
        return F.batch_norm(
            x, mean, variance, self.weight, self.bias, learns, share, self.eps
        )


NORMS = {"batch": BatchNorm, "layer": nn.LayerNorm}


class Parts:
    """Nodes and links of a list of graphs, from which those of a batch are taken.

    The links of a graph are neighbours in memory, by rows as well as by columns.
    """

    def __init__(self, of: GraphSamples, conv: str, kind: str):
        like = torch.zeros(0, dtype=of.dtype, device=of.device)
        graph = of.graph
        operator = operator_of(
            conv, graph, torch.zeros(0, dtype=of.dtype).numpy().dtype
        )
        everyone = np.arange(graph.n_nodes)
        self.adjacency = Neighborhood(operator, everyone, all_edges, like).adjacency
        order = np.arange(
            len(self.adjacency.columns), dtype=self.adjacency.starts.dtype
        )
        turned = sp.csr_array(
            (order, self.adjacency.columns, self.adjacency.starts), self.adjacency.shape
        ).tocsc()
        self.turned = turned.indptr, turned.indices, turned.data
        if kind == "given":
            table = as_tensor(graph.features)
        elif kind == "degree":
            table = as_tensor(degrees(graph))
        else:
            table = torch.ones(graph.n_nodes, 1)
        self.x = table.to(of.device, of.dtype)
        self.starts = of.starts

    def take(self, graphs: np.ndarray) -> tuple[Tensor, SparseMatrix, np.ndarray]:
        """Features, links and the number of nodes of each of these graphs."""
        first, sizes = self.starts[graphs], np.diff(self.starts)[graphs]
        nodes, shift = _ranges(first, sizes)
        starts, columns = self.adjacency.starts, self.adjacency.columns
        edge = starts[first]
        counts = starts[first + sizes] - edge
        at, edge_shift = _ranges(edge, counts)
        shift, edge_shift = np.repeat(shift, counts), np.repeat(edge_shift, counts)
        kind = starts.dtype
        adjacency = SparseMatrix(
            _starts(starts, nodes).astype(kind),
            (columns[at] - shift).astype(kind),
            self.adjacency.values[torch.from_numpy(at)],
            len(nodes),
        )
        turned_starts, turned_columns, places = self.turned
        adjacency.turn(
            _starts(turned_starts, nodes).astype(kind),
            (turned_columns[at] - shift).astype(kind),
            (places[at] - edge_shift).astype(kind),
        )
        return self.x[torch.from_numpy(nodes)], adjacency, sizes


def _ranges(first: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranges of numbers one after the other, and how far each is moved by that."""
    begin = np.cumsum(counts) - counts
    shift = first - begin
    return np.arange(counts.sum()) + np.repeat(shift, counts), shift


def _starts(starts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(starts[rows + 1] - starts[rows])])


class PooledNet(nn.Module):
    """Layers of messages along edges, then a vector a graph, then a dense layer or two.

    Parameters
    ----------
    kind : {"given", "degree", "constant"}
        What the first layer sees of a node.
    mean, scale : ndarray or None
        What its features are centred and scaled by.
    conv : {"gin", "gcn", "sage", "gat", "gatv2"}
    n_in, hidden_size, n_layers, n_outputs : int
    heads : int
    dropout : float
    norm : {"batch", "layer"} or None
    pooling : {"sum", "mean", "max"}
    jumping_knowledge : bool
    mean_size : float
        Nodes of a graph, by which the dense layers see sums divided.
    """

    def __init__(
        self,
        kind,
        mean,
        scale,
        conv,
        n_in,
        hidden_size,
        n_layers,
        n_outputs,
        heads,
        dropout,
        norm,
        pooling,
        jumping_knowledge,
        mean_size,
    ):
        super().__init__()
        self.kind, self.conv, self.cache = kind, conv, Cache()
        self.standardize = None if mean is None else Standardize(mean, scale)
        widths = [n_in, *[hidden_size] * n_layers]
        self.layers = nn.ModuleList(
            make_layer(conv, widths[i], hidden_size, hidden_size, heads, dropout)
            for i in range(n_layers)
        )
        self.norms = nn.ModuleList(
            NORMS[norm](hidden_size) if norm else nn.Identity() for _ in widths[1:]
        )
        self.activation = nn.ELU() if conv in ("gat", "gatv2") else nn.ReLU()
        self.dropout = Dropout(dropout)
        self.pooling, self.jumping_knowledge = pooling, jumping_knowledge
        self.set_mean_size(mean_size)
        self.n_features = sum(widths) if jumping_knowledge else hidden_size
        self.head = nn.Sequential(
            nn.Linear(self.n_features, hidden_size),
            nn.ReLU(),
            self.dropout,
            nn.Linear(hidden_size, n_outputs),
        )

    def set_mean_size(self, mean_size: float) -> None:
        # Sums are as large as graphs.
        self.share = 1 / mean_size if self.pooling == "sum" else 1.0

    def forward(self, batch: GraphBatch) -> Tensor:
        return self.head(self.features(batch) * self.share)

    def features(self, batch: GraphBatch) -> Tensor:
        x, adjacency, sizes = self._parts(batch.of).take(batch.graphs.numpy())
        lengths = torch.from_numpy(sizes).to(x.device)
        x = x if self.standardize is None else self.standardize(x)
        pooled = [self._pooled(x, lengths)] if self.jumping_knowledge else []
        last = len(self.layers) - 1
        for i, (layer, norm) in enumerate(zip(self.layers, self.norms)):
            x = self.dropout(x) if i else x
            x = self.activation(norm(layer.aggregate(layer.message(x), x, adjacency)))
            if self.jumping_knowledge or i == last:
                pooled.append(self._pooled(x, lengths))
        return torch.cat(pooled, 1) if len(pooled) > 1 else pooled[0]

    def _parts(self, of: GraphSamples) -> Parts:
        return self.cache(of, "parts", lambda: Parts(of, self.conv, self.kind))

    def _pooled(self, x: Tensor, lengths: Tensor) -> Tensor:
        return torch.segment_reduce(x, self.pooling, lengths=lengths, unsafe=True)


__all__ = ["BatchNorm", "GraphBatch", "Parts", "PooledNet"]
