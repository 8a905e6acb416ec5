"""What is true of networks of videos alone."""

import itertools
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from torch import nn
from torchvision import models
from torchvision.transforms import v2

from sknets import CNNClassifier, CNNRegressor, VideoClassifier, VideoRegressor
from sknets._backbones import Backbone
from sknets._engine.containers import Ragged
from sknets._inputs.images import PixelUnitWarning
from sknets._inputs.videos import Videos
from sknets.convolutional._images import ConvNet
from sknets.convolutional._video import ClipConvolution

torch.set_num_threads(1)
ARCHITECTURES = ("cnn_lstm", "cnn_gru", "conv3d")
MOVES = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}


def moving(n, seed=0, side=12, shortest=5, longest=9):
    """Clips of a square that leaves on one side and comes back on the other.

    It starts anywhere, so that a single frame says nothing of where it goes.
    """
    random = np.random.default_rng(seed)
    y = random.choice(list(MOVES), n)
    frame = np.zeros((side, side))
    frame[:4, :4] = 150
    X = []
    for name in y:
        start, move = random.integers(0, side, 2), np.array(MOVES[name])
        steps = range(random.integers(shortest, longest + 1))
        clip = np.stack([np.roll(frame, start + t * move, (0, 1)) for t in steps])
        X.append((clip + random.integers(0, 40, clip.shape)).astype(np.uint8))
    return X, y


X, y = moving(40)
equal = np.stack([clip[:5] for clip in X])


def at_speed(n, seed=0, side=12):
    """Clips of a square that goes left or right, and its speed in pixels a frame."""
    random = np.random.default_rng(seed)
    frame = np.zeros((side, side))
    frame[:4, :4] = 150
    X, y = [], random.uniform(-2, 2, n)
    for speed in y:
        row, column = random.integers(0, side, 2)
        moves = [(row, column + round(t * speed)) for t in range(random.integers(5, 9))]
        clip = np.stack([np.roll(frame, move, (0, 1)) for move in moves])
        X.append((clip + random.integers(0, 40, clip.shape)).astype(np.uint8))
    return X, y


def quick(**params):
    small = {"max_epochs": 2, "channels": (4, 8), "hidden_size": 8, "random_state": 0}
    return VideoClassifier(**{**small, "hidden_layer_sizes": 8, **params})


def read(X, **params):
    """The container that a fresh estimator makes of X, and the estimator."""
    reader = Videos.of(VideoClassifier(**params))
    return reader.learn(X), reader


# -- what X may be -------------------------------------------------------------------


def test_the_layouts_of_a_clip_give_one_network():
    expected = quick().fit(equal, y).predict_proba(equal)
    for same, params in (
        (equal[..., None], {}),
        (equal[:, :, None], {}),
        (equal[:, :, None], {"channel_order": "first"}),
        (list(equal), {}),
        (torch.from_numpy(equal), {}),
        (equal.astype(np.float32) / 255, {}),
        (equal.astype(np.int64), {}),
        (equal[:, :, ::-1, ::-1][:, :, ::-1, ::-1], {}),
    ):
        net = quick(**params).fit(same, y)
        np.testing.assert_allclose(net.predict_proba(same), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "params", "size", "channels", "axis"),
    [
        ((5, 8, 9), {}, (8, 9), 1, None),
        ((3, 8, 9), {}, (8, 9), 1, None),
        ((5, 8, 9, 3), {}, (8, 9), 3, -1),
        ((5, 3, 8, 9), {}, (8, 9), 3, 0),
        ((5, 3, 8, 3), {}, (3, 8), 3, -1),
        ((5, 3, 8, 3), {"channel_order": "first"}, (8, 3), 3, 0),
        ((5, 8, 9, 6), {"channel_order": "last"}, (8, 9), 6, -1),
    ],
)
def test_axes_of_a_clip(shape, params, size, channels, axis):
    clips, estimator = read(np.zeros((2, *shape), np.uint8), **params)
    assert (estimator.image_size_, estimator.n_channels_) == (size, channels)
    assert estimator.channel_axis_ == axis
    assert clips.batch(slice(None)).values.shape == (2 * shape[0], channels, *size)


