"""Where a network of videos looks: against formulas, brute force and planted truth."""

import functools
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from sknets import (
    CNNClassifier,
    FiltersDisplay,
    SaliencyDisplay,
    VideoClassifier,
    VideoRegressor,
    first_layer_filters,
    grad_cam,
    occlusion_map,
)

torch.set_num_threads(1)
ARCHITECTURES = ("cnn_lstm", "cnn_gru", "conv3d")
EXPLAIN = (grad_cam, occlusion_map)


def two_squares(n, seed=0, side=12):
    """A square in one half goes left or right, which is the class; so does another.

    That in the upper half decides. Where it is: the third value.
    """
    random = np.random.default_rng(seed)
    X, near, y = [], [], random.integers(0, 2, n)
    for right in y:
        clip = random.integers(0, 40, (random.integers(5, 8), side, side))
        path = np.zeros(clip.shape, bool)
        moves = 2 * np.array([right, random.integers(0, 2)]) - 1
        for row, move, place in zip((1, 8), moves, random.integers(0, side, 2)):
            for t in range(len(clip)):
                columns = (place + t * move + np.arange(3)) % side
                clip[t, row : row + 3, columns] += 150
                if row == 1:  # to the grain of the map
                    path[t, :5, (columns[0] + np.arange(-1, 4)) % side] = True
        X.append(clip.astype(np.uint8))
        near.append(path)
    return X, np.array(["left", "right"])[y], near


