"""Graph networks: Citeseer, links, and graphs that do not fit a step.

Citeseer (--data DIR or SKNETS_DATA with citeseer.npz: CSR parts of the words, edges,
labels and the standard split of Yang et al. 2016), default parameters, a mean over
seeds, beside words alone and label propagation; a fit beside the usual loop over
PyTorch Geometric's layers with dense features. Held-out links of Citeseer beside common
neighbours. A generated graph of a million nodes and ten million edges: an epoch of
20,480 labelled nodes beside a loop over PyTorch Geometric's layers on the same samples,
the peak of memory, predictions of all nodes. One thread.

    python benchmarks/graph.py [--repeats 3] [--quick] [--data DIR]

The number of seeds is 10, or --repeats with --quick.
"""

from __future__ import annotations

import resource
import time
import warnings

import _measure
import numpy as np
import scipy.sparse as sp
import torch
from _measure import Figure, one_thread, ratio, report
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from sknets import (
    GNNClassifier,
    GNNEmbedder,
    LinkPredictor,
    graph_nodes,
    link_split,
)
from sknets.graph._messages import SampledEdges, neighborhoods, operator_of

warnings.simplefilter("ignore")
from torch_geometric.nn import GATConv, GCNConv, SAGEConv  # noqa: E402

GIB = 2**30


class Citeseer:
    def __init__(self, path):
        with np.load(path) as file:
            parts = dict(file)
        self.words = sp.csr_array(
            (parts["data"], parts["indices"], parts["indptr"]), tuple(parts["shape"])
        )
        n = self.words.shape[0]
        ends = tuple(parts["edges"].T)
        matrix = sp.coo_array((np.ones(len(ends[0])), ends), shape=(n, n))
        self.y, self.nodes = (
            parts["y"],
            graph_nodes((matrix, self.words), directed=False),
        )
        self.train, self.valid, self.test = (
            parts[name] for name in ("train", "valid", "test")
        )


def scores(data, seeds, early_stopping=False, **params):
    for seed in range(seeds):
        net = GNNClassifier(random_state=seed, early_stopping=early_stopping, **params)
        more = {}
        if early_stopping:
            more = {"X_val": data.nodes[data.valid], "y_val": data.y[data.valid]}
        net.fit(data.nodes[data.train], data.y[data.train], **more)
        yield net.score(data.nodes[data.test], data.y[data.test])


def propagated(data, rounds=50):
    """Labels handed on to neighbours, those known put back each time."""
    matrix = data.nodes.graph.adjacency()
    root = sp.diags_array(np.maximum(matrix.sum(1), 1) ** -0.5)
    matrix = root @ matrix @ root
    known = np.zeros((len(data.y), data.y.max() + 1))
    known[data.train, data.y[data.train]] = 1
    spread = known
    for _ in range(rounds):
        spread = 0.9 * (matrix @ spread)
        spread[data.train] = known[data.train]
    return np.mean(spread.argmax(1)[data.test] == data.y[data.test])


def accuracies(data, seeds):
    words = LogisticRegression(max_iter=1000).fit(
        data.words[data.train], data.y[data.train]
    )
    alone = words.score(data.words[data.test], data.y[data.test])
    peers = {"words alone": alone, "label propagation": propagated(data)}
    for name, floor, stop, params in (
        ("GCN, last epoch", 0.70, False, {}),
        ("GAT, last epoch", 0.70, False, {"conv": "gat"}),
        ("GCN, early stopping", 0.71, True, {}),
        ("GAT, early stopping", None, True, {"conv": "gat"}),
        ("GraphSAGE, last epoch", None, False, {"conv": "sage"}),
    ):
        found = list(scores(data, seeds, stop, **params))
        yield Figure(
            "accuracy: Citeseer, standard split",
            name,
            float(np.mean(found)),
            unit="",
            at_least=floor,
            details={"deviation": float(np.std(found)), "seeds": seeds, **peers},
        )
    for method in ("gae", "dgi", "graphsage"):
        vectors = GNNEmbedder(method=method, random_state=0).fit_transform(data.nodes)
        scale = vectors[data.train].std(0) + 1e-9
        linear = LogisticRegression(C=0.1, max_iter=1000)
        linear.fit(vectors[data.train] / scale, data.y[data.train])
        yield Figure(
            "accuracy: Citeseer, a linear model on vectors learned without labels",
            method,
            linear.score(vectors[data.test] / scale, data.y[data.test]),
            unit="",
            details=peers,
        )


class Loop(torch.nn.Module):
    """Two layers of PyTorch Geometric, as its examples have them."""

    def __init__(self, conv, n_in, n_out):
        super().__init__()
        if conv == "gcn":
            self.first, self.last = GCNConv(n_in, 64, cached=True), None
            self.last = GCNConv(64, n_out, cached=True)
        else:
            self.first = GATConv(n_in, 8, heads=8, dropout=0.5)
            self.last = GATConv(64, n_out, dropout=0.5)
        self.conv = conv

    def forward(self, x, edges):
        drop = torch.nn.functional.dropout
        x = self.first(drop(x, training=self.training), edges)
        x = x.relu() if self.conv == "gcn" else torch.nn.functional.elu(x)
        return self.last(drop(x, training=self.training), edges)


