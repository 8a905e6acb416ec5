"""What is true of convolutional networks alone."""

import pickle
import warnings
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from torchvision import models
from torchvision.transforms import v2

import sknets
from sknets import CNNClassifier, CNNRegressor
from sknets._augment import Augment
from sknets._backbones import Backbone, backbone_names
from sknets._inputs.images import Images

torch.set_num_threads(1)
random = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def same_numbers():
    """Each test draws the same numbers, whatever ran before it."""
    global random
    random = np.random.default_rng(0)


# Dark images with a bright spot: left or right of the middle.
y = random.integers(0, 2, 60)
X = random.integers(0, 60, (60, 12, 16, 3)).astype(np.uint8)
for image, side in zip(X, y):
    row, column = random.integers(0, 9), random.integers(0, 5) + 8 * side
    image[row : row + 3, column : column + 3] += 150


def quick(**params):
    return CNNClassifier(**{"max_epochs": 3, "random_state": 0, **params})


def read(X, **params):
    """The batch that a fresh estimator makes of X, and the estimator."""
    reader = Images.of(CNNClassifier(**params))
    return reader.learn(X).batch(slice(None)), reader


# -- what X may be -------------------------------------------------------------------


def test_the_layouts_of_one_image_give_one_network():
    expected = quick().fit(X, y).predict_proba(X)
    first = X.transpose(0, 3, 1, 2)
    rows = X.reshape(60, -1)
    for same, params in (
        (first, {}),
        (first, {"channel_order": "first"}),
        (rows, {"image_shape": (12, 16, 3)}),
        (list(X), {}),
        (X.astype(np.float32) / 255, {}),
        (torch.from_numpy(X), {}),
    ):
        cnn = quick(**params).fit(same, y)
        np.testing.assert_allclose(cnn.predict_proba(same), expected, atol=2e-5)


@pytest.mark.parametrize(
    ("shape", "params", "batch", "dims", "axis"),
    [
        ((5, 30), {}, (5, 1, 1, 30), 1, None),
        ((5, 30), {"image_shape": (5, 6)}, (5, 1, 5, 6), 2, None),
        ((5, 9, 8), {}, (5, 1, 9, 8), 2, None),
        ((5, 50, 3), {}, (5, 3, 1, 50), 1, -1),
        ((5, 3, 50), {}, (5, 3, 1, 50), 1, 0),
        ((5, 9, 8), {"spatial_dims": 1}, (5, 8, 1, 9), 1, -1),
        ((5, 9, 8), {"channel_order": "first"}, (5, 9, 1, 8), 1, 0),
        ((5, 9, 8, 1), {}, (5, 1, 9, 8), 2, -1),
        ((5, 4, 9, 8), {}, (5, 4, 9, 8), 2, 0),
        ((5, 9, 8, 13), {"channel_order": "last"}, (5, 13, 9, 8), 2, -1),
        ((5, 9, 8, 7), {"spatial_dims": 3}, (5, 1, 9, 8, 7), 3, None),
        ((5, 9, 8, 7, 2), {}, (5, 2, 9, 8, 7), 3, -1),
        ((5, 50, 3), {"resize": 20}, (5, 3, 1, 20), 1, -1),
        ((5, 9, 8), {"resize": (4, 6)}, (5, 1, 4, 6), 2, None),
        ((5, 2, 9, 8, 7), {"resize": 5}, (5, 2, 5, 5, 5), 3, 0),
    ],
)
def test_shapes_are_read_as_documented(shape, params, batch, dims, axis):
    data = random.integers(0, 255, shape).astype(np.uint8)
    found, estimator = read(data, **params)
    assert found.shape == batch
    # Plain rows are a table, computed in its own dtype.
    plain = len(shape) == 2 and "image_shape" not in params
    assert found.dtype == (torch.float64 if plain else torch.float32)
    assert (estimator.spatial_dims_, estimator.channel_axis_) == (dims, axis)
    assert estimator.n_channels_ == batch[1]
    if "resize" not in params and axis != 0 and len(shape) > 2:
        pixels = found.movedim(1, -1).numpy().ravel()
        np.testing.assert_allclose(pixels, data.ravel() / 255, rtol=1e-6)


