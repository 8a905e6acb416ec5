"""The seams: what a chapter that nobody has written yet may stand on.

Private estimators of kinds that the chapters have not: text to text, two players, y a
list of dicts, training that is not skorch's.
"""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn

from sknets import _state
from sknets._decoding import GreedySearch
from sknets._engine.checkpoint import FORMAT
from sknets._engine.containers import Container, Ragged
from sknets._engine.digest import digest
from sknets._engine.players import Phase, Player
from sknets._estimator import Estimator
from sknets._inputs.table import Table
from sknets._inputs.text import EMPTY, N_RESERVED, Text
from sknets._params import param
from sknets._unsupervised import Encoder, Sampler

X = np.random.RandomState(0).randn(60, 4).astype(np.float32)


class StopAt(Callback):
    """Ctrl-C when an epoch begins."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


def same_after_ctrl_c(estimator, X, y, path, epoch=3, **fit):
    """The state of a whole fit; one stopped within an epoch and run again equals it."""
    arguments = (X,) if y is None else (X, y)
    whole = clone(estimator).fit(*arguments, **fit)
    stopped = clone(estimator).set_params(checkpoint=path, callbacks=[StopAt(epoch)])
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(*arguments, **fit)
    assert _state.read(path, FORMAT)[1]["done"] == epoch - 1
    again = clone(estimator).set_params(checkpoint=path).fit(*arguments, **fit)
    assert digest(weights(whole)) == digest(weights(again))
    assert whole.loss_curve_ == again.loss_curve_
    return whole


def weights(estimator):
    return estimator.net_.state()["weights"]


# -- text to text ----------------------------------------------------------------------


class Translation(nn.Module):
    """Reads a text into one vector and writes another from it, token by token."""

    def __init__(self, n_source: int, n_target: int, size: int):
        super().__init__()
        self.source = nn.Embedding(n_source, size)
        self.encoder = nn.GRU(size, size, batch_first=True)
        self.target = nn.Embedding(n_target, size)
        self.decoder = nn.GRU(size, size, batch_first=True)
        self.out = nn.Linear(size, n_target)

    def forward(self, x: Ragged) -> torch.Tensor:  # (B, H)
        states, _ = self.encoder(x.padded(self.source(x.join()[:, 0])))
        return x.last(states)

    def loss(self, x: Ragged, y: Ragged) -> torch.Tensor:  # (B,)
        tokens = y.padded()[:, :, 0]  # EMPTY begins and ends each
        states, _ = self.decoder(self.target(tokens[:, :-1]), self(x)[None])
        losses = F.cross_entropy(
            self.out(states).mT, tokens[:, 1:].long(), reduction="none", ignore_index=0
        )
        return losses.sum(1)

    def step(self, tokens, state):
        states, state = self.decoder(self.target(tokens[:, None]), state)
        return self.out(states[:, 0]), state


class BeginsAndEnds(Text):
    """A text between two marks."""

    def _read(self, X, reset, seen):
        texts = super()._read(X, reset, seen)
        mark = np.array([[EMPTY]], np.int32)
        rows = [
            np.concatenate([mark, texts.batch(slice(i, i + 1)).join(), mark])
            for i in range(len(texts))
        ]
        return type(texts).of(rows, whole=True)


class Translator(Estimator):
    """Text to text: two readers, one a side."""

    _inputs: ClassVar = (Text,)
    _targets: ClassVar = (BeginsAndEnds,)
    _task: ClassVar[str] = "translation"

    size: int = param(default=32, at_least=1)

    def fit(self, X: Any, y: Any, sample_weight: Any = None):
        return self._fit(X, y, sample_weight)

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        if reset:
            self.target_reader_ = self._targets[0].of(self, lowercase=False)
            return self.target_reader_.learn(y, None if weight is None else weight > 0)
        return self.target_reader_.read(y)

    def _build(self):
        sizes = [
            N_RESERVED + len(reader.vocabulary_)
            for reader in (self.reader_, self.target_reader_)
        ]
        return Translation(*sizes, self.size)

    def predict(self, X: Any) -> list[str]:
        net, written = self.net_.module_, []
        search = GreedySearch(max_length=20, eos=EMPTY)
        x = self._check_input(X, reset=False)
        for _, states in self.net_.batches(x):
            begin = torch.full((len(states),), EMPTY)
            found = search(
                net.step,
                states[None],
                begin,
                reorder=lambda state, rows: state[:, rows],
            )
            written += [self.target_reader_.write(tokens) for tokens in found.tokens]
        return written


NUMBERS = ["one", "two", "three", "four"]
TEXTS = [f"{a} {b}" for a in NUMBERS for b in NUMBERS]
GERMAN = dict(zip(NUMBERS, ["Eins", "Zwei", "Drei", "Vier"]))
REVERSED = [" ".join(GERMAN[word] for word in text.split()[::-1]) for text in TEXTS]
TRANSLATOR = Translator(max_epochs=60, lr=0.01, batch_size=8, random_state=0)


@pytest.fixture(scope="module")
def translator():
    return clone(TRANSLATOR).fit(TEXTS, REVERSED)


def test_text_to_text_is_learned_and_kept(translator, tmp_path):
    assert translator.predict(TEXTS) == REVERSED
    assert set(translator.target_reader_.vocabulary_) == set(GERMAN.values())
    assert set(translator.reader_.vocabulary_) == set(NUMBERS)
    for twin in (pickle.loads(pickle.dumps(translator)), copy.deepcopy(translator)):
        assert twin.predict(TEXTS) == REVERSED
    translator.save(tmp_path / "model")
    _, state = _state.read(tmp_path / "model")
    twin = Translator()
    twin.__setstate__({**vars(twin), **state})
    assert twin.predict(TEXTS) == REVERSED


def test_text_to_text_resumes(tmp_path):
    estimator = clone(TRANSLATOR).set_params(max_epochs=5, early_stopping=True)
    found = same_after_ctrl_c(estimator, TEXTS, REVERSED, tmp_path / "fit")
    assert len(found.validation_loss_curve_) == 5


def test_a_text_whose_weight_is_zero_is_not_learned_of(tmp_path):
    weight = np.array([float("four" not in text) for text in TEXTS])
    found = clone(TRANSLATOR).set_params(max_epochs=2).fit(TEXTS, REVERSED, weight)
    assert set(found.target_reader_.vocabulary_) == {"Eins", "Zwei", "Drei"}
    assert set(found.reader_.vocabulary_) == {"one", "two", "three"}


# -- two players -----------------------------------------------------------------------


class Adversaries(nn.Module):
    """Generator and discriminator, each with a loss of its own."""

    def __init__(self, n_features: int):
        super().__init__()
        self.generate = nn.Sequential(
            nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, n_features)
        )
        self.judge = nn.Sequential(
            nn.Linear(n_features, 16), nn.ReLU(), nn.Linear(16, 1)
        )
        self.generator: Any = None  # the fit's own noise is bound to it

    def forward(self, x):
        return self.judge(x)[:, 0]

    def made(self, x):
        return self.generate(torch.randn(len(x), 2, generator=self.generator))

    def judge_loss(self, x, y):
        return F.softplus(-self(x)) + F.softplus(self(self.made(x).detach()))

    def generate_loss(self, x, y):
        return F.softplus(-self(self.made(x)))


class Adversarial(Sampler, Encoder):
    """Two who alternate: three steps of one to one of the other."""

    def _build(self):
        return Adversaries(self.n_features_in_)

    def _phases(self, net):
        module, recipe = net.module_, net._recipe

        def players():
            slow = {"gradient_clip": 0.1, "lr_schedule": "cosine", "optimizer": "sgd"}
            return [
                Player(
                    "judge",
                    list(module.judge.parameters()),
                    recipe,
                    module.judge_loss,
                    updates=self._updates,
                ),
                Player(
                    "generate",
                    list(module.generate.parameters()),
                    type(recipe)(**{**vars(recipe), **slow}),
                    module.generate_loss,
                    every=3,
                ),
            ]

        return [Phase("game", self.max_epochs, players)]

    _updates: ClassVar[int] = 2

    def transform(self, X):
        return self._outputs(X)[:, None]

    def _draw(self, n, condition, generator):
        return self.net_.module_.generate(torch.randn(n, 2, generator=generator))


GAME = Adversarial(max_epochs=6, batch_size=16, lr=0.02, random_state=0)


def test_two_players_are_a_fit_of_the_same_bits(tmp_path):
    found = same_after_ctrl_c(GAME, X, None, tmp_path / "fit", epoch=4)
    stopping = clone(GAME).set_params(early_stopping=True)
    assert same_after_ctrl_c(stopping, X, None, tmp_path / "early").n_iter_ <= 6
    row = found.net_.history[-1]
    assert {"train_judge", "train_generate", "train_loss"} <= set(row)
    state = found.net_.state()["players"]
    assert set(state) == {"judge", "generate"}
    assert state["judge"]["schedule"] is None
    assert state["generate"]["schedule"] is not None
    twin = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(
        twin.sample(3, random_state=0), found.sample(3, random_state=0)
    )
    # the optimisers of both go on where they were
    assert digest(weights(twin.partial_fit(X))) == digest(weights(found.partial_fit(X)))


def test_steps_of_two_players_are_recorded(recorder):
    fitted = clone(GAME).set_params(max_epochs=12).fit(X)
    (engine,) = recorder.known
    # With both and with one of them, of 16 rows and of the last 12: three shapes are
    # met 12, 24 and 12 times.
    assert engine.recorded == 3 and engine.replayed == 48 - 3 * 3
    assert np.isfinite(fitted.loss_curve_).all()
    parts = [row["train_generate"] for row in fitted.net_.history]
    assert len(set(parts)) == 12


def test_two_players_are_the_same_in_threads():
    expected = digest(weights(clone(GAME).fit(X)))
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(lambda _: weights(clone(GAME).fit(X)), range(8))
        assert {digest(each) for each in found} == {expected}


def test_players_move_as_often_as_they_are_told():
    moved = {"judge": 0, "generate": 0}

    class Counted(Adversarial):
        def _phases(self, net):
            (phase,) = super()._phases(net)
            players = phase.players

            def counting():
                for player in players():
                    yield player
                    loss = player.loss

                    def counted(x, y, loss=loss, name=player.name):
                        moved[name] += torch.is_grad_enabled()
                        return loss(x, y)

                    player.loss = counted

            return [Phase(phase.name, phase.epochs, lambda: list(counting()))]

    Counted(max_epochs=2, batch_size=10, random_state=0).fit(X)
    assert moved == {"judge": 2 * 6 * 2, "generate": 2 * 2}


def test_a_player_leaves_the_others_alone():
    class Still(Adversarial):
        def _phases(self, net):
            (phase,) = super()._phases(net)
            return [Phase("game", self.max_epochs, lambda: phase.players()[:1])]

    found = clone(GAME).fit(X)
    still = Still(**GAME.get_params()).fit(X)
    start = Still(**{**GAME.get_params(), "max_epochs": 1}).fit(X)
    part = {n: digest(v) for n, v in weights(still).items() if n[:3] == "gen"}
    assert part == {n: digest(v) for n, v in weights(start).items() if n[:3] == "gen"}
    assert part != {n: digest(v) for n, v in weights(found).items() if n[:3] == "gen"}


# -- y a list of dicts -----------------------------------------------------------------


class Boxes(Container):
    """What each sample holds: a dict of tensors of any length."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def batch(self, index):
        rows = range(len(self))[index] if isinstance(index, slice) else index.tolist()
        return [self.samples[i] for i in rows]