def test_a_batch_holds_real_frames_alone():
    clips, _ = read(X)
    batch = clips.batch(torch.tensor([3, 0, 7]))
    assert batch.lengths.tolist() == [len(X[3]), len(X[0]), len(X[7])]
    frames = np.concatenate([X[3], X[0], X[7]])[:, None]
    np.testing.assert_allclose(batch.values.numpy(), frames / 255, rtol=1e-6)


def test_bytes_stay_bytes_in_the_memory_of_x():
    for given in (equal, X):
        clips, _ = read(given)
        for clip, own in zip(given, clips.clips):
            assert own.dtype == torch.uint8 and np.shares_memory(clip, own.numpy())


def test_a_memory_map_is_read_as_it_is(tmp_path):
    np.save(tmp_path / "clips.npy", equal)
    mapped = np.load(tmp_path / "clips.npy", mmap_mode="r")
    clips, _ = read(mapped)
    assert np.shares_memory(mapped, clips.clips[0].numpy())
    np.testing.assert_array_equal(
        quick().fit(mapped, y).predict_proba(mapped),
        quick().fit(equal, y).predict_proba(equal),
    )


def test_statistics_are_those_of_all_frames():
    random = np.random.default_rng(0)
    clips = [random.random((t, 6, 7, 3)) for t in (2, 5, 3, 4)]
    labels, weight = [0, 1, 0, 1], np.array([1.0, 3.0, 0.0, 2.0])
    net = quick(max_epochs=1).fit(clips, labels, sample_weight=weight)
    pixels = np.concatenate([clip.reshape(-1, 3) for clip in clips])
    w = np.repeat(weight, [len(clip) * 42 for clip in clips])
    mean = np.average(pixels, axis=0, weights=w)
    np.testing.assert_allclose(net.x_mean_, mean)
    variance = np.average((pixels - mean) ** 2, axis=0, weights=w)
    np.testing.assert_allclose(net.x_scale_**2, variance)


def test_floats_beyond_the_unit_interval_are_warned_of():
    with pytest.warns(PixelUnitWarning, match="outside"):
        net = quick().fit(equal * 1.0, y)
    assert net.pixel_unit_ == "raw"


def test_resize_brings_frames_to_one_size():
    unequal = [clip[:, : 8 + i % 3] for i, clip in enumerate(X)]
    net = quick(resize=10).fit(unequal, y)
    assert net.image_size_ == (10, 10) and net.predict(X).shape == (40,)
    small = quick(resize=(6, 12)).fit(equal, y)
    assert small.image_size_ == (6, 12) and small.predict(X).shape == (40,)


# -- the networks --------------------------------------------------------------------


