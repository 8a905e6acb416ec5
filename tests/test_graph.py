"""What is true of graph networks alone."""

import copy
import pickle
import warnings

import joblib
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from torch import nn

import sknets
from sknets import (
    GNNClassifier,
    GNNEmbedder,
    GNNRegressor,
    GraphDisplay,
    LinkPredictor,
    graph_links,
    graph_nodes,
    link_split,
)
from sknets.graph._layers import make_layer
from sknets.graph._messages import (
    SampledEdges,
    SparseMatrix,
    all_edges,
    in_order,
    neighborhoods,
    operator_of,
)
from sknets.graph._walks import Walker, linked, unlinked_targets

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torch_geometric.nn as peers
    from torch_geometric.data import Data

torch.set_num_threads(1)
CONVS = ["gcn", "sage", "gat", "gatv2", "gin"]


def random_graph(n=40, seed=0, directed=False, weighted=False, width=9):
    random = np.random.default_rng(seed)
    matrix = (random.random((n, n)) < 0.1).astype(float)
    matrix = matrix if directed else np.triu(matrix) + np.triu(matrix, 1).T
    if weighted:
        weights = random.random((n, n)) + 0.1
        matrix *= weights if directed else weights + weights.T
    return matrix, random.normal(size=(n, width)).astype(np.float32)


def groups(n=60, seed=0, width=4):
    """Two groups of friends, with features that tell a little."""
    random = np.random.default_rng(seed)
    y = np.arange(n) % 2
    likely = np.where(y[:, None] == y, 0.25, 0.03)
    friends = np.triu(random.random((n, n)) < likely, 1)
    return friends | friends.T, y[:, None] + random.normal(size=(n, width)), y


def quick(**params):
    return GNNClassifier(
        **{"max_epochs": 20, "hidden_size": 16, "random_state": 0, **params}
    )


# -- reading -------------------------------------------------------------------------


def test_all_forms_of_a_graph_are_one_graph():
    club = nx.karate_club_graph()
    matrix = nx.to_scipy_sparse_array(club)
    edges = nx.to_pandas_edgelist(club)
    both = pd.concat(
        [edges, edges.rename(columns={"source": "target", "target": "source"})]
    )
    coo = matrix.tocoo()
    data = Data(
        edge_index=torch.tensor(np.array(coo.coords)),
        edge_weight=torch.tensor(coo.data),
        num_nodes=34,
    )
    order = pd.DataFrame(np.eye(34), index=range(34))
    expected = graph_nodes(club).graph
    for form, more in (
        (matrix, {}),
        (matrix.toarray(), {}),
        ((sp.coo_matrix(matrix), None), {}),
        (edges, {"features": order}),
        (both, {"features": order}),
        (data, {}),
        (graph_nodes(club)[:3], {}),
    ):
        found = graph_nodes(form, **more).graph
        np.testing.assert_array_equal(found.adjacency().toarray(), matrix.toarray())
        np.testing.assert_array_equal(found.neighbors, expected.neighbors)
        assert not found.directed


def test_names_of_any_hashable_kind_and_attributes_are_read():
    graph = nx.DiGraph()
    graph.add_node(("x", 1), place=[0.0, 1.0], size=3)
    graph.add_node("b", place=[2.0, 3.0], size=4)
    graph.add_edge(("x", 1), "b")
    nodes = graph_nodes(graph, features=["place", "size"])
    assert nodes.ids.tolist() == [("x", 1), "b"]
    np.testing.assert_array_equal(nodes.graph.features, [[0, 1, 3], [2, 3, 4]])
    # "b" hears from the other, which hears from nobody.
    np.testing.assert_array_equal(nodes.graph.adjacency().toarray(), [[0, 0], [1, 0]])
    assert nodes.graph.directed
    assert not graph_nodes(graph, directed=False).graph.directed
    assert nodes.with_ids(["b"]).index.tolist() == [1]
    with pytest.raises(ValueError, match=r"no node 'c'"):
        nodes.with_ids(["b", "c"])
    with pytest.raises(ValueError, match="node 'b' has no attribute 'colour'"):
        graph.nodes[("x", 1)]["colour"] = 1
        graph_nodes(graph, features="colour")


