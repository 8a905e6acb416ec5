"""Semantic segmentation: what is true of it alone."""

import copy
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score
from sklearn.model_selection import cross_val_score
from torch import nn
from torchvision.transforms import v2

from sknets import FCNSegmenter, SegmentationDisplay, UNetSegmenter, compare
from sknets._backbones import FeatureMaps
from sknets._inputs import ImageList
from sknets._inputs.layout import Layout
from sknets.metrics import mean_dice, mean_iou, pixel_accuracy, pixel_confusion
from sknets.segmentation._fcn import FCN, Stack, bilinear
from sknets.segmentation._loss import PixelLoss, border_weights
from sknets.segmentation._patches import PatchAugment
from sknets.segmentation._tiles import reach_of, tiles

SMALL = {"width": 8, "depth": 2, "random_state": 0}


def squares(n=12, size=(24, 24), value=1, seed=0):
    """Bright squares on noise, and where they are."""
    random = np.random.default_rng(seed)
    X = random.integers(0, 90, (n, *size), dtype=np.uint8)
    y = np.zeros((n, *size), dtype=int)
    for image, mask in zip(X, y):
        i, j = random.integers(0, [side - 9 for side in size])
        mask[i : i + 9, j : j + 9] = value
        image[mask > 0] += 100
    return X, y


X, y = squares()


@pytest.fixture(scope="module")
def fitted():
    return UNetSegmenter(**SMALL, max_epochs=30, batch_size=4, lr=0.01).fit(X, y)


def test_it_learns_and_says_what_it_found(fitted):
    more = squares(seed=1)
    assert fitted.score(*more) > 0.9
    found = fitted.predict(more[0])
    assert found.dtype == y.dtype and found.shape == y.shape
    p = fitted.predict_proba(more[0])
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
    np.testing.assert_array_equal(p.argmax(1), found)
    figures = fitted.evaluate(*more)
    flat = more[1].ravel(), found.ravel()
    assert figures["mean_iou"] == pytest.approx(jaccard_score(*flat, average="macro"))
    assert figures["mean_dice"] == pytest.approx(f1_score(*flat, average="macro"))
    assert figures["dice"][1] == pytest.approx(f1_score(*flat))
    assert figures["pixel_accuracy"] == pytest.approx((flat[0] == flat[1]).mean())
    np.testing.assert_array_equal(figures["confusion"], confusion_matrix(*flat))


@pytest.mark.parametrize("values", [(0, 255), (-3, 7), (False, True), (1000, 70000)])
def test_masks_may_have_any_values(values):
    own = np.array(values)[y]
    net, plain = (
        UNetSegmenter(**SMALL, max_epochs=5, batch_size=4, lr=0.01).fit(X, masks)
        for masks in (own, y)
    )
    np.testing.assert_array_equal(net.classes_, values)
    np.testing.assert_array_equal(net.predict(X), np.array(values)[plain.predict(X)])
    assert len(np.unique(net.predict(X))) == 2
    assert net.predict(X).dtype == own.dtype


def test_images_of_any_size(fitted):
    sizes = [(24, 24), (17, 31), (9, 40), (5, 3), (1, 1)]
    images = [np.resize(X[0], size) for size in sizes]
    found = fitted.predict(images)
    assert found.dtype == object and [mask.shape for mask in found] == sizes
    alone = [fitted.predict(image[None])[0] for image in images]
    assert all(map(np.array_equal, found, alone))
    masks = [image > 100 for image in images]
    net = UNetSegmenter(**SMALL, max_epochs=2, early_stopping=True)
    net.set_params(validation_fraction=0.4).fit(images, masks)
    assert 0 < net.score(images, masks) <= 1
    assert len(net.validation_scores_) == 2


