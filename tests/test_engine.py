"""The lean engine against stock skorch, plain torch and numpy."""

import pickle
import threading
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNet
from skorch.callbacks import (
    Callback,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LRScheduler,
)
from torch import nn

from sknets import (
    FeedforwardClassifier,
    FeedforwardRegressor,
    TransformerClassifier,
    _reading,
)
from sknets._engine.data import Batches, Samples
from sknets._engine.device import (
    GeneratorMode,
    Streams,
    as_tensor,
    compute_dtype,
    resolve_device,
)
from sknets._engine.net import DivergenceError, Net
from sknets._engine.optim import FusedStep, Recipe, make_optimizer
from sknets._inputs.table import Rows
from sknets._layers import Dropout, kept
from sknets._losses import CrossEntropy
from sknets._params import param

torch.set_num_threads(1)
CPU = torch.device("cpu")
X, y = make_classification(
    100, 6, n_informative=4, n_classes=3, random_state=0, shuffle=True
)
X = X.astype(np.float32)


def module(seed=0):
    with GeneratorMode(torch.Generator().manual_seed(seed)):
        return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def samples():
    return Samples(Rows(torch.from_numpy(X)), torch.from_numpy(y))


def trained(callbacks=None, epochs=3, seed=0, **options):
    recipe = Recipe(max_epochs=epochs, batch_size=32, lr=0.01, **options)
    net = Net(
        module(), CrossEntropy(), recipe, Streams(seed, CPU), CPU, callbacks=callbacks
    )
    net.train(samples())
    return net


def weights(net):
    return [p.detach().numpy().copy() for p in net.module_.parameters()]


def assert_same_bits(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_same_bits_as_stock_skorch():
    stock = NeuralNet(
        module(),
        nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam,
        optimizer__fused=True,
        lr=0.01,
        max_epochs=3,
        batch_size=32,
        train_split=None,
        verbose=0,
    ).fit(X, y)
    lean = trained(shuffle=False)
    assert_same_bits(weights(lean), weights(stock))
    assert lean.history[:, "train_loss"] == stock.history[:, "train_loss"]
    assert lean.history[:, "train_loss_best"] == stock.history[:, "train_loss_best"]
    assert lean.history[:, "train_batch_count"] == [4, 4, 4]


def test_same_bits_as_a_plain_loop():
    net, streams = module(), Streams(5, CPU)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01, fused=True)
    X_, y_ = torch.from_numpy(X), torch.from_numpy(y)
    for _ in range(3):
        for index in torch.randperm(100, generator=streams.loop).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(X_[index]), y_[index]).backward()
            optimizer.step()
    assert_same_bits(
        weights(trained(seed=5)), [p.detach().numpy() for p in net.parameters()]
    )


class EveryBatch(Callback):
    def on_train_begin(self, net, **kwargs):
        self.batches = 0

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        self.batches += 1


@pytest.mark.parametrize("options", [{}, {"gradient_clip": 0.1}, {"weight_decay": 0.1}])
@pytest.mark.parametrize("schedule", [None, "step", "cosine", "one_cycle", "plateau"])
def test_callbacks_on_batches_change_no_bit(options, schedule):
    options = {**options, "lr_schedule": schedule}
    watcher = EveryBatch()
    lean, slow = trained(**options), trained([watcher], **options)
    assert watcher.batches == 12
    assert_same_bits(weights(lean), weights(slow))
    assert lean.history[:, "train_loss"] == slow.history[:, "train_loss"]


