"""A label or number a graph: order, batches, layers by hand, all forms of input."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.cluster import KMeans
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from torch_geometric.data import Data

from sknets import GraphClassifier, GraphRegressor, graph_nodes

torch.set_num_threads(1)

CONVS = ["gin", "gcn", "sage", "gat", "gatv2"]


def drawn(n_graphs=24, seed=0, n_features=3):
    """Graphs of 1 to 9 nodes with weights, loops, isolated nodes and features."""
    random = np.random.default_rng(seed)
    graphs = []
    for i in range(n_graphs):
        n = 1 + i % 9
        upper = np.triu(random.random((n, n)) * (random.random((n, n)) < 0.4))
        adjacency = upper + np.triu(upper, 1).T
        graphs.append((adjacency, random.normal(size=(n, n_features))))
    return graphs


X = drawn()
y = np.array([features[:, 0].sum() + len(features) for _, features in X])
classes = np.where(y > np.median(y), "large", "small")


def exact(conv="gin", **parameters):
    return GraphRegressor(
        conv=conv,
        hidden_size=8,
        max_epochs=3,
        precision="float64",
        random_state=0,
        **parameters,
    )


# The network against plain matrices


def normalised(x, b):
    x = (x - b["running_mean"]) / np.sqrt(b["running_var"] + 1e-2)
    return x * b["weight"] + b["bias"]


def dense_reference(net, adjacency, features):
    """The default network of one graph, written out with dense matrices."""
    module = net.net_.module_
    weights = {k: v.numpy() for k, v in module.state_dict().items()}
    x = (features - net.x_mean_) / net.x_scale_
    pooled = [x.sum(0)]
    for i in range(net.n_layers):
        w = {k.split(".", 2)[2]: v for k, v in weights.items() if f"layers.{i}." in k}
        b = {k.split(".", 2)[2]: v for k, v in weights.items() if f"norms.{i}." in k}
        x = adjacency @ x + x
        x = np.maximum(x @ w["nn.0.weight"].T + w["nn.0.bias"], 0)
        x = x @ w["nn.2.weight"].T + w["nn.2.bias"]
        x = np.maximum(normalised(x, b), 0)
        pooled.append(x.sum(0))
    h = np.concatenate(pooled)
    top = {k[5:]: v for k, v in weights.items() if k.startswith("head.")}
    scaled = h / net.mean_size_
    hidden = np.maximum(top["0.weight"] @ scaled + top["0.bias"], 0)
    output = top["3.weight"] @ hidden + top["3.bias"]
    return h, output * net.y_scale_ + net.y_mean_


def test_the_network_equals_dense_matrices():
    net = exact().fit(X, y)
    for i, ((adjacency, features), vector, value) in enumerate(
        zip(X, net.transform(X), net.predict(X))
    ):
        kept = adjacency.astype(np.float32), features.astype(np.float32)
        h, output = dense_reference(net, *(each.astype(float) for each in kept))
        np.testing.assert_allclose(vector, h, rtol=1e-10, atol=1e-10, err_msg=str(i))
        np.testing.assert_allclose(value, output[0], rtol=1e-10)


@pytest.mark.parametrize("conv", CONVS)
def test_layers_equal_pytorch_geometrics_on_a_batch(conv):
    import torch_geometric.nn as pyg
    from torch_geometric.data import Batch

    net = exact(conv, n_layers=1, norm=None, jumping_knowledge=False).fit(X, y)
    ours = net.net_.module_.layers[0]
    make = {
        "gin": lambda: pyg.GINConv(ours.nn),
        "gcn": lambda: pyg.GCNConv(3, 8),
        "sage": lambda: pyg.SAGEConv(3, 8),
        "gat": lambda: pyg.GATConv(3, 2, heads=4),
        "gatv2": lambda: pyg.GATv2Conv(3, 2, heads=4),
    }
    peer = make[conv]().double()
    peer.load_state_dict(ours.state_dict())
    data = []
    for adjacency, features in X:
        plain = sp.coo_array((adjacency != 0) & ~np.eye(len(adjacency), dtype=bool))
        edges = torch.from_numpy(np.stack(plain.coords)).long()
        data.append(Data(x=torch.from_numpy(features), edge_index=edges))
    batch = Batch.from_data_list(data)
    scaled = (batch.x.float().double().numpy() - net.x_mean_) / net.x_scale_
    with torch.no_grad():
        x = peer(torch.from_numpy(scaled), batch.edge_index)
        x = net.net_.module_.activation(x)
        expected = pyg.global_add_pool(x, batch.batch).numpy()
    np.testing.assert_allclose(net.transform(data), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("pooling", ["sum", "mean", "max"])
def test_pooling(pooling):
    net = exact(pooling=pooling, n_layers=1).fit(X, y)
    first = net.transform(X)[:, :3]
    reduce = {"sum": np.sum, "mean": np.mean, "max": np.max}[pooling]
    expected = [reduce((f - net.x_mean_) / net.x_scale_, axis=0) for _, f in X]
    np.testing.assert_allclose(first, expected, rtol=1e-5, atol=1e-6)


# What must not matter


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("conv", CONVS)
def test_order_of_nodes_of_graphs_and_batches_do_not_matter(conv, precision):
    tolerance = 1e-5 if precision == "float32" else 1e-10
    net = exact(conv).set_params(precision=precision).fit(X, y)
    expected = net.predict(X)
    random = np.random.default_rng(1)
    turned = []
    for adjacency, features in X:
        order = random.permutation(len(features))
        turned.append((adjacency[np.ix_(order, order)], features[order]))
    order = random.permutation(len(X))
    close = {"rtol": tolerance, "atol": tolerance}
    np.testing.assert_allclose(net.predict(turned), expected, **close)
    shuffled = net.predict([turned[i] for i in order])
    np.testing.assert_allclose(shuffled, expected[order], **close)
    alone = np.concatenate([net.predict([graph]) for graph in X])
    np.testing.assert_allclose(alone, expected, **close)


def test_the_order_of_nodes_does_not_matter_to_training():
    flipped = [(a[::-1, ::-1], f[::-1]) for a, f in X]
    one, other = exact().fit(X, y), exact().fit(flipped, y)
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-8)


def test_gradients_of_a_batch_are_those_of_the_dense_transpose():
    """Directed and weighted: what is gathered by columns is used by gradients alone."""
    random = np.random.default_rng(0)
    graphs = [
        (np.triu(random.random((n, n)), 1), random.normal(size=(n, 2)))
        for n in (4, 1, 6, 3)
    ]
    net = exact(n_layers=2, norm=None).fit(graphs, [1.0, 2.0, 3.0, 4.0])
    module = net.net_.module_
    container = net.reader_.read(graphs).to(torch.device("cpu"), torch.float64)
    rows = torch.tensor([2, 0, 3])
    _, adjacency, sizes = module._parts(container).take(rows.numpy())
    assert sizes.tolist() == [6, 4, 3]
    dense = torch.block_diag(
        *(torch.from_numpy(graphs[i][0].astype(np.float32)).double().T for i in rows)
    )
    np.testing.assert_array_equal(adjacency.by_rows().to_dense(), dense)
    np.testing.assert_array_equal(adjacency.by_columns().to_dense(), dense.T)


# Input as people have it


def test_every_form_of_a_graph_is_the_same():
    ours, forms = [], []
    for adjacency, features in drawn(12):
        adjacency = (adjacency != 0) & ~np.eye(len(adjacency), dtype=bool)
        graph = nx.from_numpy_array(adjacency.astype(int))
        for node, row in enumerate(features):
            graph.nodes[node]["here"] = row
        edges = torch.from_numpy(np.argwhere(adjacency).T.copy())
        store = graph_nodes((adjacency, features)).graph
        ours.append((adjacency, features))
        forms.append(
            [
                graph,
                Data(x=torch.from_numpy(features), edge_index=edges),
                (sp.csr_matrix(adjacency), features),
                store,
            ]
        )
    net = exact(node_attributes="here").fit(ours, y[:12])
    expected = net.predict(ours)
    for same in zip(*forms):
        np.testing.assert_array_equal(net.predict(list(same)), expected)
    mixed = [forms[i][i % 4] for i in range(12)]
    as_objects = np.empty(12, dtype=object)
    as_objects[:] = mixed
    for held in (mixed, as_objects, pd.Series(mixed)):
        np.testing.assert_array_equal(net.predict(held), expected)


def test_without_features_nodes_have_their_degree():
    rings = [nx.cycle_graph(n) for n in range(3, 13)]
    chains = [nx.path_graph(n) for n in range(3, 13)]
    labels = [1] * 10 + [0] * 10
    net = GraphClassifier(max_epochs=30, random_state=0).fit(rings + chains, labels)
    assert net.node_features_ == "degree" and net.n_node_features_ == 0
    assert net.predict([nx.cycle_graph(14), nx.path_graph(14)]).tolist() == [1, 0]
    sparse = [nx.to_scipy_sparse_array(graph) for graph in rings + chains]
    assert net.score(sparse, labels) == 1
    constant = GraphClassifier(node_features="constant", max_epochs=30, random_state=0)
    assert constant.fit(rings + chains, labels).score(rings + chains, labels) == 1


def test_kinds_of_nodes_are_columns_of_their_own():
    empty = sp.csr_array((3, 3))
    atoms = [["C", "C", "O"], ["N", "C", "C"], ["O", "O", "C"]]
    X = [(empty, kinds) for kinds in atoms]
    net = exact(n_layers=1).fit(X, [1.0, 2.0, 3.0])
    assert [kinds.tolist() for kinds in net.node_categories_] == [["C", "N", "O"]]
    counts = [[2, 0, 1], [2, 1, 0], [1, 0, 2]]
    np.testing.assert_array_equal(net.transform(X)[:, :3], counts)
    unseen = net.transform([(empty, ["C", "Xe", "Xe"])])
    np.testing.assert_array_equal(unseen[:, :3], [[1, 0, 0]])
    codes = {"C": 5, "N": 6, "O": 7}
    X = [(empty, np.array([codes[k] for k in kinds])) for kinds in atoms]
    np.testing.assert_array_equal(net.fit(X, [1.0, 2, 3]).transform(X)[:, :3], counts)
    numbers = exact(categorical_features=False).fit(X, [1.0, 2, 3])
    assert numbers.node_categories_ == [None] and numbers.n_node_features_ == 1
    graphs = []
    for kinds in atoms:
        graph = nx.empty_graph(3)
        for node, kind in enumerate(kinds):
            graph.nodes[node].update(symbol=kind, charge=float(node))
        graphs.append(graph)
    both = exact(node_attributes=("charge", "symbol")).fit(graphs, [1.0, 2.0, 3.0])
    assert both.node_categories_[0] is None and both.n_node_features_ == 4


def test_edge_weights_count():
    one = nx.path_graph(4)
    other = nx.path_graph(4)
    other.edges[0, 1]["weight"] = 3.0
    both = [one, other] * 4
    net = exact(node_features="constant").fit(both, [0.0, 1.0] * 4)
    assert np.ptp(net.predict([one, other])) > 1e-3
    deaf = exact(node_features="constant", edge_weight=None).fit(both, [0.0, 1.0] * 4)
    assert np.ptp(deaf.predict([one, other])) == 0


def test_graphs_without_edges_and_single_nodes_are_legal():
    X = [nx.empty_graph(1 + i % 4) for i in range(12)]
    y = [1 + i % 4 for i in range(12)]
    net = GraphRegressor(max_epochs=60, random_state=0).fit(X, y)
    assert net.score(X, y) > 0.9
    # A batch of one node has no variance to be normalised by.
    alone = GraphRegressor(max_epochs=2, random_state=0)
    with pytest.warns(UserWarning, match="constant"):
        alone.fit([nx.empty_graph(1)] * 2, [1.0, 1.0])
    alone.set_params(batch_size=1).fit([nx.empty_graph(1)] * 3, [1.0, 2.0, 3.0])
    assert np.isfinite(alone.predict(X)).all()


# As everywhere


def test_in_searches_pipelines_and_before_other_models():
    net = GraphClassifier(hidden_size=8, max_epochs=20, random_state=0)
    assert cross_val_score(net, X, classes, cv=2).shape == (2,)
    search = GridSearchCV(net, {"pooling": ["sum", "mean"]}, cv=2).fit(X, classes)
    assert search.best_score_ > 0.5
    found = make_pipeline(net, KMeans(2, random_state=0)).fit_predict(X, classes)
    assert set(found) == {0, 1}


def test_weights_and_early_stopping():
    net = exact().fit(X, y, sample_weight=np.arange(24) < 12)
    half = exact().fit(X[:12], y[:12])
    np.testing.assert_allclose(net.predict(X), half.predict(X), rtol=1e-8)
    net = GraphClassifier(
        early_stopping=True, n_iter_no_change=2, class_weight="balanced", random_state=0
    ).fit(X * 3, np.tile(classes, 3))
    assert net.n_iter_ < net.max_epochs_ and len(net.validation_scores_) == net.n_iter_
    assert set(net.predict(X)) == {"large", "small"}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (X[0], r"X must be a list of graphs, got tuple \(of one graph make a list"),
        (
            nx.path_graph(3),
            r"X must be a list of graphs, got Graph \(of one graph make",
        ),
        ([], "X has 0 graphs, at least 1 is needed"),
        ([*X[:2], "graph"], r"X\[2\]: a graph must be a networkx graph"),
        ([*X[:2], np.zeros((2, 3))], r"X\[2\]: the adjacency must be square"),
        ([*X[:2], nx.empty_graph(0)], r"X\[2\]: the graph has no nodes"),
        (
            [*X[:2], nx.path_graph(2)],
            r"X\[2\] has no features a node, but X\[0\] has 3",
        ),
        (
            [*X[:2], (np.eye(2), np.ones((2, 4)))],
            r"X\[2\] has 4 features a node, but X\[0\] has 3",
        ),
        (
            [*X[:2], (np.eye(2), np.ones((3, 3)))],
            r"X\[2\]: the features must have a row for each of the 2 nodes",
        ),
        (
            [*X[:2], (np.eye(2), [[1, 2, 3], [1, np.nan, 3]])],
            r"X\[2\] has NaN or infinity in the features of its node 1",
        ),
        (
            [*X[:2], (np.full((2, 2), np.nan), np.ones((2, 3)))],
            r"X\[2\]: edge weights must be finite numbers",
        ),
    ],
)
def test_wrong_graphs_are_named(wrong, sentence):
    with pytest.raises(ValueError, match=f"^GraphRegressor: {sentence}"):
        GraphRegressor(max_epochs=1).fit(wrong, [1.0, 2.0, 3.0][: len(wrong)])


def test_wrong_input_gets_one_sentence():
    net = exact().fit(X, y)
    with pytest.raises(ValueError, match=r"X\[0\] has 2 features a node, but those of"):
        net.predict(drawn(2, n_features=2))
    with pytest.raises(
        ValueError, match=r"X\[0\] has no features a node, but those of"
    ):
        net.predict([nx.path_graph(3)])
    with pytest.raises(ValueError, match="X has 24, y has 23"):
        exact().fit(X, y[:-1])
    with pytest.raises(ValueError, match="the graphs have no features; give some"):
        exact(node_features="given").fit([nx.path_graph(3)] * 3, [1, 2, 3])
    with pytest.raises(ValueError, match=r"X\[0\]: node 0 has no attribute 'symbol'"):
        exact(node_attributes="symbol").fit([nx.path_graph(3)] * 3, [1, 2, 3])
    with pytest.raises(ValueError, match="n_heads=4 must divide hidden_size"):
        GraphRegressor(conv="gat", hidden_size=6).fit(X, y)
    negative = [(-adjacency, features) for adjacency, features in X]
    with pytest.raises(ValueError, match="edge weights that are not negative"):
        exact("gcn").fit(negative, y)
    exact("gin").fit(negative, y)
