"""ImageTranslator: images of images."""

import numpy as np
import pytest

from sknets import ImageTranslator
from sknets._inputs.images import PixelUnitWarning


def edges(n=24, seed=0):
    """Squares, and their outlines."""
    random = np.random.default_rng(seed)
    filled = np.zeros((n, 12, 14), np.uint8)
    for image in filled:
        i, j = random.integers(0, 7, 2)
        image[i : i + 5, j : j + 5] = 200
    inner = filled.copy()
    inner[:, 1:-1, 1:-1] = np.minimum.reduce(
        [
            filled[:, 1:-1, 1:-1],
            filled[:, :-2, 1:-1],
            filled[:, 2:, 1:-1],
            filled[:, 1:-1, :-2],
            filled[:, 1:-1, 2:],
        ]
    )
    return filled - inner, filled


SMALL = {"width": 8, "random_state": 0, "batch_size": 8, "lr": 3e-3}


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_outlines_are_filled(weight):
    lines, filled = edges()
    net = ImageTranslator(**SMALL, max_epochs=40, adversarial_weight=weight)
    net.fit(lines, filled)
    more = edges(seed=1)
    empty = -np.abs(more[1] / 255).mean()
    assert net.score(*more) > 0.6 * empty
    drawn = net.predict(more[0])
    assert drawn.dtype == np.uint8 and drawn.shape == more[1].shape
    assert net.score(*more) == pytest.approx(
        -np.abs(drawn / 255 - more[1] / 255).mean()
    )
    row = net.net_.history[-1]
    assert (
        ("train_adversarial" in row) == ("train_discriminator" in row) == bool(weight)
    )


def test_pairs_may_differ_in_all_but_size():
    lines, filled = edges()
    colour = np.stack([filled, 255 - filled, filled // 2], 1) / 255.0
    net = ImageTranslator(**SMALL, max_epochs=1, early_stopping=True)
    drawn = net.fit(lines, colour).predict(lines[:2])
    assert drawn.shape == (2, 3, 12, 14) and len(net.validation_loss_curve_) == 1
    assert net.validation_loss_curve_[0] > 0
    net.set_params(early_stopping=False)
    with pytest.warns(PixelUnitWarning, match=r"ImageTranslator \(y\): X holds float"):
        raw = net.fit(lines, filled * 100.0 - 3)
    assert raw.predict(lines[:2]).max() > 1
    frames = np.stack([lines] * 5, 3)  # five of them are channels of X alone
    net = ImageTranslator(**SMALL, max_epochs=1, channel_order="last")
    drawn = net.fit(frames, filled).predict(frames[:1])
    assert drawn.shape == (1, 12, 14) and net.n_channels_ == 5
    for given, says in (
        ((lines, filled[:, 1:]), r"of X are 12 x 14 pixels and those of y 11 x 14"),
        ((lines, filled[1:]), "X has 24, y has 23"),
        ((lines, None), "requires y"),
        ((np.zeros((4, 6, 6, 6)), np.zeros((4, 6, 6, 6))), "the channels"),
    ):
        with pytest.raises(ValueError, match=says) as caught:
            ImageTranslator(**SMALL).fit(*given)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"y must be of shape \(24, 12, 14\)"):
        raw.score(lines, filled[:, 1:])
