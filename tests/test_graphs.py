"""Recorded steps: the logic of `sknets._engine.graphs` by a recorder for the CPU."""

import copy

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from sknets import (
    AutoencoderTransformer,
    CNNClassifier,
    FeedforwardClassifier,
    RBMFeatures,
    RNNClassifier,
    TransformerClassifier,
)
from sknets._engine import graphs, optim
from sknets._engine.collect import stacked
from sknets._engine.containers import Values
from sknets._engine.data import Batch
from sknets._engine.device import deterministic

X, y = load_digits(return_X_y=True)
X, y = X[:200] / 16, y[:200]
IMAGES = X.reshape(-1, 8, 8)


SCHEDULED = {"lr_schedule": "one_cycle", "gradient_clip": 0.5}
CASES = {
    "by hand": (FeedforwardClassifier(hidden_layer_sizes=9), X),
    "dropout": (FeedforwardClassifier(hidden_layer_sizes=9, dropout=0.3), X),
    "scheduled": (FeedforwardClassifier(normalization="batch", **SCHEDULED), X),
    "sgd": (FeedforwardClassifier(optimizer="sgd", dropout=0.1, lr=0.1), X),
    "bfloat16": (FeedforwardClassifier(precision="bfloat16"), X),
    "plateau": (
        AutoencoderTransformer(n_components=4, lr_schedule="plateau", noise="gaussian"),
        X,
    ),
    "images": (CNNClassifier(channels=(4, 6), augment=None), IMAGES),
    "augmented": (CNNClassifier(channels=(4,), augment="shift"), IMAGES),
    "lstm": (RNNClassifier(hidden_size=6, dropout=0.2), IMAGES),
    "attention": (TransformerClassifier(n_layers=1, dropout=0.1), IMAGES),
    "contrastive": (RBMFeatures(n_components=9), X),
    "persistent": (RBMFeatures(n_components=9, persistent=True), X),
}


@pytest.mark.filterwarnings("ignore:CNNClassifier. X holds float images")
@pytest.mark.parametrize("name", CASES)
def test_a_recorded_fit_is_the_fit(recorder, monkeypatch, name):
    model, given = CASES[name]
    if name == "lstm":  # the memory of oneDNN's is not a tensor like others
        monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    model.set_params(max_epochs=6, batch_size=32, random_state=0)
    recorded = copy.deepcopy(model.fit(given, y))
    (engine,) = recorder.known
    # 200 rows are six batches of 32 and one of 8: each is replayed from its fourth on
    assert (engine.aside_, engine.recorded, engine.replayed) == (6, 2, 36)
    with monkeypatch.context() as cpu:
        for module in (graphs, optim):
            cpu.setattr(module, "records", lambda device: False)
        model.fit(given, y)
    np.testing.assert_allclose(recorded.loss_curve_, model.loss_curve_, rtol=1e-5)
    verb = "predict_proba" if hasattr(model, "predict_proba") else "transform"
    found, expected = (getattr(each, verb)(given) for each in (recorded, model))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-5)


class Asking(torch.nn.Module):
    """Dropout of which the host decides."""

    def __init__(self, asks):
        super().__init__()
        self.asks, self.linear = asks, torch.nn.Linear(64, 10)

    def forward(self, x):
        halved = bool(x.sum() > 0) if self.asks else True
        return self.linear(x) / (2 if halved else 1)


class WithModule(FeedforwardClassifier):
    asks = True

    def _build(self):
        return Asking(self.asks)


class OnBatch(Callback):
    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        """Sees every batch."""


class OnGradient(Callback):
    def on_grad_computed(self, net, named_parameters, batch=None, **kwargs):
        """Sees every gradient."""


SHAPES = {"max_epochs": 5, "batch_size": 32, "random_state": 0}
UNEQUAL = [image[: 3 + i % 6] for i, image in enumerate(IMAGES)]
AS_EVER = {
    "a callback on batches": (FeedforwardClassifier(callbacks=[OnBatch()]), X, 32, 0),
    "one on gradients": (FeedforwardClassifier(callbacks=[OnGradient()]), X, 32, 0),
    "too few steps": (FeedforwardClassifier(), X, 200, 0),
    "unequal lengths": (RNNClassifier(hidden_size=4), UNEQUAL, 50, 1),
    "a step that asks the host": (WithModule(), X, 32, 1),
}


