"""Knowledge graphs: how well facts are found, beside the literature and PyG's models.

UMLS (135 entities, 46 relations, 5,216 triples to learn from) and Kinships (104, 25,
8,544), the usual splits, default parameters, the mean of --repeats seeds. Ranks of
heads and tails among all entities, filtered by the training, validation and test
triples; of equal scores the mean rank. Peers from the same run: PyTorch Geometric's
model of the same name, with its own loader, loss and one negative a triple, as many
dimensions, epochs and triples a batch, Adam with the rate of its example (0.01), ranked
by a loop of this script. Times are of ten epochs, ours from the names on: with one
negative (a head and a tail for each batch) and no regularisation, as the peer has, and
with the default, all entities. One thread.

    python benchmarks/knowledge_graph.py [--repeats 3] [--quick] [--data DIR]

The triples come with the package pykeen (pip install --no-deps pykeen), or are in the
folders umls and kinships below --data DIR or SKNETS_DATA; without them the benchmark is
skipped and says so.

"literature" is the filtered MRR that others reach with the same score on Kinships: the
README of graph4nlp's example kg_completion (binary cross-entropy over all tails). They
rank in their own way, so it is a level, not a rival to the digit. "ConvE", a
convolutional network, is as in T. Dettmers' README of it, on the same splits.
"""

from __future__ import annotations

import time

import _measure
import numpy as np
import torch
from _measure import Figure, find_data, interleaved, one_thread, ratio, report
from torch_geometric.nn import kge

from sknets import KnowledgeGraphEmbedder

METHODS = {
    "transe": "TransE",
    "distmult": "DistMult",
    "complex": "ComplEx",
    "rotate": "RotatE",
}
LITERATURE = {
    ("kinships", "transe"): 0.529,
    ("kinships", "distmult"): 0.542,
    ("kinships", "complex"): 0.806,
}
CONVE = {"umls": 0.94, "kinships": 0.83}
# What the defaults shall reach.
FLOORS = {("kinships", "complex"): 0.8, ("umls", "complex"): 0.9}
TIMED = 10
DEFAULT = KnowledgeGraphEmbedder()


def read(folder, name):
    """Triples to learn from, to validate by and to test, or None."""
    parts = []
    for part in ("train", "valid", "test"):
        file, inside = f"{name}/{part}.txt", f"pykeen/datasets/{name}"
        path = folder / file if folder else None
        if path is None or not path.exists():
            path = find_data(None, f"{part}.txt", "pykeen", inside)
        if path is None:
            return None
        lines = path.read_text(encoding="utf-8").splitlines()
        parts.append(np.array([line.split("\t") for line in lines], dtype=object))
    return parts


def as_codes(parts):
    """The same as numbers, for the peer."""
    entities = np.unique(np.concatenate([part[:, [0, 2]] for part in parts]))
    relations = np.unique(np.concatenate([part[:, 1] for part in parts]))
    found = []
    for part in parts:
        h, t = (np.searchsorted(entities, part[:, j]) for j in (0, 2))
        r = np.searchsorted(relations, part[:, 1])
        found.append(torch.from_numpy(np.column_stack([h, r, t])))
    return found, len(entities), len(relations)


def fit_peer(method, train, n_entities, n_relations, epochs, seed=0):
    torch.manual_seed(seed)
    model = getattr(kge, METHODS[method])(
        n_entities, n_relations, hidden_channels=DEFAULT.embedding_size
    )
    loader = model.loader(*train.T, batch_size=DEFAULT.batch_size, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(epochs):
        for batch in loader:
            optimizer.zero_grad()
            model.loss(*batch).backward()
            optimizer.step()
    return model


@torch.no_grad()
def ranks_of(model, triples, known, n_entities):
    """Filtered ranks of heads and tails, fact by fact."""
    facts = {tuple(row) for row in known.tolist()}
    every, found = torch.arange(n_entities), []
    for h, r, t in triples.tolist():
        for own, heads in ((t, False), (h, True)):
            fixed = torch.full_like(every, t if heads else h)
            ends = (every, fixed) if heads else (fixed, every)
            scores = model(ends[0], torch.full_like(every, r), ends[1])
            others = [
                e != own and ((e, r, t) if heads else (h, r, e)) not in facts
                for e in range(n_entities)
            ]
            others = scores[torch.tensor(others)]
            above, equal = others > scores[own], others == scores[own]
            found.append(1 + above.sum().item() + equal.sum().item() / 2)
    return np.array(found)


def measure(name, parts, options):
    train, valid, test = parts
    codes, n_entities, n_relations = as_codes(parts)
    epochs = 2 if options.quick else DEFAULT.max_epochs
    figures, times = [], []
    for method in METHODS:
        rows, peers, seconds = [], [], []
        for seed in range(options.repeats):
            graph = KnowledgeGraphEmbedder(
                method=method, max_epochs=epochs, random_state=seed
            )
            start = time.process_time()
            graph.fit(train)
            seconds.append(time.process_time() - start)
            rows.append(graph.evaluate(test, known=valid))
            if seed:
                continue
            model = fit_peer(method, codes[0], n_entities, n_relations, epochs)
            peers = ranks_of(model, codes[2], torch.cat(codes), n_entities)
        mrr = [row["mrr"] for row in rows]
        figures.append(
            Figure(
                f"knowledge graphs: filtered MRR, {name}",
                method,
                float(np.mean(mrr)),
                "",
                at_least=FLOORS.get((name, method)),
                details={
                    "sd": float(np.std(mrr)),
                    "hits at 10": float(np.mean([row["hits_at_10"] for row in rows])),
                    "literature": LITERATURE.get((name, method)),
                    "ConvE": CONVE[name],
                    "PyG": float((1 / peers).mean()),
                    "PyG hits at 10": float((peers <= 10).mean()),
                    "fit s": float(np.median(seconds)),
                },
            )
        )

        def ours(method=method, **params):
            KnowledgeGraphEmbedder(
                method=method, max_epochs=TIMED, random_state=0, **params
            ).fit(train)

        def peer(method=method):
            fit_peer(method, codes[0], n_entities, n_relations, TIMED)

        turns = {
            "one": lambda: ours(n_negatives=1, regularization=0.0),
            "all": ours,
            "peer": peer,
        }
        found = interleaved(turns, max(options.repeats, 3))
        claim = "fit: knowledge graph / PyG's model and loader, "
        times += [
            ratio(
                f"{name}, {method}", "one", "peer", found, 1.05, f"{claim}1 negative"
            ),
            ratio(f"{name}, {method}", "all", "peer", found, None, f"{claim}ours all"),
        ]
    return figures + times


def main() -> None:
    options = _measure.options(__doc__ or "", 3, data=True)
    data = {name: read(options.data, name) for name in ("umls", "kinships")}
    if any(parts is None for parts in data.values()):
        print("skipped: no data (pip install --no-deps pykeen)")
        return
    one_thread()
    if options.quick:
        data = {"umls": data["umls"]}
    figures = [f for name, parts in data.items() for f in measure(name, parts, options)]
    report("knowledge_graph", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