def test_channels_may_be_first_or_last():
    colours = np.stack([X, X // 2, X // 3], -1)
    nets = [
        UNetSegmenter(**SMALL, max_epochs=2).fit(given, y)
        for given in (colours, colours.transpose(0, 3, 1, 2))
    ]
    assert nets[0].n_channels_ == 3
    np.testing.assert_array_equal(
        nets[0].predict(colours), nets[1].predict(colours.transpose(0, 3, 1, 2))
    )


def test_volumes():
    volumes = np.repeat(X[:6, None, :12, :12], 6, axis=1)
    masks = np.repeat(y[:6, None, :12, :12], 6, axis=1)
    net = UNetSegmenter(**SMALL, spatial_dims=3, max_epochs=30, batch_size=2, lr=0.02)
    assert net.fit(volumes, masks).score(volumes, masks) > 0.8
    assert net.spatial_dims_ == 3
    assert net.predict(volumes).shape == masks.shape
    tiled = copy.copy(net).set_params(tile_size=16)
    np.testing.assert_allclose(
        tiled.predict_proba(volumes), net.predict_proba(volumes), atol=1e-5
    )
    with pytest.raises(ValueError, match="samples must have 2 axes"):
        FCNSegmenter().fit(volumes[..., None], masks)


# -- tiles -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "net",
    [
        UNetSegmenter(width=4, depth=2),
        UNetSegmenter(width=2, depth=3),
        FCNSegmenter(channels=(2, 3, 4, 5, 6)),
        FCNSegmenter(channels=(2, 3, 4, 5, 6), variant="32s"),
        FCNSegmenter(backbone="mobilenet_v3_small", variant="16s"),
    ],
)
def test_tiles_are_as_the_whole(net):
    net.set_params(max_epochs=1, random_state=0).fit(X[:4], y[:4])
    image = np.random.default_rng(0).integers(0, 255, (1, 233, 213), dtype=np.uint8)
    whole = net.set_params(tile_size=256).predict_proba(image)
    for size in (100, 180) if isinstance(net, FCNSegmenter) else (32, 100):
        tiled = net.set_params(tile_size=size).predict_proba(image)
        np.testing.assert_allclose(tiled, whole, atol=2e-4)


@pytest.mark.parametrize(
    "net",
    [UNetSegmenter(width=4, depth=2), FCNSegmenter(channels=(2, 3, 4, 5, 6))],
)
def test_averaged_views_do_not_depend_on_the_view(net):
    net.set_params(max_epochs=1, random_state=0).fit(X[:4], y[:4])
    image = np.random.default_rng(0).integers(0, 255, (1, 64, 96), dtype=np.uint8)
    plain = net.predict_proba(image)
    net.set_params(test_time_augmentation=True)
    whole = net.predict_proba(image)
    np.testing.assert_allclose(whole.sum(1), 1, atol=1e-5)
    assert abs(whole - plain).max() > 1e-3
    mirrored = net.predict_proba(image[..., ::-1])[..., ::-1]
    np.testing.assert_allclose(mirrored, whole, atol=1e-5)
    if "turn" in net.augment:
        turned = net.predict_proba(np.rot90(image, 1, (1, 2)))
        np.testing.assert_allclose(np.rot90(turned, -1, (2, 3)), whole, atol=1e-5)
    tiled = net.set_params(tile_size=32).predict_proba(image)
    np.testing.assert_allclose(tiled, whole, atol=2e-4)


def test_tiles_cover_all_once():
    seen = np.zeros((50, 70), int)
    for start, extent, inner, outer in tiles((50, 70), 16, 8):
        seen[outer] += 1
        assert np.zeros(extent)[inner].shape == seen[outer].shape
        assert all(s + i.start == o.start for s, i, o in zip(start, inner, outer))
    assert (seen == 1).all()


def test_reach_is_that_of_the_arithmetic():
    layers = nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(1, 1, 5)
    # One pixel beside, one of pooling, two of two pixels: at least what is seen.
    assert 6 <= reach_of(nn.Sequential(*layers), torch.zeros(1, 1, 32, 32)) <= 8
    torch.manual_seed(0)
    net = Stack(1, (8, 8, 8), False)
    x = torch.randn(1, 1, 64, 64, requires_grad=True)
    net(x)[8][0, :, 4, 4].sum().backward()
    seen = x.grad[0, 0].nonzero()
    assert (seen - 36).abs().max() <= reach_of(net, torch.zeros(1, 1, 64, 64))


# -- losses ----------------------------------------------------------------------------


def loss(kind, logits, codes, weight=None):
    return PixelLoss(kind, logits.shape[1], weight).each(logits, codes[:, None])


def test_losses_are_those_of_the_papers():
    torch.manual_seed(0)
    logits, codes = torch.randn(2, 3, 4, 5), torch.randint(3, (2, 4, 5))
    each = F.cross_entropy(logits, codes, reduction="none")
    torch.testing.assert_close(loss("cross_entropy", logits, codes), each.mean((1, 2)))
    focal = ((1 - (-each).exp()) ** 2 * each).mean((1, 2))
    torch.testing.assert_close(loss("focal", logits, codes), focal)
    weight = np.array([1.0, 2.0, 5.0])
    weighted = torch.stack(
        [
            F.cross_entropy(one[None], code[None], torch.tensor(weight).float())
            for one, code in zip(logits, codes)
        ]
    )
    torch.testing.assert_close(loss("cross_entropy", logits, codes, weight), weighted)
    p, truth = logits.softmax(1), F.one_hot(codes, 3).movedim(-1, 1)
    dice = 2 * (p * truth).sum((2, 3)) / (p + truth).sum((2, 3))
    torch.testing.assert_close(loss("dice", logits, codes), 1 - dice.mean(1))
    both = loss("cross_entropy_dice", logits, codes)
    torch.testing.assert_close(both, each.mean((1, 2)) + 1 - dice.mean(1))


@pytest.mark.parametrize("kind", ["cross_entropy", "dice", "focal"])
def test_ignored_pixels_count_for_nothing(kind):
    torch.manual_seed(0)
    logits = torch.randn(1, 2, 6, 6, requires_grad=True)
    codes = torch.randint(2, (1, 6, 6))
    codes[:, :, 3:] = 2  # the number of no class
    found = loss(kind, logits, codes)
    torch.testing.assert_close(found, loss(kind, logits[..., :3], codes[..., :3]))
    found.sum().backward()
    assert (logits.grad[..., 3:] == 0).all() and (logits.grad[..., :3] != 0).any()
    nothing = loss(kind, logits, torch.full_like(codes, 2))
    assert nothing.tolist() == [0]


def test_ignore_index_in_training_and_scores():
    holes = y.copy()
    holes[:, 12:] = 255
    wrong = np.where(holes == 255, 1, holes)
    kept = UNetSegmenter(
        **SMALL, ignore_index=255, max_epochs=20, lr=0.01, batch_size=4
    )
    kept.fit(X, holes)
    assert kept.classes_.tolist() == [0, 1]
    assert kept.score(X, holes) > 0.8
    told = clone_fit(kept, X, wrong)
    assert kept.score(X[:, :12], y[:, :12]) > told.score(X[:, 12:], y[:, 12:]) + 0.2
    nobody = np.full_like(holes, 255)
    with pytest.raises(ValueError, match="at least 2 classes"):
        UNetSegmenter(ignore_index=255).fit(X, nobody)


def clone_fit(net, X, y):
    return UNetSegmenter(**{**net.get_params(), "ignore_index": None}).fit(X, y)


def test_class_weights_find_what_is_rare():
    rare = np.zeros_like(y)
    rare[:, 5, 5] = 1  # one pixel in 576, which nothing tells
    few = {"max_epochs": 6, "batch_size": 4, "augment": None}
    plain = UNetSegmenter(**SMALL, **few).fit(X, rare)
    balanced = UNetSegmenter(**SMALL, **few, class_weight="balanced").fit(X, rare)
    np.testing.assert_allclose(balanced.pixel_weights_, [576 / 2 / 575, 576 / 2])
    assert (balanced.predict(X) == 1).mean() > (plain.predict(X) == 1).mean()
    assert not hasattr(balanced, "partial_fit")
    with pytest.raises(ValueError, match="7 is not one of the classes"):
        UNetSegmenter(class_weight={7: 2.0}).fit(X, y)


def test_border_weights_are_those_of_the_paper():
    codes = np.zeros((30, 40), int)
    codes[3:12, 2:12], codes[3:12, 16:30], codes[20:28, 5:15] = 1, 1, 2
    found = border_weights(codes, 0, 3.0)
    labels = np.zeros_like(codes)
    labels[3:12, 2:12], labels[3:12, 16:30], labels[20:28, 5:15] = 1, 2, 3
    for i, j in np.ndindex(codes.shape):
        if codes[i, j]:
            assert found[i, j] == 0
            continue
        nearest = sorted(
            np.hypot(*(np.argwhere(labels == k) - (i, j)).T).min() for k in (1, 2, 3)
        )
        expected = np.exp(-((nearest[0] + nearest[1]) ** 2) / 18)
        assert found[i, j] == pytest.approx(expected, abs=2e-3)
    assert found[7, 13] > 0.1 > found[0, 39]
    assert (border_weights((codes == 2).astype(int), 0, 3.0) == 0).all()


def test_borders_move_with_their_masks():
    net = UNetSegmenter(**SMALL, border_weight=10, max_epochs=2, patch_size=16)
    two = np.zeros((6, 24, 24), int)
    two[:, 4:20, 3:11] = two[:, 4:20, 13:21] = 1
    net.fit(np.uint8(200 * two), two)
    weight = border_weights(two[0], 0, 5.0)
    parts = ImageList([torch.tensor(two[0])[None]], Layout(2, 0), whole=True)
    maps = ImageList([torch.tensor(weight)[None]], Layout(2, 0))
    change = PatchAugment((16, 16), ["flip", "turn"], np.ones(1))
    x, (codes, borders) = change(parts, (parts, maps))
    assert torch.equal(x, codes) and borders[codes > 0].max() == 0
    assert borders.max() > 0.5


# -- windows and changes ---------------------------------------------------------------


def test_images_and_masks_change_together():
    image = torch.arange(20 * 30).view(1, 20, 30).byte()
    x = ImageList([image, image[:, :9, :7]], Layout(2, 0))
    change = PatchAugment((16, 16), ["flip", "turn"], np.ones(1))
    seen = set()
    for _ in range(60):
        found, masks = change(x, x)
        assert torch.equal(found, masks) and found.shape == (2, 1, 16, 16)
        seen.add(tuple(found[0, 0, :2, :2].flatten().tolist()))
    assert len(seen) > 30
    brighter, masks = PatchAugment((16, 16), ["brightness"], np.ones(1))(x, x)
    assert not torch.equal(brighter, masks)


def test_transforms_of_torchvision_move_masks_too():
    both = v2.RandomAffine(degrees=90, translate=(0.2, 0.2))
    net = UNetSegmenter(**SMALL, augment=[both, "flip"], max_epochs=2)
    first = net.fit(X, y).loss_curve_
    assert net.fit(X, y).loss_curve_ == first
    mask = ImageList([torch.tensor(y[0])[None].byte()], Layout(2, 0), whole=True)
    lit = ImageList([torch.tensor(y[0])[None].float()], Layout(2, 0))
    for _ in range(10):
        image, moved = PatchAugment((24, 24), [both], np.ones(1))(lit, mask)
        assert ((image > 0.5) == (moved > 0)).float().mean() > 0.98
    with pytest.raises(ValueError, match="must return an image and a mask"):
        UNetSegmenter(augment=lambda image, mask: (image[:, 1:], mask)).fit(X, y)


def test_windows_of_large_images():
    large = squares(6, (30, 50))
    net = UNetSegmenter(**SMALL, patch_size=(16, 32), max_epochs=40, lr=0.01)
    net.set_params(batch_size=3).fit(*large)
    assert net.patch_size_ == (16, 32)
    assert net.score(*large) > 0.8
    auto = UNetSegmenter(**SMALL, max_epochs=1).fit(
        np.zeros((2, 300, 90)), [np.arange(27000).reshape(300, 90) % 2] * 2
    )
    assert auto.patch_size_ == (256, 92) and auto.batch_size_ == 5


# -- the paper's networks --------------------------------------------------------------


def test_deconvolutions_begin_as_bilinear_interpolation():
    x = torch.randn(1, 3, 8, 8)
    found = F.conv_transpose2d(x, bilinear(3), stride=2, padding=1)
    expected = F.interpolate(x, scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(found[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


def test_variants_join_finer_scores():
    torch.manual_seed(0)
    for strides, n in (((32,), 0), ((32, 16), 1), ((32, 16, 8), 2)):
        body = Stack(1, (2, 3, 4, 5, 6), True)
        net = FCN(body, 1, 2, strides, 0.0, nn.Identity())
        assert len(net.doubling) == n and len(net.score) == n + 1
        assert net(torch.randn(1, 1, 64, 96)).shape == (1, 2, 64, 96)


def test_weights_of_named_backbones(tmp_path):
    from torchvision import models

    torch.manual_seed(0)
    state = models.mobilenet_v3_small(weights=None).state_dict()
    torch.save(state, tmp_path / "weights.pt")
    net = FCNSegmenter(
        backbone="mobilenet_v3_small",
        weights=tmp_path / "weights.pt",
        freeze_backbone=True,
        max_epochs=1,
        random_state=0,
    )
    net.fit(X[:4], y[:4])
    own = net.net_.module_.body.body.state_dict()
    assert all(torch.equal(own[k], state[k]) for k in own if "num_batches" not in k)
    assert net.n_parameters_ < 5000
    with pytest.raises(ValueError, match="are not weights of shufflenet_v2"):
        net.set_params(backbone="shufflenet_v2_x0_5").fit(X[:4], y[:4])
    with pytest.raises(ValueError, match="no map of stride"):
        FeatureMaps("squeezenet1_1", 3, (32, 16, 8), False)


# -- contract --------------------------------------------------------------------------


def test_weights_of_samples_are_repetitions():
    n = np.arange(6) % 3
    rows = np.repeat(np.arange(6), n)
    few = {"augment": None, "max_epochs": 4, "batch_norm": False, "batch_size": 32}
    weighted = UNetSegmenter(**SMALL, **few).fit(X[:6], y[:6], sample_weight=n)
    repeated = UNetSegmenter(**SMALL, **few).fit(X[rows], y[rows])
    np.testing.assert_allclose(
        weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-4
    )
    score = weighted.score(X[:6], y[:6], sample_weight=n)
    assert score == pytest.approx(weighted.score(X[rows], y[rows]))


def test_cross_validation_of_lists():
    images = [image[: 12 + i] for i, image in enumerate(X)]
    masks = [mask[: 12 + i] for i, mask in enumerate(y)]
    net = UNetSegmenter(**SMALL, max_epochs=10, lr=0.01, batch_size=4)
    scores = cross_val_score(net, images, masks, cv=3, error_score="raise")
    assert scores.mean() > 0.5


def test_a_last_layer_may_be_resumed(fitted):
    more = copy.deepcopy(fitted).set_params(warm_start=True, max_epochs=2)
    assert more.fit(X, y).n_iter_ == 32


def refused(sentence, X, y, net=None, **params):
    net = (net or UNetSegmenter)(**params)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=sentence):
            net.fit(X, y)


def test_bad_input_is_refused():
    refused(r"y\[0\] has 24 x 23 pixels and X\[0\] 24 x 24", X, y[:, :, :23])
    refused(r"inconsistent numbers of samples: X has 12, y has 11", X, y[:11])
    refused("requires y to be passed", X, None)
    refused(r"y\[0\] must be a mask of 2 axes", X, np.arange(12))
    refused(r"y\[0\] must be a mask of 2 axes", X, np.stack([y, y, y], -1))
    refused(r"y\[0\] holds 0.5, and masks are whole numbers", X, y / 2 + 0.5)
    refused(r"y\[3\] must be a mask of whole numbers", X, [*y[:3], "mask", *y[4:]])
    refused("at least 2 classes of pixels", X, np.zeros_like(y))
    refused("multiples of 8, such as 24", X, y, patch_size=20)
    refused("'sepia' is not one of", X, y, augment="sepia")
    refused("must be five", X, y, FCNSegmenter, channels=(4, 8))
    refused("torchvision has no such network", X, y, FCNSegmenter, backbone="vgg")
    refused(
        "backbone needs weights",
        X,
        y,
        FCNSegmenter,
        backbone="vgg11",
        freeze_backbone=True,
    )
    refused("must have 3 to 5 axes", np.zeros((12, 100)), y)
    refused(r"X\[1\] has 3 channels", [X[0][..., None], np.zeros((24, 24, 3))], y[:2])
    refused("read files first", ["a.png", "b.png"], y[:2])


def test_unknown_classes_are_refused_at_score(fitted):
    strange = y.copy()
    strange[2, 0, 0] = 9
    with pytest.raises(ValueError, match=r"y\[2\] has pixels of \[9\], which"):
        fitted.score(X, strange)
    with pytest.raises(ValueError, match=r"y\[0\] has 24 x 20 pixels"):
        fitted.score(X, y[:, :, :20])
    with pytest.raises(ValueError, match=r"shape \(24, 24, 3\), but fit had 1"):
        fitted.predict(np.zeros((2, 24, 24, 3), np.uint8))
    with pytest.raises(ValueError, match=r"classes=\[0, 1, 2\] differ"):
        fitted.partial_fit(X, y, classes=[0, 1, 2])


# -- metrics ---------------------------------------------------------------------------


def test_metrics_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    true, found = random.integers(0, 4, (2, 5, 6, 7))
    weight = random.integers(1, 4, 5)
    pixels = true.ravel(), found.ravel()
    by_pixel = {"average": "macro", "sample_weight": np.repeat(weight, 42)}
    options = {"sample_weight": weight}
    assert mean_iou(true, found, **options) == pytest.approx(
        jaccard_score(*pixels, **by_pixel)
    )
    assert mean_dice(true, found, **options) == pytest.approx(
        f1_score(*pixels, **by_pixel)
    )
    kept = true != 2
    some = pixel_confusion(true, found, ignore_index=2, classes=[0, 1, 2, 3])[0]
    expected = confusion_matrix(true[kept], found[kept], labels=[0, 1, 2, 3])
    np.testing.assert_array_equal(some, expected)
    assert np.isnan(mean_iou(true[:0], found[:0]))
    with pytest.raises(ValueError, match=r"y_true\[0\] has shape"):
        mean_iou(true, found[:, :5])


# -- around it -------------------------------------------------------------------------


def test_pictures(fitted):
    pytest.importorskip("matplotlib").use("agg")
    display = SegmentationDisplay.from_estimator(fitted, X[:3], y[:3])
    assert display.ax_.shape == (3, 3)
    shown = display.ax_[1, 0].images[0].get_array()
    plain = display.ax_[0, 0].images[0].get_array()
    changed = (shown != plain).any(-1)
    np.testing.assert_array_equal(changed, y[0] == 1)
    again = SegmentationDisplay.from_estimator(fitted, [X[0], X[1][:9]])
    assert list(again.masks) == ["predicted"]


def test_compare_of_masks():
    net = UNetSegmenter(**SMALL, max_epochs=10, lr=0.02, batch_size=2)
    for images, masks, other in ((X, y, "PixelForest"), (list(X), list(y), net)):
        models = ["DummySegmenter", other]
        given = {"models": models, "cv": 2, "random_state": 0, "verbose": 0}
        found = compare(images, masks, **given)
        assert found.task == "segmentation" and found.main_score == "mean_iou"
        table = found.table
        assert table.loc["DummySegmenter", "family"] == "baseline"
        assert table["mean_iou"].drop("DummySegmenter").min() > 0.6
        assert table["note"].eq("").all()
    assert found.predict(list(X[:2]))[0].shape == (24, 24)
    with pytest.raises(ValueError, match="y a mask for each"):
        compare(X, y[:, :, :20], task="segmentation", verbose=0)
    with pytest.raises(ValueError, match="there is no such score; did you mean"):
        compare(X, y, scoring="mean_iuo", verbose=0)


def test_metrics_lose_no_image_and_no_pixel(fitted):
    true = np.array([[[0, 0], [1, 1]], [[0, 1], [0, 1]]])
    found = true.copy()
    found[1] = 1 - found[1]
    for score in (mean_iou, mean_dice, pixel_accuracy):
        for weight in ([1.0], [1.0, 1.0, 5.0], [1.0, -1.0]):
            with pytest.raises(ValueError, match="sample_weight"):
                score(true, found, sample_weight=weight)
    with pytest.raises(ValueError, match="sample_weight"):
        fitted.score(X, y, sample_weight=[1, 1])
    # To predict what does not count is to be wrong, as of any other class.
    found = true.copy()
    found[0, 0] = 255
    flat = true.ravel(), found.ravel()
    expected = jaccard_score(*flat, average="macro", zero_division=0)
    assert mean_iou(true, found, ignore_index=255) == pytest.approx(expected)
    assert pixel_accuracy(true, found, ignore_index=255) == pytest.approx(6 / 8)
    with pytest.raises(ValueError, match=r"pixels of \[255\]"):
        pixel_confusion(true, found, classes=[0, 1])


def test_where_no_pixel_counts_there_is_no_score():
    net = UNetSegmenter(**SMALL, max_epochs=1, ignore_index=9).fit(X, y)
    figures = net.evaluate(X, np.full_like(y, 9))
    assert np.isnan([figures["pixel_accuracy"], figures["mean_iou"]]).all()