class MeanBoxModule(nn.Module):
    """The box in the middle of a sample's boxes, and how many they are."""

    def __init__(self, n_features: int):
        super().__init__()
        self.linear = nn.Linear(n_features, 5)

    def forward(self, x):
        return self.linear(x)

    def loss(self, x, y):
        output = self(x)
        box = torch.stack([each["boxes"].mean(0) for each in y]).to(output)
        count = output.new_tensor([len(each["boxes"]) for each in y])
        return {
            "box": (output[:, :4] - box).abs().mean(1),
            "count": (output[:, 4] - count).square(),
        }


class NearBox:
    """A score that is added up batch by batch, of outputs and dicts."""

    def __init__(self):
        self.near = self.n = 0

    def update(self, output, y, weight):
        box = torch.stack([each["boxes"].mean(0) for each in y]).to(output)
        self.near += int(((output[:, :4] - box).abs().mean(1) < 0.5).sum())
        self.n += len(y)

    def compute(self):
        return self.near / self.n


class BoxReader:
    name = "boxes"


class MeanBox(Estimator):
    """Predicts dicts from dicts."""

    _task: ClassVar[str] = "detection"

    def fit(self, X: Any, y: Any, sample_weight: Any = None):
        return self._fit(X, y, sample_weight)

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        return Boxes([{"boxes": torch.as_tensor(each["boxes"]).float()} for each in y])

    def _build(self):
        return MeanBoxModule(self.n_features_in_)

    def _score(self):
        return NearBox()

    def _stratify_by(self, samples):
        return np.array([len(each["boxes"]) > 1 for each in samples.targets], np.int64)

    def predict(self, X):
        return [
            {"boxes": row[None, :4], "n": float(row[4])} for row in self._outputs(X)
        ]


