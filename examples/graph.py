"""Graphs: roles from one label each, groups without labels, links that are missing.

Zachary's karate club, as PyTorch Geometric carries it. Saves graph.png; `--quick` takes
seconds.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib
import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import cross_val_score

from sknets import GNNClassifier, GNNEmbedder, GraphDisplay, LinkPredictor
from sknets.graph import graph_links, graph_nodes

warnings.simplefilter("ignore", FutureWarning)
from torch_geometric.datasets import KarateClub  # noqa: E402

matplotlib.use("agg")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()
epochs = 5 if options.quick else 200

# 1. 34 members, 78 friendships, four circles; one member of each is known.
club = KarateClub()[0]
nodes = graph_nodes(club)
circle = np.array(["one", "two", "three", "four"])[club.y]
known = np.flatnonzero(club.train_mask)
net = GNNClassifier(max_epochs=epochs, random_state=0)
net.fit(nodes[known], circle[known])
print(f"Circles of all members, from four: {net.score(nodes, circle):.2f}")

# 2. Without any label: vectors, which any other model takes.
walker = GNNEmbedder(method="node2vec", max_epochs=epochs, random_state=0)
groups = KMeans(4, n_init=10, random_state=0).fit_predict(walker.fit_transform(nodes))
print(
    f"Clusters against circles, Rand index: {adjusted_rand_score(circle, groups):.2f}"
)

# 3. Which of two points are near? Links that are held out pass no messages.
points = graph_nodes(np.random.default_rng(0).random((150, 2)), radius=0.15)
links, y = graph_links(points, random_state=0)
auc = cross_val_score(LinkPredictor(max_epochs=epochs, random_state=0), links, y, cv=5)
print(f"Links of near points held out, area under ROC: {auc.mean():.2f}")

# 4. The picture.
display = GraphDisplay.from_estimator(net, nodes, circle, known=known)
display.ax_.set_title("Circles of the karate club, from one member each")
display.figure_.savefig(options.output / "graph.png", dpi=150)
