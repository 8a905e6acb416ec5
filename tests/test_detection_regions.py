"""What is true of R-CNN, Fast R-CNN and Faster R-CNN alone."""

import copy
import sys

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torchvision.ops import box_iou, roi_align

from sknets import FasterRCNNDetector, FastRCNNDetector, RCNNDetector
from sknets._inputs import ImageList
from sknets._inputs.boxes import padded_boxes
from sknets._inputs.layout import Layout
from sknets.detection import _fast, _faster
from sknets.detection._faster import RegionProposals
from sknets.detection._proposals import ProposedImages, opencv, searched, windows
from sknets.detection._rcnn import FeatureBatch, RegionFeatures
from sknets.detection._regions import (
    RegionHead,
    aligned,
    differences,
    drawn,
    matched,
    moved,
)

torch.set_num_threads(1)


def rows_of(*images):
    table = [np.array(own, float).reshape(-1, 5) for own in images]
    return torch.from_numpy(padded_boxes(table)).float()


def sheets(n, seed=0):
    """Images of a bright square, a wide bar, both or nothing."""
    random = np.random.default_rng(seed)
    X = random.integers(0, 60, (n, 64, 64), dtype=np.uint8)
    y = []
    for i, image in enumerate(X):
        left, top = random.integers(0, 12, 2)
        boxes = [[left, top, left + 20, top + 20], [24 + left, 32 + top, 60, 48 + top]]
        boxes, labels = [(boxes, [0, 1]), (boxes[:1], [0]), (boxes[1:], [1]), ([], [])][
            i % 4
        ]
        for a, b, c, d in boxes:
            image[b:d, a:c] = 220
        y.append({"boxes": boxes, "labels": labels})
    return X, y


# -- anchors and proposals ---------------------------------------------------------


def test_anchors_stand_about_the_middle_of_each_cell():
    proposer = RegionProposals(4, 8, np.array([[8, 16], [20, 10]]))
    grid = proposer.grid(torch.zeros(1, 4, 3, 2))
    assert grid.shape == (3 * 2 * 2, 4)
    expected = []
    for row in range(3):
        for column in range(2):
            x, y = 8 * column + 4, 8 * row + 4
            expected += [[x - 4, y - 8, x + 4, y + 8], [x - 10, y - 5, x + 10, y + 5]]
    assert torch.equal(grid, torch.tensor(expected, dtype=torch.float32))


def test_sizes_of_anchors_are_those_of_boxes():
    boxes = [[0, 0, 10, 10, 0]] * 5 + [[0, 0, 20, 80, 0]] * 5
    net = FasterRCNNDetector(n_scales=2, aspect_ratios=(1.0, 4.0))
    net._learn_boxes(np.array(boxes, float), 10)
    assert np.allclose(net.anchors_, [[10, 10], [5, 20], [40, 40], [20, 80]])


def test_which_anchors_learn_what():
    proposer = RegionProposals(4, 8, np.array([[8, 8]]))
    anchors = torch.tensor(
        [[0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 5], [4, 0, 12, 10], [50, 50, 60, 60]]
    ).float()
    # The second object shares a little with one anchor alone, which learns it.
    y = rows_of([[0, 0, 10, 10, 1], [55, 55, 75, 75, 0]], [])
    positive, negative, which = proposer.targets(anchors, y)
    assert positive.tolist() == [[True, True, False, False, True], [False] * 5]
    # 0.5 and 0.46 are neither objects nor background.
    assert negative.tolist() == [[False] * 5, [True] * 5]
    assert which[0].tolist() == [0, 0, 0, 0, 1]


def test_losses_of_proposals_are_those_of_the_paper():
    proposer = RegionProposals(4, 8, np.array([[8, 8]]))
    anchors = torch.tensor([[0, 0, 10, 10], [30, 30, 40, 40], [60, 0, 80, 10]]).float()
    y = rows_of([[1, 0, 11, 12, 0]], [])
    sure = torch.tensor([[0.5, -1.0, 0.2], [0.1, 0.2, -0.3]])
    deltas = torch.zeros(2, 3, 4)
    deltas[0, 0, 0] = 1.5
    parts = proposer.losses((sure, deltas), anchors, y)
    entropy = torch.nn.functional.softplus
    first = (entropy(-sure[0, 0]) + entropy(sure[0, 1]) + entropy(sure[0, 2])) / 3
    expected = [first, entropy(sure[1]).mean()]
    assert torch.allclose(parts["proposal_object"], torch.stack(expected))
    # x by 0.1 widths (1.4 too far), y by 0.1 heights, and the logarithm of 1.2: of a
    # ninth and less the square.
    boxes = (1.4 - 0.5 / 9) + 4.5 * 0.1**2 + np.log(1.2) - 0.5 / 9
    assert np.allclose(parts["proposal_box"], [boxes / 3, 0], atol=1e-6)


