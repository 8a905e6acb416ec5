"""Where an image estimator looks: against formulas, brute force and planted truth."""

import threading

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from sknets import (
    CNNClassifier,
    CNNRegressor,
    FeedforwardClassifier,
    FiltersDisplay,
    SaliencyDisplay,
    first_layer_filters,
    grad_cam,
    occlusion_map,
)

torch.set_num_threads(1)


def spots(n, size=(12, 16), seed=0):
    """Dark colour images, a bright spot in the left or right half, and its place.

    Its place is known to the grain of the map: a sixth of the height.
    """
    random = np.random.default_rng(seed)
    height, width = size
    grain = height // 6
    y = random.integers(0, 2, n)
    X = random.integers(0, 60, (n, height, width, 3)).astype(np.uint8)
    near = np.zeros((n, height, width), bool)
    for i, right in enumerate(y):
        row = random.integers(0, height - 3)
        column = random.integers(0, width // 2 - 3) + width // 2 * right
        X[i, row : row + 3, column : column + 3] += 150
        top, left = max(0, row - grain), max(0, column - grain)
        near[i, top : row + 3 + grain, left : column + 3 + grain] = True
    return X, y, near


X, y, near = spots(260)
names = np.array(["left", "right"])[y]
X_new, near_new = X[200:], near[200:]


def fitted(X=X, y=y, cls=CNNClassifier, **params):
    params = {"max_epochs": 3, "random_state": 0, **params}
    return cls(**params).fit(X[:200], y[:200])


@pytest.fixture(scope="module")
def cnn():
    return fitted(y=names, max_epochs=8)


@pytest.fixture(scope="module")
def three():
    """Three classes: so many quarters of the way is the spot."""
    return fitted(y=y + (np.arange(260) % 3 == 0))


@pytest.fixture(scope="module")
def resnet():
    large = np.kron(X[:6], np.ones((6, 4, 1), np.uint8))  # 72 x 64 pixels
    return large, fitted(large, y[:6], max_epochs=1, backbone="resnet18")


def batch_of(estimator, X):
    pixels = estimator._check_input(X, reset=False)
    return pixels.to(torch.device("cpu"), torch.float32).batch(slice(None))


def share_near(maps, near):
    maps = np.maximum(maps, 0)
    return (maps * near).sum((1, 2)) / maps.sum((1, 2)).clip(1e-12)


def scaled(raw, size):
    """The last steps of the paper: cut off, enlarge, divide by the maximum."""
    found = F.interpolate(raw.clamp_min(0), size, mode="bilinear")[:, 0]
    return (found / found.amax((1, 2), keepdim=True).clamp_min(1e-30)).detach()


# -- Grad-CAM ------------------------------------------------------------------------


def test_grad_cam_is_the_formula_of_the_paper():
    cnn = fitted(channels=(4, 5), hidden_layer_sizes=(), max_epochs=2)
    module = cnn.net_.module_
    with torch.no_grad():
        a = module.prepare(batch_of(cnn, X_new))
        for layer in module.convolutions[:4]:
            a = layer(a)
    # Derived by hand: the second block is linear where it is not switched off.
    a = a.requires_grad_()
    b = F.conv2d(a, module.convolutions[4].weight, padding=1)
    b = F.max_pool2d(b, (1, 2) if b.shape[2] < 4 else 2)
    logit = module.head(module.convolutions[6](b).relu().flatten(1))[:, 0]
    for label, sign in ((1, 1), (0, -1)):
        weights = torch.autograd.grad((sign * logit).sum(), a, retain_graph=True)[0]
        raw = torch.einsum("bk,bkij->bij", weights.mean((2, 3)), a)[:, None]
        found = grad_cam(cnn, X_new, label, elementwise=False)
        np.testing.assert_allclose(found, scaled(raw, (12, 16)), atol=1e-5)
        raw = torch.einsum("bkij,bkij->bij", weights, a)[:, None]
        expected = scaled(raw, (12, 16))
        for elementwise in (None, True):
            found = grad_cam(cnn, X_new, label, elementwise=elementwise)
            np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("layer", ["convolutions.3", "convolutions.4", "convolutions"])
def test_grad_cam_equals_captums_on_the_stack(three, layer):
    captum = pytest.importorskip("captum.attr")
    module = three.net_.module_
    target = three.predict(X_new)
    reference = captum.LayerGradCam(module, module.get_submodule(layer))
    raw = reference.attribute(batch_of(three, X_new), torch.from_numpy(target))
    expected = scaled(raw, (12, 16))
    for given in (None, target):
        found = grad_cam(three, X_new, given, layer=layer, elementwise=False)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    reference = captum.LayerGradientXActivation(module, module.get_submodule(layer))
    raw = reference.attribute(batch_of(three, X_new), torch.from_numpy(target))
    found = grad_cam(three, X_new, layer=layer)
    expected = scaled(raw.sum(1, keepdim=True), (12, 16))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("layer", [None, "body.layer4", "body.layer1.0"])
def test_grad_cam_equals_captums_on_a_backbone(resnet, layer):
    captum = pytest.importorskip("captum.attr")
    large, cnn = resnet
    module = cnn.net_.module_
    chosen = layer or "body.layer2"  # 9 x 8, and layer3 has 5 x 4
    reference = captum.LayerGradCam(module, module.get_submodule(chosen))
    raw = reference.attribute(batch_of(cnn, large), 0)
    found = grad_cam(cnn, large, 1, layer=layer)
    np.testing.assert_allclose(found, scaled(raw, (72, 64)), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "side", "expected"),
    [
        ("resnet18", 224, "body.layer4"),
        ("vgg11", 224, "body.features.19"),  # rectified, before the pooling
        ("alexnet", 224, "body.features.11"),
        ("squeezenet1_0", 224, "body.classifier"),
        ("mobilenet_v3_small", 224, "body.features"),
        ("resnet18", 100, "body.layer3"),
    ],
)
def test_the_default_layer_of_a_backbone_has_the_last_fine_map(name, side, expected):
    from sknets._backbones import Backbone
    from sknets.inspection._gradcam import _default_layer

    with torch.device("meta"):  # shapes without the numbers: vgg has 130 million
        module = Backbone(name, 3, 2, []).eval()
        found = _default_layer(module, torch.zeros(1, 3, side, side))
    assert found.startswith(expected)