def fits(data, repeats):
    graph = data.nodes.graph
    x = torch.from_numpy(graph.features.toarray())
    x = x / x.sum(1, keepdim=True).clamp_min(1)
    edges = torch.from_numpy(np.array(graph.adjacency().tocoo().coords)).long()
    y, rows = torch.from_numpy(data.y), torch.from_numpy(data.train)
    for conv in ("gcn", "gat"):

        def loop(conv=conv):
            net = Loop(conv, x.shape[1], 6)
            step = torch.optim.Adam(net.parameters(), lr=0.005, weight_decay=5e-4)
            for _ in range(200):
                step.zero_grad()
                output = net(x, edges)[rows]
                torch.nn.functional.cross_entropy(output, y[rows]).backward()
                step.step()

        def ours(conv=conv):
            net = GNNClassifier(conv=conv, random_state=0)
            net.fit(data.nodes[data.train], data.y[data.train])

        seconds = _measure.interleaved({"sknets": ours, "loop": loop}, repeats)
        claim = "fit: Citeseer, sknets / loop over PyTorch Geometric's layers"
        yield ratio(conv.upper(), "sknets", "loop", seconds, 1.05, claim)


def held_out_links(data, seeds):
    found, precision, shared = [], [], []
    for seed in range(min(seeds, 5)):
        train, test, y, truth = link_split(data.nodes, random_state=seed)
        model = LinkPredictor(random_state=seed).fit(train, y)
        score = model.decision_function(test)
        found.append(roc_auc_score(truth, score))
        precision.append(average_precision_score(truth, score))
        ends = tuple(train.index[y == 1].T)
        n = len(data.nodes)
        matrix = sp.coo_array((np.ones(len(ends[0])), ends), shape=(n, n)).tocsr()
        matrix = matrix + matrix.T
        common = (matrix @ matrix)[tuple(test.index.T)]
        shared.append(roc_auc_score(truth, np.asarray(common).ravel()))
    yield Figure(
        "area under ROC: held-out links of Citeseer, above common neighbours",
        "LinkPredictor",
        float(np.mean(found)),
        unit="",
        at_least=float(np.mean(shared)),
        details={"average precision": float(np.mean(precision))},
    )


def big_graph(n, m):
    """Eight classes; most edges stay within one, and features tell a little."""
    random = np.random.default_rng(0)
    y = np.sort(random.integers(0, 8, n))
    first = np.searchsorted(y, np.arange(9))
    one = random.integers(0, n, m)
    size = np.diff(first)[y[one]]
    within = first[y[one]] + (random.random(m) * size).astype(np.int64)
    other = np.where(random.random(m) < 0.6, within, random.integers(0, n, m))
    x = random.normal(0, 2, (n, 32)).astype(np.float32)
    x[np.arange(n), y] += 1
    matrix = sp.coo_array((np.ones(m, dtype=np.float32), (one, other)), shape=(n, n))
    return graph_nodes((matrix, x), directed=False), y, random.permutation(n)


class SageLoop(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = SAGEConv(32, 64), SAGEConv(64, 8)

    def forward(self, x, near):
        drop = torch.nn.functional.dropout
        for layer, each in zip((self.first, self.last), near):
            adjacency = each.adjacency
            edges = torch.stack([adjacency.column_numbers(), adjacency.row_numbers()])
            x = drop(x, training=self.training)
            x = layer((x, x[: len(adjacency)]), edges)
            x = x.relu() if layer is self.first else x
        return x


def large(repeats, quick):
    n, m = (100_000, 1_000_000) if quick else (1_000_000, 10_000_000)
    nodes, y, order = big_graph(n, m)
    rows = order[:20_480]
    graph = nodes.graph
    x, target = torch.from_numpy(graph.features.copy()), torch.from_numpy(y)

    def ours():
        net = GNNClassifier(
            conv="sage", batch_size=1024, max_epochs=1, standardize=False
        )
        net.fit(nodes[rows], y[rows])

    def loop():
        net = SageLoop()
        step = torch.optim.Adam(net.parameters(), lr=0.005, weight_decay=5e-4)
        operator = operator_of("sage", graph, np.dtype(np.float32))
        draw = [SampledEdges(10, None)] * 2
        for part in torch.from_numpy(np.random.permutation(rows)).split(1024):
            near = neighborhoods(operator, part.numpy(), draw, x)
            step.zero_grad()
            output = net(x[torch.from_numpy(near[0].nodes)], near)
            torch.nn.functional.cross_entropy(output, target[part]).backward()
            step.step()

    size = f"{n:,} nodes, {m:,} edges"
    seconds = _measure.interleaved({"sknets": ours, "loop": loop}, repeats)
    claim = "epoch: sampled neighbours, sknets / loop over PyTorch Geometric's layers"
    yield ratio(size, "sknets", "loop", seconds, 1.05, claim)
    net = GNNClassifier(max_epochs=5, batch_size=1024, random_state=0)
    net.fit(nodes[rows], y[rows])
    start = time.process_time()
    right = float(np.mean(net.predict(nodes) == y))
    spent = time.process_time() - start
    yield Figure(
        "predict: all nodes, by layers",
        size,
        spent,
        unit="s",
        details={"accuracy": right},
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
    claim = "memory: peak of the process, the graph generated in it"
    yield Figure(claim, size, peak, unit="GiB", at_most=8)


def main():
    options = _measure.options(__doc__, repeats=3, data=True)
    one_thread()
    figures = []
    path = _measure.find_data(options.data, "citeseer.npz")
    if path is None:
        print("Citeseer skipped: no data (--data DIR with citeseer.npz)")
    else:
        data, seeds = Citeseer(path), options.repeats if options.quick else 10
        figures += fits(data, options.repeats)
        figures += accuracies(data, seeds)
        figures += held_out_links(data, seeds)
    figures += large(options.repeats, options.quick)
    report("graph", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