def test_only_those_who_look_at_batches_of_training_watch_it():
    assert trained()._watchers(True) == []
    assert trained([EpochScoring(lambda net, X, y: 0.0)])._watchers(True) == []
    assert len(trained([EveryBatch()])._watchers(True)) == 1


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "plain sgd"])
def test_the_fused_step_is_the_optimizers_own(name, weight_decay):
    momentum = 0.0 if name == "plain sgd" else 0.9
    recipe = Recipe(
        3, 32, 0.1, name.split()[-1], momentum, True, weight_decay=weight_decay
    )
    nets = [module(), module()]
    optimizers = [make_optimizer(recipe, net.parameters()) for net in nets]
    fused = FusedStep(optimizers[0])
    for step in range(4):
        for net in nets:
            net.zero_grad()
            net(torch.from_numpy(X)).square().mean().backward()
        # The optimiser's own step may come in between.
        optimizers[0].step() if step == 2 else fused()
        assert fused._steps is not None or step == 0
        optimizers[1].step()
    for a, b in zip(nets[0].parameters(), nets[1].parameters()):
        assert torch.equal(a, b)


def test_the_fused_step_leaves_hooks_to_the_optimizer():
    net, called = module(), []
    optimizer = make_optimizer(Recipe(3, 32, 0.1), net.parameters())
    optimizer.register_step_post_hook(lambda *_: called.append(1))
    fused = FusedStep(optimizer)
    for _ in range(3):
        net(torch.from_numpy(X)).sum().backward()
        fused()
    assert len(called) == 3


class RecordRate(Callback):
    def on_train_begin(self, net, **kwargs):
        self.rates = []

    def on_epoch_begin(self, net, **kwargs):
        self.rates.append(net.optimizer_.param_groups[0]["lr"])


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (None, [0.01] * 6),
        ("step", [0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001]),
        ("cosine", [0.01 * (1 + np.cos(np.pi * t / 6)) / 2 for t in range(6)]),
        ("linear", [0.01, 0.01, 0.01, 0.01, 0.02 / 3, 0.01 / 3]),
    ],
)
def test_schedules_by_epoch(schedule, expected):
    recorder = RecordRate()
    trained([recorder], epochs=6, lr_schedule=schedule)
    np.testing.assert_allclose(recorder.rates, expected)


def test_one_cycle_rises_and_ends_near_zero():
    recorder = RecordRate()
    net = trained([recorder], epochs=10, lr_schedule="one_cycle")
    assert recorder.rates[0] == pytest.approx(0.01 / 25)
    assert max(recorder.rates) > 0.009
    assert net.optimizer_.param_groups[0]["lr"] < 1e-5


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_schedule_that_ended_stays_there(schedule):
    net = trained(epochs=3, lr_schedule=schedule)
    before = weights(net)
    net.train(samples(), epochs=2)
    assert net.optimizer_.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)
    assert_same_bits(before, weights(net))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("schedule", ["step", "cosine", "one_cycle", "plateau"])
def test_a_schedule_goes_on_after_pickling(schedule, optimizer):
    options = {"max_epochs": 6, "batch_size": 32, "lr": 0.02, "random_state": 0}
    net = FeedforwardClassifier(
        lr_schedule=schedule, optimizer=optimizer, dropout=0.3, **options
    )
    whole = clone(net).fit(X, y)
    for epoch in range(6):
        net.partial_fit(X, y, classes=np.unique(y))
        if epoch in (1, 3):
            net = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(net.predict_proba(X), whole.predict_proba(X))


def test_plateau_halves_the_rate_when_the_loss_stalls():
    net = FeedforwardClassifier(
        lr_schedule="plateau", lr=1e-6, max_epochs=9, random_state=0
    ).fit(np.zeros((30, 2)), [0, 1, 1] * 10)
    assert net.net_.optimizer_.param_groups[0]["lr"] == 5e-7


def test_weight_decay_spares_biases():
    groups = make_optimizer(
        Recipe(1, 32, 0.1, weight_decay=0.3), module().parameters()
    ).param_groups
    assert [(g["weight_decay"], len(g["params"])) for g in groups] == [(0.3, 2), (0, 2)]


