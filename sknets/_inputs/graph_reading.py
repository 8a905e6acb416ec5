"""Graphs as people have them, read into one store of arrays."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from sknets._inputs.columns import refuse_columns, refuse_repeated_names, refuse_type
from sknets._inputs.graph_store import Graph, as_ids

# Features with a smaller share of non-zero numbers are kept as a sparse matrix.
_SPARSE_BELOW = 0.1


def read_graph(
    graph: Any,
    *,
    features: Any = None,
    edge_weight: str | None = "weight",
    directed: bool | None = None,
    k_neighbors: int | None = None,
    radius: float | None = None,
    owner: str = "graph_nodes",
) -> Graph:
    """Return the graph in one of the forms that `sknets.graph_nodes` documents.

    ``owner`` begins the sentence of an error.
    """
    if isinstance(getattr(graph, "graph", None), Graph):
        graph = graph.graph  # a view of nodes
    if k_neighbors is not None or radius is not None:
        return _of_points(graph, features, k_neighbors, radius, owner)
    if isinstance(graph, Graph):
        return graph
    if isinstance(graph, tuple) and len(graph) == 2:
        if features is not None:
            raise ValueError(
                f"{owner}: features are given twice, beside the adjacency and as "
                "features="
            )
        graph, features = graph
    if hasattr(graph, "edge_index"):
        return _of_pyg(graph, features, directed, owner)
    if hasattr(graph, "adj") and hasattr(graph, "is_directed"):
        return _of_networkx(graph, features, edge_weight, directed, owner)
    if isinstance(graph, pd.DataFrame):
        return _of_edges(graph, features, edge_weight, directed, owner)
    if sp.issparse(graph) or getattr(graph, "ndim", 0) == 2:
        return _of_adjacency(graph, features, directed, owner)
    raise ValueError(
        f"{owner}: a graph must be a networkx graph, a square adjacency matrix (SciPy "
        "sparse or an array), a tuple (adjacency, features), a DataFrame of edges with "
        f"columns source and target, or a PyG Data, got {type(graph).__name__}"
    )


# -- the forms -----------------------------------------------------------------------


def _of_points(points, features, k_neighbors, radius, owner):
    from sklearn.neighbors import NearestNeighbors

    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or not len(points) or not np.isfinite(points).all():
        raise ValueError(
            f"{owner}: points must be finite numbers of shape (n_points, n_dimensions)"
            f", got shape {points.shape}"
        )
    if (k_neighbors is None) == (radius is None):
        raise ValueError(f"{owner}: give k_neighbors or radius, not both")
    if k_neighbors is not None and not 1 <= k_neighbors < len(points):
        raise ValueError(
            f"{owner}(k_neighbors={k_neighbors!r}): k_neighbors must be at least 1 and "
            f"below the number of points, {len(points)}"
        )
    if radius is not None and not radius > 0:
        raise ValueError(f"{owner}(radius={radius!r}): radius must be above 0")
    near = NearestNeighbors(n_neighbors=k_neighbors or 1, radius=radius or 1.0)
    near.fit(points)
    if radius is None:
        matrix = sp.coo_array(near.kneighbors_graph())
    else:
        matrix = sp.coo_array(near.radius_neighbors_graph())
    features = points if features is None else features
    return _store(
        matrix, features, np.arange(len(points)), False, owner, weighted=False
    )


def _of_pyg(data, features, directed, owner):
    source, target = (side.numpy() for side in data.edge_index.detach().cpu().long())
    if getattr(data, "x", None) is None and "num_nodes" not in data:
        n = 1 + max(source.max(initial=-1), target.max(initial=-1))
    else:
        n = int(data.num_nodes)
    if len(source) and not (
        min(source.min(), target.min()) >= 0 and max(source.max(), target.max()) < n
    ):
        raise ValueError(f"{owner}: edge_index names nodes beyond the {n} of the graph")
    weights = getattr(data, "edge_weight", None)
    if weights is None:
        weights = getattr(data, "edge_attr", None)
        if weights is not None and weights.numel() != len(source):
            weights = None
    if weights is not None:
        weights = weights.detach().cpu().numpy().reshape(-1)
    if features is None and getattr(data, "x", None) is not None:
        features = data.x.detach().cpu()
        if features.layout != features.to_dense().layout:
            features = features.to_dense()
        features = features.numpy()
    matrix = _matrix(source, target, weights, n)
    return _store(
        matrix, features, np.arange(n), directed, owner, weighted=weights is not None
    )


def _of_networkx(graph, features, edge_weight, directed, owner):
    ids = as_ids(graph.nodes)
    place = {node: i for i, node in enumerate(graph.nodes)}
    source, target, weights = [], [], []
    found = False
    for one, other, attributes in graph.edges(data=True):
        source.append(place[one])
        target.append(place[other])
        weight = None if edge_weight is None else attributes.get(edge_weight)
        found |= weight is not None
        weights.append(1.0 if weight is None else weight)
    wrong = [weight for weight in weights if not isinstance(weight, Real)]
    if wrong:
        raise ValueError(
            f"{owner}: edge weights must be finite numbers, got {wrong[0]!r:.60}"
        )
    matrix = _matrix(source, target, weights if found else None, len(ids))
    if isinstance(features, str):
        features = [features]
    if isinstance(features, list) and features and isinstance(features[0], str):
        features = _attributes(graph, features, owner)
    elif isinstance(features, pd.DataFrame):
        features = _by_ids(features, ids, owner)
    if directed is None:
        directed = graph.is_directed()
    if not graph.is_directed():
        directed = False
    return _store(matrix, features, ids, directed, owner, weighted=found)


def _attributes(graph, names, owner):
    rows = []
    for node, attributes in graph.nodes(data=True):
        missing = [name for name in names if attributes.get(name) is None]
        if missing:
            raise ValueError(f"{owner}: node {node!r} has no attribute {missing[0]!r}")
        rows.append(np.concatenate([np.ravel(attributes[name]) for name in names]))
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise ValueError(
            f"{owner}: the features of the nodes must be of one width, got "
            f"{sorted(widths)}"
        )
    return np.array(rows)


def _of_edges(edges, features, edge_weight, directed, owner):
    refuse_repeated_names(owner, edges, "the table of edges")
    lacking = [name for name in ("source", "target") if name not in edges]
    if lacking:
        raise ValueError(
            f"{owner}: a DataFrame of edges needs the columns 'source' and 'target', "
            f"got {list(edges.columns)}"
        )
    if edges[["source", "target"]].isna().any(axis=None):
        row = int(edges[["source", "target"]].isna().any(axis=1).argmax())
        raise ValueError(f"{owner}: row {row} of the edges has no source or target")
    ends = pd.concat([edges["source"], edges["target"]], ignore_index=True)
    if isinstance(features, pd.DataFrame):
        ids = _unique(features.index, owner)
        codes = ids.get_indexer(pd.Index(ends, tupleize_cols=False))
        if (codes < 0).any():
            raise ValueError(
                f"{owner}: node {ends[int((codes < 0).argmax())]!r} of the edges has "
                "no row in features"
            )
    else:
        codes, ids = pd.factorize(ends, sort=False)
    weights = None
    if edge_weight is not None and edge_weight in edges:
        weights = pd.to_numeric(edges[edge_weight], errors="coerce").to_numpy(float)
    matrix = _matrix(*codes.reshape(2, -1), weights, len(ids))
    return _store(
        matrix, features, as_ids(ids), bool(directed), owner, weights is not None
    )


def _of_adjacency(adjacency, features, directed, owner):
    shape = adjacency.shape
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(f"{owner}: the adjacency must be square, got shape {shape}")
    ids = np.arange(shape[0])
    if isinstance(features, pd.DataFrame):
        ids = as_ids(_unique(features.index, owner))
    refuse_type(f"{owner}: the adjacency", getattr(adjacency, "dtype", None))
    try:
        matrix = sp.coo_array(adjacency, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{owner}: the adjacency must hold numbers ({error})"
        ) from error
    return _store(matrix, features, ids, directed, owner, weighted=None)


# -- what they have in common --------------------------------------------------------


def _matrix(source, target, weights, n):
    """Row: where an edge comes from, column: where it goes to."""
    values = np.ones(len(source)) if weights is None else np.asarray(weights, float)
    ends = np.asarray(source, dtype=np.int64), np.asarray(target, dtype=np.int64)
    return sp.coo_array((values, ends), shape=(n, n))


def _store(matrix, features, ids, directed, owner, weighted):
    """A graph from a matrix of edges by source and target.

    ``directed`` None means that the matrix tells by its symmetry, ``weighted`` None
    that it does by values other than 1.
    """
    n = matrix.shape[0]
    if n == 0:
        raise ValueError(f"{owner}: the graph has no nodes")
    if not np.isfinite(matrix.data).all():
        raise ValueError(f"{owner}: edge weights must be finite numbers")
    if weighted is None:
        weighted = bool((matrix.data[matrix.data != 0] != 1).any())
    values, (source, target) = matrix.data.astype(np.float32), matrix.coords
    rows = _rows(values, target, source, n)
    symmetric = _is_symmetric(rows)
    if directed is None:
        directed = not symmetric
    elif not directed and not symmetric:
        # Undirected edges are listed once or, as in a symmetric matrix, both ways.
        ends = (source, target), (target[source != target], source[source != target])
        values = np.concatenate([values, values[source != target]])
        rows = _rows(values, *map(np.concatenate, zip(*ends)), n)
    if not weighted:
        rows.data[:] = 1
    kind = np.int32 if max(n, rows.nnz) < 2**31 else np.int64
    return Graph(
        rows.indptr.astype(kind),
        rows.indices.astype(kind),
        rows.data if weighted else None,
        _features(features, n, owner),
        ids,
        directed,
    )


def _rows(values, target, source, n) -> sp.csr_array:
    rows = sp.csr_array((values, (target, source)), shape=(n, n))
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows


def _is_symmetric(rows) -> bool:
    """Of rows without zeros, in order; SciPy's own comparison makes more matrices."""
    columns = rows.T.tocsr()
    return all(
        np.array_equal(getattr(rows, part), getattr(columns, part))
        for part in ("indptr", "indices", "data")
    )