def test_channels_are_centred_and_scaled_by_their_weighted_statistics():
    weight = random.uniform(0.5, 2, 60)
    cnn = quick(max_epochs=1).fit(X, y, sample_weight=weight)
    pixels = X.reshape(60, -1, 3) / 255
    mean = np.average(pixels.mean(1), axis=0, weights=weight)
    spread = np.average(((pixels - mean) ** 2).mean(1), axis=0, weights=weight)
    np.testing.assert_allclose(cnn.x_mean_, mean, rtol=1e-6)
    np.testing.assert_allclose(cnn.x_scale_, np.sqrt(spread), rtol=1e-6)


def test_a_memory_mapped_array_of_bytes_is_not_copied(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    pixels = Images.of(CNNClassifier()).learn(mapped)
    assert pixels.values.data_ptr() == mapped.ctypes.data
    cnn = quick().fit(mapped, y)
    np.testing.assert_array_equal(
        cnn.predict_proba(X), quick().fit(X, y).predict_proba(X)
    )


def test_unequal_images_are_brought_to_their_median_size():
    images = [image[: 9 + i % 4, : 14 + i % 3] for i, image in enumerate(X)]
    cnn = quick(max_epochs=8).fit(images, y)
    assert cnn.image_size_ == (10, 15) and cnn.sample_shape_ is None
    assert cnn.score(images, y) > 0.9
    bigger = [np.kron(image, np.ones((2, 2, 1), np.uint8)) for image in images]
    assert cnn.score(bigger, y) > 0.9  # also other sizes than in fit


# -- the network ---------------------------------------------------------------------


def test_the_forward_pass_is_that_of_the_formulas():
    cnn = quick(channels=(5, 7), hidden_layer_sizes=(6,), dropout=0.0).fit(X, y)
    state = {k: v.detach() for k, v in cnn.net_.module_.state_dict().items()}
    a = torch.from_numpy((X / 255 - cnn.x_mean_) / cnn.x_scale_).float()
    a = a.permute(0, 3, 1, 2)
    for block in ("0", "4"):
        a = F.conv2d(a, state[f"convolutions.{block}.weight"], padding=1)
        a = F.max_pool2d(a, 2)
        norm = f"convolutions.{int(block) + 2}"
        a = F.batch_norm(
            a,
            state[f"{norm}.running_mean"],
            state[f"{norm}.running_var"],
            state[f"{norm}.weight"],
            state[f"{norm}.bias"],
        ).relu()
    a = a.flatten(1) @ state["dense.1.weight"].T + state["dense.1.bias"]
    features = a.relu()
    np.testing.assert_allclose(cnn.transform(X), features, rtol=1e-4, atol=1e-5)
    logits = features @ state["head.0.weight"].T + state["head.0.bias"]
    np.testing.assert_allclose(
        cnn.decision_function(X), logits[:, 0], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("side", [1, 2, 3, 5, 40])
def test_any_size_goes_through(side):
    data = random.integers(0, 255, (30, side, side)).astype(np.uint8)
    assert quick(max_epochs=1).fit(data, y[:30]).predict(data).shape == (30,)


@pytest.mark.parametrize(
    "params",
    [
        {"pooling": None},
        {"pooling": "average"},
        {"kernel_size": 4},
        {"channels": 8, "hidden_layer_sizes": ()},
        {"batch_norm": False, "activation": "gelu"},
        {"dropout": 0.3},
    ],
)
def test_every_stack_learns(params):
    assert quick(max_epochs=12, **params).fit(X, y).score(X, y) > 0.9


def test_digits_in_two_of_five_folds():
    digits = load_digits()
    images = (digits.images * 15).astype(np.uint8)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    cnn = CNNClassifier(max_epochs=3, random_state=0)
    two = list(folds.split(images, digits.target))[:2]
    assert cross_val_score(cnn, images, digits.target, cv=two).mean() > 0.97


def test_signals_and_volumes_are_told_apart_by_their_pattern():
    labels = random.integers(0, 2, 80)
    time = np.arange(60)
    phases = random.uniform(0, 6, 80)
    signals = np.sin(time * np.where(labels, 0.9, 0.4)[:, None] + phases[:, None])
    signals = np.stack([signals, random.normal(size=signals.shape)], axis=2)
    cnn = quick(max_epochs=8).fit(signals[:60], labels[:60])
    assert cnn.spatial_dims_ == 1 and cnn.score(signals[60:], labels[60:]) > 0.9
    volumes = random.normal(size=(80, 8, 8, 8, 1))
    volumes[labels == 1, 2:6, 2:6, 2:6] += 2
    cnn = quick(max_epochs=8, channels=8).fit(volumes[:60], labels[:60])
    assert cnn.spatial_dims_ == 3 and cnn.score(volumes[60:], labels[60:]) > 0.9


# -- series --------------------------------------------------------------------------


def bumps(n, n_steps=200, seed=0):
    """Noise, somewhere in which a short wave goes up first or down first."""
    random = np.random.default_rng(seed)
    X, y = random.normal(0, 0.3, (n, n_steps, 1)), np.arange(n) % 2
    wave = 2 * np.sin(np.linspace(0, 2 * np.pi, 16))
    for x, label, start in zip(X, y, random.integers(0, n_steps - 16, n)):
        x[start : start + 16, 0] += wave if label else -wave
    return X, y


@pytest.mark.parametrize("architecture", ["fcn", "resnet", "inception"])
def test_a_pattern_anywhere_in_a_long_series(architecture):
    train, test = bumps(60), bumps(60, seed=1)
    settings = {"max_epochs": 6, "lr": 0.01, "random_state": 0}
    net = CNNClassifier(architecture=architecture, **settings).fit(*train)
    assert net.batch_size_ == 16 and net.score(*test) > 0.95
    if architecture == "resnet":
        plain = CNNClassifier(architecture="plain", **settings).fit(*train)
        assert plain.score(*test) < 0.7


def normalised(z, state, name):
    """Batch normalisation of (B, C, T) in prediction, by its formula."""
    weight, bias, mean, variance = (
        state[f"{name}.{part}"][:, None]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (z - mean) / torch.sqrt(variance + 1e-5) * weight + bias


def test_two_nets_are_trained_each_by_its_own_loss():
    X, y = bumps(20, n_steps=40)
    net = quick(max_epochs=1, lr=1e-9).fit(X, np.arange(20) % 3)
    module, y = net.net_.module_.train(), torch.arange(20) % 3
    x = net._check_input(X, reset=False).batch(slice(None))
    losses = [
        F.cross_entropy(head(member(module.prepare(x)).mean((2, 3))), y)
        for head, member in zip(module.heads, module.members)
    ]
    mean = (losses[0] + losses[1]) / 2
    torch.testing.assert_close(module.loss(x, y).mean(), mean)
    assert F.cross_entropy(module(x), y) < mean - 1e-6  # by Jensen's inequality


def test_the_residual_network_is_the_papers():
    X, y = bumps(20, n_steps=300)
    X = np.concatenate([X, 5 + X[::-1] ** 2], 2)
    net = quick(max_epochs=1).fit(X, y)
    found, state = net.transform(X), net.net_.module_.double().state_dict()
    z = torch.from_numpy((X - net.x_mean_) / net.x_scale_).transpose(1, 2)
    own = z - z.mean(2, keepdim=True)
    own = own / torch.sqrt(own.square().mean(2, keepdim=True) + 1e-6)
    z = torch.cat([z, own], 1)

    def convolved(z, name, stride=1):
        weight = state[f"{name}.0.weight"][:, :, 0]
        z = F.conv1d(z, weight, stride=stride, padding=weight.shape[2] // 2)
        return normalised(z, state, f"{name}.1")

    for block, stride in enumerate((2, 1, 1)):  # 300 steps are read by twos
        name, inputs = f"members.1.{block}", z
        for part in (0, 2, 4):
            z = convolved(z, f"{name}.convolutions.{part}", stride if not part else 1)
            z = z.relu() if part < 4 else z
        if block < 2:
            around = convolved(inputs, f"{name}.around", stride)
        else:
            around = normalised(inputs, state, f"{name}.around")
        z = (z + around).relu()
    assert z.shape[1:] == (64, 150)
    np.testing.assert_allclose(found[:, 64:], z.mean(2).numpy(), atol=1e-4)


@pytest.mark.parametrize("architecture", ["fcn", "resnet", "inception"])
def test_every_step_of_a_series_is_seen(architecture):
    X, y = bumps(8, n_steps=700)
    net = quick(architecture=architecture, max_epochs=1).fit(X, y)
    module = net.net_.module_.eval()
    x = torch.from_numpy(X).float().transpose(1, 2)[:, :, None].requires_grad_()
    steps = module.members[0](module.prepare(x))
    assert steps.shape[3] == 175  # every fourth: at most 192
    (gradient,) = torch.autograd.grad(steps.sum(), x)
    assert bool((gradient != 0).any(0).all())


def test_level_and_shape_of_a_series_both_tell():
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 40, 1))
    level = np.arange(60) % 2
    X[:, :, 0] += 1000 * level[:, None]
    assert quick(max_epochs=4).fit(X[:40], level[:40]).score(X[40:], level[40:]) == 1
    # A shape at levels and in sizes that differ more than it does.
    shape = np.sin(np.arange(40) * np.where(level, 0.5, 1.0)[:, None])
    scale = np.exp(random.normal(0, 1, (60, 1)))
    X = (scale * (shape + random.normal(0, 10, (60, 1))))[:, :, None]
    net = quick(max_epochs=6, lr=0.003).fit(X[:40], level[:40])
    assert net.score(X[40:], level[40:]) > 0.9


def test_the_network_is_chosen_by_X_and_by_what_is_set():
    rows, labels = np.random.default_rng(0).normal(size=(20, 36)), np.arange(20) % 2

    def stack(X, **params):
        return hasattr(
            quick(**params, max_epochs=1).fit(X, labels).net_.module_, "dense"
        )

    assert not stack(rows) and not stack(rows[:, :, None])
    assert stack(rows[:, :32]) and not stack(rows[:, :32, None])
    assert stack(rows, architecture="plain") and stack(rows, channels=8)
    assert not stack(rows, channels=[24, 48, 96])  # the default
    assert stack((rows > 0).reshape(20, 6, 6).astype(np.uint8))
    assert not stack(rows[:, :3], architecture="resnet")
    for bad, match in [
        ({"kernel_size": 5}, "kernel_size=5.*architecture='fcn' is a whole network"),
        ({"backbone": "resnet18"}, "backbone='resnet18'.*leave it out"),
        ({"image_shape": (6, 6)}, "architecture='fcn'.*X holds images"),
    ]:
        with pytest.raises(ValueError, match=match):
            quick(architecture="fcn", **bad).fit(abs(rows) / 9, labels)


@pytest.mark.parametrize("n_steps", [1, 3, 600])
@pytest.mark.parametrize("architecture", ["fcn", "resnet", "inception"])
def test_short_and_constant_series(architecture, n_steps):
    X, y = np.random.default_rng(0).normal(size=(18, n_steps, 1)), np.arange(18) % 3
    X[::3] = 5  # constant
    params = {"architecture": architecture, "spatial_dims": 1, "max_epochs": 1}
    net = quick(**params, channel_order="last").fit(X, y)
    found = net.predict_proba(X)
    assert np.isfinite(found).all()
    alone = [net.predict_proba(x[None])[0] for x in X[:3]]
    np.testing.assert_allclose(alone, found[:3], atol=1e-5)


def test_regression_on_several_numbers():
    images = np.zeros((200, 10, 10), np.uint8)
    where = random.integers(0, 8, (200, 2))
    for image, (i, j) in zip(images, where):
        image[i : i + 3, j : j + 3] = 255
    cnn = CNNRegressor(max_epochs=20, lr=0.003, random_state=0)
    cnn.fit(images[:150], where[:150])
    assert cnn.score(images[150:], where[150:]) > 0.9
    assert cnn.predict(images[:2]).shape == (2, 2)


def test_a_last_batch_of_one_image_can_be_normalised():
    assert quick(batch_size=59).fit(X, y).n_iter_ == 3


def test_features_feed_a_classical_model():
    pipeline = make_pipeline(quick(max_epochs=8), LogisticRegression(max_iter=2000))
    assert pipeline.fit(X, y).score(X, y) > 0.95


def test_bfloat16_is_as_accurate():
    digits = load_digits()
    images = (digits.images * 15).astype(np.uint8)
    train, test = slice(0, 900), slice(900, None)
    scores = {}
    for precision in ("float32", "bfloat16"):
        cnn = CNNClassifier(max_epochs=3, precision=precision, random_state=0)
        cnn.fit(images[train], digits.target[train])
        scores[precision] = cnn.score(images[test], digits.target[test])
        assert cnn.predict_proba(images[:3]).dtype == np.float32
    assert scores["bfloat16"] > scores["float32"] - 0.015


def test_training_resumes_to_the_same_bits():
    """The moments of the optimiser are laid out as the weights: channels last."""
    one = quick().partial_fit(X, y, classes=[0, 1])
    other = pickle.loads(pickle.dumps(one))
    for cnn in (one, other):
        cnn.partial_fit(X, y).partial_fit(X, y)
    expected = quick().fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(one.predict_proba(X), expected)
    np.testing.assert_array_equal(other.predict_proba(X), expected)


# -- augmentation --------------------------------------------------------------------


def augment(kind, x, seed=0):
    layer = Augment([kind])
    layer.generator = torch.Generator().manual_seed(seed)
    return layer.train()(x, None)[0]


def test_flip_mirrors_about_half_of_the_images():
    x = torch.randn(200, 2, 5, 7)
    found = augment("flip", x)
    flipped = (found == x.flip(-1)).flatten(1).all(1)
    kept = (found == x).flatten(1).all(1)
    assert (flipped ^ kept).all() and 70 < int(flipped.sum()) < 130


@pytest.mark.parametrize("size", [(12,), (12, 20), (10, 12, 8)])
def test_shift_moves_by_up_to_a_tenth_and_fills_with_zeros(size):
    size = (1, *size) if len(size) == 1 else size
    x = torch.rand(60, 2, *size) + 1
    found = augment("shift", x)
    reach = [(side + 5) // 10 for side in size]
    seen = set()
    for before, after in zip(x, found):
        possible = {}
        for move in np.ndindex(*[2 * r + 1 for r in reach]):
            moves = [m - r for m, r in zip(move, reach)]
            shifted = torch.zeros_like(before)
            into = tuple(
                slice(max(0, -m), side - max(0, m)) for m, side in zip(moves, size)
            )
            out_of = tuple(
                slice(max(0, m), side - max(0, -m)) for m, side in zip(moves, size)
            )
            shifted[(slice(None), *into)] = before[(slice(None), *out_of)]
            possible[tuple(moves)] = shifted
        hits = [m for m, s in possible.items() if torch.equal(s, after)]
        assert len(hits) == 1
        seen.add(hits[0])
    for axis, r in enumerate(reach):
        assert {m[axis] for m in seen} == set(range(-r, r + 1))


def test_crop_keeps_to_the_image():
    ramp = torch.linspace(0, 1, 20).expand(300, 1, 20, 20)
    found = augment("crop", ramp)
    assert found.shape == ramp.shape and found.min() >= 0 and found.max() <= 1
    width = found[:, 0, 0, -1] - found[:, 0, 0, 0]  # of the window, in images
    assert 0.75 < width.min() < 0.85 and 0.95 < width.max() <= 1
    torch.testing.assert_close(found[:, 0, 0], found[:, 0, 7])  # straight, not turned


def test_augmentation_is_for_training_only_and_keeps_the_bits():
    rotate = v2.RandomRotation(20)
    for kind in ("flip", ["shift", "crop"], rotate):
        torch.manual_seed(1)
        cnn = quick(augment=kind).fit(X, y)
        state = torch.get_rng_state()
        expected = cnn.predict_proba(X)
        np.testing.assert_array_equal(cnn.predict_proba(X), expected)
        torch.manual_seed(2)
        again = quick(augment=kind).fit(X, y)
        np.testing.assert_array_equal(again.predict_proba(X), expected)
        torch.manual_seed(1)
        assert torch.equal(torch.get_rng_state(), state)
        assert not np.array_equal(quick().fit(X, y).predict_proba(X), expected)


def test_a_function_sees_one_image_at_a_time():
    shapes = set()

    def look(image):
        shapes.add(tuple(image.shape))
        return image

    plain = quick().fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(quick(augment=look).fit(X, y).predict_proba(X), plain)
    assert shapes == {(3, 12, 16)}


def test_a_function_that_changes_the_shape_is_refused():
    cnn = quick(augment=v2.CenterCrop(8))
    with pytest.raises(ValueError, match=r"given, .3, 12, 16., and returned .3, 8"):
        cnn.fit(X, y)
    assert not cnn.__sklearn_is_fitted__()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_images_train_on_an_accelerator():
    for augment in ("shift", v2.RandomHorizontalFlip(), ["flip", "crop"]):
        cnn = quick(device="cuda", max_epochs=8, augment=augment).fit(X, y)
        assert next(cnn.net_.module_.parameters()).is_cuda
        assert cnn.score(X, y) > 0.8


def test_a_checkpoint_knows_the_augmentation(tmp_path):
    kept = {"checkpoint": str(tmp_path / "fit"), "max_epochs": 2}
    rotate = quick(augment=v2.RandomRotation(20), **kept)
    expected = rotate.fit(X, y).predict_proba(X)
    again = quick(augment=v2.RandomRotation(20), **kept).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), expected)
    refused("is of another fit, with augment=", quick(augment="flip", **kept).fit, X, y)
    nameless = quick(augment=lambda image: image, **kept)
    refused("cannot tell it from others, give it a name", nameless.fit, X, y)


# -- backbones -----------------------------------------------------------------------

large = np.kron(X[:12], np.ones((3, 2, 1), np.uint8))  # 36 x 32 pixels


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """A file of weights with torchvision's keys, and the network that they are of."""
    torch.manual_seed(0)
    network = models.resnet18().eval()
    folder = tmp_path_factory.mktemp("weights")
    torch.save(network.state_dict(), folder / "resnet18.pth")
    save_file(network.state_dict(), folder / "resnet18.safetensors")
    return folder, network


@pytest.mark.parametrize("name", ["resnet18.pth", "resnet18.safetensors"])
def test_a_frozen_backbone_gives_the_features_of_its_weights(resnet, name):
    folder, network = resnet
    cnn = quick(
        backbone="resnet18", weights=str(folder / name), freeze_backbone=True
    ).fit(large, y[:12])
    mean, scale = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x = torch.from_numpy((large / 255 - mean) / scale).float().permute(0, 3, 1, 2)
    network.fc = torch.nn.Identity()
    with torch.no_grad():
        expected = network(x)
    np.testing.assert_allclose(cnn.transform(large), expected, rtol=1e-3, atol=1e-4)
    body = cnn.net_.module_.body.state_dict()
    for key, value in network.state_dict().items():
        assert torch.equal(body[key], value), f"{key} was trained"
    assert cnn.n_parameters_ == 512 + 1
    twin = pickle.loads(pickle.dumps(cnn))
    np.testing.assert_array_equal(twin.predict_proba(large), cnn.predict_proba(large))


def test_a_frozen_backbone_sees_each_image_once(resnet, monkeypatch):
    folder, _ = resnet
    frozen = {
        "backbone": "resnet18",
        "weights": str(folder / "resnet18.pth"),
        "freeze_backbone": True,
        "max_epochs": 4,
    }
    seen = []
    features = Backbone.features
    monkeypatch.setattr(
        Backbone, "features", lambda self, x: seen.append(len(x)) or features(self, x)
    )
    weight = np.r_[0, 0, np.ones(10)]
    cnn = quick(**frozen).fit(large, y[:12], sample_weight=weight)
    assert sum(seen) == 12
    # The same function augmenting nothing: every image in every epoch, equal weights.
    slow = quick(**frozen, augment=lambda image: image)
    slow.fit(large, y[:12], sample_weight=weight)
    np.testing.assert_allclose(
        slow.predict_proba(large), cnn.predict_proba(large), atol=1e-5
    )
    parts = quick(**frozen)
    for _ in range(4):
        parts.partial_fit(large, y[:12], classes=[0, 1], sample_weight=weight)
    np.testing.assert_array_equal(parts.predict_proba(large), cnn.predict_proba(large))
    early = quick(**frozen, early_stopping=True, validation_fraction=0.3)
    assert len(early.fit(large, y[:12]).validation_scores_) == 4


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_backbones_take_grey_and_colour_and_other_channels(channels):
    data = np.repeat(large[..., :1], channels, axis=3)
    cnn = quick(backbone="mobilenet_v3_small", max_epochs=1).fit(data, y[:12])
    assert cnn.transform(data).shape == (12, 1024)


@pytest.mark.parametrize(
    "name", ["squeezenet1_0", "efficientnet_b0", "shufflenet_v2_x0_5"]
)
def test_backbones_draw_from_the_estimators_own_streams(name):
    state = torch.get_rng_state()
    fits = [
        quick(backbone=name, max_epochs=1, batch_size=6).fit(large, y[:12])
        for _ in range(2)
    ]
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(
        fits[0].predict_proba(large), fits[1].predict_proba(large)
    )


def test_a_saved_backbone_needs_its_weights_no_more(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(models.squeezenet1_1().state_dict(), path)
    cnn = quick(backbone="squeezenet1_1", weights=str(path), max_epochs=1).fit(
        large, y[:12]
    )
    cnn.save(tmp_path / "model.safetensors")
    path.unlink()
    twin = sknets.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(twin.predict_proba(large), cnn.predict_proba(large))


def test_the_named_backbones_are_convolutional():
    names = backbone_names()
    assert {"alexnet", "vgg11", "resnet18", "mobilenet_v3_small"} <= set(names)
    assert not any(name.startswith(("vit", "swin")) for name in names)


# -- wrong input ---------------------------------------------------------------------


def refused(match, call, *args, error=ValueError):
    with pytest.raises(error, match=match) as caught:
        call(*args)
    assert str(caught.value).startswith("CNN") and "\n" not in str(caught.value)


def test_images_that_change_at_predict():
    cnn = quick().fit(X, y)
    refused("X has 1 channel, but fit had 3 channels", cnn.predict, X[..., :1])
    refused("fit had samples of shape .12, 16, 3.; set resize", cnn.predict, X[:, 1:])
    refused("X has samples of shape .12, 16.", cnn.predict, X[..., 0])
    refused(r"of one image make a list, \[X\]", cnn.predict, X[0])
    assert cnn.predict([X[0]]) == cnn.predict(X)[:1]
    refused("floats up to 209, but fit had uint8: divide", cnn.predict, X * 1.0)
    np.testing.assert_allclose(
        cnn.predict_proba(X / 255), cnn.predict_proba(X), atol=1e-5
    )
    refused(
        r"X\[1\] has 1 channels?, but fit had 3", cnn.predict, [X[0], X[1][..., :1]]
    )


def test_a_list_names_its_first_bad_image():
    images = list(X)
    for bad, match in (
        (images[0][..., 0], r"X\[7\] has shape \(12, 16\), but X\[0\] had 3 channels"),
        (np.zeros((0, 4, 3)), r"X\[7\] is an empty image"),
        (np.array([["a", "b"]]), r"X\[7\] must be an array of numbers"),
        (images[0] * np.nan, r"X\[7\] contains NaN"),
        (images[0] / 255, r"X\[7\] is float64 and X\[0\] is uint8"),
    ):
        refused(match, quick().fit, [*images[:7], bad, *images[8:]], y)


def test_float_images_outside_the_unit_interval_say_what_is_assumed():
    with pytest.warns(UserWarning, match="from 0 to 209, outside .*taken as they are"):
        cnn = quick().fit(X.astype(np.float32), y)
    # Bytes are then in the same unit.
    np.testing.assert_array_equal(
        cnn.predict_proba(X), cnn.predict_proba(X.astype(np.float32))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick().fit(X / 255, y)
        quick().fit(random.normal(size=(20, 30)), y[:20])


@pytest.mark.parametrize(
    ("params", "data", "match"),
    [
        ({"backbone": "resnet19"}, large, "no such network; near are resnet1"),
        ({"backbone": "resnet18"}, X, "at least 32 pixels a side.*12 x 16: set resize"),
        ({"backbone": "alexnet"}, large, "at least 63 pixels"),
        ({"backbone": "resnet18"}, X[:, 0], "it takes images"),
        ({"weights": "DEFAULT"}, X, "weights is for a named backbone"),
        ({"freeze_backbone": True}, X, "freeze_backbone is for a named backbone"),
        ({"backbone": "resnet18", "freeze_backbone": True}, large, "needs weights"),
        ({"augment": "flop"}, X, "'flop' is not one of 'flip', 'shift', 'crop'"),
        ({"image_shape": (12, 16)}, X, "is for X of flat rows"),
        ({"image_shape": (5, 5)}, X.reshape(60, -1), "25 pixels, but .* 576 columns"),
        ({"spatial_dims": 2}, X.reshape(60, -1), "say with image_shape"),
        ({"spatial_dims": 1}, X, "must have 1 axes, or 2 with channels"),
        ({"resize": (3, 4, 5)}, X, "a number or 2 numbers for images"),
        ({}, np.zeros((9, 8, 7, 6)), "do not tell which axis holds the channels"),
        (
            {},
            np.zeros((9, 2, 2, 2, 2, 2)),
            r"got an array of shape \(9, 2",
        ),
        ({}, X.astype(float) * np.nan, "contains NaN"),
        ({}, X.astype(complex), "Complex data not supported"),
        ({}, ["cat.png", "dog.png"], r"got \['cat.png', 'dog.png'\]: read files first"),
        ({}, "photos", "got 'photos': read files first"),
    ],
)
def test_one_sentence_before_any_work(params, data, match):
    refused(match, quick(**params).fit, data, y[: len(data)])


def test_weights_of_another_architecture(resnet, tmp_path):
    folder, _ = resnet
    path = str(folder / "resnet18.pth")
    for name, why in (("resnet34", "there is no"), ("squeezenet1_1", "there is no")):
        cnn = quick(backbone=name, weights=path, resize=64)
        refused(f"not weights of {name}: {why}", cnn.fit, X, y)
    (tmp_path / "text.pth").write_text("hello")
    cnn = quick(backbone="resnet18", weights=str(tmp_path / "text.pth"))
    refused("cannot be read as a dict of tensors", cnn.fit, large, y[:12])
    cnn = quick(backbone="resnet18", weights="nowhere.pth")
    refused("no such file", cnn.fit, large, y[:12], error=FileNotFoundError)


def test_without_a_network_the_download_says_what_to_do(monkeypatch):
    def offline(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    cnn = quick(backbone="resnet18", weights="DEFAULT")
    refused(
        "could not be downloaded.*give its path", cnn.fit, large, y[:12], error=OSError
    )
    assert not cnn.__sklearn_is_fitted__()


def test_shifts_stay_within_a_tenth_of_a_side():
    augment = Augment(["shift"])
    augment.generator = torch.Generator().manual_seed(0)
    for side, reach in ((4, 0), (8, 1), (28, 3)):
        x = torch.zeros(4000, 1, side, side)
        x[:, :, side // 2, side // 2] = 1
        moved, _ = augment(x, None)
        rows = moved.sum(3).argmax(2).flatten() - side // 2
        assert rows.abs().max() == reach
        # A whole pixel is further than a tenth of 8: it is rarer than staying.
        if side == 8:
            assert 0.3 < (rows != 0).float().mean() < 0.45


def test_the_last_quarter_of_training_sees_the_images_themselves():
    seen = []

    def note(image):
        seen.append(len(seen))
        return image

    quick(augment=note, max_epochs=8, batch_size=50).fit(X[:20], y[:20])
    assert len(seen) == 6 * 20