def test_early_stopping_ends_with_the_best_weights():
    X, y = make_classification(200, 20, n_informative=2, flip_y=0.3, random_state=0)
    net = FeedforwardClassifier(
        early_stopping=True, lr=0.01, n_iter_no_change=3, random_state=0
    ).fit(X, y)
    losses = net.validation_loss_curve_
    best = int(np.argmin(losses))
    assert best < len(losses) - 1 < 99
    shorter = FeedforwardClassifier(
        early_stopping=True, lr=0.01, max_epochs=best + 1, random_state=0
    ).fit(X, y)
    np.testing.assert_array_equal(net.predict_proba(X), shorter.predict_proba(X))
    assert len(net.validation_scores_) == net.n_iter_ == len(net.loss_curve_)


def test_validation_scores_are_accuracy_and_r2():
    X, y = load_digits(return_X_y=True)
    net = FeedforwardClassifier(
        early_stopping=True, max_epochs=3, random_state=0, validation_fraction=0.5
    ).fit(X, y)
    random = np.random.RandomState(0)
    random.randint(np.iinfo(np.int32).max)
    from sklearn.model_selection import train_test_split

    _, valid = train_test_split(
        np.arange(len(X)), test_size=899, random_state=random, stratify=y
    )
    assert net.validation_scores_[-1] == pytest.approx(net.score(X[valid], y[valid]))
    reg = FeedforwardRegressor(early_stopping=True, max_epochs=5, random_state=0)
    reg.fit(X, y.astype(float))
    assert 0 < reg.validation_scores_[-1] <= 1