def boxes_of(X):
    rows = np.tile(X, (1, 1))
    return [{"boxes": np.stack([row] * (1 + (row[0] > 0)))} for row in rows]


def test_targets_may_be_dicts(tmp_path):
    y = boxes_of(X)
    estimator = MeanBox(
        max_epochs=30, lr=0.05, random_state=0, early_stopping=True, n_iter_no_change=30
    )
    found = same_after_ctrl_c(estimator, X, y, tmp_path / "fit", epoch=9)
    row = found.net_.history[-1]
    assert row["train_loss"] == pytest.approx(row["train_box"] + row["train_count"])
    assert row["valid_loss"] == pytest.approx(row["valid_box"] + row["valid_count"])
    assert found.validation_scores_[-1] == 1 > found.validation_scores_[0]
    near = [
        abs(p["boxes"][0] - row).mean() < 0.5 for p, row in zip(found.predict(X), X)
    ]
    assert np.mean(near) > 0.9


def test_a_weight_of_zero_is_an_absent_sample_whatever_y_is(tmp_path):
    y = boxes_of(X)
    kept = np.arange(len(X)) % 3 > 0
    wrong = [each if k else {"boxes": each["boxes"] + 100} for each, k in zip(y, kept)]
    estimator = MeanBox(max_epochs=3, random_state=0)
    one = clone(estimator).fit(X, wrong, kept.astype(float))
    other = clone(estimator).fit(X[kept], [each for each, k in zip(y, kept) if k])
    np.testing.assert_array_equal(one._outputs(X), other._outputs(X))
    double = clone(estimator).fit(X, y, np.full(len(X), 2.0))
    np.testing.assert_array_equal(
        double._outputs(X), clone(estimator).fit(X, y)._outputs(X)
    )