@pytest.mark.parametrize("reason", AS_EVER)
def test_what_cannot_be_recorded_is_done_as_ever(recorder, reason):
    model, given, size, n_engines = AS_EVER[reason]
    model.set_params(max_epochs=5, batch_size=size, random_state=0).fit(given, y)
    assert len(recorder.known) == n_engines
    assert not any(engine.recorded for engine in recorder.known)


def test_a_recording_that_fails_costs_nothing(recorder, monkeypatch):
    model = FeedforwardClassifier(dropout=0.2, **SHAPES)
    monkeypatch.setattr(recorder, "fails", True)
    failed = model.fit(X, y).loss_curve_
    assert recorder.known[0].recorded == 0
    monkeypatch.setattr(recorder, "fails", False)
    assert failed == model.fit(X, y).loss_curve_ and recorder.known[1].recorded == 2


def test_a_module_without_questions_is_recorded(recorder, monkeypatch):
    monkeypatch.setattr(WithModule, "asks", False)
    WithModule(**SHAPES).fit(X, y)
    assert recorder.known[0].recorded == 2


def test_so_many_graphs_and_no_more(recorder):
    rows = np.random.default_rng(0).normal(size=(400, 3))
    net = FeedforwardClassifier(hidden_layer_sizes=4, **SHAPES).fit(
        rows, rows[:, 0] > 0
    )
    engine = graphs.RecordedSteps(
        lambda batch, moving: batch.x.sum(),
        torch.device("cpu"),
        net.net_._streams.noise,
    )
    for size in (3, 4, 5, 6, 7, 3, 7):
        batch = Batch(torch.ones(size), torch.ones(size))
        assert [float(engine(batch, ())) for _ in range(4)] == [size] * 4
    assert len(engine.graphs) == 4 == engine.backend.recorded


def test_what_a_callback_freezes_is_not_replayed(recorder):
    class Freezes(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 4:  # three epochs are over
                self.before = {
                    name: value.clone()
                    for name, value in net.module_.state_dict().items()
                }
                next(net.module_.parameters()).requires_grad_(False)

    freezes = Freezes()
    model = FeedforwardClassifier(dropout=0.1, callbacks=[freezes], **SHAPES)
    model.set_params(max_epochs=8).fit(X, y)
    assert len(recorder.known) == 2 and all(e.replayed for e in recorder.known)
    (callback,) = [c for _, c in model.net_.callbacks_ if isinstance(c, Freezes)]
    changed = {
        name: not torch.equal(value, callback.before[name])
        for name, value in model.net_.module_.state_dict().items()
    }
    assert sorted(changed.values()) == [False] + [True] * (len(changed) - 1)


def test_partial_fit_goes_on_where_a_recorded_fit_ended(recorder):
    whole = FeedforwardClassifier(dropout=0.1, **SHAPES).fit(X, y)
    parts = FeedforwardClassifier(dropout=0.1, **SHAPES)
    for _ in range(5):
        parts.partial_fit(X, y, classes=np.unique(y))
    assert whole.loss_curve_ == parts.loss_curve_


# -- memory that is not there ----------------------------------------------------------


def test_what_has_no_room_is_predicted_in_halves():
    net = FeedforwardClassifier(**SHAPES).fit(X, y).net_
    sizes = []

    def small(x):
        if len(x) > 30:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(x))
        return x[:, :1]

    rows = Values(torch.arange(len(X), dtype=torch.float64).reshape(-1, 1))
    assert stacked(net.batches(rows, small), len(X)).tolist() == rows.values.tolist()
    assert sizes == [25] * 8
    with pytest.raises(torch.OutOfMemoryError):
        list(net.batches(rows, lambda x: small(torch.ones(31))))


def test_a_step_without_room_names_the_batch_to_try(monkeypatch):
    def large(self, x):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Asking, "forward", large)
    says = r"WithModule: cpu has not .* batch_size=32: try batch_size=16"
    with pytest.raises(torch.OutOfMemoryError, match=says):
        WithModule(**SHAPES).fit(X, y)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_flags_of_torch_are_set_while_cuda_works_and_no_longer():
    def flags():
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.deterministic,
            torch.utils.deterministic.fill_uninitialized_memory,
        )

    before = flags()
    with deterministic(torch.device("cuda")):
        with deterministic(torch.device("cuda")):
            assert flags() == (True, True, False)
        assert flags() == (True, True, False)
    assert flags() == before