def test_skorchs_early_stopping_stops_but_ctrl_c_propagates():
    stop = EarlyStopping("train_loss", patience=2, threshold=10.0, sink=lambda *_: None)
    net = FeedforwardClassifier(max_epochs=50, callbacks=[stop]).fit(X, y)
    assert net.n_iter_ == 3

    class CtrlC(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FeedforwardClassifier(callbacks=[CtrlC()]).fit(X, y)


def test_skorch_callbacks_do_their_work():
    scoring = EpochScoring("accuracy", name="acc", on_train=True, lower_is_better=False)
    net = FeedforwardClassifier(
        max_epochs=5,
        lr=0.01,
        random_state=0,
        callbacks=[
            scoring,
            GradientNormClipping(0.5),
            LRScheduler("StepLR", step_size=2, gamma=0.1),
            ("freeze", Freezer("layers.1.bias")),
        ],
    ).fit(X, y)
    assert 0.3 < net.net_.history[-1]["acc"] <= 1
    assert net.net_.optimizer_.param_groups[0]["lr"] == pytest.approx(1e-4)
    assert not net.net_.module_.layers[1].bias.requires_grad


def test_divergence_is_named_and_the_old_model_kept():
    net = FeedforwardRegressor(max_epochs=3, random_state=0).fit(X, y)
    expected = net.predict(X)
    net.set_params(lr=1e30, optimizer="sgd", max_epochs=50)
    with pytest.raises(DivergenceError, match=r"epoch \d+: lower lr"):
        net.fit(X * 1e6, y)
    np.testing.assert_array_equal(net.predict(X), expected)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_partial_fit_is_undone(error):
    class Fail(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise error

    net = FeedforwardClassifier(max_epochs=3, dropout=0.5, random_state=0).fit(X, y)
    twin = FeedforwardClassifier(max_epochs=3, dropout=0.5, random_state=0).fit(X, y)
    net.set_params(callbacks=[Fail()])
    with pytest.raises(error):
        net.partial_fit(X, y)
    net.set_params(callbacks=None)
    assert net.n_iter_ == 3
    np.testing.assert_array_equal(
        net.partial_fit(X, y).predict_proba(X), twin.partial_fit(X, y).predict_proba(X)
    )


def test_warm_start_goes_on():
    twice = FeedforwardClassifier(max_epochs=3, warm_start=True, random_state=0)
    twice.fit(X, y).fit(X, y)
    once = FeedforwardClassifier(max_epochs=6, random_state=0).fit(X, y)
    assert twice.n_iter_ == 6
    np.testing.assert_array_equal(twice.predict_proba(X), once.predict_proba(X))


@pytest.mark.parametrize("n", [1, 2, 32, 33, 34, 65, 100])
def test_batches_hold_every_row_once_and_no_single_row(n):
    rows = torch.arange(n)[:, None].double()
    for generator in (None, torch.Generator().manual_seed(0)):
        batches = Batches(Samples(Rows(rows)), 32, generator)
        parts = [x[:, 0] for x, _ in batches]
        assert [len(part) for part in parts] == batches.sizes
        assert len(parts) == 1 or min(batches.sizes) > 1
        assert sorted(torch.cat(parts).tolist()) == list(range(n))


@pytest.mark.parametrize("columns", [1, 300, 3000])
@pytest.mark.parametrize("weighted", [False, True])
def test_batches_taken_together_are_the_same(columns, weighted):
    numbers = torch.arange(500.0)
    weight = -numbers if weighted else None
    samples_ = Samples(Rows(numbers[:, None].repeat(1, columns)), 2 * numbers, weight)
    seeds = [torch.Generator().manual_seed(1) for _ in range(2)]
    batches = list(Batches(samples_, 32, seeds[0]))
    order = torch.randperm(500, generator=seeds[1]).split(32)
    for batch, rows in zip(batches, order, strict=True):
        assert torch.equal(batch.x, rows[:, None].float().expand(-1, columns))
        assert torch.equal(batch.y, 2.0 * rows)
        assert (batch.weight is None) != weighted
        assert not weighted or torch.equal(batch.weight, -rows.float())
    assert (batches[0].x._base is batches[1].x._base is not None) == (columns < 3000)


def test_a_view_shares_the_rows():
    whole = samples()
    view = whole.view(torch.tensor([3, 5, 7])).view(torch.tensor([2, 0]))
    x, target = view[slice(0, 2)]
    np.testing.assert_array_equal(x.numpy(), X[[7, 3]])
    assert target.tolist() == [y[7], y[3]] and view.x is whole.x


def test_generator_mode_serves_every_layer_and_touches_nothing_global():
    def build():
        with GeneratorMode(torch.Generator().manual_seed(3)):
            layers = [nn.LSTM(4, 5), nn.Conv2d(1, 2, 3), nn.Embedding(5, 3)]
            layers += [nn.MultiheadAttention(4, 2), nn.TransformerEncoderLayer(4, 2)]
            nn.init.orthogonal_(torch.empty(3, 3))
            nn.init.trunc_normal_(torch.empty(3, 3))
        return [p.detach() for layer in layers for p in layer.parameters()]

    before = torch.get_rng_state()
    expected = build()
    found = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: build()}))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for parameters in found.values():
        assert all(torch.equal(a, b) for a, b in zip(parameters, expected))
    assert torch.equal(before, torch.get_rng_state())


def test_dropout_keeps_the_expectation_and_its_own_stream():
    layer = Dropout(0.25)
    layer.generator = torch.Generator().manual_seed(0)
    before = torch.get_rng_state()
    out = layer(torch.ones(20_000))
    assert out.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert out.mean() == pytest.approx(1, abs=0.02)
    assert torch.equal(layer.eval()(torch.ones(3)), torch.ones(3))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.9])
def test_numbers_are_dropped_each_by_itself(p):
    for shape in ((63, 64), (300, 301)):  # by torch's own draw; by pieces of one
        generator = torch.Generator().manual_seed(0)
        mask = kept(torch.ones(shape), p, generator)
        share, noise = 1 - mask.double().mean(), (p * (1 - p) / mask.numel()) ** 0.5
        assert abs(share - p) < 4 * noise
        flat = mask.flatten().double() - (1 - p)
        for step in (1, 2, 3, 4, 8):  # neither are those cut of one number alike
            together = (flat[step:] * flat[:-step]).mean() / (p * (1 - p))
            assert abs(together) < 4 / mask.numel() ** 0.5
    image = torch.ones(2, 8, 24, 24).to(memory_format=torch.channels_last)
    layer = Dropout(0.5).train()
    assert layer(image).is_contiguous(memory_format=torch.channels_last)


