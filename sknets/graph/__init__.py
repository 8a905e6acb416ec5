"""Graph neural networks for nodes, links and whole graphs; knowledge graphs."""

from sknets._inputs.links import graph_links, link_split
from sknets._inputs.nodes import graph_nodes
from sknets.graph._display import GraphDisplay
from sknets.graph._embedder import GNNEmbedder
from sknets.graph._graphs import GraphClassifier, GraphRegressor
from sknets.graph._knowledge import KnowledgeGraphEmbedder
from sknets.graph._links import LinkPredictor
from sknets.graph._nodes import GNNClassifier, GNNRegressor

__all__ = [
    "GNNClassifier",
    "GNNEmbedder",
    "GNNRegressor",
    "GraphClassifier",
    "GraphDisplay",
    "GraphRegressor",
    "KnowledgeGraphEmbedder",
    "LinkPredictor",
    "graph_links",
    "graph_nodes",
    "link_split",
]
