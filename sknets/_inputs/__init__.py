"""What is X? One file a kind of input; an estimator names the kinds that it takes."""

from sknets._inputs.corpus import Corpus
from sknets._inputs.graph_lists import GraphLists, GraphParameters, ReadsGraphs
from sknets._inputs.images import Images, ReadsImages
from sknets._inputs.links import Links
from sknets._inputs.nodes import Nodes
from sknets._inputs.rating_rows import RatingRows
from sknets._inputs.records import Records
from sknets._inputs.sequences import Sequences
from sknets._inputs.series import Series
from sknets._inputs.starting import StartsFromWords
from sknets._inputs.subwords import ReadsSubwords, Subwords
from sknets._inputs.table import Table
from sknets._inputs.text import ReadsText, Text
from sknets._inputs.trees import Trees
from sknets._inputs.triples import Triples
from sknets._inputs.unequal import ImageList, UnequalImages, rounded
from sknets._inputs.videos import Videos

__all__ = [
    "Corpus",
    "GraphLists",
    "GraphParameters",
    "ImageList",
    "Images",
    "Links",
    "Nodes",
    "RatingRows",
    "ReadsGraphs",
    "ReadsImages",
    "ReadsSubwords",
    "ReadsText",
    "Records",
    "Sequences",
    "Series",
    "StartsFromWords",
    "Subwords",
    "Table",
    "Text",
    "Trees",
    "Triples",
    "UnequalImages",
    "Videos",
    "rounded",
]
