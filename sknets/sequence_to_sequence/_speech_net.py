"""The network that listens, and how the sounds that it learns of are varied."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._cells import RecurrentStack
from sknets._engine.containers import Ragged
from sknets._inputs.text import N_RESERVED, UNKNOWN
from sknets._inputs.waveforms import mel
from sknets._layers import Dropout
from sknets.sequence_to_sequence._ctc import BLANK

STRIDE = 2  # frames to one that says something
_MAPS = 12  # of the convolution
# How the sounds vary: the logarithms of most factors, a curve's places and deviation.
_SPEED, _WARP = np.log(1.4), np.log(1.18)
_CURVE, _DEVIATION = 5, 0.5
_MASK = 0.1


def room(counts: Any) -> Any:
    """How many moments, and tokens, there are in so many frames."""
    return -(-counts // STRIDE)


def spoken(y: Ragged) -> tuple[Tensor, Tensor, Tensor]:
    """The tokens of texts one after the other, how many each has, and frames it needs.

    The blank takes the number before the first token. What is not known is not said;
    between two equal tokens there must be a blank.
    """
    tokens = y.join()[:, 0].long()
    text = torch.arange(len(y), device=tokens.device).repeat_interleave(
        y.counts.to(tokens.device)
    )
    known = tokens != UNKNOWN
    tokens, text = tokens[known] - N_RESERVED + 1, text[known]
    counts = torch.bincount(text, minlength=len(y))
    twice = (tokens[1:] == tokens[:-1]) & (text[1:] == text[:-1])
    return tokens, counts, counts + torch.bincount(text[1:][twice], minlength=len(y))


class SpeechNet(nn.Module):
    """A convolution, cells in both directions, a token or none for each moment.

    The convolution goes over time and bands: what one voice says somewhat higher than
    another is the same there. ``module(x)`` is a `Ragged` of logits, of half as many
    moments as there are frames.
    """

    def __init__(
        self,
        prepare: nn.Module,
        sizes: tuple[int, int, int, int],
        cell: str,
        dropout: float,
        n_tokens: int,
        unit: float,
    ):
        super().__init__()
        n_channels, width, hidden_size, n_layers = sizes
        self.prepare = prepare
        self.convolution = nn.Conv2d(1, _MAPS, 5, STRIDE, 2)
        self.project = nn.Linear(_MAPS * room(n_channels), width)
        self.stack = RecurrentStack(width, cell, hidden_size, n_layers, True, dropout)
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(self.stack.n_features, n_tokens)
        self.unit = unit

    def forward(self, x: Ragged) -> Ragged:
        frames = self.prepare(x.padded())
        lengths = None
        if x.mask is not None:
            frames = frames.masked_fill(~x.mask[:, :, None], 0)
            lengths = room(x.counts)
        maps = self.convolution(frames[:, None]).relu()  # (B, M, T / 2, C / 2)
        heard = self.project(maps.transpose(1, 2).flatten(2)).relu()
        steps = self.dropout(heard).transpose(0, 1)
        states = self.stack(steps, lengths).transpose(0, 1)
        logits = self.head(self.dropout(states))
        if lengths is None:
            return Ragged(logits)
        real = torch.arange(logits.shape[1], device=lengths.device) < lengths[:, None]
        return Ragged(logits[real], lengths)

    def loss(self, x: Any, y: Ragged) -> Tensor:  # (B,)
        return ctc_loss(self(x), y) / self.unit


def ctc_loss(logits: Ragged, y: Ragged) -> Tensor:
    """(B,): the negative logarithm of the sum over all alignments [Graves 2006]."""
    tokens, counts, _ = spoken(y)
    log_p = logits.padded().log_softmax(2)
    log_p = log_p if log_p.dtype == torch.float64 else log_p.float()
    return F.ctc_loss(
        log_p.transpose(0, 1),
        tokens,
        logits.counts.to(tokens.device),
        counts,
        blank=BLANK,
        reduction="none",
        zero_infinity=True,
    )


class SpeechAugment(nn.Module):
    """Random changes of frames, drawn for each sample anew.

    Parameters
    ----------
    kinds : list of str
        "speed": 0.7 to 1.4 times as fast; "voice": frequencies times 0.85 to 1.18, as
        of a longer or a shorter throat [Jaitly 2013]; "microphone": a curve over the
        bands is added, straight lines between five normal numbers of deviation 0.5;
        "mask": up to a tenth of the frames are as in the mean [Park 2019].
    centres : ndarray of shape (n_channels,) or None
        The frequencies of bands that are equally far apart as heard, for "voice".
    mean : ndarray of shape (n_channels,)
    """

    share = 0.75  # the last quarter of training learns what predictions will hear

    def __init__(self, kinds: list[str], centres: Any, mean: np.ndarray):
        super().__init__()
        self.kinds, self.centres, self.mean = kinds, centres, torch.from_numpy(mean)
        self.generator: torch.Generator | None = None

    def forward(self, x: Ragged, y: Any) -> tuple[Ragged, Any]:
        for kind in self.kinds:
            x = getattr(self, kind)(x, y)
        return x, y

    def _uniform(self, x: Ragged, low: float, high: float) -> Tensor:  # (B, 1)
        device = x.values.device
        drawn = torch.rand(len(x), 1, generator=self.generator, device=device)
        return low + (high - low) * drawn

    def speed(self, x: Ragged, y: Any) -> Ragged:
        counts = x.counts.to(x.values.device)
        fewest = torch.minimum(counts, STRIDE * spoken(y)[2].to(counts.device))
        faster = torch.exp(self._uniform(x, -_SPEED, _SPEED))[:, 0]
        lengths = (counts / faster).round().long()
        lengths = torch.maximum(lengths, fewest.clamp(min=1))
        ends = lengths.cumsum(0)
        text = torch.arange(len(x), device=ends.device).repeat_interleave(lengths)
        step = torch.arange(int(ends[-1]), device=ends.device) - (ends - lengths)[text]
        place = step * ((counts - 1) / (lengths - 1).clamp(min=1))[text]
        place = torch.minimum(place, (counts - 1)[text])
        low = place.floor().long()
        high = torch.minimum(low + 1, (counts - 1)[text])
        first = (counts.cumsum(0) - counts)[text]
        joined = x.join()
        part = (place - low)[:, None].to(joined.dtype)
        frames = torch.lerp(joined[first + low], joined[first + high], part)
        return Ragged(frames, lengths)

    def voice(self, x: Ragged, y: Any) -> Ragged:
        centres = torch.from_numpy(self.centres).to(x.values.device)
        factor = torch.exp(self._uniform(x, -_WARP, _WARP))
        heard = 2595 * (1 + centres * factor / 700).log10()  # see `mel`
        first, second = mel(self.centres[:2])
        n = len(centres)
        place = ((heard - first) / (second - first)).clamp(0, n - 1)  # (B, C)
        low = place.floor().long()
        high = (low + 1).clamp(max=n - 1)
        text = self._samples(x)
        joined = x.join()
        part = (place - low).to(joined.dtype)[text]
        ends = joined.gather(1, low[text]), joined.gather(1, high[text])
        return x.like(torch.lerp(*ends, part))

    def microphone(self, x: Ragged, y: Any) -> Ragged:
        joined = x.join()
        size, device = (len(x), 1, _CURVE), joined.device
        places = torch.randn(size, generator=self.generator, device=device)
        curve = F.interpolate(
            _DEVIATION * places, joined.shape[1], mode="linear", align_corners=True
        )
        return x.like(joined + curve[:, 0].to(joined.dtype)[self._samples(x)])

    def mask(self, x: Ragged, y: Any) -> Ragged:
        joined, text = x.join(), self._samples(x)
        counts = x.counts.to(joined.device)[:, None]
        step = torch.arange(len(joined), device=joined.device)[:, None]
        step = step - (counts.cumsum(0) - counts)[text]
        width = (self._uniform(x, 0, _MASK) * counts).floor()
        start = (self._uniform(x, 0, 1) * (counts - width + 1)).floor()
        hidden = (step >= start[text]) & (step < (start + width)[text])
        return x.like(torch.where(hidden, self.mean.to(joined), joined))

    def _samples(self, x: Ragged) -> Tensor:
        """The sample of each joined frame."""
        counts = x.counts.to(x.values.device)
        return torch.arange(len(x), device=counts.device).repeat_interleave(counts)


__all__ = ["SpeechAugment", "SpeechNet", "ctc_loss", "room", "spoken"]