@pytest.mark.parametrize("size", [(12, 16), (24, 32)])
def test_maps_lie_on_the_spot_that_decides(size):
    X, y, near = spots(260, size)
    cnn = fitted(X, y, max_epochs=7)
    assert cnn.score(X[200:], y[200:]) == 1 and near.mean() < 0.25
    for explain in (grad_cam, occlusion_map):
        maps = explain(cnn, X[200:])
        assert np.mean(share_near(maps, near[200:]) > 0.5) > 0.95, explain
        highest = maps.reshape(60, -1).argmax(1)
        assert near[200:].reshape(60, -1)[range(60), highest].mean() > 0.95, explain


def test_the_mean_over_places_may_cancel_where_dense_layers_follow():
    """Why a stack is explained elementwise: digits of which nothing would be shown."""
    digits = load_digits()
    images = np.kron(digits.images, np.ones((3, 3))) / 16
    cnn = fitted(images, digits.target, max_epochs=5)
    shown = images[200:300]
    drop = occlusion_map(cnn, shown).reshape(100, -1)

    def agreement(maps):
        maps = maps.reshape(100, -1)
        pairs = [(a, b) for a, b in zip(maps, drop) if a.any() and b.any()]
        return len(pairs) / 100, np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs])

    share, likeness = agreement(grad_cam(cnn, shown))
    mean_share, mean_likeness = agreement(grad_cam(cnn, shown, elementwise=False))
    assert share > 0.99 and share >= mean_share
    assert likeness > 0.3 and likeness > mean_likeness + 0.1


def test_an_untrained_network_does_not_point_at_the_spot(cnn):
    """Not as a trained one does: any filter answers to a bright spot somehow."""
    shares, falls = [], []
    for seed in range(3):
        blind = fitted(lr=1e-12, max_epochs=1, random_state=seed)
        maps = grad_cam(blind, X_new, elementwise=False)
        shares.append(share_near(maps, near_new))
        falls.append(occlusion_map(blind, X_new).max())
    assert np.mean(np.array(shares) > 0.5) < 0.7
    assert max(falls) < 0.03
    assert occlusion_map(cnn, X_new).max() > 0.1


