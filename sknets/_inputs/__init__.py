"""What is X? One file a kind of input; an estimator names the kinds that it takes."""

from sknets._inputs.graph_lists import GraphLists, ReadsGraphs
from sknets._inputs.images import Images
from sknets._inputs.nodes import Nodes
from sknets._inputs.pairs import Pairs
from sknets._inputs.sequences import Sequences
from sknets._inputs.table import Table
from sknets._inputs.text import ReadsText, Text

__all__ = [
    "GraphLists",
    "Images",
    "Nodes",
    "Pairs",
    "ReadsGraphs",
    "ReadsText",
    "Sequences",
    "Table",
    "Text",
]
