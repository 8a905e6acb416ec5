"""What is true of recurrent networks alone."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from torch import nn

from sknets import RNNClassifier, RNNRegressor
from sknets._engine.data import Batches, Samples
from sknets._inputs.sequences import Sequences

torch.set_num_threads(1)


def ragged(n, seed=0, channels=2, longest=20):
    """Sequences of 1 to ``longest`` steps, and whether the first number is positive."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, longest + 1, n)
    X = [random.normal(size=(length, channels)) for length in lengths]
    return X, np.array(["below", "above"])[[int(x[0, 0] > 0) for x in X]]


X, y = ragged(90)


def quick(**params):
    return RNNClassifier(
        **{"max_epochs": 3, "hidden_size": 8, "random_state": 0, **params}
    )


# -- the cells -----------------------------------------------------------------------


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def steps_by_hand(cell, weights, x):
    """The states of one layer that reads x (T, C), step by step as in the papers."""
    w, u = weights["weight_ih_l0"], weights["weight_hh_l0"]
    b, c = weights["bias_ih_l0"], weights["bias_hh_l0"]
    h = memory = np.zeros(u.shape[1])
    states = []
    for x_t in x:
        if cell == "rnn":
            h = np.tanh(w @ x_t + b + u @ h + c)
        elif cell == "lstm":
            i, f, g, o = np.split(w @ x_t + b + u @ h + c, 4)
            memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(memory)
        else:
            (r, z, n), (r_h, z_h, n_h) = (
                np.split(w @ x_t + b, 3),
                np.split(u @ h + c, 3),
            )
            n = np.tanh(n + sigmoid(r + r_h) * n_h)
            h = (1 - sigmoid(z + z_h)) * n + sigmoid(z + z_h) * h
        states.append(h)
    return np.array(states)


def numbers(module):
    return {name: value.numpy() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_cells_are_those_of_the_papers(cell, pooling):
    rnn = quick(
        cell=cell,
        pooling=pooling,
        n_layers=2,
        bidirectional=True,
        precision="float64",
        max_epochs=1,
    ).fit(X, y)
    net = rnn.net_.module_
    steps = np.concatenate(X)
    for x, found in zip(X[:9], rnn.transform(X[:9])):
        x = (x - steps.mean(0)) / steps.std(0)
        for onward, back in zip(net.stack.forwards, net.stack.backwards):
            there = steps_by_hand(cell, numbers(onward), x)
            again = steps_by_hand(cell, numbers(back), x[::-1])[::-1]
            x = np.hstack([there, again])
        last = np.r_[there[-1], again[0]]
        expected = {"last": last, "mean": x.mean(0), "max": x.max(0)}[pooling]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_elmans_cell_is_the_textbooks_own():
    """s_t = tanh(U x_t + W s_(t-1) + b), o = softmax(V s + c), with b in two parts."""
    target = np.arange(90) % 3
    rnn = quick(cell="rnn", precision="float64").fit(X, target)
    U, W, b, b_, V, c = (p.detach().numpy() for p in rnn.net_.module_.parameters())
    assert (U.shape, W.shape, V.shape) == ((8, 2), (8, 8), (3, 8))
    state = np.zeros(8)
    for x in (X[0] - rnn.x_mean_) / rnn.x_scale_:
        state = np.tanh(U @ x + W @ state + b + b_)
    o = np.exp(V @ state + c) / np.exp(V @ state + c).sum()
    np.testing.assert_allclose(rnn.predict_proba(X[:1])[0], o, rtol=1e-10)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_equal_weights_give_torchs_bits(cell, bidirectional):
    data = np.random.default_rng(0).normal(size=(40, 12, 3)).astype(np.float32)
    rnn = quick(cell=cell, bidirectional=bidirectional, n_layers=2)
    net = rnn.fit(data, np.arange(40) % 2).net_.module_
    torchs = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](
        3, 8, 2, batch_first=True, bidirectional=bidirectional
    )
    weights = {}
    for i, layer in enumerate(net.stack.forwards):
        for name, value in layer.state_dict().items():
            weights[name.replace("l0", f"l{i}")] = value
    for i, layer in enumerate(net.stack.backwards or ()):
        for name, value in layer.state_dict().items():
            weights[name.replace("l0", f"l{i}_reverse")] = value
    torchs.load_state_dict(weights, strict=True)
    with torch.inference_mode():
        final = torchs(net.prepare(torch.from_numpy(data)))[1]
        final = final[0] if cell == "lstm" else final
    top = final[-2:] if bidirectional else final[-1:]
    expected = torch.cat(list(top), 1).numpy()
    np.testing.assert_array_equal(rnn.transform(data), expected)