def _by_ids(features: pd.DataFrame, ids: np.ndarray, owner: str) -> pd.DataFrame:
    """Rows of the features in the order of the nodes."""
    found = _unique(features.index, owner).get_indexer(
        pd.Index(ids, tupleize_cols=False)
    )
    if (found < 0).any():
        raise ValueError(
            f"{owner}: node {ids[int((found < 0).argmax())]!r} has no row in features"
        )
    return features.iloc[found]


def _unique(ids: pd.Index, owner: str) -> pd.Index:
    if not ids.is_unique:
        twice = ids[ids.duplicated()].tolist()[0]
        raise ValueError(
            f"{owner}: the features have two rows of node {twice!r}: name each node "
            "once in their index, or number them by reset_index(drop=True)"
        )
    return ids


def _features(features: Any, n: int, owner: str) -> Any:
    if features is None:
        return None
    if hasattr(features, "detach"):
        features = features.detach().cpu().numpy()
    refuse_columns(owner, features, what="features")
    try:
        if sp.issparse(features):
            with np.errstate(over="ignore"):
                features = sp.csr_array(features, dtype=np.float32, copy=True)
            features.sum_duplicates()
        else:
            features = np.asarray(features)
            # What nobody can write to may be shared: a memory map above all.
            own = features.flags.writeable or features.dtype != np.float32
            if own or not features.flags.c_contiguous:
                with np.errstate(over="ignore"):  # refused below
                    features = np.array(features, dtype=np.float32, order="C")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{owner}: the features must be numbers, of shape (n_nodes, n_features) "
            f"({error})"
        ) from error
    if features.ndim == 1:
        features = features[:, None]
    if features.ndim != 2 or features.shape[0] != n or features.shape[1] == 0:
        raise ValueError(
            f"{owner}: the features must have a row for each of the {n} nodes and at "
            f"least one column, got shape {features.shape}"
        )
    values = features.data if sp.issparse(features) else features
    if not np.isfinite(values).all():
        rows = ~np.isfinite(features).all(axis=1) if values is features else None
        where = f", at node {int(rows.argmax())}" if rows is not None else ""
        raise ValueError(
            f"{owner}: the features contain NaN or infinity{where} (beyond 3.4e38 "
            "numbers are infinite in float32)"
        )
    wide = values is features and features.shape[1] >= 32
    if wide and np.count_nonzero(features) < _SPARSE_BELOW * features.size:
        features = sp.csr_array(features)
    return features


__all__ = ["read_graph"]