def test_points_are_linked_to_their_neighbours():
    points = np.array([[0.0], [1.0], [2.1], [9.0]])
    near = graph_nodes(points, k_neighbors=1).graph.adjacency().toarray()
    assert near[0].tolist() == [0, 1, 0, 0] and near[2].tolist() == [0, 1, 0, 1]
    within = graph_nodes(points, radius=1.05).graph
    assert within.n_edges == 2 and within.features.shape == (4, 1)


def test_repeated_edges_are_one_and_their_weights_add_up():
    edges = pd.DataFrame({"source": [0, 0, 1], "target": [1, 1, 1]})
    assert graph_nodes(edges).graph.adjacency().toarray().tolist() == [[0, 1], [1, 1]]
    weighted = edges.assign(weight=[1.0, 2.0, 5.0])
    found = graph_nodes(weighted).graph.adjacency().toarray().tolist()
    assert found == [[0, 3], [3, 5]]


@pytest.mark.parametrize(
    ("graph", "more", "sentence"),
    [
        (np.zeros((2, 3)), {}, "must be square, got shape"),
        (np.zeros((0, 0)), {}, "the graph has no nodes"),
        ((np.eye(2), [[np.nan], [1]]), {}, "NaN or infinity, at node 0"),
        ((np.eye(2), [[1.0]]), {}, "a row for each of the 2 nodes"),
        ((np.eye(2), [["a"], ["b"]]), {}, "must be numbers"),
        ((np.eye(2), np.ones((2, 1))), {"features": np.ones((2, 1))}, "given twice"),
        (np.diag([np.nan, 1]), {}, "edge weights must be finite"),
        ([1, 2], {}, "a graph must be a networkx graph"),
        (pd.DataFrame({"from": [1], "to": [2]}), {}, "needs the columns 'source'"),
        (np.ones((3, 2)), {"k_neighbors": 3}, "below the number of points, 3"),
        (np.ones((3, 2)), {"radius": -1.0}, "radius must be above 0"),
        (
            pd.DataFrame({"source": ["a"], "target": ["b"]}),
            {"features": pd.DataFrame({"x": [1.0]}, index=["a"])},
            "node 'b' of the edges has no row in features",
        ),
    ],
)
def test_what_is_no_graph_gets_one_sentence(graph, more, sentence):
    with pytest.raises(ValueError, match=sentence):
        graph_nodes(graph, **more)


def test_a_graph_is_shared_by_views_copies_and_within_a_process():
    nodes = graph_nodes(random_graph())
    assert copy.deepcopy(nodes).graph is nodes.graph
    assert nodes[np.arange(40) < 3].ids.tolist() == [0, 1, 2]
    assert len(nodes[5]) == 1 and nodes[1:4].shape == (3,)
    one, other = (pickle.loads(pickle.dumps(nodes[:n])) for n in (3, 9))
    assert one.graph is other.graph
    with pytest.raises(ValueError, match="read-only"):
        nodes.graph.features[0] = 0


def test_reading_leaves_the_users_arrays_alone():
    matrix, features = random_graph()
    sparse = sp.csr_array(matrix)
    graph_nodes((sparse, features))
    features[0], sparse.data[0] = 1, 1  # still writeable
    wide = np.zeros((40, 50), dtype=np.float32)
    wide[:, 3] = 1
    kept = sp.csr_matrix(wide)
    graph = graph_nodes((sparse, kept)).graph
    kept.data[0] = 7
    assert graph.features.toarray()[0, 3] == 1


# -- layers --------------------------------------------------------------------------


def one_layer(layer, conv, nodes, targets=None, features=None, choice=all_edges):
    graph = nodes.graph
    targets = np.arange(graph.n_nodes) if targets is None else targets
    operator = operator_of(conv, graph, np.dtype(np.float32))
    (near,) = neighborhoods(operator, targets, [choice], torch.zeros(0))
    x = features if features is not None else torch.from_numpy(graph.features.copy())
    x = x.rows(near.nodes) if isinstance(x, SparseMatrix) else x[near.nodes]
    return layer.aggregate(layer.message(x), x, near.adjacency)


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_gcn_equals_the_dense_formula(directed, weighted):
    matrix, features = random_graph(directed=directed, weighted=weighted)
    layer = make_layer("gcn", 9, 8, 0, 1, 0.0)
    found = one_layer(layer, "gcn", graph_nodes((matrix, features)))
    heard = matrix.T + np.eye(40)  # self-loops of the graph included
    root = np.diag(heard.sum(1) ** -0.5)
    weight = layer.lin.weight.detach().double().numpy()
    expected = root @ heard @ root @ features @ weight.T
    np.testing.assert_allclose(found.detach(), expected, atol=1e-6)


