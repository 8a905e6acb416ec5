"""Sound: waveforms of unequal length as the logarithm of bands' power, and back."""

from __future__ import annotations

from itertools import compress
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sknets._inputs.reader import Reader
from sknets._inputs.sequences import (
    SequenceData,
    Sequences,
    axes_of,
    items_of,
    read_items,
)
from sknets._params import param

N_BANDS = 40
_WINDOW, HOP = 0.025, 0.008  # seconds
_EMPHASIS = 0.97
# Of a waveform of variance 1: what is below is the room's noise, not the voice.
_FLOOR = 2e-3
# Steps in which powers of frequencies, and their phases, are sought.
_SHARES, _PHASES, _MOMENTUM = 50, 60, 0.99
# Seconds of two columns that are taken for two channels of sound, not for features.
_STEREO = 0.25


def mel(hertz: Any) -> Any:
    """How high a frequency is heard [O'Shaughnessy 1987]."""
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def hertz(mels: Any) -> Any:
    return 700 * (10 ** (np.asarray(mels) / 2595) - 1)


def centres(sample_rate: float, n_bands: int = N_BANDS) -> np.ndarray:
    """(n_bands,) frequencies, equally far apart as they are heard."""
    return hertz(np.linspace(0, mel(sample_rate / 2), n_bands + 2))[1:-1]


