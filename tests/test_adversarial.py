"""Generative adversarial networks: what is true of them alone."""

import datetime
import warnings

import numpy as np
import pandas as pd
import polars
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone
from sklearn.datasets import make_blobs
from skorch.callbacks import Callback

import sknets
from sknets import GANSampler, ImageTranslator
from sknets._engine.digest import digest
from sknets.adversarial import ModeCollapseWarning
from sknets.adversarial._columns import decode, encode, learn_columns, sizes_of
from sknets.adversarial._games import GAMES, slope_penalty
from sknets.adversarial._image_nets import ImageDiscriminator, ImageGenerator
from sknets.adversarial._nets import RowDiscriminator, RowGenerator
from sknets.adversarial._quality import modes_found

X, y = make_blobs(120, 3, centers=3, cluster_std=0.3, random_state=0)
names = np.array(["a", "b", "c"])[y]
QUICK = {"random_state": 0, "hidden_layer_sizes": (16,), "batch_size": 32}
random = np.random.default_rng(0)
tiles = (random.random((48, 8, 10)) * 255).astype(np.uint8)
tiles[::2, :4] //= 8  # dark above
halves = np.arange(48) % 2


class StopAt(Callback):
    """Ctrl-C when an epoch begins."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def fitted():
    net = GANSampler(random_state=0, max_epochs=150, batch_size=40, lr=3e-3)
    return net.fit(X, names)


# -- what is learned -------------------------------------------------------------------


def test_samples_are_of_the_label_that_is_asked_for(fitted):
    for label in fitted.classes_:
        made = fitted.sample(100, y=label, random_state=0)
        own = X[names == label]
        assert np.linalg.norm(made.mean(0) - own.mean(0)) < 0.5
        assert 0.1 < made.std(0).mean() < 0.6
    assert fitted.score(X, names) > 0.95
    assert fitted.modes_found_ > 0.7 * fitted.n_modes_
    wanted = ["c", "a", "b", "b"]
    made = fitted.sample(y=wanted, random_state=1)
    centers = {label: X[names == label].mean(0) for label in "abc"}
    for row, label in zip(made, wanted):
        assert min(centers, key=lambda c: np.linalg.norm(row - centers[c])) == label


def test_labels_are_drawn_as_often_as_they_were_seen():
    rare = np.r_[np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:4]]
    net = GANSampler(**QUICK, max_epochs=1).fit(X[rare], names[rare])
    np.testing.assert_allclose(net.class_prior_, [40 / 44, 4 / 44])
    drawn = net._drawn_condition(4000, torch.Generator().manual_seed(0))
    np.testing.assert_allclose(drawn.mean(0), net.class_prior_, atol=0.02)


def test_a_condition_may_be_a_vector():
    t = random.uniform(-1, 1, (200, 2))
    rows = np.c_[t[:, 0] + t[:, 1], t[:, 0] - t[:, 1]] * 5 + 7
    net = GANSampler(random_state=0, max_epochs=60, batch_size=50, lr=5e-3)
    net.fit(rows, t)
    asked = np.array([[0.8, 0.0], [-0.8, 0.5]])
    for vector in asked:
        made = net.sample(50, y=vector, random_state=0).mean(0)
        truth = np.array([vector.sum(), vector[0] - vector[1]]) * 5 + 7
        assert np.linalg.norm(made - truth) < 2.5
    assert net.sample(y=asked, random_state=0).shape == (2, 2)
    assert net.score(rows, t) > 0.5
    assert net.sample(3, random_state=0).shape == (3, 2)
    one = clone(net).set_params(max_epochs=1).fit(rows, t[:, 0])
    assert one.condition_ == "vectors" and one.sample(3, y=0.5).shape == (3, 2)
    assert np.isfinite(one.score(rows, t[:, 0]))


def test_the_discriminator_tells_what_is_unlike():
    net = GANSampler(**QUICK, max_epochs=15, lr=3e-3).fit(X, names)  # before they agree
    real, made = X, net.sample(y=names, random_state=0)
    own = net.discriminator_score(real, names)
    assert own.mean() > net.discriminator_score(made, names).mean()
    others = [net.discriminator_score(real, np.full(120, c)) for c in net.classes_]
    assert own.mean() > np.mean(others)
    # Without y: of the label that suits best.
    np.testing.assert_allclose(
        net.discriminator_score(real), np.max(others, 0), atol=1e-6
    )


@pytest.mark.parametrize("loss", GAMES)
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_every_game_is_played(loss, spectral_norm):
    given = {"loss": loss, "spectral_norm": spectral_norm, "max_epochs": 2}
    net = GANSampler(**QUICK, **given).fit(X)
    assert np.isfinite(net.loss_curve_).all()
    both = net.discriminator_loss_curve_, net.generator_loss_curve_
    np.testing.assert_allclose(net.loss_curve_, np.sum(both, 0), rtol=1e-5)
    for turn in net.net_._turns:  # little momentum, or they run after each other
        assert turn.optimizer.param_groups[0]["betas"] == (0.5, 0.9)
    assert net.sample(5).shape == (5, 3)


def test_losses_are_those_of_the_papers():
    r, f = torch.randn(2, 50, generator=torch.Generator().manual_seed(0)).double()
    ones, zeros = torch.ones(50).double(), torch.zeros(50).double()
    cross = F.binary_cross_entropy
    told = cross(r.sigmoid(), ones) + cross(f.sigmoid(), zeros)
    expected = {
        "original": (told, (1 - f.sigmoid()).log().mean()),
        "non_saturating": (told, -f.sigmoid().log().mean()),
        "least_squares": (
            (F.mse_loss(r, ones) + F.mse_loss(f, zeros)) / 2,
            F.mse_loss(f, ones) / 2,
        ),
        "wasserstein": (f.mean() - r.mean(), -f.mean()),
        "hinge": ((1 - r).clamp(0).mean() + (1 + f).clamp(0).mean(), -f.mean()),
    }
    for name, (judge, make) in expected.items():
        torch.testing.assert_close(GAMES[name].discriminator(r, f), judge)
        torch.testing.assert_close(GAMES[name].generator(f), make)
    slopes = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    torch.testing.assert_close(slope_penalty(slopes, False), torch.tensor(25 / 4))
    torch.testing.assert_close(slope_penalty(slopes, True), torch.tensor((16 + 1) / 2))


# -- networks --------------------------------------------------------------------------


def of_autograd(judge, x, y, rows):
    part = x[rows].clone().requires_grad_()
    out = judge(torch.cat([x[: rows.start or 0], part, x[rows.stop :]]), y)
    return torch.autograd.grad(out[rows].sum(), part)[0]


@pytest.mark.parametrize("normed", [False, True])
def test_slopes_are_the_gradient(normed):
    torch.manual_seed(0)
    x, y = torch.randn(9, 5).double(), torch.randn(9, 2).double()
    judge = RowDiscriminator([7, 8, 6, 1], 5, normed).double().eval()
    scores, slopes = judge.with_slope(x, y, slice(3, 6))
    torch.testing.assert_close(scores, judge(x, y))
    torch.testing.assert_close(slopes, of_autograd(judge, x, y, slice(3, 6)))
    # And so are its derivatives by the weights.
    first = next(p for p in judge.parameters() if p.ndim == 2)
    found = torch.autograd.grad(slopes.square().sum(), first)[0]
    part = x[3:6].clone().requires_grad_()
    out = judge(part, y[3:6]).sum()
    twice = torch.autograd.grad(out, part, create_graph=True)[0].square().sum()
    expected = torch.autograd.grad(twice, first)[0]
    torch.testing.assert_close(found, expected)
    image = ImageDiscriminator(2, 1, (8, 8), 4, normed).double().eval()
    pixels = torch.randn(9, 1, 8, 8).double()
    scores, slopes = image.with_slope(pixels, y, slice(0, 4))
    torch.testing.assert_close(scores, image(pixels, y))
    torch.testing.assert_close(slopes, of_autograd(image, pixels, y, slice(0, 4)))


def test_a_normed_layer_stretches_nothing():
    judge = RowDiscriminator([5, 8, 1], 5, True)
    for _ in range(50):
        judge(torch.randn(3, 5))
    for layer in judge.layers:
        largest = torch.linalg.matrix_norm(layer.weight.detach(), 2)
        assert float(largest) == pytest.approx(1, abs=0.02)


def test_choices_are_made_as_often_as_softmax_says():
    make = RowGenerator([2, 8, 1 + 3], [3])
    logits = torch.tensor([0.0, *np.log([0.2, 0.5, 0.3])]).float().repeat(20_000, 1)
    drawn = make.finish(logits, torch.Generator().manual_seed(0), hard=True)[:, 1:]
    assert ((drawn == 0) | (drawn == 1)).all() and (drawn.sum(1) == 1).all()
    torch.testing.assert_close(
        drawn.mean(0), torch.tensor([0.2, 0.5, 0.3]), atol=0.015, rtol=0
    )
    soft = make.finish(logits[:50], torch.Generator().manual_seed(0))[:, 1:]
    torch.testing.assert_close(soft.sum(1), torch.ones(50))
    assert soft.max(1).values.mean() > 0.9
    assert (soft.argmax(1) == drawn[:50].argmax(1)).float().mean() == 1


@pytest.mark.parametrize("size", [(8, 10), (3, 2), (28, 31), (13,), (6, 5, 4)])
def test_images_of_any_size_are_made(size):
    make = ImageGenerator(6, 2, size, 4, True)
    z = torch.randn(3, 6)
    made = make(z)
    assert made.shape == (3, 2, *size) and made.abs().max() <= 1
    assert ImageDiscriminator(0, 2, size, 4, False)(made).shape == (3,)


# -- tables ----------------------------------------------------------------------------


def mixed_frame(n=150):
    random = np.random.default_rng(0)
    size = pd.Categorical(
        random.choice(["big", "small"], n), ["small", "big", "none"], ordered=True
    )
    frame = pd.DataFrame(
        {
            "size": size,
            "age": random.integers(20, 60, n).astype("int16"),
            "pay": np.where(random.random(n) < 0.5, 0, random.gamma(2, 50, n)),
            "gap": np.where(random.random(n) < 0.3, np.nan, random.normal(size=n)),
            "day": pd.date_range("2024-01-01", periods=n).tz_localize("Europe/Rome"),
            "old": random.random(n) < 0.5,
            "one": np.float32(2.5),
            "code": pd.Categorical(random.choice([3, 7], n)),
        }
    )
    frame["age"] += 100 * (frame["size"] == "big").astype("int16")
    return frame


@pytest.mark.parametrize("numbers", ["normal", "modes", "standard"])
def test_a_frame_comes_back_as_it_was(numbers):
    frame = mixed_frame()
    net = GANSampler(**QUICK, numbers=numbers, max_epochs=2).fit(frame)
    made = net.sample(400, random_state=0)
    pd.testing.assert_series_equal(made.dtypes, frame.dtypes)
    assert list(made["size"].cat.categories) == ["small", "big", "none"]
    assert set(made["size"].dropna()) == {"small", "big"}  # "none" was never seen
    assert (made["one"] == 2.5).all() and set(made["code"]) <= {3, 7}
    for name in ("age", "pay", "day"):
        assert made[name].min() >= frame[name].min()
        assert made[name].max() <= frame[name].max()
    assert made["gap"].isna().any() and made["gap"].notna().any()
    assert net.discriminator_score(frame[:4]).shape == (4,)
    assert np.isfinite(net.score(frame))
    days = pd.date_range("2024-01-01", periods=150)
    made = net.fit(pd.DataFrame({7: frame["gap"], 9: days})).sample(20)
    assert list(made.columns) == [7, 9]
    assert (made[9] == made[9].dt.normalize()).all() and made[9].nunique() > 1


def test_a_frame_of_polars_comes_back_as_it_was():
    frame = polars.DataFrame(
        {
            "n": np.arange(60) % 7,
            "x": [None if i % 5 == 0 else i / 7 for i in range(60)],
            "day": [datetime.date(2024, 1, 1 + i % 28) for i in range(60)],
            "yes": [i % 3 == 0 for i in range(60)],
            "kind": ["a" if i % 2 else "b" for i in range(60)],
            "level": ["low" if i % 4 else "high" for i in range(60)],
        },
        schema_overrides={
            "kind": polars.Categorical,
            "level": polars.Enum(["low", "high", "none"]),
        },
    )
    made = GANSampler(**QUICK, max_epochs=2).fit(frame).sample(80, random_state=0)
    assert isinstance(made, polars.DataFrame) and made.schema == frame.schema
    assert made["x"].null_count() > 0 and set(made["level"]) <= {"low", "high"}


def test_what_goes_together_is_learned():
    frame = mixed_frame()[["size", "age"]]
    net = GANSampler(random_state=0, max_epochs=100, batch_size=75, lr=5e-3)
    made = net.fit(frame).sample(300, random_state=0)
    agree = (made["age"] >= 100) == (made["size"] == "big")
    assert agree.mean() > 0.9 and 0.25 < (made["size"] == "big").mean() < 0.75


def test_columns_are_written_as_they_are_read():
    random = np.random.RandomState(0)
    rows = np.c_[
        random.normal(5, 3, 300),
        np.where(random.rand(300) < 0.5, 0, random.gamma(1, 9, 300)),
        random.randint(1, 4, 300),
        np.full(300, 7.0),
        np.where(random.rand(300) < 0.2, np.nan, random.normal(size=300)),
        np.where(random.rand(300) < 0.5, random.normal(size=300), 50.0),
    ]
    for style in ("standard", "normal", "modes"):
        columns = learn_columns(rows, {2: 3}, style)
        encoded = encode(columns, rows, random)
        numbers, choices = sizes_of(columns)
        assert encoded.shape[1] == numbers + sum(choices) and numbers == 4
        again = decode(columns, encoded)
        close = 0.02 if style == "normal" else 1e-4
        np.testing.assert_allclose(again, rows, atol=close * np.nanstd(rows, 0).max())
        if style == "normal":  # repeated values are spread, and come back the same
            zeros = rows[:, 1] == 0
            assert encoded[zeros, 1].std() > 0.3 and (again[zeros, 1] == 0).all()
            np.testing.assert_allclose(encoded[:, :2].std(0), 1, atol=0.1)
        if style == "modes":  # two modes, told apart by a choice
            assert len(columns[5]["means"]) >= 2
        wild = decode(columns, np.where(encoded > 0, 99, -99))
        assert (wild[:, 0] <= rows[:, 0].max()).all() and (wild[:, 3] == 7).all()


def test_strings_want_to_be_named():
    frame = mixed_frame().astype({"size": str})
    with pytest.raises(ValueError, match="column 'size' of X holds text such as"):
        GANSampler(**QUICK, max_epochs=1).fit(frame)
    named = ["size", "code"]
    net = GANSampler(**QUICK, max_epochs=1, categorical_features=named).fit(frame)
    assert set(net.sample(50)["size"]) <= {"big", "small"}
    table = np.array([["x", 1.0], ["y", 2.0], ["x", 3.0]], dtype=object)
    net = GANSampler(**QUICK, max_epochs=1, categorical_features=[0]).fit(table)
    assert set(net.sample(20)[:, 0]) <= {"x", "y"}


# -- the contract of samplers ----------------------------------------------------------


def same_after_ctrl_c(estimator, given, path):
    whole = clone(estimator).fit(*given)
    stopped = clone(estimator).set_params(checkpoint=path, callbacks=[StopAt(3)])
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(*given)
    again = clone(estimator).set_params(checkpoint=path).fit(*given)
    states = [net.net_.state() for net in (whole, again)]
    assert digest(states[0]["weights"]) == digest(states[1]["weights"])
    assert digest(states[0]["players"]) == digest(states[1]["players"])
    assert set(states[0]["players"]) == {"discriminator", "generator"}
    return whole


def test_a_fit_that_is_killed_ends_with_the_same_bits(tmp_path):
    rows = GANSampler(**QUICK, max_epochs=5, early_stopping=True)
    net = same_after_ctrl_c(rows, (mixed_frame(), None), tmp_path / "rows")
    assert len(net.validation_loss_curve_) == net.n_iter_
    images = GANSampler(random_state=0, max_epochs=4, batch_size=16, width=4)
    same_after_ctrl_c(images, (tiles, halves), tmp_path / "images")
    drawing = ImageTranslator(random_state=0, max_epochs=4, width=4)
    same_after_ctrl_c(drawing, (tiles, 255 - tiles), tmp_path / "drawing")


def test_files_and_copies_draw_the_same(fitted, tmp_path):
    frame = mixed_frame()
    for net in (fitted, GANSampler(**QUICK, max_epochs=1).fit(frame)):
        net.save(tmp_path / "model")
        twin = sknets.load(tmp_path / "model")
        one, two = (each.sample(9, random_state=3) for each in (net, twin))
        assert digest(np.asarray(one, str)) == digest(np.asarray(two, str))
        assert type(one) is type(two)


def test_asking_for_what_cannot_be_is_one_sentence(fitted):
    vectors = GANSampler(**QUICK, max_epochs=1).fit(X, X[:, :2])
    plain = GANSampler(**QUICK, max_epochs=1).fit(X)
    for call, says in (
        (lambda: fitted.sample(y="z"), r"has \['z'\], not among the labels \['a',"),
        (lambda: fitted.sample(0), r"n_samples=0\): must be at least 1"),
        (lambda: fitted.sample(3, y=["a", "b"]), "y asks for 2 samples"),
        (lambda: plain.sample(y=1), "has learned X without y"),
        (
            lambda: fitted.discriminator_score(X, names[1:]),
            "X has 120 samples and y 119",
        ),
        (lambda: vectors.sample(y=np.ones((4, 3))), "3 columns, and the conditions"),
        (lambda: GANSampler().fit(X[:1]), "of n_samples=1: give at least 2"),
        (lambda: GANSampler().fit(X, [*names[1:], None]), r"y\[119\] is None"),
        (lambda: GANSampler(loss="w").fit(X), "loss must be 'original' or"),
    ):
        with pytest.raises(ValueError, match=says) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_early_stopping_watches_how_far_samples_are():
    net = GANSampler(
        random_state=0, max_epochs=60, batch_size=32, early_stopping=True, lr=3e-3
    ).fit(X)
    curve = net.validation_loss_curve_
    assert min(curve[10:]) < 0.5 * curve[0]


def test_collapse_is_said():
    assert modes_found(X, X) == (12, 12)
    found, n = modes_found(X, np.tile(X[y == 0], (3, 1)))
    assert found < 0.75 * n

    class Collapsed(GANSampler):
        def _made(self, n, condition, generator):
            return super()._made(1, condition, generator).expand(n, -1)

        _draw = _made

    long = {"max_epochs": 501, "batch_size": 120, "hidden_layer_sizes": (4,)}
    with pytest.warns(ModeCollapseWarning, match=r"only 1 of 12 clusters of X"):
        Collapsed(random_state=0, **long).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Collapsed(random_state=0, **long | {"max_epochs": 3}).fit(X)


def test_few_rows_are_smoothed_more_than_many():
    few, many = (GANSampler(**QUICK, max_epochs=1).fit(rows) for rows in (X[:30], X))
    for name, factor in (("gradient_penalty_", 30), ("smoothing_", 0.8)):
        expected = factor * np.array([30, 120]) ** (-4 / 7)
        assert [getattr(net, name) for net in (few, many)] == pytest.approx(expected)
    net = GANSampler(**QUICK, max_epochs=1, smoothing=0.5, gradient_penalty=0)
    module = net.fit(mixed_frame()).net_.module_
    assert sizes_of(net.columns_)[0] == 4
    rows = torch.zeros(4000, 9)
    spread = module.smoothed(rows).std(0)
    torch.testing.assert_close(spread[:4], torch.full((4,), 0.5), atol=0.03, rtol=0)
    assert (spread[4:] == 0).all()  # choices are left alone


def test_samples_are_drawn_by_the_mean_of_generators():
    given = {**QUICK, "max_epochs": 3, "lr_schedule": None}
    last = GANSampler(**given, ema_decay=None).fit(X)
    mean = GANSampler(**given, ema_decay=0.99).fit(X)
    # The same training: only what is drawn differs.
    assert last.loss_curve_ == mean.loss_curve_
    assert not np.allclose(
        last.sample(5, random_state=0), mean.sample(5, random_state=0)
    )


def test_images_come_back_as_they_were():
    net = GANSampler(random_state=0, max_epochs=1, width=4, batch_size=16)
    made = net.fit(tiles, halves).sample(3, y=1, random_state=0)
    assert made.dtype == np.uint8 and made.shape == (3, 8, 10)
    colour = np.repeat(tiles[..., None] / 255, 3, 3)
    made = net.fit(colour).sample(2)
    assert made.shape == (2, 8, 10, 3) and made.min() >= 0 and made.max() <= 1
    flat = net.set_params(image_shape=(8, 10)).fit(tiles.reshape(48, -1)).sample(2)
    assert flat.shape == (2, 80)
    assert np.isfinite(net.score(tiles.reshape(48, -1)))