def test_proposals_are_the_surest_without_doubles_and_within_the_image():
    proposer = RegionProposals(4, 8, np.array([[8, 8]])).eval()
    anchors = torch.tensor(
        [[0, 0, 10, 10], [1, 0, 11, 10], [30, 30, 45, 40], [-9, -9, -1, -1]]
    ).float()
    sure = torch.tensor([[1.0, 2.0, 0.0, 5.0]])
    (found,) = proposer.proposals((sure, torch.zeros(1, 4, 4)), anchors, (36, 40))
    assert found.tolist() == [[1, 0, 11, 10], [30, 30, 40, 36]]


def test_so_many_are_drawn_and_only_of_those_that_may_be():
    positive = torch.arange(100).expand(3, -1) < torch.tensor([50, 4, 0])[:, None]
    negative = torch.arange(100) >= torch.tensor([60, 60, 95])[:, None]
    generator = torch.Generator().manual_seed(0)
    before = torch.get_rng_state()
    chosen = drawn(positive, negative, 16, 0.25, generator)
    assert chosen[0].sum(1).tolist() == [4, 4, 0]
    assert chosen[1].sum(1).tolist() == [12, 12, 5]
    assert not (chosen[0] & ~positive).any() and not (chosen[1] & ~negative).any()
    assert torch.equal(torch.get_rng_state(), before)
    again = drawn(positive, negative, 16, 0.25, generator)
    assert not torch.equal(again[0], chosen[0])


# -- regions ---------------------------------------------------------------------------


def boxes_within(size, n, seed=0):
    corners = torch.rand(n, 2, 2, generator=torch.Generator().manual_seed(seed))
    corners = (corners * torch.tensor(size[::-1])).sort(1).values
    return corners.flatten(1)


def test_aligned_regions_are_those_of_torchvision_and_so_are_their_gradients():
    maps = torch.randn(3, 11, 7, requires_grad=True)
    boxes = boxes_within((11, 7), 12)
    own = aligned(maps, boxes, 7).permute(0, 3, 1, 2)
    theirs = roi_align(maps[None], [boxes], 7, 1.0, 2, True)
    assert torch.allclose(own, theirs, atol=1e-5)
    weight = torch.randn_like(own)
    gradients = [
        torch.autograd.grad((each * weight).sum(), maps)[0] for each in (own, theirs)
    ]
    assert torch.allclose(*gradients, atol=1e-4)