def batch_of(lengths, channels=3, size=(6, 7), seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(
        sum(lengths), channels, *size, generator=generator, dtype=torch.float64
    )
    return Ragged(values, torch.tensor(lengths))


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("lengths", [[4, 1, 6, 2], [3, 3]])
def test_a_convolution_of_clips_is_torchs_of_each_clip_alone(kernel, lengths):
    flat = nn.Conv2d(3, 5, kernel, padding=kernel // 2).double()
    layer = ClipConvolution(flat).double()
    batch = batch_of(lengths)
    found = layer(batch.values, batch).split(lengths)
    for clip, own in zip(batch.values.split(lengths), found):
        alone = layer.convolution(clip.transpose(0, 1)[None])[0].transpose(0, 1)
        torch.testing.assert_close(own, alone[: len(clip)], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("lengths", [[4, 1, 6, 2], [3, 3]])
def test_padded_and_real_are_inverse(lengths):
    batch = batch_of(lengths)
    table = batch.padded()
    assert torch.equal(batch.real(table), batch.values)
    for clip, row in zip(batch.values.split(lengths), table):
        assert torch.equal(row[: len(clip)], clip) and not row[len(clip) :].any()
    ends = [clip[-1] for clip in batch.values.flatten(1).split(lengths)]
    last = batch.last(table.flatten(2))
    assert torch.equal(last, torch.stack(ends))


@pytest.mark.parametrize("architecture", ["cnn_lstm", "cnn_gru"])
def test_features_are_those_of_torchs_cells_on_each_clip(architecture):
    net = quick(architecture=architecture, precision="float64").fit(X, y)
    module = net.net_.module_
    with torch.no_grad():
        for clip, found in zip(X, net.transform(X)):
            frames = torch.from_numpy(clip / 255.0)[:, None]
            states, _ = module.memory(module.frames.features(frames))
            np.testing.assert_allclose(found, states[-1].numpy(), atol=1e-12)


def test_conv3d_is_torchs_own_layers_in_a_row():
    net = quick(architecture="conv3d", precision="float64").fit(equal, y)
    module = net.net_.module_
    x = torch.from_numpy((equal / 255.0 - net.x_mean_) / net.x_scale_)[:, None]
    with torch.no_grad():
        for layer in module.frames.convolutions:
            if isinstance(layer, ClipConvolution):
                x = layer.convolution(x)
            elif isinstance(layer, nn.MaxPool2d):
                x = nn.functional.max_pool3d(x, (1, 2, 2))
            elif isinstance(layer, nn.BatchNorm2d):
                x = nn.functional.batch_norm(
                    x, layer.running_mean, layer.running_var, layer.weight, layer.bias
                )
            else:
                x = layer(x)
        features = module.frames.dense(x.transpose(1, 2).flatten(0, 1))
        features = features.view(*equal.shape[:2], -1).mean(1)
    np.testing.assert_allclose(net.transform(equal), features.numpy(), atol=1e-10)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_neither_padding_nor_company_changes_a_prediction(architecture, precision):
    net = quick(architecture=architecture, precision=precision).fit(X, y)
    expected = net.predict_proba(X)
    tolerance = 1e-10 if precision == "float64" else 1e-5
    alone = np.concatenate([net.predict_proba([clip]) for clip in X])
    np.testing.assert_allclose(alone, expected, atol=tolerance)
    order = np.random.default_rng(0).permutation(len(X))
    mixed = net.predict_proba([X[i] for i in order])
    np.testing.assert_allclose(mixed, expected[order], atol=tolerance)
    net.net_._recipe = replace(net.net_._recipe, predict_batch_size=3)
    np.testing.assert_allclose(net.predict_proba(X), expected, atol=tolerance)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_padding_does_not_change_a_training_step(architecture):
    """A longer clip that the loss leaves out gives the gradient without it."""
    params = {"architecture": architecture, "precision": "float64", "batch_norm": False}
    net = quick(**params).fit(X, y).net_.module_.train()

    def gradient(clips, n):
        batch = read(clips)[0].to(torch.device("cpu"), torch.float64).batch(slice(None))
        net.zero_grad()
        net(batch)[:n].square().sum().backward()
        return torch.cat([p.grad.flatten() for p in net.parameters()])

    padded = gradient([*equal, np.concatenate([equal[0]] * 3)], len(equal))
    torch.testing.assert_close(padded, gradient(equal, len(equal)), rtol=0, atol=1e-10)


def test_frames_are_computed_once_and_padding_never(monkeypatch):
    seen = []
    features = ConvNet.features
    monkeypatch.setattr(
        ConvNet, "features", lambda self, x: seen.append(len(x)) or features(self, x)
    )
    net = quick(max_epochs=1).fit(X, y)
    assert sum(seen) == sum(map(len, X))
    net.predict(X)
    assert sum(seen) == 2 * sum(map(len, X))


def test_dropout_and_bfloat16_train():
    for architecture in ARCHITECTURES:
        net = quick(architecture=architecture, dropout=0.3, precision="bfloat16")
        assert np.isfinite(net.fit(X, y).loss_curve_).all()
        assert net.predict_proba(X).dtype == np.float32


# -- augmentation and backbones ------------------------------------------------------


@pytest.mark.parametrize("augment", ["flip", "shift", "crop"])
def test_all_frames_of_a_clip_change_alike(augment):
    still = [np.repeat(clip[:1], len(clip), axis=0) for clip in X]
    change = quick(augment=augment)._augmentation()
    change.generator = torch.Generator().manual_seed(0)
    batch = read(still)[0].batch(slice(None))
    found, target = change(batch, y)
    assert target is y
    clips = found.join().split(batch.lengths.tolist())
    assert all(torch.allclose(clip, clip[:1].expand_as(clip)) for clip in clips)
    before = batch.values.split(batch.lengths.tolist())
    changed = [not torch.equal(a, b) for a, b in zip(clips, before)]
    assert 5 < sum(changed) <= 40


def test_functions_change_whole_clips():
    seen = []

    def turned(clip):
        seen.append(clip.shape)
        return v2.functional.vertical_flip(clip)

    quick(augment=turned, max_epochs=1).fit(X, y)
    assert sorted(s[0] for s in seen) == sorted(map(len, X))
    assert {s[1:] for s in seen} == {(1, 12, 12)}


def test_a_frozen_backbone_sees_each_frame_once(tmp_path, monkeypatch):
    torch.manual_seed(0)
    state = models.get_model("mobilenet_v3_small", weights=None).state_dict()
    torch.save(state, tmp_path / "weights.pth")
    large = [
        np.kron(clip[: 2 + i % 2], np.ones((1, 3, 3), np.uint8))
        for i, clip in enumerate(X[:12])
    ]
    frozen = {
        "backbone": "mobilenet_v3_small",
        "weights": str(tmp_path / "weights.pth"),
        "freeze_backbone": True,
    }
    seen = []
    features = Backbone.features
    monkeypatch.setattr(
        Backbone, "features", lambda self, x: seen.append(len(x)) or features(self, x)
    )
    net = quick(**frozen).fit(large, y[:12])
    assert sum(seen) == 30
    body = net.net_.module_.frames.body.state_dict()
    for key, value in body.items():
        assert torch.equal(value, state[key]), f"{key} was trained"
    slow = quick(**frozen, augment=lambda clip: clip).fit(large, y[:12])
    expected = net.predict_proba(large)
    np.testing.assert_allclose(slow.predict_proba(large), expected, atol=1e-4)
    twin = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(twin.predict_proba(large), expected)
    early = quick(**frozen, early_stopping=True, validation_fraction=0.3)
    assert len(early.fit(large, y[:12]).validation_scores_) == 2


# -- learning ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned():
    clips, labels = moving(300, seed=1)
    return VideoClassifier(max_epochs=12, random_state=0).fit(clips, labels)


def test_motion_is_learned_that_no_single_frame_shows(learned):
    clips, labels = moving(200, seed=2)
    assert learned.score(clips, labels) > 0.95
    train, train_labels = moving(300, seed=1)
    for where in (0, 0.5):
        cnn = CNNClassifier(max_epochs=6, random_state=0)
        cnn.fit([c[int(where * len(c))] for c in train], train_labels)
        single = [c[int(where * len(c))] for c in clips]
        assert cnn.score(single, labels) < 0.4


def test_conv3d_learns_motion():
    net = VideoClassifier(architecture="conv3d", max_epochs=4, random_state=0)
    assert net.fit(*moving(150, seed=1)).score(*moving(100, seed=2)) > 0.95


@pytest.mark.parametrize("architecture", ["cnn_lstm", "conv3d"])
def test_a_speed_is_learned_that_no_single_frame_shows(architecture):
    (X, y), (new, answers) = at_speed(200, seed=1), at_speed(100, seed=2)
    epochs = {"cnn_lstm": 15, "conv3d": 5}[architecture]
    net = VideoRegressor(
        architecture=architecture, max_epochs=epochs, random_state=0
    ).fit(X, y)
    assert net.score(new, answers) > 0.9
    # Played backwards it is the opposite speed.
    assert r2_score(-answers, net.predict([clip[::-1] for clip in new])) > 0.9
    if architecture == "conv3d":  # once is enough
        cnn = CNNRegressor(max_epochs=3, random_state=0).fit([c[2] for c in X], y)
        assert cnn.score([clip[2] for clip in new], answers) < 0.2


def test_several_numbers_a_clip():
    y = np.array([(len(clip), clip.mean()) for clip in X])
    small = {"channels": (4, 8), "hidden_size": 16, "random_state": 0}
    net = VideoRegressor(max_epochs=20, **small).fit(X, y)
    assert net.predict(X).shape == (40, 2)
    assert (r2_score(y, net.predict(X), multioutput="raw_values") > 0.7).all()


def test_features_serve_a_classical_model(learned):
    clips, labels = moving(100, seed=3)
    features = learned.transform(clips)
    assert features.shape == (100, 64)
    assert list(learned.get_feature_names_out())[:1] == ["videoclassifier0"]
    logistic = LogisticRegression(max_iter=500)
    assert cross_val_score(logistic, features, labels, cv=4).mean() > 0.95
    assert len(make_pipeline(quick(), logistic).fit(X, y).predict(X)) == 40


def test_lists_and_arrays_split_as_scikit_learn_does():
    train, test, labels, _ = train_test_split(X, y, random_state=0)
    assert len(quick().fit(train, labels).predict(test)) == 10


# -- wrong input ---------------------------------------------------------------------


def refused(match, call, *args):
    with pytest.raises(ValueError, match=match) as caught:
        call(*args)
    assert str(caught.value).startswith("VideoClassifier")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("item", "match"),
    [
        (np.ones((0, 12, 12)), r"X\[3\] is an empty clip, of shape \(0, 12, 12\)"),
        (np.ones((4, 0, 12)), r"X\[3\] is an empty clip"),
        (np.full((4, 12, 12), np.nan), r"X\[3\] contains NaN or infinity"),
        (np.ones((12, 12)), r"X\[3\] of shape \(12, 12\) is an image.*CNNClassifier"),
        (np.ones((4, 12, 12, 3)), r"X\[3\] has shape .* X\[0\] had clips of 3 axes"),
        (
            np.ones((4, 9, 12), np.uint8),
            r"X\[3\] has frames of 9 x 12 pixels, but X\[0",
        ),
        (np.full((4, 12, 12), 0.5), r"X\[3\] is float64 and X\[0\] is uint8"),
        (np.ones((2, 3, 4, 5, 6)), r"X\[3\] must be one clip"),
        (3.0, r"X\[3\] must be one clip"),
        ("a film", r"X\[3\] must be an array of numbers, got 'a film'"),
        ([[1, 2], [3]], r"X\[3\] must be an array of numbers"),
    ],
)
def test_a_list_names_its_first_bad_clip(item, match):
    item = item.astype(np.uint8) if getattr(item, "ndim", 0) > 3 else item
    refused(match, quick().fit, [*X[:3], item, *X[4:]], y)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (np.ones((40, 4)), r"takes videos, not a table of shape \(40, 4\)"),
        (np.ones((40, 12, 12)), r"holds images .*, which CNNClassifier takes"),
        (np.ones((40, 12, 12, 3)), r"\(12, 12, 3\), which are images with 3 channels"),
        (np.ones((40, 5, 8, 9, 6)), "set channel_order='first' or 'last'"),
        (np.ones((40, 0, 8, 9)), r"X\[0\] is an empty clip, of shape \(0, 8, 9\)"),
        (np.ones((40, 2, 2, 2, 2, 2)), r"takes videos, got an array of shape \(40"),
        (np.full((40, 5, 8, 9), np.inf), r"X\[0\] contains NaN or infinity"),
        (np.ones((40, 5, 8, 9), complex), "Complex data not supported"),
        (["one.mp4", "two.mp4"] * 20, "read files first"),
        ([], "X is empty"),
        (None, "takes videos, got None"),
        ([[1.0, 2.0]] * 40, "takes videos, not a table: use"),
    ],
)
def test_one_sentence_before_any_work(data, match):
    refused(match, quick().fit, data, y)


