"""Graphs: embeddings of what is linked to what."""

from sknets.graph._knowledge import KnowledgeGraphEmbedder

__all__ = ["KnowledgeGraphEmbedder"]
