"""A knowledge graph: learn who is whose, complete the families, look at the vectors.

Forty families of four generations, some facts left out. Saves knowledge_graph.png;
`--quick` takes seconds.
"""

import argparse
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from sknets import KnowledgeGraphEmbedder

matplotlib.use("agg")
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()

# 1. Facts are rows of (head, relation, tail): from generation to generation and back.
steps = ("child of", "grandchild of", "great-grandchild of")
facts = []
for family in range(40):
    line = [f"family {family}, generation {i}" for i in range(4)]
    for i, young in enumerate(line):
        for old, step in zip(reversed(line[:i]), steps):
            back = step.replace("child", "parent")
            facts += [(young, step, old), (old, back, young)]
facts = np.array(facts, dtype=object)
known, unknown = train_test_split(facts, test_size=0.15, random_state=0)

# 2. Four ways to score a fact: how well is what was left out found among all people?
epochs, graphs, scores = 5 if options.quick else 100, {}, {}
for method in ("transe", "distmult", "complex", "rotate"):
    graph = KnowledgeGraphEmbedder(method=method, max_epochs=epochs, random_state=0)
    graphs[method] = graph.fit(known)
    found = graph.evaluate(unknown)
    scores[method] = found["mrr"]
    print(f"{method:9} MRR {found['mrr']:.3f}, first {found['hits_at_1']:.0%}")

# 3. Questions about what is not in the graph.
head, relation, tail = unknown[0]
print(f"{head} is {relation} ... ({tail} is the answer)")
print(graphs["rotate"].predict_tail(head, relation, k=3)[["tail", "score"]])

# 4. The picture: TransE was not told of generations, yet moves from one to the next.
figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
points = PCA(2).fit_transform(graphs["transe"].entity_vectors())
generation = [int(name[-1]) for name in graphs["transe"].entities_]
shown = axes[0].scatter(*points.T, c=generation, cmap="viridis", s=22)
axes[0].set(title="People, by their vectors of TransE", xticks=[], yticks=[])
figure.legend(*shown.legend_elements(), title="generation", loc="outside left upper")
bars = axes[1].barh(list(scores), list(scores.values()))
axes[1].bar_label(bars, fmt="%.2f", label_type="center", color="white")
axes[1].set(title="Facts left out: mean reciprocal rank", xlim=(0, 1))
figure.savefig(options.output / "knowledge_graph.png", dpi=150)