def test_maps_are_scaled_one_by_one(cnn):
    maps = grad_cam(cnn, X_new)
    assert maps.dtype == np.float32 and maps.shape == (60, 12, 16)
    tops = maps.max((1, 2))
    assert maps.min() >= 0 and np.isin(tops, [0, 1]).all() and tops.mean() > 0.9
    # Nothing speaks for either class where the last layer knows nothing.
    blind = fitted()
    with torch.no_grad():
        blind.net_.module_.head[-1].weight.zero_()
    assert not grad_cam(blind, X_new).any()


def test_many_images_are_many_batches(cnn):
    many = np.concatenate([X, X[:40]])  # 300: batches of 128, 128 and 44
    target = np.concatenate([names, names[:40]])
    maps = grad_cam(cnn, many, target)
    for i in (0, 127, 128, 299):
        one = grad_cam(cnn, many[i : i + 1], target[i])
        np.testing.assert_allclose(one[0], maps[i], atol=1e-5)


# -- occlusion -----------------------------------------------------------------------


def by_brute_force(predict, X, size, window, stride, fill):
    """Window by window, pixel by pixel."""
    starts = [
        sorted({*range(0, side - w + 1, s), side - w})
        for side, w, s in zip(size, window, stride)
    ]
    whole = predict(X)
    total, count = np.zeros((len(X), *size)), np.zeros(size)
    for i in starts[0]:
        for j in starts[1]:
            place = (slice(i, i + window[0]), slice(j, j + window[1]))
            hidden = X.copy()
            hidden[(slice(None), *place)] = fill
            total[(slice(None), *place)] += (whole - predict(hidden))[:, None, None]
            count[place] += 1
    return total / count


