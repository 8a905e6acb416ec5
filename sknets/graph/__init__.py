"""Graph neural networks for nodes, for links and for whole graphs."""

from sknets._inputs.nodes import graph_nodes
from sknets.graph._graphs import GraphClassifier, GraphRegressor
from sknets.graph._nodes import GNNClassifier, GNNRegressor

__all__ = [
    "GNNClassifier",
    "GNNRegressor",
    "GraphClassifier",
    "GraphRegressor",
    "graph_nodes",
]