def test_pooled_regions_are_the_largest_values_of_their_cells():
    maps = torch.randn(2, 3, 9, 12)
    head = RegionHead(3, 4, 2, 8, align=False)
    boxes = [torch.tensor([own]).float() for own in ([8, 8, 80, 64], [0, 0, 55, 55])]
    pooled = head.pooled(maps, boxes)
    assert pooled.shape == (2, 7, 7, 3)
    for out, own, box in zip(pooled, maps, torch.cat(boxes)):
        left, top, right, bottom = (box / 8).round().int().tolist()
        h, w = bottom - top + 1, right - left + 1
        for i in range(7):
            for j in range(7):
                rows = slice(top + i * h // 7, top - (-(i + 1) * h // 7))
                columns = slice(left + j * w // 7, left - (-(j + 1) * w // 7))
                assert torch.equal(out[i, j], own[:, rows, columns].amax((1, 2)))


def test_differences_of_boxes_are_undone():
    boxes, anchors = boxes_within((50, 60), 9), boxes_within((50, 60), 9, 1)
    assert torch.allclose(moved(differences(boxes, anchors), anchors), boxes, atol=1e-3)


def test_losses_of_regions_are_those_of_the_paper():
    head = RegionHead(1, 4, 2, 8, align=True)
    boxes = torch.tensor([[[0, 0, 10, 10], [30, 30, 40, 40], [0, 0, 9, 9]]]).float()
    there = torch.tensor([[True, True, False]])
    y = rows_of([[0, 0, 11, 10, 1]])

    def all_of(iou, own):
        return own & (iou >= 0.5), own & (iou < 0.5)

    maps = torch.randn(1, 1, 8, 8)
    scores, deltas = head(maps, [boxes[0, :2]])
    parts = head.losses(maps, y, boxes, there, all_of)
    probabilities = scores.softmax(1)
    entropy = -(probabilities[0, 1].log() + probabilities[1, 2].log()) / 2
    assert torch.allclose(parts["class"], entropy)
    wish = torch.tensor([0.5, 0, 5 * np.log(1.1), 0])
    far = (deltas[0, 1] - wish).abs()
    smooth = torch.where(far < 1, far.square() / 2, far - 0.5).sum() / 2
    assert torch.allclose(parts["box"], smooth.float())


@pytest.fixture(scope="module")
def data():
    return sheets(12)


@pytest.fixture(scope="module")
def fitted(data):
    more = {
        FasterRCNNDetector: {},
        FastRCNNDetector: {"selective_search": "single"},
        RCNNDetector: {"selective_search": "single", "fine_tuning_epochs": 1},
    }
    few = {"width": 4, "max_epochs": 1, "batch_size": 4, "random_state": 0}
    return {cls: cls(**few, **given).fit(*data) for cls, given in more.items()}


@pytest.mark.parametrize("cls", [FasterRCNNDetector, FastRCNNDetector, RCNNDetector])
def test_the_order_of_boxes_does_not_matter(cls, data, fitted, monkeypatch):
    for module in (_faster, _fast):  # all anchors and regions learn
        monkeypatch.setattr(module, "_REGIONS", 10**6)
    monkeypatch.setattr(_faster, "_DRAWN", 10**6)
    X, y = data
    turned = [{k: v[::-1] for k, v in own.items()} for own in y]
    net, losses = fitted[cls], []
    for given in (y, turned):
        samples = net._read(X, given, None, reset=False)
        parts = net.net_.module_.loss(samples.x.batch(slice(None)), samples.y.values)
        losses.append(torch.stack([*parts.values()]))
    assert torch.allclose(*losses, rtol=1e-4, atol=1e-5)
    assert (losses[0][0] > 0).any()


@pytest.mark.parametrize("cls", [FasterRCNNDetector, FastRCNNDetector, RCNNDetector])
def test_an_image_without_objects_teaches_background_alone(cls, data, fitted):
    net = fitted[cls]
    empty = [{"boxes": [], "labels": []}] * 12
    samples = net._read(data[0], empty, None, reset=False)
    parts = net.net_.module_.loss(samples.x.batch(slice(None)), samples.y.values)
    for name, part in parts.items():
        assert part.shape == (12,)
        # What is surely none of a class no longer teaches its machine.
        least = part >= 0 if name == "margin" else part > 0
        assert (part == 0).all() if "box" in name else least.all()


# -- selective search ------------------------------------------------------------------


def test_selective_search_finds_objects_and_the_same_ones_again():
    X, y = sheets(8)
    for image, own in zip(X, y):
        colored = image[:, :, None].repeat(3, 2)
        found = [searched(opencv("it"), colored, "fast", 2.0) for _ in range(2)]
        assert np.array_equal(*found)
        assert (found[0] >= 0).all() and (found[0] <= 64).all()
        if len(own["boxes"]):
            true = torch.tensor(own["boxes"], dtype=torch.float64)
            iou = box_iou(true, torch.tensor(found[0]))
            assert (iou.amax(1) > 0.7).all()


@pytest.mark.parametrize("cls", [FastRCNNDetector, RCNNDetector])
def test_without_opencv_a_sentence_says_what_to_install(cls, data, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=f"^{cls.__name__} .* install .sknets.vision"):
        cls().fit(*data)


def test_windows_cover_the_image():
    boxes = torch.from_numpy(windows((40, 64), 16.0))
    assert (boxes >= 0).all()
    assert (boxes[:, 2] <= 64.001).all() and (boxes[:, 3] <= 40.001).all()
    true = boxes_within((24, 48), 20)[:, :2].repeat(1, 2).double()
    true[:, 2:] += 16
    assert (box_iou(true, boxes).amax(1) > 0.35).all()


def test_a_flat_image_has_windows():
    net = FastRCNNDetector()
    net.object_size_, net.canvas_size_ = 12.0, (32, 32)
    net.reader_ = type("Reader", (), {"pixel_unit_": "byte"})()
    flat = ImageList(torch.zeros(2, 32, 32, dtype=torch.uint8), Layout(2, None), 255)
    found = net._with_regions(flat).proposals
    assert torch.equal(found[0], found[1]) and len(found[0]) > 16


def test_proposals_follow_their_images(data, fitted):
    net = fitted[FastRCNNDetector]
    samples = net._read(*data, None, reset=False)
    net = copy.copy(net).set_params(augment=("flip", "scale", "shift", "mosaic"))
    augment = net._augmentation()
    augment.generator = torch.Generator().manual_seed(0)
    # Regions that are the objects stay so.
    true = [own[own[:, 4] >= 0, :4] for own in samples.y.values]
    x = ProposedImages.of(samples.x, true)
    for _ in range(4):
        batch, y = augment(x, samples.y.values)
        for own, rows in zip(batch.proposals, y):
            assert torch.allclose(own, rows[rows[:, 4] >= 0, :4])


# -- R-CNN's machines ------------------------------------------------------------------


def test_features_are_not_of_running_means(data):
    with pytest.raises(ValueError, match=r"^RCNNDetector\(ema_decay=0.9\): "):
        RCNNDetector(ema_decay=0.9).fit(*data)


def test_margins_of_machines(fitted):
    module = fitted[RCNNDetector].net_.module_
    scores = torch.tensor([[0.5, -0.5], [2.0, -3.0], [0.0, 0.2]])
    positive = torch.tensor([[True, False], [False, False], [False, False]])
    negative = torch.tensor([[False, True], [False, True], [True, True]])
    loss = module.margins(scores, positive, negative)
    assert np.isclose(loss.item(), 0.5**2 + (0.5**2 + 0 + 1 + 1.2**2) / 64)


def test_the_sides_of_regions_for_each_machine(fitted):
    module = fitted[RCNNDetector].net_.module_
    y = rows_of([[0, 0, 10, 10, 0], [20, 20, 30, 30, 1]])[0]
    regions = torch.tensor(
        [[0, 0, 10, 10], [0, 0, 10, 5], [20, 20, 30, 30], [50, 50, 60, 60]]
    ).float()
    positive, negative = module.sides(regions, y)
    assert positive.tolist() == [[1, 0], [0, 0], [0, 1], [0, 0]]
    assert negative.tolist() == [[0, 1], [0, 1], [1, 0], [1, 1]]


def test_scores_are_those_of_the_machines(data, fitted):
    net = fitted[RCNNDetector]
    module, samples = net.net_.module_, net._read(*data, None, reset=False)
    x = samples.x.batch(slice(0, 1))
    with torch.no_grad():
        features = module.features(module.images(x), x.proposals)
        z = (features - module.mean) / module.deviation
        margins = z @ module.svms.weight.T + module.svms.bias
        found = module(x)[0]
    expected = (1 / (1 + (-4 * margins).exp())).flatten()
    expected = expected[expected >= 1e-3].sort(descending=True).values
    assert torch.allclose(found.scores, expected, atol=1e-5)


def test_boxes_are_moved_by_a_ridge_regression(fitted):
    net = fitted[RCNNDetector]
    module = net.net_.module_
    random = torch.Generator().manual_seed(0)
    kept = {k: v.clone() for k, v in module.state_dict().items()}
    regions = [torch.rand(30, 2, generator=random) * 4 for _ in range(6)]
    regions = [torch.cat([low, low + 20], 1) for low in regions]
    shape = 6, 30, module.svms.in_features
    features = [*torch.rand(*shape, generator=random)]
    y = rows_of(*[[[2, 2, 22, 22, 1]] for _ in range(6)])
    module.regress(RegionFeatures(regions, features), y, None)
    near = torch.cat([matched(own, y[:1])[0][0, :, 0] >= 0.6 for own in regions])
    z = module.standard(torch.cat(features))
    target = differences(y[0, :1, :4], torch.cat(regions))
    ridge = Ridge(alpha=10.0).fit(z[near].numpy(), target[near].numpy())
    expected = ridge.predict(z.numpy())
    found = module.moves(z)[:, 1].numpy()
    module.load_state_dict(kept)
    assert np.allclose(found, expected, atol=2e-3)


def test_features_are_made_once_and_are_those_of_the_images(data, fitted):
    net = fitted[RCNNDetector]
    samples = net._read(*data, None, reset=False)
    module = net.net_.module_
    made = net._with_features(net.net_, samples)
    batch = made.x.batch(slice(0, 4))
    assert isinstance(batch, FeatureBatch)
    own = module.loss(batch, samples.y.values[:4])["margin"]
    theirs = module.loss(samples.x.batch(slice(0, 4)), samples.y.values[:4])["margin"]
    assert torch.allclose(own, theirs, rtol=1e-4)
