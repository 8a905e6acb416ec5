"""Graph neural networks for the nodes and the links of a graph."""

from sknets._inputs.nodes import graph_nodes

__all__ = ["graph_nodes"]
