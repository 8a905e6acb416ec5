"""Videos for `compare`: what they are, and flat rows of what changes in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sknets._comparison.images import noted, quietly
from sknets._inputs import Videos
from sknets._params import Declared, param

# Classical models see larger frames at this size: a row has four numbers a pixel.
LARGEST_SIDE = 16


class ClipStatistics(TransformerMixin, Declared, BaseEstimator):
    """A row a clip: what each pixel, and its change from frame to frame, is over time.

    Means and standard deviations of both, of frames shrunk to ``largest_side``.
    """

    resize: int | tuple[int, ...] | None = param(default=None)
    channel_order: str = param(default="auto")
    largest_side: int = param(default=LARGEST_SIDE, at_least=1)

    def fit(self, X: Any, y: Any = None) -> ClipStatistics:
        """Learn the size of the frames."""
        self.reader_ = Videos.of(self)
        quietly(self.reader_.learn, X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return rows of floats, bytes divided by 255."""
        check_is_fitted(self, "reader_")
        clips = quietly(self.reader_.read, X)
        size = self.reader_.image_size_
        side = max(size)
        shrink = min(1.0, self.largest_side / side)
        height, width = (max(1, round(length * shrink)) for length in size)
        rows = []
        for i in range(len(clips)):
            frames = clips.batch(slice(i, i + 1)).values
            frames = F.adaptive_avg_pool2d(frames, (height, width)).flatten(1)
            # Of a single frame: no change.
            change = frames.diff(dim=0).abs() if len(frames) > 1 else frames * 0
            each = [s for x in (frames, change) for s in (x.mean(0), x.std(0, False))]
            rows.append(torch.cat(each))
        return torch.stack(rows).numpy()


def describe_videos(X: Any) -> tuple[list[str], list[str]]:
    """Return the facts and the notes about videos.

    Raises
    ------
    ValueError
        When they cannot be read; the sentence is ``compare``'s.
    """
    reader, clips, warned = noted(Videos, ClipStatistics(), X)
    (height, width), n = reader.image_size_, reader.n_channels_
    least, most = int(clips.counts.min()), int(clips.counts.max())
    steps = f"{most}" if least == most else f"{least} to {most}"
    facts = [
        f"{len(clips):,} videos of {steps} frames of {height} x {width}, {n} "
        f"channel{'' if n == 1 else 's'}"
    ]
    notes = [
        "classical models see means and deviations over time of pixels and of their "
        "changes"
    ]
    return facts, notes + warned