@pytest.mark.parametrize("conv", CONVS)
def test_layers_equal_those_of_pytorch_geometric(conv):
    matrix, features = random_graph(directed=True, width=6)
    np.fill_diagonal(matrix, 0)
    nodes = graph_nodes((matrix, features))
    edges = torch.tensor(np.array(np.nonzero(matrix)))
    layer = make_layer(conv, 6, 8, 12, 4, 0.0)
    dense = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 8))
    peer = {
        "gcn": lambda: peers.GCNConv(6, 8),
        "sage": lambda: peers.SAGEConv(6, 8),
        "gat": lambda: peers.GATConv(6, 2, heads=4),
        "gatv2": lambda: peers.GATv2Conv(6, 2, heads=4),
        "gin": lambda: peers.GINConv(dense),
    }[conv]()
    peer.load_state_dict(layer.state_dict(), strict=True)
    x = torch.from_numpy(features)
    expected, found = peer(x, edges), one_layer(layer, conv, nodes)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    found.square().sum().backward()
    expected.square().sum().backward()
    for own, other in zip(layer.parameters(), peer.parameters()):
        torch.testing.assert_close(own.grad, other.grad, atol=1e-4, rtol=1e-4)
    # Some nodes alone, sparse features, and attention in pieces.
    csr = sp.csr_array(features)
    sparse = SparseMatrix(csr.indptr, csr.indices, torch.from_numpy(csr.data), 6)
    some = one_layer(layer, conv, nodes, np.array([5, 2]), sparse)
    torch.testing.assert_close(some, found[[5, 2]], atol=1e-6, rtol=1e-5)
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("sknets.graph._layers._PIECE", 100)
        pieces = one_layer(layer, conv, nodes)
    torch.testing.assert_close(pieces, found, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("piece", [2**26, 40, 1])
@pytest.mark.parametrize("shape", [(30, 20), (7, 5), (3, 4), (1, 1)])
def test_sums_in_order_are_the_product(shape, piece):
    """What CUDA takes, for the same bits each time."""
    random = np.random.default_rng(0)
    known = random.integers(0, 3, shape) * random.normal(size=shape) * (shape[0] != 3)
    given = sp.csr_array(known)
    parts = given.indptr, given.indices, given.data
    matrix = SparseMatrix(*parts[:2], torch.from_numpy(parts[2]), shape[1]).by_rows()
    dense = random.normal(size=(shape[1], 6))
    found = in_order(matrix, torch.from_numpy(dense), piece)
    np.testing.assert_allclose(found, known @ dense, atol=1e-12)
    assert found.shape == (shape[0], 6)


def test_neighbours_are_drawn_without_replacement_and_right_on_average():
    n = 50
    matrix = np.zeros((n, n))
    matrix[0, 1:31] = matrix[1:31, 0] = 1  # node 0 has 30 neighbours
    features = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    nodes = graph_nodes((matrix, features))
    operator = operator_of("gcn", nodes.graph, np.dtype(np.float32))
    draw = SampledEdges(7, torch.Generator().manual_seed(0))
    seen = np.zeros(n)
    for _ in range(1000):
        at, counts, factors = draw(operator, np.array([0, 5, 40]))
        assert counts.tolist() == [7, 1, 0]
        drawn = operator.columns[at[:7]]
        assert len(np.unique(drawn)) == 7
        assert np.allclose(factors, [30 / 7] * 7 + [1])
        seen[drawn] += 1
    np.testing.assert_allclose(seen[1:31] / 1000, 7 / 30, atol=0.06)
    torch.manual_seed(0)
    layer = make_layer("gcn", 3, 2, 0, 1, 0.0)
    with torch.no_grad():
        exact = one_layer(layer, "gcn", nodes)[:1]
        many = [
            one_layer(layer, "gcn", nodes, np.array([0]), None, draw)
            for _ in range(1000)
        ]
    torch.testing.assert_close(torch.stack(many).mean(0), exact, atol=0.1, rtol=0)


# -- nodes ---------------------------------------------------------------------------


def test_the_roles_of_the_karate_club_from_one_label_each():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch_geometric.datasets import KarateClub  # takes seconds

    data = KarateClub()[0]
    y, known = data.y.numpy(), np.flatnonzero(data.train_mask.numpy())
    assert len(known) == len(np.unique(y)) == 4
    data.x = None  # a column a member: as good as none
    nodes = graph_nodes(data)
    net = GNNClassifier(random_state=0).fit(nodes[known], y[known])
    found = net.predict(nodes)
    for circle in range(4):
        assert np.mean(found[y == circle] == circle) > 0.5
    assert np.mean(found == y) > 0.8

    club = nx.karate_club_graph()
    side = np.array([club.nodes[i]["club"] for i in club])
    members = graph_nodes(club)
    net = GNNClassifier(random_state=0).fit(members[[0, 33]], side[[0, 33]])
    assert net.score(members, side) > 0.95


def test_the_order_and_the_names_of_nodes_change_nothing():
    friends, features, y = groups()
    order = np.random.default_rng(1).permutation(60)
    names = np.array([f"node {i}" for i in order])
    graph = nx.from_numpy_array(friends[order][:, order])
    nodes = graph_nodes((friends, features))
    graph = nx.relabel_nodes(graph, dict(enumerate(names)))
    twin = graph_nodes(graph, features=pd.DataFrame(features[order], index=names))
    assert twin.ids.tolist() == names.tolist()
    net = quick().fit(nodes[:30], y[:30])
    np.testing.assert_allclose(
        net.predict_proba(twin), net.predict_proba(nodes)[order], atol=1e-5
    )


def test_labels_may_be_missing():
    friends, features, y = groups()
    nodes = graph_nodes((friends, features))
    few = quick(max_epochs=4)
    expected = clone(few).fit(nodes[:20], y[:20]).predict_proba(nodes)
    hidden = np.arange(60) >= 20
    named = np.where(hidden, None, np.array(["a", "b"], dtype=object)[y])
    for partly in (
        np.where(hidden, -1, y),
        np.where(hidden, np.nan, y),
        np.where(hidden, -1, y).tolist(),
        named,
        named.tolist(),
        pd.Series(named),
        pd.array(np.where(hidden, None, y), dtype="Int64"),
    ):
        net = clone(few).fit(nodes, partly)
        np.testing.assert_array_equal(net.predict_proba(nodes), expected)
        assert len(net.classes_) == 2
        assert net.score(nodes, partly) == net.score(nodes[:20], partly[:20])
    values = np.where(hidden, np.nan, y)
    numbers = GNNRegressor(max_epochs=5, random_state=0).fit(nodes, values)
    again = GNNRegressor(max_epochs=5, random_state=0).fit(nodes[:20], y[:20])
    np.testing.assert_array_equal(numbers.predict(nodes), again.predict(nodes))
    assert quick().fit((friends, features), y).score((friends, features), y) > 0.8


def test_cross_validation_sees_one_graph_and_never_copies_it(monkeypatch):
    friends, features, y = groups()
    nodes = graph_nodes((friends, features))
    seen = []
    read = GNNClassifier._learn_inputs
    monkeypatch.setattr(
        GNNClassifier,
        "_learn_inputs",
        lambda self, graph: seen.append(graph) or read(self, graph),
    )
    scores = cross_val_score(quick(), nodes, y, cv=3)
    assert scores.mean() > 0.8
    with joblib.parallel_backend("threading", n_jobs=2):
        np.testing.assert_array_equal(cross_val_score(quick(), nodes, y, cv=3), scores)
    train, _, y_train, _ = train_test_split(nodes, y, stratify=y, random_state=0)
    GridSearchCV(quick(max_epochs=2), {"conv": ["gcn", "sage"]}, cv=2).fit(
        train, y_train
    )
    assert all(graph is nodes.graph for graph in seen) and len(seen) == 11


@pytest.mark.timeout(240)
def test_processes_hold_the_graph_once_and_compute_the_same():
    friends, features, y = groups()
    nodes = graph_nodes((friends, np.tile(features, (1, 2000))))  # shared by a file
    net = quick(max_epochs=2)
    expected = cross_val_score(net, nodes, y, cv=4)
    with joblib.parallel_backend("loky", n_jobs=2):
        np.testing.assert_array_equal(cross_val_score(net, nodes, y, cv=4), expected)
        held = joblib.Parallel()(
            joblib.delayed(graph_identity)(nodes[:n]) for n in range(1, 7)
        )
    processes = {process for process, _, _ in held}
    assert len(set(held)) == len(processes)
    assert all(mapped for _, _, mapped in held)


def graph_identity(nodes):
    import os

    return os.getpid(), id(nodes.graph), not nodes.graph.features.flags.owndata


def test_a_graph_never_seen_is_predicted():
    friends, features, y = groups(seed=0)
    net = quick(max_epochs=50).fit((friends, features), y)
    others, traits, truth = groups(n=80, seed=5)
    assert net.score((others, traits), truth) > 0.8
    with pytest.raises(ValueError, match="have 2 features, but those of fit had 4"):
        net.predict((others, traits[:, :2]))
    with pytest.raises(ValueError, match="have no features, but those of fit had 4"):
        net.predict(others)
    bare = quick().fit(friends, y)
    names = pd.DataFrame({"source": ["ann"], "target": ["bob"]})
    with pytest.raises(ValueError, match="the graph of fit has no node 'ann'"):
        bare.predict(names)
    # A part of the graph of fit, in another order, is known by name.
    assert bare.predict(friends[:50, :50]).shape == (50,)
    degree = quick(node_features="degree").fit(friends, y)
    assert degree.predict(names).shape == (2,)


def test_sixteen_bits_several_labels_and_deeper_nets():
    friends, features, y = groups()
    nodes = graph_nodes((friends, features))
    for conv in CONVS:
        for params in ({"precision": "bfloat16"}, {"residual": True, "n_layers": 3}):
            assert quick(conv=conv, **params).fit(nodes, y).score(nodes, y) > 0.8
    several = quick().fit(nodes, np.stack([y, 1 - y, y], 1))
    assert several.predict_proba(nodes).shape == (60, 3)
    values = np.stack([y, 2.0 * y], 1)
    values[7] = np.nan
    numbers = GNNRegressor(max_epochs=50, random_state=0).fit(nodes, values)
    assert (
        numbers.predict(nodes).shape == (60, 2) and numbers.score(nodes, values) > 0.5
    )
    with pytest.raises(ValueError, match="GNNClassifier: X has 0 nodes"):
        quick().fit(nodes[:0], [])


@pytest.mark.parametrize("conv", CONVS)
def test_predictions_by_layers_equal_those_of_the_whole_graph(conv):
    matrix, features = random_graph(n=300, width=5)
    y = features[:, 0] > 0
    sampled = quick(conv=conv, batch_size=32, n_neighbors=(3, 5), max_epochs=2)
    nodes = graph_nodes((matrix, features))
    sampled.fit(nodes, y)
    assert sampled.n_neighbors_ == (3, 5) and sampled.batch_size_ == 32
    whole = sampled.predict_proba(nodes)
    for size in (1, 7, 120):
        part = sampled.predict_proba(nodes[40 : 40 + size])
        np.testing.assert_allclose(part, whole[40 : 40 + size], atol=1e-5)


def test_steps_of_few_nodes_learn_as_the_whole_graph_does():
    friends, features, y = groups(n=300)
    nodes = graph_nodes((friends, features))
    for n_neighbors in (5, None):
        net = quick(batch_size=64, n_neighbors=n_neighbors).fit(nodes[:200], y[:200])
        assert net.score(nodes[200:], y[200:]) > 0.9


def test_early_stopping_by_nodes_of_ones_own():
    friends, features, y = groups(n=120)
    nodes = graph_nodes((friends, features))
    net = quick(early_stopping=True, n_iter_no_change=5, max_epochs=100, lr=0.05)
    net.fit(nodes[:40], y[:40], X_val=nodes[40:80], y_val=y[40:80])
    assert len(net.validation_loss_curve_) == net.n_iter_ < 100
    best = int(np.argmin(net.validation_loss_curve_))
    found = np.mean(net.predict(nodes[40:80]) == y[40:80])
    assert found == pytest.approx(net.validation_scores_[best])
    with pytest.raises(ValueError, match="set early_stopping=True"):
        quick().fit(nodes, y, X_val=nodes, y_val=y)
    with pytest.raises(ValueError, match="come together"):
        net.fit(nodes, y, X_val=nodes)


def test_extreme_graphs_are_legal():
    features = np.random.default_rng(0).normal(size=(20, 3))
    y = (features[:, 0] > 0).astype(int)
    empty = graph_nodes((np.zeros((20, 20)), features))
    loops = graph_nodes((np.eye(20), features))
    single = graph_nodes((np.zeros((1, 1)), features[:1]))
    for conv in CONVS:
        net = quick(conv=conv, max_epochs=3).fit(empty, y)
        assert np.isfinite(net.predict_proba(loops)).all()
        assert net.predict(single).shape == (1,)
        quick(conv=conv, batch_size=8, max_epochs=3).fit(loops, y)


@pytest.mark.parametrize(
    ("params", "y", "sentence"),
    [
        ({}, [0] * 60, "at least 2 classes"),
        ({}, [None] * 60, "y has no label"),
        ({}, [0, 1], "60"),
        ({}, [-1, 1] * 30, "-1 marks nodes without a label"),
        ({"conv": "gat", "n_heads": 3}, None, "n_heads=3 must divide hidden_size"),
        ({"n_neighbors": (3,)}, None, "a number for each of the 2 layers"),
        ({"conv": "gcnn"}, None, "did you mean 'gcn'"),
        ({"batch_size": 0}, None, "at least 1"),
    ],
)
def test_wrong_input_gets_one_sentence(params, y, sentence):
    friends, features, truth = groups()
    with pytest.raises(ValueError, match=sentence) as error:
        quick(**params).fit((friends, features), truth if y is None else y)
    assert str(error.value).startswith("GNNClassifier")


def test_layers_that_divide_by_weights_refuse_negative_ones():
    friends, features, y = groups()
    signed = friends * np.where(np.add.outer(y, y) % 2, -1.0, 1.0)
    with pytest.raises(ValueError, match=r"conv='gcn'\): it needs edge weights"):
        quick().fit((signed, features), y)
    quick(conv="gin", max_epochs=2).fit((signed, features), y)
    with pytest.raises(ValueError, match="the graph has no features"):
        quick(node_features="given").fit(friends, y)


def test_sparse_features_count_as_dense_ones():
    friends, _, y = groups()
    words = (np.random.default_rng(0).random((60, 50)) < 0.08).astype(np.float32)
    words[:, 0] = y
    for standardize in ("rows", False):
        fits = []
        for given in (words, sp.csr_array(words)):
            net = quick(standardize=standardize, dropout=0.0)
            fits.append(net.fit((friends, given), y).predict_proba((friends, words)))
        np.testing.assert_allclose(*fits, atol=1e-5)
    net = quick(standardize=True).fit((friends, words + 1), y)
    np.testing.assert_allclose(net.x_mean_, words.mean(0) + 1, rtol=1e-5)


def test_the_batch_size_of_a_saved_net_is_that_of_its_fit(tmp_path):
    friends, features, y = groups()
    net = quick(precision="float64").fit((friends, features), y)
    assert net.batch_size_ == 60 and net.net_.dtype == torch.float64
    net.save(tmp_path / "net")
    twin = sknets.load(tmp_path / "net")
    assert twin.net_._recipe.batch_size == 60
    assert not any("graph" in name for name in vars(twin))


# -- vectors -------------------------------------------------------------------------


def test_walks_have_the_probabilities_of_node2vec():
    #   0 - 1, 1 - 2, 0 - 2, 1 - 3: after 0 -> 1 the walk may go to 0, 2 or 3
    graph = graph_nodes(
        pd.DataFrame({"source": [0, 1, 0, 1], "target": [1, 2, 2, 3]})
    ).graph
    walker = Walker(graph, p=4.0, q=0.5)
    walks = walker.walk(np.zeros(40_000, int), 2, torch.Generator().manual_seed(0))
    after = walks[walks[:, 1] == 1, 2]
    weights = np.array([1 / 4, 0, 1, 2])  # back, to a common neighbour, away
    found = np.bincount(after, minlength=4) / len(after)
    np.testing.assert_allclose(found, weights / weights.sum(), atol=0.015)


def test_walks_follow_directions_and_weights_and_end_where_nothing_leads_on():
    edges = pd.DataFrame({"source": [0, 0], "target": [1, 2], "weight": [1.0, 3.0]})
    walker = Walker(graph_nodes(edges, directed=True).graph)
    walks = walker.walk(np.zeros(8000, int), 3, torch.Generator().manual_seed(0))
    assert (walks[:, 2:] == -1).all()
    assert np.mean(walks[:, 1] == 2) == pytest.approx(0.75, abs=0.02)


def test_pairs_that_are_not_linked_are_not_linked():
    matrix, _ = random_graph(directed=True)
    graph = graph_nodes(matrix).graph
    ends = np.indices(matrix.shape).reshape(2, -1)
    np.testing.assert_array_equal(linked(graph, *ends), matrix[tuple(ends)] > 0)
    sources = np.repeat(np.arange(40), 50)
    targets = unlinked_targets(graph, sources, torch.Generator().manual_seed(0))
    assert not linked(graph, sources, targets).any() and (targets != sources).all()
    complete = graph_nodes(np.ones((5, 5))).graph
    assert (unlinked_targets(complete, np.arange(5), None) == -1).all()


@pytest.mark.parametrize("method", ["node2vec", "gae", "vgae", "dgi", "graphsage"])
def test_vectors_tell_groups_and_unseen_nodes(method):
    friends, features, y = groups(n=80)
    nodes = graph_nodes((friends, features))
    embedder = GNNEmbedder(method=method, n_components=8, max_epochs=25, random_state=0)
    model = make_pipeline(embedder, LogisticRegression())
    assert cross_val_score(model, nodes, y, cv=2).mean() > 0.9
    vectors = embedder.fit(nodes).transform(nodes[[7, 3]])
    assert vectors.shape == (2, 8)
    others, traits, truth = groups(n=90, seed=3)
    if method == "node2vec":
        with pytest.raises(ValueError, match="the graph of fit has no node 80"):
            embedder.transform((others, traits))
    else:
        head = LogisticRegression().fit(embedder.transform(nodes), y)
        assert head.score(embedder.transform((others, traits)), truth) > 0.8


@pytest.mark.parametrize("method", ["node2vec", "gae", "vgae", "dgi", "graphsage"])
def test_vectors_of_extreme_graphs_and_small_steps(method):
    friends, features, _ = groups()
    for graph in (np.zeros((60, 60)), np.ones((60, 60)), friends):
        embedder = GNNEmbedder(
            method=method, max_epochs=2, batch_size=16, n_components=4, random_state=0
        )
        vectors = embedder.fit((graph, features)).transform((graph, features))
        assert np.isfinite(vectors).all()
    embedder.set_params(early_stopping=True).fit((friends, features))
    assert len(embedder.validation_loss_curve_) == 2


# -- links ---------------------------------------------------------------------------


def near_points(n=150, seed=0):
    points = np.random.default_rng(seed).random((n, 2))
    near = np.linalg.norm(points[:, None] - points, axis=2) < 0.15
    return near, points


@pytest.mark.parametrize("directed", [False, True])
def test_links_and_other_pairs_are_different_and_right(directed):
    matrix, features = random_graph(directed=directed)
    links, y = graph_links((matrix, features), n_negatives=2, random_state=0)
    one, other = links.index.T
    assert (matrix[one, other] > 0).astype(int).tolist() == y.tolist()
    assert (one != other).all() and (y == 0).sum() == 2 * (y == 1).sum()
    ends = links.index if directed else np.sort(links.index, axis=1)
    assert len(np.unique(ends, axis=0)) == len(links)
    assert links.pairs.shape == links.shape == (len(y), 2)
    again, _ = graph_links((matrix, features), n_negatives=2, random_state=0)
    np.testing.assert_array_equal(again.index, links.index)
    crowded = 1 - np.eye(6)
    crowded[0, 1] = crowded[1, 0] = 0
    _, few = graph_links(crowded)
    assert (few == 0).sum() == 1
    with pytest.raises(ValueError, match="all pairs of nodes are linked"):
        graph_links(np.ones((5, 5)))
    with pytest.raises(ValueError, match="no links between two nodes"):
        graph_links(np.eye(5))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_no_link_that_is_held_out_passes_messages(early_stopping):
    train, test, y_train, y_test = link_split(near_points(), random_state=0)
    model = LinkPredictor(random_state=0, max_epochs=3, early_stopping=early_stopping)
    model.fit(train, y_train)
    heard = model.net_.module_.of.graph
    told = {tuple(pair) for pair in train.index[y_train == 1]}
    told |= {pair[::-1] for pair in told}
    edges = set(zip(*(side.tolist() for side in heard.adjacency().nonzero()[::-1])))
    assert edges < told if early_stopping else edges == told
    assert not edges & {tuple(pair) for pair in test.index[y_test == 1]}
    # Nor does it matter what else the graph holds.
    matrix = np.zeros((150, 150))
    matrix[tuple(train.index[y_train == 1].T)] = 1
    only = sknets.graph.graph_nodes((matrix + matrix.T, near_points()[1])).graph
    twin = clone(model).fit(type(train)(only, train.index), y_train)
    np.testing.assert_array_equal(
        twin.decision_function(test), model.decision_function(test)
    )


def test_links_are_predicted_and_searched():
    links, y = graph_links(near_points(), random_state=0)
    model = LinkPredictor(max_epochs=40, lr=0.02, random_state=0)
    assert cross_val_score(model, links, y, cv=2).mean() > 0.9
    search = GridSearchCV(
        LinkPredictor(max_epochs=20, random_state=0),
        {"conv": ["gcn", "sage"]},
        scoring=["roc_auc", "average_precision"],
        refit="roc_auc",
        cv=2,
    ).fit(links, y)
    assert search.best_score_ > 0.8
    model = search.best_estimator_
    np.testing.assert_array_equal(
        model.predict_proba(links.pairs[:5]), model.predict_proba(links[:5])
    )
    small = LinkPredictor(batch_size=64, n_neighbors=4, max_epochs=8, random_state=0)
    assert small.fit(links, y).score(links, y) > 0.85


def test_a_graph_alone_is_learned_and_unknown_nodes_are_named(tmp_path):
    club = nx.relabel_nodes(nx.karate_club_graph(), lambda i: f"member {i}")
    model = LinkPredictor(random_state=0).fit(club)
    links, y = graph_links(club, random_state=1)
    assert model.score(links, y) > 0.9
    assert model.predict([("member 0", "member 1")]).tolist() == [1]
    model.save(tmp_path / "model")
    twin = sknets.load(tmp_path / "model")
    np.testing.assert_array_equal(
        twin.decision_function(links), model.decision_function(links)
    )
    for call, sentence in (
        (lambda: model.predict([("member 0", "nobody")]), "has no node 'nobody'"),
        (lambda: model.predict(["member 0"]), "must be pairs of names"),
        (lambda: clone(model).fit([(0, 1)], [1]), "must carry their graph"),
        (lambda: clone(model).fit(links, y * 2), "1 for a link and 0 for none"),
        (lambda: clone(model).fit(links, y * 0), "y has no link"),
        (lambda: clone(model).fit(links, y[1:]), str(len(y))),
    ):
        with pytest.raises(ValueError, match=sentence):
            call()


# -- pictures ------------------------------------------------------------------------


def test_a_graph_is_drawn_the_same_each_time():
    pytest.importorskip("matplotlib")
    friends, features, y = groups()
    nodes = graph_nodes((friends, features))
    net = quick().fit(nodes, y)
    display = GraphDisplay.from_estimator(net, nodes, 1 - y, known=[0, 1])
    assert display.wrong.mean() > 0.8 and display.known.sum() == 2
    again = GraphDisplay.from_estimator(net, nodes)
    np.testing.assert_array_equal(again.positions, display.positions)
    # Friends are drawn closer than others.
    apart = np.linalg.norm(display.positions[:, None] - display.positions, axis=2)
    assert apart[friends].mean() < 0.8 * apart[~friends].mean()
    values = GNNRegressor(max_epochs=2, random_state=0).fit(nodes, y)
    assert GraphDisplay.from_estimator(values, nodes[:5]).numbers
    with pytest.raises(ValueError, match="4000 nodes are too many"):
        GraphDisplay.from_estimator(
            values, (sp.csr_array((4000, 4000)), np.ones((4000, 4)))
        )