def test_read_only_memory_is_shared_without_a_warning():
    array = np.arange(12.0).reshape(4, 3)
    array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = as_tensor(array)
    assert tensor.data_ptr() == array.__array_interface__["data"][0]
    for odd in (array[::-1], array.astype(">f8"), array[:, ::2]):
        np.testing.assert_array_equal(as_tensor(odd).numpy(), odd)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_column_moments_equal_numpys_and_spare_X(dtype, weighted, monkeypatch):
    monkeypatch.setattr("sknets._inputs.table.PIECE_BYTES", 1000)
    rng = np.random.RandomState(0)
    X = (rng.randn(1000, 5) + np.array([0, 1e3, -7, 0, 5])).astype(dtype)
    X[:, 3] = 2.5
    kept = X.copy()
    w = rng.randint(0, 3, 1000).astype(float) if weighted else None
    known = Rows(torch.from_numpy(X)).moments(w)
    mean, scale = known.mean, known.scale(torch.from_numpy(X).dtype)
    rows = X if w is None else np.repeat(X, w.astype(int), axis=0)
    np.testing.assert_allclose(mean, rows.mean(0, dtype=np.float64), rtol=1e-12)
    expected = rows.std(0, dtype=np.float64)
    expected[3] = 1
    np.testing.assert_allclose(scale, expected, rtol=1e-10)
    np.testing.assert_array_equal(X, kept)


def test_precision():
    digits, labels = load_digits(return_X_y=True)
    for precision, dtype, given in [
        ("auto", torch.float64, np.float64),
        ("auto", torch.float32, np.float32),
        ("float32", torch.float32, np.float64),
        ("float64", torch.float64, np.float32),
        ("bfloat16", torch.float32, np.float32),
    ]:
        net = FeedforwardClassifier(precision=precision, max_epochs=12, random_state=0)
        net.fit(digits.astype(given), labels)
        assert net.net_.dtype == dtype
        assert net.score(digits, labels) > 0.95
        assert (
            net.predict_proba(digits).dtype
            == {
                torch.float32: np.float32,
                torch.float64: np.float64,
            }[dtype]
        )
    assert compute_dtype("auto", torch.float64, torch.device("cuda")) == torch.float32


def test_devices():
    assert resolve_device("cpu", "Net") == CPU
    assert resolve_device("auto", "Net").type in ("cpu", "cuda", "mps", "xpu")
    for name in ("gpu", "cuda:x", "", "meta"):
        with pytest.raises(ValueError, match=r"^Net\(device='.*'\): device must be"):
            resolve_device(name, "Net")


def test_auto_leaves_small_tables_to_the_cpu(monkeypatch):
    # An accelerator that holds nothing: what is brought there cannot be learned of.
    monkeypatch.setattr(_reading, "resolve_device", lambda *_: torch.device("meta"))
    X, y = np.random.default_rng(0).normal(size=(300, 4)), np.arange(300) % 2
    net = FeedforwardClassifier(device="auto", max_epochs=1).fit(X, y)
    assert net.net_.device == "cpu"
    assert net.set_params(warm_start=True).fit(X, y).net_.device == "cpu"
    parts = clone(net).partial_fit(X, y, classes=[0, 1])
    parts.partial_fit(np.tile(X, (300, 1)), np.tile(y, 300))
    assert parts.net_.device == "cpu"  # as the first part
    card = torch.device("meta")
    for cls, n, device in [
        (FeedforwardClassifier, 2**16 - 1, "cpu"),
        (FeedforwardClassifier, 2**16, "meta"),
        (TransformerClassifier, 300, "meta"),
    ]:
        assert cls()._choose_device(card, Rows(torch.zeros(n, 4)), True).type == device


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_cuda_trains_and_moves_to_the_cpu(dropout):
    net = FeedforwardClassifier(
        device="cuda", max_epochs=5, lr=0.01, dropout=dropout, random_state=0
    )
    p = net.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(net.fit(X, y).predict_proba(X), p)
    moved = pickle.loads(pickle.dumps(net.set_params(device="cpu")))
    np.testing.assert_allclose(moved.predict_proba(X), p, atol=1e-5)