# -- training that is not skorch's -----------------------------------------------------


class LeastSquares:
    """A `Trainer` that solves for its weights, one feature more an epoch."""

    device, n_parameters = torch.device("cpu"), 4

    def __init__(self, dtype):
        self.dtype, self.history = dtype, []
        self.module_ = nn.Linear(4, 1, bias=False, dtype=dtype)
        nn.init.zeros_(self.module_.weight)

    def train(self, samples, valid=None, epochs=None, callbacks=None, resumed=False):
        x, y = samples[slice(None)]
        for _ in range(epochs):
            n = min(len(self.history) + 1, 4)
            found = torch.linalg.lstsq(x[:, :n], y[:, None]).solution
            with torch.no_grad():
                self.module_.weight[0, :n] = found[:, 0]
                loss = F.mse_loss(self.module_(x)[:, 0], y).item()
            self.history.append({"epoch": len(self.history) + 1, "train_loss": loss})

    def state(self):
        return {
            "dtype": str(self.dtype).removeprefix("torch."),
            "weights": self.module_.weight.detach().numpy(),
            "history": list(self.history),
        }

    def restore(self, state):
        with torch.no_grad():
            self.module_.weight.copy_(torch.from_numpy(state["weights"]))
        self.history = list(state["history"])

    def losses_of(self, phase):
        return []

    def batches(self, x, function=None, size=None):
        with torch.inference_mode():
            rows = slice(0, len(x))
            yield rows, (function or self.module_)(x.batch(rows))


class Solved(Estimator):
    """Only its net is another."""

    _inputs: ClassVar = (Table,)

    def fit(self, X, y):
        return self._fit(X, y)

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        return np.asarray(y, np.float32)

    def _make_net(self, samples, seed, dtype=None):
        return LeastSquares(dtype if samples is None else samples.x.dtype)

    def predict(self, X):
        return self._outputs(X)[:, 0]


def test_training_may_be_another_librarys(tmp_path):
    y = X @ np.array([1, 2, 3, 4], np.float32)
    found = Solved(max_epochs=4, checkpoint=tmp_path / "fit").fit(X, y)
    np.testing.assert_allclose(found.predict(X), y, atol=1e-4)
    assert len(found.loss_curve_) == found.n_iter_ == found.n_parameters_ == 4
    twin = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(twin.predict(X), found.predict(X))
    again = Solved(max_epochs=4, checkpoint=tmp_path / "fit").fit(X, y)
    assert again.loss_curve_ == found.loss_curve_