def test_channels_are_scaled_by_their_weighted_statistics_over_real_steps():
    weight = np.random.default_rng(0).integers(0, 3, 90)
    scaled = [x * [1, 100] + [0, 7] for x in X]
    rnn = quick(max_epochs=1).fit(scaled, y, sample_weight=weight)
    steps = np.concatenate([x for x, w in zip(scaled, weight) for _ in range(w)])
    np.testing.assert_allclose(rnn.x_mean_, steps.mean(0), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(rnn.x_scale_, steps.std(0), rtol=1e-6)


# -- padding and batches -------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_padding_and_company_change_no_prediction(
    cell, bidirectional, pooling, precision
):
    rnn = quick(
        cell=cell,
        bidirectional=bidirectional,
        pooling=pooling,
        precision=precision,
        n_layers=2,
        max_epochs=1,
        batch_size=90,
    ).fit(X, y)
    few = X[:20]
    expected = np.ravel([rnn.decision_function([x]) for x in few])
    tolerance = 1e-10 if precision == "float64" else 1e-5
    far = 1e6 * np.ones((150, 2))  # company that is longer, and of other numbers
    for batch_size in (1, 7, 128):
        recipe = replace(rnn.net_._recipe, predict_batch_size=batch_size)
        rnn.net_._recipe = recipe
        found = rnn.decision_function([far, *few])[1:]
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("stride", [2, 5])
def test_padding_and_company_change_no_prediction_of_long_sequences(stride):
    rnn = quick(stride=stride, precision="float64").fit(X, y)
    constant = [x * 0 + 3 for x in X[:3]]
    few = [*X[:20], *constant]
    expected = np.ravel([rnn.decision_function([x]) for x in few])
    far = 1e6 * np.ones((151, 2))
    for batch_size in (1, 7, 128):
        recipe = replace(rnn.net_._recipe, predict_batch_size=batch_size)
        rnn.net_._recipe = recipe
        found = rnn.decision_function([far, *few])[1:]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_the_gradient_of_a_padded_batch_is_that_of_its_sequences():
    rnn = quick(bidirectional=True, n_layers=2, precision="float64").fit(X, y)
    net = rnn.net_.module_
    samples = rnn._read(X[:12], y[:12], None, reset=False)

    def gradient(index):
        x, target = samples[index]
        net.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(
            net(x), target, reduction="sum"
        )
        loss.backward()
        return [p.grad.clone() for p in net.parameters()]

    assert samples[slice(0, 12)].x.lengths is not None
    whole = gradient(slice(0, 12))
    one_by_one = [gradient(slice(i, i + 1)) for i in range(12)]
    for found, parts in zip(whole, zip(*one_by_one)):
        torch.testing.assert_close(found, sum(parts), rtol=1e-9, atol=1e-12)


def test_epochs_take_every_row_once_in_batches_of_like_lengths():
    data, _ = ragged(1000, longest=100)
    steps = Sequences.of(quick()).learn(data)
    samples = Samples(steps, torch.arange(1000))
    batches = Batches(samples, 32, torch.Generator().manual_seed(0))
    again = Batches(samples, 32, torch.Generator().manual_seed(0))
    orders = []
    for _ in range(2):
        found = list(batches)
        rows = torch.cat([target for _, target in found])
        assert [len(x) for x, _ in found] == batches.sizes
        assert sorted(rows.tolist()) == list(range(1000))
        assert torch.equal(rows, torch.cat([target for _, target in again]))
        computed = 0
        for x, target in found:
            values = x.padded()
            for row, i in zip(values, target):
                np.testing.assert_array_equal(
                    row[: len(data[i])], data[i].astype(np.float32)
                )
            computed += values.shape[0] * values.shape[1]
        assert computed < 1.1 * sum(map(len, data))
        orders.append(rows)
    assert not torch.equal(*orders)
    lengths = [int(steps.lengths[target].max()) for _, target in found]
    assert lengths != sorted(lengths), "short ones always first"