@pytest.mark.parametrize(
    ("window", "stride", "fill"),
    [(None, None, None), ((5, 4), (2, 3), 0), (4, 4, [10, 20, 30]), (12, 5, None)],
)
def test_occlusion_is_the_loop_over_windows(cnn, window, stride, fill):
    mean = (cnn.x_mean_ * 255).round().astype(np.uint8)
    expected = by_brute_force(
        lambda X: cnn.predict_proba(X)[:, 1].astype(float),
        X_new[:9],
        (12, 16),
        {None: (3, 4), 4: (4, 4), 12: (12, 12)}.get(window, window),
        {None: (1, 2), 4: (4, 4), 5: (5, 5)}.get(stride, stride),
        mean if fill is None else fill,
    )
    found = occlusion_map(
        cnn, X_new[:9], "right", window=window, stride=stride, fill=fill
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_occlusion_in_small_batches_is_the_same(cnn, monkeypatch):
    expected = occlusion_map(cnn, X_new[:5])
    monkeypatch.setattr("sknets.inspection._occlusion._BATCH_BYTES", 8 * 576 * 7)
    np.testing.assert_allclose(occlusion_map(cnn, X_new[:5]), expected, atol=1e-6)


def test_occlusion_of_a_linear_model_is_its_terms():
    """Each pixel alone, hidden by the mean: weight times what differs from it."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(50, 12))
    linear = LinearRegression().fit(rows, rows @ random.normal(size=12))
    found = occlusion_map(linear, rows, window=1, image_shape=(3, 4))
    expected = linear.coef_ * (rows - rows.mean())
    np.testing.assert_allclose(found.reshape(50, 12), expected, atol=1e-9)


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), SVC()),
        RidgeClassifier(),
        RandomForestClassifier(20, random_state=0),
        GridSearchCV(LogisticRegression(max_iter=300), {"C": [0.1, 1]}, cv=2),
        FeedforwardClassifier(max_epochs=3, random_state=0),
    ],
)
def test_occlusion_takes_scikit_learns_models_of_flat_pixels(model):
    gray = X[..., 1] / 255
    rows = gray.reshape(260, -1)
    model.fit(rows[:200], names[:200])
    found = occlusion_map(model, rows[200:220], image_shape=(12, 16))
    assert found.shape == (20, 12, 16)
    hits = near_new[:20].reshape(20, -1)[range(20), found.reshape(20, -1).argmax(1)]
    assert hits.mean() > 0.6
    reshape = FunctionTransformer(lambda a: a.reshape(len(a), -1))
    pipeline = make_pipeline(reshape, model)
    same = occlusion_map(pipeline, gray[200:220], names[200:220])
    own = occlusion_map(
        model, rows[200:220], names[200:220], fill=gray[200:220].mean(), window=(3, 4),
        image_shape=(12, 16),
    )  # fmt: skip
    np.testing.assert_allclose(same, own, atol=1e-6)


def test_a_data_frame_keeps_its_columns():
    frame = pd.DataFrame(X[..., 1].reshape(260, -1)).add_prefix("pixel")
    model = LogisticRegression(max_iter=500).fit(frame, y)  # warns without names
    found = occlusion_map(model, frame[:5], image_shape=(12, 16))
    plain = LogisticRegression(max_iter=500).fit(frame.to_numpy(), y)
    expected = occlusion_map(plain, frame.to_numpy()[:5], image_shape=(12, 16))
    np.testing.assert_allclose(found, expected)


def test_a_pipeline_that_begins_with_a_network_knows_its_images():
    pipeline = make_pipeline(CNNClassifier(random_state=0, max_epochs=5), SVC())
    pipeline.fit(X[:200].transpose(0, 3, 1, 2), names[:200])
    found = occlusion_map(pipeline, X_new.transpose(0, 3, 1, 2))
    assert np.mean(share_near(found, near_new) > 0.5) > 0.9


# -- layouts and targets -------------------------------------------------------------


@pytest.fixture(scope="module")
def layouts():
    """What changes the layout of images, and a network of those that it changed."""
    changes = (
        (lambda X: X, {}),
        (lambda X: X.transpose(0, 3, 1, 2), {}),
        (lambda X: X.reshape(len(X), -1), {"image_shape": (12, 16, 3)}),
        (list, {}),
        (lambda X: X.astype(np.float32) / 255, {}),
        (lambda X: X.astype(int), {}),
        (torch.from_numpy, {}),
    )
    return [
        (change, fitted(change(X[:200]), max_epochs=2, **params))
        for change, params in changes
    ]


@pytest.mark.parametrize("explain", [grad_cam, occlusion_map])
def test_the_layouts_of_one_image_give_one_map(explain, layouts):
    expected = explain(layouts[0][1], X_new[:8], 1)
    for change, cnn in layouts[1:]:
        found = explain(cnn, change(X_new[:8]), 1)
        np.testing.assert_allclose(found, expected, atol=3e-3)


def test_unequal_images_get_maps_of_one_size():
    images = [image[: 12 - i % 2, : 16 - i % 3] for i, image in enumerate(X)]
    cnn = fitted(images, resize=(12, 16))
    for explain in (grad_cam, occlusion_map):
        found = explain(cnn, images[200:206])
        assert found.shape == (6, 12, 16)
        np.testing.assert_allclose(found[:1], explain(cnn, images[200:201]), atol=1e-5)
    SaliencyDisplay.from_estimator(cnn, images[200:203])


@pytest.mark.parametrize(
    "axes, architecture", [((1, 2), "plain"), ((2, 1), "plain"), ((1, 2), "resnet")]
)
def test_signals(axes, architecture):
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 90)
    signals = random.normal(size=(90, 50, 2)) / 3
    at = random.integers(0, 40, 90)
    near = np.zeros((90, 50))
    for i in range(90):
        signals[i, at[i] : at[i] + 8, labels[i]] += 3
        near[i, max(0, at[i] - 6) : at[i] + 14] = 1
    signals = signals.transpose(0, *axes)
    cnn = fitted(signals, labels, max_epochs=9, lr=0.003, architecture=architecture)
    # Networks for series see each channel in two scales.
    filters = {"plain": (24, 3, 2), "resnet": (32, 7, 4)}[architecture]
    assert first_layer_filters(cnn).shape == filters
    # A class may be what is left when the other one's bump is absent: explain both.
    maps = grad_cam(cnn, signals[:60], labels[:60])
    assert maps.shape == (60, 50)
    if architecture == "plain":
        assert np.median((maps * near[:60]).sum(1) / maps.sum(1)) > 0.7
    # (The mean over all steps, of a network for series, asks each of them a little.)
    falls = occlusion_map(cnn, signals[:60], labels[:60])
    assert falls.shape == (60, 50)
    assert near[range(60), falls.argmax(1)].mean() > 0.8
    if architecture == "plain":
        display = SaliencyDisplay.from_estimator(cnn, signals[:2], labels[:2])
        assert display.axes_.shape == (1, 2)
        assert FiltersDisplay.from_estimator(cnn).axes_.shape == filters[:1]
    plt.close("all")


def test_volumes():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 80)
    volumes = random.normal(size=(80, 8, 8, 8, 1))
    volumes[labels == 1, 2:6, 2:6, 2:6] += 2
    cnn = fitted(volumes[:60], labels[:60], max_epochs=8, channels=(8, 8))
    for explain in (grad_cam, occlusion_map):
        found = explain(cnn, volumes[60:], 1)[labels[60:] == 1]
        assert found.shape[1:] == (8, 8, 8)
        assert found[:, 2:6, 2:6, 2:6].mean() > 1.5 * found.mean()
    assert first_layer_filters(cnn).shape == (8, 3, 3, 3, 1)
    SaliencyDisplay.from_estimator(cnn, volumes[:3])
    FiltersDisplay.from_estimator(cnn)
    plt.close("all")


def test_targets_of_classes(cnn, three):
    X_new = X[200:215]
    for explain in (grad_cam, occlusion_map):
        both = {label: explain(cnn, X_new, label) for label in ("left", "right")}
        predicted = cnn.predict(X_new)
        default = explain(cnn, X_new)
        for i, label in enumerate(predicted):
            np.testing.assert_allclose(default[i], both[label][i], atol=1e-6)
        np.testing.assert_allclose(explain(cnn, X_new, predicted), default, atol=1e-6)
        assert not np.allclose(both["left"], both["right"])
        by_class = [explain(three, X_new[:5], k) for k in three.classes_]
        assert not np.allclose(by_class[0], by_class[1])
    # Of two probabilities one falls as the other rises.
    falls = [occlusion_map(cnn, X_new, label) for label in ("left", "right")]
    np.testing.assert_allclose(falls[0], -falls[1], atol=1e-6)


def test_targets_of_labels_and_of_regression():
    top, X_new = near[:, :6].any((1, 2)).astype(int), X[200:215]
    labels = fitted(y=np.stack([y, top, 1 - y], 1))
    values = fitted(y=np.stack([y, 1.0 - y], 1), cls=CNNRegressor)
    for explain in (grad_cam, occlusion_map):
        columns = [explain(labels, X_new, j) for j in range(3)]
        likely = labels.predict_proba(X_new).argmax(1)
        expected = [columns[j][i] for i, j in enumerate(likely)]
        np.testing.assert_allclose(explain(labels, X_new), expected, atol=1e-6)
        first, second = (explain(values, X_new, j) for j in range(2))
        np.testing.assert_allclose(explain(values, X_new), first, atol=1e-6)
        assert not np.allclose(first, second)
    # In units of y.
    tenfold = fitted(y=10.0 * y, cls=CNNRegressor)
    one = fitted(y=1.0 * y, cls=CNNRegressor)
    np.testing.assert_allclose(
        occlusion_map(tenfold, X_new), 10 * occlusion_map(one, X_new), atol=1e-3
    )
    forest = RandomForestClassifier(5, random_state=0)
    forest.fit(X[..., 1].reshape(260, -1), np.stack([y, top], 1))
    rows = X_new[:3, ..., 1].reshape(3, -1)
    assert occlusion_map(forest, rows, 1, image_shape=(12, 16)).shape == (3, 12, 16)


# -- filters -------------------------------------------------------------------------


def test_filters_are_the_weights_channels_last(resnet):
    cnn = fitted(kernel_size=5)
    found = first_layer_filters(cnn)
    weight = cnn.net_.module_.convolutions[0].weight.detach().numpy()
    np.testing.assert_array_equal(found, weight.transpose(0, 2, 3, 1))
    found[:] = 0  # a copy
    assert weight.any()
    weight = resnet[1].net_.module_.body.conv1.weight.detach().numpy()
    found = first_layer_filters(resnet[1])
    assert found.shape == (64, 7, 7, 3)
    np.testing.assert_array_equal(found, weight.transpose(0, 2, 3, 1))


# -- nothing is touched --------------------------------------------------------------


def test_the_estimator_and_the_random_state_are_untouched(cnn):
    before = {k: v.clone() for k, v in cnn.net_.module_.state_dict().items()}
    attributes = set(vars(cnn))
    expected = cnn.predict_proba(X_new)
    state, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()
    given = X_new.copy()
    for explain in (grad_cam, occlusion_map):
        first = explain(cnn, X_new)
        with torch.inference_mode():
            np.testing.assert_array_equal(explain(cnn, X_new), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpys)
    np.testing.assert_array_equal(X_new, given)
    assert set(vars(cnn)) == attributes
    for key, value in cnn.net_.module_.state_dict().items():
        assert torch.equal(value, before[key])
    for module in cnn.net_.module_.modules():
        assert not module._forward_hooks and not module.training
    np.testing.assert_array_equal(cnn.predict_proba(X_new), expected)


def test_threads_share_an_estimator(cnn):
    expected = grad_cam(cnn, X)
    proba = cnn.predict_proba(X)
    failed = []

    def work(i):
        for _ in range(5):
            found = cnn.predict_proba(X) if i % 2 else grad_cam(cnn, X)
            if not np.allclose(found, proba if i % 2 else expected, atol=1e-5):
                failed.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_a_frozen_network_in_half_precision_has_maps_too(resnet, tmp_path):
    large, cnn = resnet
    body = {k: v.clone() for k, v in cnn.net_.module_.body.state_dict().items()}
    torch.save(body, tmp_path / "body.pth")
    frozen = fitted(
        large,
        y[:6],
        max_epochs=1,
        backbone="resnet18",
        weights=str(tmp_path / "body.pth"),
        freeze_backbone=True,
        precision="bfloat16",
    )
    maps = grad_cam(frozen, large)
    assert maps.shape == (6, 72, 64) and maps.max() == 1


# -- pictures ------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["grad_cam", "occlusion"])
@pytest.mark.parametrize(
    "change",
    [
        lambda X: X,
        lambda X: X.transpose(0, 3, 1, 2),
        lambda X: X / 255,
        lambda X: X[..., 0],
        lambda X: X[..., :2],
    ],
)
def test_saliency_pictures(method, change):
    cnn = fitted(change(X[:24]), names[:24], max_epochs=1)
    few = change(X[60:68])
    in_colour = few.shape[1:] == (12, 16, 3)
    few = few if in_colour else few[:2]
    n = len(few)
    true = names[60 : 60 + n]
    display = SaliencyDisplay.from_estimator(cnn, few, true, method=method)
    assert display.axes_.shape == (2, n) and display.maps.shape == (n, 12, 16)
    explain = grad_cam if method == "grad_cam" else occlusion_map
    np.testing.assert_allclose(display.maps, explain(cnn, few), atol=1e-6)
    for i, label in enumerate(cnn.predict(few)):
        title = display.axes_[0, i].get_title()
        share = cnn.predict_proba(few)[i].max()
        assert title == f"predicted {label} ({share:.2f})\ntrue {true[i]}"
        assert display.wrong[i] == (label != true[i])
    # In two rows of six where they are more than fit one; and the bar.
    assert len(display.figure_.axes) == 2 * (12 if n == 8 else n) + 1
    if n == 8 and few.dtype == np.uint8:
        display.figure_.draw_without_rendering()
    plt.close("all")


def test_titles_of_other_tasks():
    rows = X[..., 1].reshape(260, -1)
    linear = make_pipeline(StandardScaler(), LinearRegression()).fit(
        rows[:200], y[:200]
    )
    display = SaliencyDisplay.from_estimator(
        linear, rows[:3], y[:3], method="occlusion", image_shape=(12, 16)
    )
    assert display.titles[0].startswith(f"predicted {linear.predict(rows[:1])[0]:.3g}")
    assert display.titles[0].endswith(f"true {y[0]}") and not display.wrong.any()
    assert display.label == "fall of the prediction"
    labels = fitted(y=np.stack([y, 1 - y], 1), max_epochs=5)
    display = SaliencyDisplay.from_estimator(labels, X[:3], target=1)
    share = labels.predict_proba(X[:1])[0, 1]
    verdict = labels.predict(X[:1])[0, 1]
    assert display.titles[0] == f"label 1: {verdict} ({share:.2f})"
    display = SaliencyDisplay.from_estimator(fitted(), X[:3], target=[0, 1, 1])
    assert display.titles[2].splitlines()[-1] == "map of 1"
    plt.close("all")


def test_pictures_go_into_given_axes(cnn):
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4))
    display = SaliencyDisplay.from_estimator(cnn, X[:3], ax=left)
    assert display.figure_ is figure and display.axes_.shape == (2, 3)
    assert FiltersDisplay.from_estimator(cnn, ax=right).figure_ is figure
    _, axes = plt.subplots(2, 3)
    display.plot(axes)
    assert display.axes_[1, 2] is axes[1, 2]
    with pytest.raises(ValueError, match="needs 2 x 3 axes, got"):
        display.plot(axes[:, :2])
    plt.close("all")


def test_filter_pictures():
    large = np.kron(X[:4], np.ones((3, 2, 1), np.uint8))
    net = fitted(large, y[:4], max_epochs=1, backbone="mobilenet_v3_small")
    display = FiltersDisplay.from_estimator(net)
    assert display.axes_.shape == (16,)
    picture = display.axes_[0].images[0].get_array()
    assert picture.shape == (3, 3, 3) and picture.min() >= 0 and picture.max() <= 1
    digits = load_digits()
    gray = digits.images[:30] / 16, digits.target[:30]
    gray = fitted(*gray, max_epochs=1, channels=(6,))
    assert FiltersDisplay.from_estimator(gray).axes_.shape == (6,)
    plt.close("all")


# -- wrong input ---------------------------------------------------------------------


def refused(match, call, *args, error=ValueError, **params):
    with pytest.raises(error, match=match) as caught:
        call(*args, **params)
    assert "\n" not in str(caught.value)


def test_estimators_that_cannot_be_explained(cnn):
    for call in (grad_cam, first_layer_filters):
        args = (X,) if call is grad_cam else ()
        refused("got SVC", call, SVC(), *args, error=TypeError)
        refused("not fitted yet", call, CNNClassifier(), *args, error=NotFittedError)
    refused("occlusion_map takes any", grad_cam, SVC(), X, error=TypeError)
    refused("not fitted yet", occlusion_map, CNNClassifier(), X, error=NotFittedError)
    scaler = StandardScaler().fit(X.reshape(260, -1))
    rows = X[:2].reshape(2, -1)
    refused("StandardScaler has none", occlusion_map, scaler, rows, error=TypeError)


def test_layers_and_targets_that_are_not_there(cnn, three):
    refused("near are convolutions.3", grad_cam, cnn, X, layer="convolution.3")
    refused(r"layer='dense.2'.*shape \(128, 128\)", grad_cam, cnn, X, layer="dense.2")
    refused("layer=3.: the network has no such", grad_cam, cnn, X, layer=3)
    for explain in (grad_cam, occlusion_map):
        refused("target='up'.: the classes are 'left', 'right'", explain, cnn, X, "up")
        refused("each of the 260 samples, got shape .2,", explain, cnn, X, ["left"] * 2)
        refused("target=7.: the classes are 0, 1, 2", explain, three, X, 7)
    labels = fitted(y=np.stack([y, 1 - y], 1), max_epochs=1)
    refused("target=2.: the classes are 0, 1", grad_cam, labels, X, 2)
    values = fitted(y=1.0 * y, cls=CNNRegressor, max_epochs=1)
    refused("target=1.: the columns are 0", occlusion_map, values, X, 1)


def test_windows_that_do_not_fit(cnn):
    refused("window=13.: .*1 to 12 x 16, it must fit", occlusion_map, cnn, X, window=13)
    refused("window=0", occlusion_map, cnn, X, window=0)
    refused("2 of them, one for each side", occlusion_map, cnn, X, window=(3, 3, 3))
    refused("must be an integer", occlusion_map, cnn, X, window=2.5)
    refused("would leave gaps", occlusion_map, cnn, X, window=3, stride=4)
    refused("each of 3 channels", occlusion_map, cnn, X, fill=[1, 2])
    refused("finite", occlusion_map, cnn, X, fill=np.nan)


def test_x_that_cannot_be_read(cnn):
    refused("X has 1 channel", grad_cam, cnn, X[..., :1])
    refused("X has 1 channel", occlusion_map, cnn, X[..., :1])
    rows = X[..., 1].reshape(260, -1)
    model = LogisticRegression(max_iter=500).fit(rows, y)
    refused("100 pixels.*192", occlusion_map, model, rows, image_shape=(10, 10))
    refused("got dtype <U1", occlusion_map, model, np.array([["a", "b"]]))
    odd = np.zeros((5, 9, 8, 7))
    refused("which axis holds the channels", occlusion_map, model, odd)
    refused("'grad_cam' or 'occlusion'", SaliencyDisplay.from_estimator, cnn, X[:2],
            method="lime")  # fmt: skip