def flash(n, seed=0):
    """Dark clips with a spot in one frame, to the left or right, and where it is."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, n)
    X = random.integers(0, 60, (n, 6, 12, 12)).astype(np.uint8)
    when = random.integers(0, 6, n)
    for clip, right, t in zip(X, y, when):
        row, column = random.integers(0, 9), random.integers(0, 3) + 6 * right
        clip[t, row : row + 3, column : column + 3] += 150
    return X, y, when


X, y, near = two_squares(24)
equal = np.stack([clip[:5] for clip in X])


def quick(cls=VideoClassifier, **params):
    small = {"max_epochs": 2, "channels": (4, 8), "hidden_size": 8, "random_state": 0}
    return cls(**{**small, "hidden_layer_sizes": 8, **params})


def share_near(maps, near):
    maps = [np.maximum(each, 0) for each in maps]
    return np.array([(m * on).sum() / m.sum() for m, on in zip(maps, near)])


# -- planted truth -------------------------------------------------------------------


@pytest.fixture(scope="module")
def moving():
    clips, labels, _ = two_squares(160, seed=1)
    return VideoClassifier(max_epochs=10, random_state=0).fit(clips, labels)


def test_maps_lie_on_the_path_of_the_square_that_decides(moving):
    clips, labels, path = two_squares(10, seed=2)
    assert moving.score(clips, labels) > 0.95
    upper = [np.arange(12)[:, None] < 6 + 0 * each for each in clips]
    assert np.mean([each.mean() for each in path]) < 0.18
    for explain in EXPLAIN:
        maps = explain(moving, clips)
        assert share_near(maps, upper).mean() > 0.85, explain
        assert share_near(maps, path).mean() > 0.65, explain


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_maps_tell_the_frame_that_decides(architecture):
    (clips, labels, _), (new, answers, when) = flash(150, seed=1), flash(24, seed=2)
    net = VideoClassifier(architecture=architecture, max_epochs=8, random_state=0)
    assert net.fit(clips, labels).score(new, answers) > 0.9
    falls = occlusion_map(net, new, answers, frames=1, window=6)
    falls = np.maximum(falls, 0).sum((2, 3))
    assert np.mean(falls.argmax(1) == when) > 0.95
    mass = grad_cam(net, new, answers).sum((2, 3))
    # A filter of three frames sees it in those beside it, too.
    reach = 1 if architecture == "conv3d" else 0
    about = np.abs(np.arange(6) - when[:, None]) <= reach
    assert ((mass * about).sum(1) / mass.sum(1)).mean() > 0.8


# -- formulas ------------------------------------------------------------------------


def scaled(raw):
    """(T, h, w) as the last steps of the paper: cut off, enlarged, by the maximum."""
    found = F.interpolate(raw.clamp_min(0)[:, None], (12, 12), mode="bilinear")[:, 0]
    return (found / found.amax().clamp_min(1e-30)).detach()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_grad_cam_is_the_formula_of_the_paper(architecture):
    net = quick(architecture=architecture, precision="float64").fit(X, y)
    module = net.net_.module_
    stack = module.frames.convolutions
    found = {e: grad_cam(net, X, "right", elementwise=e) for e in (None, True, False)}
    deep = architecture == "conv3d"

    def convolved(a, layer):
        if not deep:
            return layer(a)
        return layer.convolution(a.transpose(0, 1)[None])[0].transpose(0, 1)

    def after(a):
        b = convolved(a, stack[4])
        for layer in stack[5:]:
            b = layer(b)
        b = module.frames.dense(b)
        return module.head(b.mean(0) if deep else module.memory(b)[0][-1])[0]

    for i, clip in enumerate(X):
        with torch.no_grad():
            frames = torch.from_numpy(clip / 255.0)[:, None]
            a = convolved(module.frames.prepare(frames), stack[0])
            for layer in stack[1:4]:
                a = layer(a)
        weights = 0
        for share in np.arange(1, 16, 2) / 16:
            part = (share * a).requires_grad_()
            weights = weights + torch.autograd.grad(after(part), part)[0] / 8
        raw = torch.einsum("tkij,tkij->tij", weights, a)
        for each in (None, True):
            np.testing.assert_allclose(found[each][i], scaled(raw), atol=1e-5)
        raw = torch.einsum("tk,tkij->tij", weights.mean((2, 3)), a)
        np.testing.assert_allclose(found[False][i], scaled(raw), atol=1e-5)
        # What all places of all frames sum to is what is not so without any features.
        raw = torch.einsum("tkij,tkij->", weights, a)
        torch.testing.assert_close(raw, after(a) - after(0 * a), rtol=0.1, atol=5e-3)


def test_grad_cam_of_a_linear_network_is_its_terms():
    """Weight times feature, by the layer that has no other after it but the mean."""
    linear = {"channels": 3, "hidden_layer_sizes": (), "activation": "identity"}
    linear |= {"pooling": None, "batch_norm": False, "architecture": "conv3d"}
    y = equal[:, :, :6].mean((1, 2, 3))
    net = VideoRegressor(**linear, max_epochs=2, random_state=0).fit(equal, y)
    module = net.net_.module_
    with torch.no_grad():
        x = torch.from_numpy((equal / 255 - net.x_mean_) / net.x_scale_).float()
        features = module.frames.convolutions[0].convolution(x[:, None])
        weight = module.head.weight.view(3, 1, 12, 12)
        terms = (weight * features).sum(1)
        total = (terms.sum((2, 3)).mean(1) + module.head.bias).numpy()
    expected = total * net.y_scale_ + net.y_mean_
    np.testing.assert_allclose(net.predict(equal), expected, rtol=1e-4)
    expected = np.maximum(terms.numpy(), 0)
    expected /= expected.max((1, 2, 3), keepdims=True)
    found = grad_cam(net, equal)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def by_brute_force(predict, clip, frames, window, stride, fill):
    """Window by window, frames by frames."""
    extents = [frames, *window]
    steps = [max(1, frames // 2), *stride]
    starts = [
        sorted({*range(0, side - w + 1, s), side - w})
        for side, w, s in zip(clip.shape, extents, steps)
    ]
    whole = predict([clip])[0]
    total, count = np.zeros(clip.shape[:3]), np.zeros(clip.shape[:3])
    for first in itertools.product(*starts):
        place = tuple(slice(i, i + w) for i, w in zip(first, extents))
        hidden = clip.copy()
        hidden[place] = fill
        total[place] += whole - predict([hidden])[0]
        count[place] += 1
    return total / count


@pytest.mark.parametrize(
    ("window", "stride", "frames", "fill"),
    [(None, None, None, None), ((5, 4), (2, 3), 3, 0), (6, 6, 40, 100)],
)
def test_occlusion_is_the_loop_over_windows(window, stride, frames, fill):
    net = quick().fit(X, y)
    mean = (net.x_mean_ * 255).round().astype(np.uint8)
    chosen = [X[0], X[3][:1], X[5][:3]]
    found = occlusion_map(
        net, chosen, "right", window=window, stride=stride, frames=frames, fill=fill
    )
    for clip, drop in zip(chosen, found, strict=True):
        expected = by_brute_force(
            lambda clips: net.predict_proba(clips)[:, 1].astype(float),
            clip,
            min(len(clip), frames or -(-len(clip) // 4)),
            {None: (3, 3), 6: (6, 6)}.get(window, window),
            {None: (1, 1), 6: (6, 6)}.get(stride, stride),
            mean if fill is None else fill,
        )
        np.testing.assert_allclose(drop, expected, atol=1e-6)


def test_occlusion_in_small_batches_is_the_same(monkeypatch):
    net = quick().fit(X, y)
    expected = occlusion_map(net, equal[:3], window=6)
    monkeypatch.setattr("sknets.inspection._occlusion._BATCH_BYTES", 8 * 720 * 7)
    np.testing.assert_allclose(
        occlusion_map(net, equal[:3], window=6), expected, atol=1e-6
    )


# -- layouts, targets, networks ------------------------------------------------------


@pytest.mark.parametrize("explain", EXPLAIN)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_lists_and_arrays(explain, architecture):
    net = quick(architecture=architecture).fit(X, y)
    if explain is occlusion_map:
        explain = functools.partial(explain, window=6)
    found = explain(net, X[:3])
    assert found.dtype == object and found.shape == (3,)
    for clip, own in zip(X, found):
        assert own.shape == clip.shape
        np.testing.assert_allclose(own, explain(net, [clip])[0], atol=1e-5)
    array, listed = explain(net, equal[:2]), explain(net, list(equal[:2]))
    assert array.shape == (2, 5, 12, 12) and listed.dtype == object
    np.testing.assert_array_equal(array, np.stack(list(listed)))


@pytest.mark.parametrize("explain", EXPLAIN)
def test_the_layouts_of_a_clip_give_one_map(explain):
    colour = np.stack([equal, equal[:, ::-1], 255 - equal], -1)
    expected = explain(quick().fit(colour, y), colour[:2], "left")
    assert expected.shape == (2, 5, 12, 12)
    for change in (lambda X: X.transpose(0, 1, 4, 2, 3), lambda X: X / 255.0):
        net = quick().fit(change(colour), y)
        found = explain(net, change(colour[:2]), "left")
        np.testing.assert_allclose(found, expected, atol=3e-3)
    resized = quick(resize=8).fit(X, y)
    assert [each.shape[1:] for each in explain(resized, X[:2])] == [(8, 8)] * 2


@pytest.mark.parametrize("explain", EXPLAIN)
def test_targets(explain, moving):
    clips, few = X[:6], {"window": 6} if explain is occlusion_map else {}
    labels = moving.predict(clips)
    default = explain(moving, clips, **few)
    given = explain(moving, clips, labels, **few)
    other = explain(moving, clips, np.where(labels == "left", "right", "left"), **few)
    for own, same, different in zip(default, given, other):
        np.testing.assert_allclose(own, same, atol=1e-6)
        assert not np.allclose(own, different, atol=1e-3)
    numbers = np.stack([equal.mean((1, 2, 3)), equal[:, 0].mean((1, 2))], 1)
    net = quick(VideoRegressor).fit(equal, numbers)
    first, second = (explain(net, equal[:3], j, **few) for j in (0, 1))
    np.testing.assert_array_equal(explain(net, equal[:3], **few), first)
    assert not np.allclose(first, second)


def test_backbones_and_layers():
    large = np.kron(equal[:6, :2], np.ones((1, 1, 6, 6), np.uint8))
    net = quick(backbone="mobilenet_v3_small", max_epochs=1).fit(large, y[:6])
    maps = grad_cam(net, large)
    assert maps.shape == (6, 2, 72, 72) and set(maps.max((1, 2, 3))) <= {0.0, 1.0}
    named = grad_cam(net, large, layer="frames.body.features.3")
    assert named.shape == maps.shape and not np.allclose(named, maps)
    # The mean of each frame, as of images.
    np.testing.assert_array_equal(grad_cam(net, large, elementwise=False), maps)
    assert first_layer_filters(net).shape == (16, 3, 3, 3)


def test_filters_and_pipelines():
    net = quick(architecture="conv3d").fit(X, y)
    assert first_layer_filters(net).shape == (4, 3, 3, 3, 1)
    assert FiltersDisplay.from_estimator(quick().fit(X, y)).axes_.shape == (4,)
    pipeline = make_pipeline(quick(), SVC()).fit(X, y)
    found = occlusion_map(pipeline, X[:2], window=6)
    assert [each.shape for each in found] == [clip.shape for clip in X[:2]]
    plt.close("all")


def test_the_estimator_is_untouched(moving):
    before, given = moving.predict_proba(X), [clip.copy() for clip in X]
    state, attributes = torch.get_rng_state(), set(vars(moving))
    for explain in EXPLAIN:
        first = explain(moving, X[:2])
        with torch.inference_mode():
            for a, b in zip(explain(moving, X[:2]), first):
                np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(moving.predict_proba(X), before)
    assert torch.equal(torch.get_rng_state(), state)
    assert set(vars(moving)) == attributes
    assert all(np.array_equal(a, b) for a, b in zip(X, given))
    for module in moving.net_.module_.modules():
        assert not module._forward_hooks and not module.training


# -- pictures and wrong input --------------------------------------------------------


def test_a_strip_of_frames(moving):
    long = np.concatenate([X[0]] * 3)
    clips, labels = [X[1][:3], long], ["left", "right"]
    for method in ("grad_cam", "occlusion"):
        few = {"window": 6, "frames": 4} if method == "occlusion" else {}
        display = SaliencyDisplay.from_estimator(
            moving, clips, labels, method=method, **few
        )
        assert display.axes_.shape == (2, 2, 8)
        shown = [int(axis.texts[0].get_text()) for axis in display.axes_[1, 1]]
        assert shown[0] == 0 and shown[-1] == len(long) - 1 and shown == sorted(shown)
        for axis, t in zip(display.axes_[1, 1], shown):
            drawn = axis.images[1].get_array()
            np.testing.assert_array_equal(drawn, display.maps[1][t])
        assert [len(axis.images) for axis in display.axes_[0, 0]] == [1] * 3 + [0] * 5
        title = display.axes_[0, 1, 0].texts[0].get_text()
        predicted = moving.predict(clips)[1]
        assert title.startswith(f"predicted {predicted} (")
        assert title.endswith("), true right")
    display.figure_.draw_without_rendering()
    _, axes = plt.subplots(4, 8)
    assert display.plot(axes).axes_[1, 1, 0] is axes[3, 0]
    plt.close("all")


def refused(match, call, *args, error=ValueError, **params):
    with pytest.raises(error, match=match) as caught:
        call(*args, **params)
    assert "\n" not in str(caught.value)


def test_wrong_input(moving):
    refused("target='up'.: the classes are 'left', 'right'", grad_cam, moving, X, "up")
    refused("target='up'.: the classes are", occlusion_map, moving, X, "up")
    refused("near are frames.convolutions", grad_cam, moving, X,
            layer="frames.convolution.3")  # fmt: skip
    refused("has no feature maps but", grad_cam, moving, X, layer="frames.dense.1")
    refused("frames must be an integer of at least 1", occlusion_map, moving, X,
            frames=0)  # fmt: skip
    refused("frames must be an integer", occlusion_map, moving, X, frames=1.5)
    refused("window must be from 1 to 12 x 12", occlusion_map, moving, X, window=13)
    refused("2 of them, one for each side", occlusion_map, moving, X, window=(1, 2, 3))
    for explain in EXPLAIN:
        refused("holds images", explain, moving, equal[0])
    cnn = CNNClassifier(max_epochs=1, channels=4).fit(equal[:, 0], y)
    refused("frames is for clips", occlusion_map, cnn, equal[:, 0], frames=2)
