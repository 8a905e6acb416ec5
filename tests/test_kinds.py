"""Every estimator on every kind of X: it trains, or one sentence says what to use."""

import re
import warnings
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from PIL import Image
from torch_geometric.data import Data

import sknets
from sknets import _catalogue
from sknets._estimator import Estimator
from sknets._inputs import kinds
from sknets._inputs.kinds import KINDS, kind_of

N = 12
random = np.random.default_rng(0)
rows = random.normal(size=(N, 4))
names = [("ann", "knows", "bob"), ("bob", "likes", "cid")] * (N // 2)
stars = [(f"user {i % 4}", i // 4, 1.0 + i % 5) for i in range(N)]
words = [[*["so", "good", "bad"][i % 3 :], "film"] for i in range(N)]
texts = [" ".join(each) for each in words]
trees = [(("so", "good"), "film"), ("bad", ("old", "film"))] * (N // 2)
waves = [random.normal(size=7 + i % 3) for i in range(N)]
steps = [random.normal(size=(9 + i % 3, 2)) for i in range(N)]
clips = [random.random((5 + i % 2, 6, 6)) for i in range(N)]
rings = [nx.cycle_graph(3 + i % 3) for i in range(N)]
ring = nx.to_numpy_array(nx.cycle_graph(N))
nodes = sknets.graph_nodes((ring, rows))
links, linked = sknets.graph_links(nodes, random_state=0)
days = pd.date_range("2020-01-01", periods=60)
daily = pd.Series(10 + np.sin(np.arange(60) / 2), days)
edges = pd.DataFrame({"source": range(N), "target": [*range(1, N), 0]})
both_ways = torch.tensor([[*range(N)], [*range(1, N), 0]])
molecule = Data(
    edge_index=torch.cat([both_ways, both_ways.flip(0)], 1), x=torch.ones(N, 2)
)
dense = [nx.to_numpy_array(graph) for graph in rings]
matrix = np.where(random.random((N, 5)) < 0.5, np.nan, random.integers(1, 6, (N, 5)))

# What X is first of all, and what takes it; "" where nothing takes it as it is.
EXAMPLES = {
    "array": ("table", rows),
    "rows of lists": ("table", rows.tolist()),
    "pandas": ("table", pd.DataFrame(rows, columns=list("abcd"))),
    "polars": ("table", pl.DataFrame(rows, schema=list("abcd"))),
    "CSR": ("table", sp.csr_array(rows)),
    "tensor": ("table", torch.from_numpy(rows)),
    "categories": (
        "",
        pd.DataFrame({"a": rows[:, 0], "b": 1.0, "town": ["Rome", "Oslo"] * (N // 2)}),
    ),
    "objects": ("", np.array([["a", 1, 2, "b"]] * N, dtype=object)),
    "dicts": ("", [{"a": 1.0, "b": 2}] * N),
    "images": ("images", random.random((N, 6, 6))),
    "colour images": ("images", random.integers(0, 256, (N, 6, 6, 3), dtype=np.uint8)),
    "unequal images": ("images", [random.random((5 + i % 2, 6)) for i in range(N)]),
    "nested lists": ("images", random.random((N, 5, 6)).tolist()),
    "file names": ("", ["a.png"] * N),
    "videos": ("videos", np.stack([clip[:5] for clip in clips])),
    "unequal clips": ("videos", clips),
    "colour clips": ("videos", random.random((N, 5, 6, 6, 3))),
    "sequences": ("sequences", np.stack([each[:9] for each in steps])),
    "unequal sequences": ("sequences", steps),
    "arrays of numbers": ("sequences", waves),
    "lists of numbers": ("sequences", [wave.tolist() for wave in waves]),
    "equal arrays": ("sequences", [wave[:7] for wave in waves]),
    "texts": ("text", texts),
    "tokens": ("text", words),
    "Series of texts": ("text", pd.Series(texts)),
    "array of texts": ("text", np.array(texts)),
    "a column of texts": ("text", pd.DataFrame({"review": texts})),
    "a text missing": ("", [*texts[:-1], None]),
    "one text": ("", "so good"),
    "trees": ("trees", trees),
    "brackets": ("trees", ["(1 (2 so) (3 good))", "(0 bad)"] * (N // 2)),
    "nodes": ("nodes", nodes),
    "networkx": ("nodes", nx.path_graph(N)),
    "PyG Data": ("nodes", molecule),
    "adjacency": ("nodes", ring),
    "sparse adjacency": ("nodes", sp.csr_array(ring)),
    "adjacency and features": ("nodes", (ring, rows)),
    "edges": ("nodes", edges),
    "links": ("links", links),
    "graphs": ("graphs", rings),
    "PyG graphs": ("graphs", [molecule] * N),
    "pairs": ("graphs", [(each, np.ones((len(each), 2))) for each in dense]),
    "adjacencies": ("graphs", dense),
    "triples": ("triples", names),
    "frame of triples": (
        "triples",
        pd.DataFrame(names, columns=["head", "relation", "tail"]),
    ),
    "array of triples": ("triples", np.array(names, dtype=object)),
    "ratings": ("ratings", stars),
    "frame of ratings": (
        "ratings",
        pd.DataFrame(stars, columns=["user", "item", "rating"]),
    ),
    "matrix of ratings": ("ratings", matrix),
    "sparse ratings": ("ratings", sp.csr_array(np.nan_to_num(matrix))),
    "dates": ("series", daily),
    "numbers": ("series", daily.to_numpy()),
    "list of numbers": ("series", daily.tolist()),
    "channels": ("series", pd.DataFrame({"a": daily, "b": daily + 1})),
    "panel": ("series", {"a": daily.to_numpy(), "b": daily.to_numpy() + 1}),
    "None": ("", None),
    "nothing": ("", []),
    "a number": ("", 5),
    "a set": ("", {1, 2}),
    "a word for each": ("", {"a": "b"}),
    "six axes": ("", np.ones((2,) * 6)),
}
SMALLEST = {
    "max_epochs": 1,
    "hidden_layer_sizes": (4,),
    "channels": (4,),
    "hidden_size": 4,
    "n_components": 2,
    "embedding_size": 4,
    "feedforward_size": 4,
    "n_heads": 1,
    "n_layers": 1,
    "width": 8,
    "pretraining_epochs": 1,
    "fine_tuning_epochs": 1,
    "pretrained": None,
    "n_sampling_steps": 1,
    "random_state": 0,
    "sample_rate": 200,
    # Of a forecaster: what takes long to choose.
    "horizon": 2,
    "strategy": "direct",
    "transformation": None,
    "difference": "first",
    "season": 2,
    "window": 4,
    "intervals": False,
}
# What libraries say, and no sentence of ours.
RAW = re.compile(
    "could not convert|unhashable|dimension|inhomogeneous|no attribute|ndarray|"
    "not supported between|unsupported|subscriptable|index out of"
)


def smallest(cls):
    given = cls().get_params(deep=False)
    small = {name: SMALLEST[name] for name in SMALLEST.keys() & given.keys()}
    if cls is sknets.FCNSegmenter:
        small["channels"] = (4,) * 5  # a network of five stages
    return cls(**small)


def target(cls, kind, X):
    if cls is sknets.LinkPredictor:
        return linked if kind == "links" else None
    if cls._task == "segmentation" and kind == "images":
        return [np.indices(np.shape(x)[:2]).sum(0) % 2 for x in X]
    if cls._task == "pose estimation" and kind == "images":
        return np.tile([[0.0, 0.0], [3.0, 2.0]], (len(X), 1, 1))
    rated = cls is sknets.RBMRecommender
    if cls._task == "object localization" and kind == "images":
        return np.tile([0.0, 0.0, 3.0, 4.0], (len(X), 1))
    if cls._task == "object detection" and kind == "images":
        return [{"boxes": [[0, 0, 3, 4]], "labels": [i % 2]} for i in range(len(X))]
    if cls._task in ("translation", "captioning"):
        return texts
    if cls._task == "image translation" and kind == "images":
        return X
    if cls._task == "speech synthesis":
        return waves
    if cls._task == "speech recognition":
        return ["a", "b"] * (N // 2)
    tasks = "classification", "regression", "pose lifting", "over-sampling"
    needed = cls._task in tasks and not rated
    return np.arange(N) % 2 if needed else None


def one_sentence(name, example, error):
    says = f"{name} on {example}: {type(error).__name__}: {error}"
    assert isinstance(error, ValueError | TypeError), says
    if not str(error).startswith("Input X contains NaN.\n"):  # scikit-learn's own
        assert re.match(rf"(X has \d+ features, but )?{name}", str(error)), says
        assert "\n" not in str(error) and not RAW.search(str(error)), says
    return says


@pytest.mark.parametrize("name", _catalogue.ESTIMATORS)
def test_every_kind_trains_or_is_refused_in_one_sentence(name):
    cls = getattr(sknets, name)
    takes = {reader.name for reader in cls._inputs}
    for example, (kind, X) in EXAMPLES.items():
        estimator = smallest(cls)
        y = target(cls, kind, X)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                estimator.fit(X, y)
        except Exception as error:
            assert kind not in takes, f"{name} on {example}: {error}"
            says = one_sentence(name, example, error)
            assert not estimator.__sklearn_is_fitted__(), says
            refused = re.search(r" not .+: use (.+?)(?:[;.]|$)", str(error))
            if refused:
                for other in re.split(", | or ", refused[1]):
                    reader = kinds.choose_reader(
                        other, "", getattr(sknets, other)._inputs, X
                    )
                    assert reader.name in _catalogue.ESTIMATORS[other][1]
            elif str(error).startswith(f"{name} takes "):
                assert kind_of(X) is None and ", got " in str(error), says


@pytest.mark.parametrize("name", _catalogue.ESTIMATORS)
def test_a_fitted_estimator_answers_or_refuses_in_one_sentence(name):
    cls = getattr(sknets, name)
    verbs = ("predict", "transform", "score_samples", "discriminator_score")
    verb = next(verb for verb in verbs if hasattr(cls, verb))
    takes = cls._inputs[-1].name
    X = next(X for kind, X in EXAMPLES.values() if kind == takes)
    estimator = smallest(cls).fit(X, target(cls, takes, X))
    for example, (_, X) in EXAMPLES.items():
        given = {"X": X}
        if cls is sknets.RNNForecaster:  # without y it goes on from that of fit
            given = {} if X is None else {"y": X}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                getattr(estimator, verb)(**given)
        except Exception as error:
            one_sentence(name, example, error)


def test_the_sentence():
    def says(name, X, y=None, verb="fit"):
        with pytest.raises(ValueError) as caught:
            given = (X,) if y is None else (X, y)
            getattr(smallest(getattr(sknets, name)), verb)(*given)
        return str(caught.value)

    y = np.arange(N) % 2
    assert says("RNNClassifier", nodes, y) == (
        "RNNClassifier takes sequences or text, not nodes of a graph: use GNNClassifier"
    )
    assert says("RNNRegressor", nodes, y, "partial_fit").endswith("use GNNRegressor")
    assert says("RBMRecommender", rings) == (
        "RBMRecommender takes ratings, not graphs: use GraphRegressor"
    )
    assert says("ConvolutionalAutoencoderTransformer", names) == (
        "ConvolutionalAutoencoderTransformer takes images, not triples: use "
        "KnowledgeGraphEmbedder"
    )
    assert says("VAETransformer", texts) == (
        "VAETransformer takes a table, not text: use BERTVectorizer, "
        "Word2VecVectorizer or FastTextVectorizer"
    )
    assert says("GNNClassifier", sp.csr_array(rows), y) == (
        "GNNClassifier takes nodes of a graph, not a sparse table of shape (12, 4): "
        "use FeedforwardClassifier, PretrainedClassifier or DBNClassifier"
    )
    assert says("FeedforwardRegressor", rows[:, 0], y) == (
        "FeedforwardRegressor takes a table, not a series of shape (12,): use "
        "RNNForecaster. Reshape your data if it is none: np.reshape(X, (-1, 1)) is one "
        "column, np.reshape(X, (1, -1)) one row"
    )
    assert says("CNNRegressor", [], y) == "CNNRegressor takes images, got an empty list"
    assert says("FeedforwardRegressor", None, y).endswith("takes a table, got None")


def test_pictures_of_pil_are_images():
    arrays, y = random.integers(0, 256, (N, 6, 6), dtype=np.uint8), np.arange(N) % 2
    pictures = [Image.fromarray(array) for array in arrays]
    net = sknets.CNNClassifier(max_epochs=1, random_state=0)
    expected = net.fit(list(arrays), y).predict_proba(list(arrays))
    np.testing.assert_array_equal(
        net.fit(pictures, y).predict_proba(pictures), expected
    )
    colours = [picture.convert("P") for picture in pictures]  # numbers of a palette
    assert net.fit(colours, y).n_channels_ == 3


def test_names_of_files_are_told_from_texts():
    for name in ("sound.wav", Path("sound.wav")):
        with pytest.raises(
            ValueError, match=r"; read files first, with scipy\.io\.wavf"
        ):
            sknets.SpeechRecognizer().fit([name] * 3, ["a"] * 3)


def test_a_swapped_X_and_y_are_named():
    for values in (np.arange(N) % 2, ["yes", "no"] * (N // 2), [1.5] * N):
        for name in ("fit", "partial_fit"):
            with pytest.raises(ValueError) as caught:
                getattr(sknets.FeedforwardClassifier(), name)(values, rows)
            assert str(caught.value) == (
                "FeedforwardClassifier: X and y seem to be swapped, as X has one value "
                "a row and y has columns"
            )
    # Several targets of texts are none of these.
    smallest(sknets.RNNRegressor).fit(texts, rows)


def test_the_kind_of_the_fit_stays():
    net = smallest(sknets.RNNClassifier).fit(texts, np.arange(N) % 2)
    with pytest.raises(ValueError) as caught:
        net.predict(steps)
    assert str(caught.value) == (
        "RNNClassifier was fitted on text, not sequences: use TransformerClassifier"
    )
    expected = net.predict(texts)
    with pytest.raises(ValueError, match="not nodes of a graph"):
        net.partial_fit(nodes, np.arange(N) % 2)
    np.testing.assert_array_equal(net.predict(texts), expected)


def test_a_column_of_texts_is_read_as_texts():
    for name in ("RNNClassifier", "TransformerClassifier"):
        net = smallest(getattr(sknets, name)).fit(texts, np.arange(N) % 2)
        expected = net.predict_proba(texts)
        frame = pd.DataFrame({"review": texts})
        for column in (frame, pl.DataFrame({"a": texts}), frame.to_numpy()):
            again = smallest(type(net)).fit(column, np.arange(N) % 2)
            assert again.input_kind_ == "text"
            np.testing.assert_array_equal(again.predict_proba(column), expected)


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_X_is(example):
    kind, X = EXAMPLES[example]
    if kind:
        assert KINDS[kind].recognises(X) is not False
        assert kind_of(X) is not None or example == "panel"


def test_the_catalogue_says_what_the_classes_say():
    public = {
        name: cls
        for name in sknets.__all__
        if isinstance(cls := getattr(sknets, name), type) and issubclass(cls, Estimator)
    }
    assert list(_catalogue.ESTIMATORS) == list(public)
    for name, cls in public.items():
        takes = tuple(reader.name for reader in cls._inputs)
        assert _catalogue.ESTIMATORS[name] == (cls._task, takes), name
    readers = {kind.name: kind.Reader for kind in KINDS.values()}
    assert all(reader.name == name for name, reader in readers.items())


def test_a_large_table_is_not_looked_through():
    """Recognising reads the first rows alone, whatever the size."""

    class Watched(np.ndarray):
        def __getitem__(self, key):
            assert key == slice(20), key
            return np.asarray(self)[key]

    X = np.array([["a", "b"]] * 1000, dtype=object).view(Watched)
    assert kind_of(X).name == "table"
