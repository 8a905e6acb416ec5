"""Graph neural networks for the nodes and the links of a graph."""

from sknets._inputs.nodes import graph_nodes
from sknets.graph._nodes import GNNClassifier, GNNRegressor

__all__ = ["GNNClassifier", "GNNRegressor", "graph_nodes"]