def test_channel_order_is_for_clips_with_channels():
    refused("clips with channels have 4 axes", quick(channel_order="last").fit, X, y)


def test_clips_that_change_at_predict():
    colour = np.repeat(equal[..., None], 3, axis=4)
    net = quick().fit(colour, y)
    refused(r"X\[0\] has 1 channel, but fit had 3", net.predict, equal[..., None])
    refused("fit had clips of 4 axes; of one clip make a list", net.predict, colour[0])
    refused(r"8 x 12 pixels, but fit had 12 x 12", net.predict, colour[:, :, :8])
    refused("floats up to 200.*divide X by 255", net.predict, colour * 0 + 200.0)
    assert net.predict([colour[0]]) == net.predict(colour)[:1]


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"architecture": "c3d"}, "architecture must be"),
        ({"backbone": "resnet18", "architecture": "conv3d"}, "one frame at a time"),
        ({"backbone": "resnet18"}, "set resize=32"),
        ({"backbone": "resnet81"}, "near are"),
        ({"augment": "turn"}, "'turn' is not one of"),
        ({"weights": "DEFAULT"}, "for a named backbone"),
    ],
)
def test_wrong_parameters(params, match):
    refused(match, quick(**params).fit, X, y)


def test_every_architecture_takes_one_short_clip_and_small_frames():
    tiny = np.random.default_rng(0).integers(0, 255, (6, 1, 2, 5), np.uint8)
    for architecture, order in itertools.product(ARCHITECTURES, (1, -1)):
        net = quick(architecture=architecture).fit(tiny[::order], [0, 1] * 3)
        assert net.predict(tiny[:1]).shape == (1,)