def mel_matrix(sample_rate: float, n_fft: int, n_bands: int = N_BANDS) -> np.ndarray:
    """(n_fft / 2 + 1, n_bands): triangles, each from its neighbours' centres to 1."""
    edges = hertz(np.linspace(0, mel(sample_rate / 2), n_bands + 2))
    bins = np.arange(n_fft // 2 + 1)[:, None] * sample_rate / n_fft
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.minimum(rise, fall).clip(0)


class Spectrum:
    """Waveforms to frames (T, bands), whatever they are multiplied by, and back.

    Pre-emphasis, windows of 25 ms every 8 ms, the logarithm of the power in bands.
    """

    def __init__(self, sample_rate: float):
        self.window = max(2, round(_WINDOW * sample_rate))
        self.hop = max(1, round(HOP * sample_rate))
        self.n_fft = 2 ** int(np.ceil(np.log2(2 * self.window)))
        self.taper = torch.hann_window(self.window, periodic=False)
        matrix = mel_matrix(sample_rate, self.n_fft)
        self.bands = torch.from_numpy(matrix).float()

    def frames(self, wave: np.ndarray) -> Tensor:
        sound = torch.from_numpy(wave.astype(np.float64))
        sound = sound / sound.abs().max()  # the square of 1e300 is infinite
        sound = ((sound - sound.mean()) / sound.std(correction=0)).float()
        sound = torch.cat([sound[:1], sound[1:] - _EMPHASIS * sound[:-1]])
        power = self._transform(sound).abs().square() / self.window
        return (power @ self.bands + _FLOOR).log()

    def wave(self, frames: Tensor) -> np.ndarray:
        """A waveform of variance 1 that has about these frames, always the same.

        Powers of frequencies that make those of bands are sought, not negative [Lee,
        Seung 2001], then phases that agree with one another [Griffin, Lim 1984], with
        the momentum of [Perraudin et al. 2013].
        """
        power = (frames.float().exp() - _FLOOR).clamp(min=1e-8)
        both = self.bands @ self.bands.T
        spread = power @ self.bands.T
        fine = spread / self.bands.sum(1).clamp(min=1e-3)
        for _ in range(_SHARES):
            fine = fine * spread / (fine @ both).clamp(min=1e-9)
        size = (fine * self.window).sqrt()
        generator = torch.Generator().manual_seed(0)
        angle = 2 * torch.pi * torch.rand(size.shape, generator=generator)
        before = torch.zeros_like(size)
        for _ in range(_PHASES):
            found = self._transform(self._overlaid(torch.polar(size, angle)))
            angle = (found + _MOMENTUM * (found - before)).angle()
            before = found
        sound = self._overlaid(torch.polar(size, angle)).double().numpy()
        from scipy.signal import lfilter  # takes a third of a second

        sound = lfilter([1], [1, -_EMPHASIS], sound)
        return sound / max(sound.std(), 1e-12)

    def _transform(self, sound: Tensor) -> Tensor:  # (N,) -> (T, n_fft / 2 + 1)
        windows = sound.unfold(0, self.window, self.hop) * self.taper
        return torch.fft.rfft(windows, self.n_fft)

    def _overlaid(self, spectra: Tensor) -> Tensor:  # (T, n_fft / 2 + 1) -> (N,)
        windows = torch.fft.irfft(spectra, self.n_fft)[:, : self.window] * self.taper
        both = torch.stack([windows, self.taper.square().expand_as(windows)])
        n = (len(spectra) - 1) * self.hop + self.window
        step = (1, self.hop)
        sums = F.fold(both.mT, (1, n), (1, self.window), stride=step)[:, 0, 0]
        return sums[0] / sums[1].clamp(min=1e-2)


class LogMel(Spectrum):
    """Frames less half of their mean in each band, and half of the mean of all.

    The mean in a band is what a room or a microphone adds, and of a word alone also
    what was said. All together are of mean 0 and variance 1.
    """

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        frames = self.frames(wave)
        frames = frames - (frames.mean(0) + frames.mean()) / 2
        return (frames / frames.std(correction=0).clamp(min=1e-3)).numpy()


class Waveforms(Sequences):
    """Lists of waveforms, or of frames (steps, channels), which stay as they are.

    Learned besides what sequences are:

    waveforms_ : bool
        Whether they were waveforms.
    """

    sample_rate: float = param(default=8000, above=0)

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> SequenceData:
        X = X.detach().cpu().numpy() if isinstance(X, Tensor) else X
        refuse_rates(self, X, "X")
        items = items_of(X)
        if items is None and axes_of(X) == 2:  # waveforms of one length
            items = list(np.asarray(X))
        shapes = [_shape(item) for item in items or ()]
        heard = bool(shapes) and (len(shapes[0]) == 1 or shapes[0][1:] == (1,))
        known = not reset and self.waveforms_
        refuse_stereo(self, shapes, "X", heard, 1 if heard or known else self._most)
        if not reset and heard != self.waveforms_:
            names = ("frames (steps, channels)", "waveforms (samples,)")
            raise ValueError(
                f"{self.who} was fitted on {names[self.waveforms_]}, not on "
                f"{names[heard]}"
            )
        if heard:
            hear = LogMel(self.sample_rate)
            waves = read_items(self.who, items or [], 1)
            X = [hear(wave) for wave in sounding(self, waves, "X")]
        found = super()._read(X, reset, seen)
        self.waveforms_: bool = heard
        return found

    @property
    def _most(self) -> int:
        """Steps of features that may have two channels."""
        return int(_STEREO * self.sample_rate)


class Recordings(Reader):
    """Waveforms that are to be said. Learned:

    loudness_ : float
        The mean standard deviation of their numbers.
    """

    name: ClassVar[str] = "recordings"

    sample_rate: float = param(default=8000, above=0)

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> SequenceData:
        X = X.detach().cpu().numpy() if isinstance(X, Tensor) else X
        refuse_rates(self, X, "y")
        items = items_of(X)
        if items is None:  # of one length
            items = list(np.asarray(X))
        refuse_stereo(self, [_shape(item) for item in items], "y", True)
        waves = sounding(self, read_items(self.who, items, 1, "y"), "y")
        if reset:
            kept = waves if seen is None else [*compress(waves, seen)]
            self.loudness_ = float(np.mean([wave.std() for wave in kept]))
        hear = Spectrum(self.sample_rate)
        return SequenceData.of([hear.frames(wave).numpy() for wave in waves])


def refuse_rates(reader: Any, X: Any, called: str) -> None:
    """Files are read as a rate and samples, or as samples and a rate."""
    for i, item in enumerate(X if isinstance(X, list | tuple) else ()):
        pair = isinstance(item, tuple) and len(item) == 2
        axes = [len(_shape(part)) for part in item] if pair else []
        if sorted(axes) in ([0, 1], [0, 2]):
            raise ValueError(
                f"{reader.who}: {called}[{i}] is a pair of a rate and samples: give "
                f"the samples, {called}[{i}][{int(axes[0] == 0)}], of one sample_rate"
            )


def refuse_stereo(
    reader: Any, shapes: list[tuple[int, ...]], called: str, heard: bool, most: int = 1
) -> None:
    """Two channels are refused: of waveforms, and of more than ``most`` samples."""
    for i, shape in enumerate(shapes):
        if len(shape) != 2 or shape[1] == 1:
            continue
        if heard or (min(shape) <= 2 and max(shape) > most):
            axis = int(shape[1] < shape[0])
            raise ValueError(
                f"{reader.who}: {called}[{i}] has the shape {shape}, and a waveform "
                "has one axis, (samples,): make one channel of it, "
                f"{called}[{i}].mean({axis})"
            )


def sounding(reader: Any, waves: list[np.ndarray], called: str) -> list[np.ndarray]:
    """Waveforms of arrays (samples, 1), of which none is too short or silent."""
    window = Spectrum(reader.sample_rate).window
    for i, wave in enumerate(waves):
        if len(wave) < window:
            raise ValueError(
                f"{reader.who}: {called}[{i}] has {len(wave)} samples, and a window of "
                f"25 ms at sample_rate={reader.sample_rate} has {window}: leave it "
                "out, or give the rate that it was recorded at"
            )
        if wave.min() == wave.max():
            raise ValueError(
                f"{reader.who}: {called}[{i}] is silent, all its {len(wave)} samples "
                f"are {wave[0, 0]}: leave it out"
            )
    return [wave[:, 0] for wave in waves]


def _shape(item: Any) -> tuple[int, ...]:
    try:
        return tuple(np.shape(item))
    except ValueError:  # what is ragged is for the reader to name
        return ()


__all__ = [
    "HOP",
    "N_BANDS",
    "LogMel",
    "Recordings",
    "Spectrum",
    "Waveforms",
    "centres",
    "hertz",
    "mel",
    "mel_matrix",
]