def test_an_epoch_does_not_depend_on_the_batches_of_the_one_before():
    """As in a fit that resumes: its batches are new, the one before's are not."""
    data, _ = ragged(200, longest=20)
    samples = Samples(Sequences.of(quick()).learn(data), torch.arange(200))
    generator = torch.Generator().manual_seed(0)
    batches, first = Batches(samples, 3, generator), None
    while first != 2:  # the batch that is left over comes first
        first = len(next(iter(list(batches))).x)
    fresh = Batches(samples, 3, torch.Generator())
    fresh.generator.set_state(generator.get_state())
    for (_, found), (_, expected) in zip(batches, fresh, strict=True):
        assert torch.equal(found, expected)


def test_a_view_and_a_batch_know_their_lengths():
    steps = Sequences.of(quick()).learn(X)
    view = Samples(steps).view(torch.tensor([5, 3, 8])).view(torch.tensor([2, 0]))
    assert view.lengths.tolist() == [len(X[8]), len(X[5])]
    batch = steps.batch(slice(0, 9))
    assert batch.mask.sum(1).tolist() == batch.lengths.tolist()
    assert batch.lengths.tolist() == [len(x) for x in X[:9]]


def test_a_memory_map_is_shared_not_copied(tmp_path):
    data = np.random.default_rng(0).normal(size=(30, 6, 2))
    np.save(tmp_path / "x.npy", data)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    steps = Sequences.of(quick()).learn(mapped)
    assert steps.values.data_ptr() == mapped.ctypes.data
    expected = quick().fit(data, np.arange(30) % 2).predict_proba(data)
    found = quick().fit(mapped, np.arange(30) % 2).predict_proba(mapped)
    np.testing.assert_array_equal(found, expected)


# -- what X may be -------------------------------------------------------------------


def test_the_forms_of_one_X_give_one_network():
    data = np.random.default_rng(0).normal(size=(40, 9)).astype(np.float32)
    target = np.arange(40) % 2
    expected = quick().fit(data, target).predict_proba(data)
    filled = np.empty(40, dtype=object)
    filled[:] = list(data)
    for same in (
        data[:, :, None],
        list(data),
        [row[:, None] for row in data],
        filled,
        pd.Series(list(data)),
        pd.DataFrame(data, columns=[f"hour {i}" for i in range(9)]),
        data.tolist(),
        torch.from_numpy(data),
        np.asfortranarray(data[:, :, None]),
    ):
        rnn = quick(precision="float32").fit(same, target)
        assert (rnn.n_channels_, rnn.sequence_length_) == (1, 9)
        np.testing.assert_allclose(rnn.predict_proba(same), expected, atol=1e-6)


def test_plain_rows_are_a_table_and_the_rest_is_not():
    rows = np.random.default_rng(0).normal(size=(40, 9))
    table = quick().fit(rows, np.arange(40) % 2)
    assert table.n_features_in_ == 9 and table.transform(rows).dtype == np.float64
    with pytest.raises(ValueError, match="X has 8 features, but RNNClassifier is"):
        table.predict(rows[:, 1:])
    series = quick().fit(rows[:, :, None], np.arange(40) % 2)
    assert not hasattr(series, "n_features_in_")
    assert series.predict(rows[:, 1:, None]).shape == (40,)
    whole = quick().fit((rows * 100).astype(np.int64)[:, :, None], np.arange(40) % 2)
    assert whole.transform(rows[:, :, None]).dtype == np.float32


def test_folds_may_happen_to_be_of_one_length():
    data = [row for row in np.random.default_rng(0).normal(size=(20, 5))]
    rnn = quick().fit(data, np.arange(20) % 2)
    assert rnn.predict([data[0][:3], data[1]]).shape == (2,)
    assert rnn.predict([data[0][:3], data[1][:3]]).shape == (2,)