def test_progress_bar_and_table(capsys):
    FeedforwardClassifier(verbose=1, max_epochs=3, early_stopping=True).fit(X, y)
    shown = capsys.readouterr().err.split("\r")[-1]
    assert "FeedforwardClassifier: 100%" in shown and "valid_score=" in shown
    FeedforwardClassifier(verbose=2, max_epochs=3).fit(X, y)
    assert "train_loss" in capsys.readouterr().out
    FeedforwardClassifier(max_epochs=3).fit(X, y)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_torchs_compiler_still_finds_the_optimizers_unmarked():
    make_optimizer(Recipe(1, 32, 0.1), module().parameters())
    methods = vars(torch.optim.Optimizer).values()
    inner = [m.__wrapped__ for m in methods if hasattr(m, "__wrapped__")]
    assert inner and not any(vars(f).get("__dynamo_disable") is f for f in inner)


def test_ctrl_c_stops_a_search():
    class CtrlC(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    search = GridSearchCV(
        FeedforwardClassifier(callbacks=[CtrlC()]), {"lr": [0.1, 0.01]}, cv=2
    )
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)


def test_a_fitted_net_does_not_hold_on_to_its_data():
    import gc
    import weakref

    class Data(np.ndarray):
        pass

    array = X.copy().view(Data)
    alive = weakref.ref(array)
    net = FeedforwardClassifier(max_epochs=2, early_stopping=True, verbose=1)
    net.set_callbacks(ScoringMonitor(scoring="accuracy")).fit(array, y)
    del array
    gc.collect()
    assert alive() is None and net.n_iter_ == 2


class _WithMeans(FeedforwardClassifier):
    """Predicts by running means of its weights."""

    ema_decay: float | None = param(default=0.5)


def test_running_means_of_weights_stand_for_them(tmp_path):
    seen = []

    class Weights(Callback):
        def on_batch_end(self, net, batch=None, training=False, **kwargs):
            if training:
                state = net.module_.state_dict()
                seen.append({name: v.clone() for name, v in state.items()})

    X, y = make_classification(200, random_state=0)
    net = _WithMeans(
        hidden_layer_sizes=(8,), batch_size=32, max_epochs=3, random_state=0
    )
    net.set_params(callbacks=[Weights()]).fit(X, y)
    assert len(seen) == 3 * 7
    means = {name: value.clone() for name, value in seen[0].items()}
    for step, own in enumerate(seen, 1):
        keep = min(0.5, (1 + step) / (10 + step))
        for name, value in own.items():
            means[name] = keep * means[name] + (1 - keep) * value
    for name, value in net.net_.module_.state_dict().items():
        torch.testing.assert_close(value, means[name].to(value))
    p = net.predict_proba(X)
    again = pickle.loads(pickle.dumps(net.set_params(callbacks=None)))
    np.testing.assert_array_equal(again.predict_proba(X), p)
    # Training goes on from the weights themselves.
    steps = _WithMeans(
        hidden_layer_sizes=(8,), batch_size=32, max_epochs=3, random_state=0
    )
    for _ in range(3):
        steps.partial_fit(X, y, classes=[0, 1])
    np.testing.assert_array_equal(steps.predict_proba(X), p)
    checked = _WithMeans(
        hidden_layer_sizes=(8,), batch_size=32, max_epochs=3, random_state=0
    )
    checked.set_params(checkpoint=tmp_path / "net", early_stopping=True).fit(X, y)
    resumed = clone(checked).fit(X, y)
    np.testing.assert_array_equal(resumed.predict_proba(X), checked.predict_proba(X))