def test_ragged_lists_go_through_model_selection():
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    rnn = quick(cell="gru", max_epochs=10, lr=0.02).fit(X_train, y_train)
    assert rnn.sequence_length_ is None and rnn.n_channels_ == 2
    assert rnn.score(X_test, y_test) > 0.5
    short = quick(max_epochs=1)
    assert len(cross_val_score(short, X, y, cv=3, error_score="raise")) == 3
    assert cross_val_predict(short, X, y, cv=3).shape == (90,)
    pipeline = make_pipeline(short, LogisticRegression())
    search = GridSearchCV(
        pipeline,
        {"rnnclassifier__hidden_size": [4, 8]},
        cv=3,
        error_score="raise",
    ).fit(X, y)
    assert search.predict(X_test).shape == (len(X_test),)
    early = quick(early_stopping=True).fit(X, y)
    assert len(early.validation_scores_) == early.n_iter_


def test_dropout_draws_from_the_nets_own_stream():
    plain = quick(n_layers=2).fit(X, y).predict_proba(X)
    torch.manual_seed(1)
    found = quick(n_layers=2, dropout=0.3).fit(X, y).predict_proba(X)
    torch.manual_seed(2)
    again = quick(n_layers=2, dropout=0.3).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(found, again)
    assert abs(found - plain).max() > 1e-4


# -- long sequences ------------------------------------------------------------------


def test_long_sequences_are_read_in_strides():
    random = np.random.default_rng(0)
    for n_steps, stride in [(1, 1), (32, 1), (33, 2), (128, 2), (129, 3), (640, 10)]:
        X, y = random.normal(size=(6, n_steps)), np.arange(6) % 2
        rnn = quick(max_epochs=1).fit(X, y)
        assert rnn.stride_ == stride
        stem, states = rnn.net_.module_.stem, rnn.transform(X)
        assert states.shape == (6, 8 if stride == 1 else 16)  # both directions
        assert (stem is None) == (stride == 1)
        assert quick(stride=1, max_epochs=1).fit(X, y).transform(X).shape == (6, 8)
        by_step = quick(per_step=True, max_epochs=1).fit(X, X > 0)
        assert by_step.predict(X).shape == X.shape and by_step.stride_ == 1
    with pytest.raises(ValueError, match=r"stride=2\): with per_step each step has"):
        quick(per_step=True, stride=2).fit(X, X > 0)


def test_strides_are_two_convolutions_of_a_sequence_in_two_scales():
    rnn = quick(stride=4, max_epochs=1, precision="float64").fit(X, y)
    stem = rnn.net_.module_.stem
    batch = rnn._read(X[:9], y[:9], None, reset=False).x.batch(slice(None))
    found = stem(batch)
    assert found.lengths.tolist() == [-(-len(x) // 4) for x in X[:9]]
    state = stem.state_dict()
    for x, steps in zip(X, found.values.split(found.lengths.tolist())):
        z = (x - rnn.x_mean_) / rnn.x_scale_
        own = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-6)
        z = torch.from_numpy(np.hstack([z, own]).T)
        for i, (name, stride, side) in enumerate((("first", 4, 4), ("second", 1, 2))):
            z = F.conv1d(z[None], state[f"{name}.weight"], None, stride, side)[0]
            weight, bias, mean, variance = (
                state[f"norms.{i}.{part}"][:, None]
                for part in ("weight", "bias", "running_mean", "running_var")
            )
            z = ((z - mean) / torch.sqrt(variance + 1e-5) * weight + bias).relu()
        np.testing.assert_allclose(steps.detach(), z.T, atol=1e-12)


@pytest.mark.parametrize("kind", [np.float32, list])
def test_a_pattern_anywhere_in_a_long_sequence(kind):
    random = np.random.default_rng(0)
    X, y = random.normal(0, 0.3, (160, 250)), np.arange(160) % 2
    wave = 2 * np.sin(np.linspace(0, 2 * np.pi, 16))
    for x, label, start in zip(X, y, random.integers(0, 234, 160)):
        x[start : start + 16] += wave if label else -wave
    if kind is list:  # noise in front, of unequal lengths
        X = [np.append(random.normal(0, 0.3, i % 50), x) for i, x in enumerate(X)]
    else:
        X = X.astype(kind)
    settings = {"max_epochs": 5, "lr": 0.01, "random_state": 0}
    rnn = RNNClassifier(**settings).fit(X[:80], y[:80])
    assert rnn.score(X[80:], y[80:]) > 0.95
    if kind is not list:
        steps = RNNClassifier(stride=1, **settings | {"max_epochs": 1})
        steps.fit(X[:80], y[:80])
        assert steps.score(X[80:], y[80:]) < 0.7


# -- learning ------------------------------------------------------------------------


def temporal_order(n, lag, seed):
    """Two letters among noise, far apart: which came first, which second [1997]."""
    random = np.random.default_rng(seed)
    X, y = [], []
    for _ in range(n):
        letters = random.integers(2, 6, lag + random.integers(0, 5))
        first, second = random.integers(0, 2, 2)
        letters[random.integers(lag // 10, lag // 5)] = first
        letters[random.integers(lag // 2, 6 * lag // 10)] = second
        X.append(np.eye(6, dtype=np.float32)[letters])
        y.append(2 * first + second)
    return X, y


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gates_learn_temporal_order(cell):
    settings = {"max_epochs": 10, "lr": 0.01, "random_state": 0}
    rnn = RNNClassifier(cell=cell, hidden_size=32, **settings)
    rnn.fit(*temporal_order(500, 12, 0))
    assert rnn.score(*temporal_order(200, 12, 1)) > 0.95


def test_rows_of_digits_are_sequences():
    digits = load_digits()
    train, test = slice(0, 1200), slice(1200, None)
    rnn = RNNClassifier(bidirectional=True, max_epochs=4, random_state=0)
    rnn.fit(digits.images[train], digits.target[train])
    assert rnn.score(digits.images[test], digits.target[test]) > 0.9


def test_two_numbers_from_sequences():
    target = np.array([[x[-1, 0], x[-1, 1]] for x in X])
    rnn = RNNRegressor(max_epochs=15, random_state=0).fit(X, target)
    assert rnn.predict(X[:5]).shape == (5, 2) and rnn.score(X, target) > 0.8


# -- a label for each step -----------------------------------------------------------


def running_sums(n, seed=0):
    """Whether the sum of all numbers so far is positive."""
    X = [x[:, :1] for x in ragged(n, seed)[0]]
    return X, [np.where(x[:, 0].cumsum() > 0, "above", "below") for x in X]


def test_each_step_has_a_label():
    X, y = running_sums(300)
    rnn = RNNClassifier(per_step=True, max_epochs=10, random_state=0).fit(X, y)
    X_test, y_test = running_sums(60, seed=1)
    found = rnn.predict(X_test)
    assert found.dtype == object and [len(f) for f in found] == list(map(len, X_test))
    right = np.concatenate(found) == np.concatenate(y_test)
    assert rnn.score(X_test, y_test) == right.mean() > 0.9
    p = rnn.predict_proba(X_test)
    assert all(each.shape == (len(x), 2) for each, x in zip(p, X_test))
    np.testing.assert_allclose(np.concatenate(p).sum(1), 1, rtol=1e-6)
    one = rnn.decision_function(X_test[7:8])[0]
    np.testing.assert_allclose(one, rnn.decision_function(X_test)[7], atol=1e-5)
    assert rnn.transform(X_test).shape == (60, 64)


def test_labels_of_steps_in_arrays_stay_arrays():
    data = np.random.default_rng(0).normal(size=(60, 7, 2))
    target = (data[:, :, 0] > 0).astype(int)
    rnn = quick(per_step=True, max_epochs=8, lr=0.05).fit(data, target)
    assert rnn.predict(data).shape == (60, 7) and rnn.score(data, target) > 0.9
    assert rnn.predict_proba(data).shape == (60, 7, 2)
    listed = quick(per_step=True, max_epochs=8, lr=0.05).fit(list(data), list(target))
    for one, other in zip(listed.predict(list(data)), rnn.predict(data)):
        np.testing.assert_array_equal(one, other)
    numbers = RNNRegressor(per_step=True, max_epochs=6, lr=0.01, random_state=0)
    assert numbers.fit(data, data[:, :, 1]).predict(data).shape == (60, 7)
    assert numbers.fit(data, data).predict(data).shape == (60, 7, 2)
    assert numbers.score(data, data) > 0.5


def test_labels_of_steps_go_through_model_selection():
    X, y = running_sums(60)
    rnn = quick(per_step=True, class_weight="balanced")
    assert len(cross_val_score(rnn, X, y, cv=3, error_score="raise")) == 3
    assert cross_val_predict(rnn, X, y, cv=3).shape == (60,)
    grid = {"hidden_size": [4, 8]}
    assert GridSearchCV(rnn, grid, cv=3, error_score="raise").fit(X, y).best_score_ > 0
    early = quick(per_step=True, early_stopping=True).fit(X, y)
    assert len(early.validation_scores_) == early.n_iter_
    first = quick(per_step=True).partial_fit(X, y, classes=["above", "below"])
    assert first.n_iter_ == 1


def test_weights_of_sequences_count_for_their_steps():
    X, y = running_sums(40)
    weight = np.arange(40) % 3
    kept = np.flatnonzero(weight)
    rnn = quick(per_step=True, batch_size=40, shuffle=False)
    one = rnn.fit(X, y, sample_weight=weight).predict_proba(X)
    other = rnn.fit([X[i] for i in kept], [y[i] for i in kept], weight[kept])
    for found, expected in zip(other.predict_proba(X), one):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    samples = rnn._read(X, y, weight, reset=True)
    found = samples[torch.tensor([4, 2])].weight.join()
    rows = kept[[4, 2]]
    steps = np.repeat(weight[rows], [len(X[i]) for i in rows]) / weight[kept].mean()
    np.testing.assert_allclose(found, steps, rtol=1e-6)


@pytest.mark.parametrize(
    ("target", "match"),
    [
        (lambda y: y[:-1], "Found input variables with inconsistent numbers"),
        (
            lambda y: [y[0][:-1], *y[1:]],
            r"y\[0\] has \d+ values, one for each step, but",
        ),
        (lambda y: [each[0] for each in y], r"y\[0\] must hold a value for each step"),
        (lambda y: None, "requires y to be passed"),
    ],
)
def test_labels_that_do_not_fit_the_steps(target, match):
    X, y = running_sums(30)
    refused(match, quick(per_step=True).fit, X, target(y))


# -- wrong input ---------------------------------------------------------------------


def refused(match, call, *args):
    with pytest.raises(ValueError, match=match) as caught:
        call(*args)
    assert str(caught.value).startswith("RNNClassifier")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("item", "match"),
    [
        (np.ones((4, 3)), r"X\[5\] has 3 channels, but X\[0\] had 2 channels"),
        (np.ones(4), r"X\[5\] has 1 channel, but X\[0\] had 2 channels"),
        (np.ones((0, 2)), r"X\[5\] is an empty sequence, of shape \(0, 2\)"),
        ([], r"X\[5\] is an empty sequence"),
        (np.full((3, 2), np.nan), r"X\[5\] contains NaN or infinity"),
        (np.ones((3, 2, 2)), r"X\[5\] must be one sequence, of shape .steps, ch"),
        (3.0, r"X\[5\] must be one sequence"),
        ("a song", r"X\[5\] must be an array of numbers, got 'a song'"),
        ([[1, 2], [3]], r"X\[5\] must be an array of numbers, got \[\[1, 2\], \[3\]\]"),
    ],
)
def test_a_list_names_its_first_bad_sequence(item, match):
    refused(match, quick().fit, [*X[:5], item, *X[6:]], y)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (np.zeros((90, 0, 2)), r"empty sequences, of shape \(0, 2\)"),
        (np.zeros((90, 3, 2, 2)), r"takes sequences or text, not images of shape \(90"),
        (np.full((90, 3, 2), np.inf), r"X\[0\] contains NaN or infinity"),
        (np.ones((90, 3, 2), dtype=complex), "Complex data not supported"),
        (np.full((90, 3), "a"), "X holds text such as 'a' where numbers belong"),
        (np.full((90, 3, 2), "a"), "X holds text where numbers belong"),
    ],
)
def test_one_sentence_before_any_work(data, match):
    refused(match, quick().fit, data, y)


def test_sequences_that_change_at_predict():
    rnn = quick().fit(X, y)
    refused(r"X\[0\] has 3 channels, but fit had 2", rnn.predict, [np.ones((4, 3))])
    refused("X has 3 channels, but fit had 2", rnn.predict, np.ones((5, 4, 3)))
    refused("was fitted on sequences, not text", rnn.predict, ["a", "b"])
    refused(r"of one sequence make a list, \[X\]", rnn.predict, X[0])
    assert rnn.predict([X[0]]) == rnn.predict(X)[:1]
