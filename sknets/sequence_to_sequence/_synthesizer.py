"""From text to speech."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sknets._engine.data import Samples
from sknets._engine.optim import Budget
from sknets._inputs.reader import Learned
from sknets._inputs.sentences import Source
from sknets._inputs.text import N_RESERVED
from sknets._inputs.waveforms import HOP, Recordings, Spectrum
from sknets._layers import Standardize
from sknets._params import param
from sknets._targets import given_target
from sknets.sequence_to_sequence._recurrent import RecurrentEncoder
from sknets.sequence_to_sequence._scores import warped_distance
from sknets.sequence_to_sequence._speaking_net import SpeakingNet
from sknets.sequence_to_sequence._task import PairTask
from sknets.sequence_to_sequence._translator import TextReading
from sknets.sequence_to_sequence._writing_net import Embedding

# Decibels of the natural logarithm of a power.
_DECIBEL = 10 / np.log(10)


class SpeechSynthesizer(PairTask):
    """Network that reads texts aloud [1]_.

    Recurrent cells read the characters in both directions; others go along the text and
    say some frames of sound at a time, by those before and by the characters that they
    look at, until they say that the text ends. Then a waveform that has these frames is
    found [2]_.

    Parameters
    ----------
    sample_rate : float, default=8000
        Samples a second of all waveforms.
    cell : {"lstm", "gru"}, default="lstm"
        What reads and speaks.
    width : int, default=128
        Numbers of a character and of a state, even.
    n_layers : int, default=1
        Layers of cells that read; one layer speaks.
    frames_per_step : int, default=4
        How many frames of 8 ms are said at a time.
    max_duration : float or "auto", default="auto"
        Seconds of a waveform, at most; "auto" is half as long again as the longest of
        `fit`.
    tokenizer : {"characters", "words", "bpe"}, default="characters"
        What a text is cut into: see `sknets.Seq2SeqTranslator`.
    lowercase : bool, default=True
        Whether texts are turned to lower case first.
    max_epochs : int or "auto", default="auto"
        How often training goes through the pairs. "auto" are 30 epochs, or as many as
        make 1,500 steps.
    lr : float, default=2e-3
        The learning rate, at its highest.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        The number of each token that is read.
    y_mean_, y_scale_ : ndarray of shape (40,)
        What each band is centred and scaled by.
    loudness_ : float
        The mean standard deviation of the numbers of waveforms; those of `predict` have
        it, too.
    target_length_ : float
        The mean number of frames of a waveform.
    longest_ : int
        The number of frames of the longest of them.
    batch_size_ : int

    Notes
    -----
    All other parameters, attributes and verbs are as in `sknets.Seq2SeqTranslator`,
    which alone has those of written texts. X is a list of texts, y a list of as many
    waveforms, or the rows of an array. Texts may be lists of tokens, too, and a token
    may be the name of who speaks: ``["ann", "y", "e", "s"]``. Without it the network
    speaks as all of them on average, which is hard to understand.

    A waveform becomes the logarithm of the power in 40 bands of 25 ms every 8 ms, which
    `sknets.SpeechRecognizer` centres, too. What is said depends on no noise.

    References
    ----------
    .. [1] Y. Wang et al. Tacotron: Towards End-to-End Speech Synthesis. Interspeech
       2017. Here of bands alone, the text read by cells and the end said, as in
       Tacotron 2. Attention goes on by steps that are learned, a single bell of those
       of A. Graves, Generating Sequences With Recurrent Neural Networks, 2013, and is
       held near the diagonal in training as by H. Tachibana et al., Efficiently
       Trainable Text-to-Speech System, ICASSP 2018.
    .. [2] D. W. Griffin, J. S. Lim. Signal Estimation from Modified Short-Time Fourier
       Transform. IEEE Transactions on Acoustics, Speech, and Signal Processing, 1984.
       Here with the momentum of N. Perraudin et al. 2013.

    Examples
    --------
    Two letters, each a tone, after silence:

    >>> import numpy as np
    >>> from sknets import SpeechSynthesizer
    >>> def say(text):
    ...     pitch = {"a": 300, "b": 900}
    ...     tones = [np.sin(np.arange(800) * pitch[c] * np.pi / 4000) for c in text]
    ...     return np.concatenate([np.append(np.zeros(400), tone) for tone in tones])
    >>> X = ["a", "b", "ab", "ba", "abb", "bab"] * 10
    >>> net = SpeechSynthesizer(width=32, max_epochs=10, lr=0.01, random_state=0)
    >>> (wave,) = net.fit(X, [say(text) for text in X]).predict(["bba"])
    >>> abs(len(wave) / len(say("bba")) - 1) < 0.2
    True
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Source,)
    _targets: ClassVar[tuple[Any, ...]] = (Recordings,)
    _task: ClassVar[str] = "speech synthesis"

    vocabulary_ = Learned()
    loudness_ = Learned("target_reader_")

    sample_rate: float = param(default=8000, above=0)
    cell: Literal["lstm", "gru"] = param(default="lstm")
    width: int = param(default=128, at_least=2)
    n_layers: int = param(default=1, at_least=1)
    frames_per_step: int = param(default=4, at_least=1)
    max_duration: float | Literal["auto"] = param(default="auto", above=0)
    tokenizer: Literal["words", "characters", "bpe"] = param(default="characters")
    lowercase: bool = param(default=True)
    lr: float = param(default=2e-3, above=0)

    @property
    def _budget(self) -> Budget:
        return Budget(epochs=30, steps=1500)

    def _check_params(self) -> None:
        super()._check_params()
        if self.width % 2:
            raise ValueError(self._refusal("width", "width must be even"))

    # -- data --------------------------------------------------------------------------

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> Any:
        x = super()._check_input(X, reset=reset, seen=seen)
        if reset:
            self.reader_.refuse_empty(X)
        return x

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        y = given_target(y, type(self).__name__, n_samples)
        if not reset:
            return self.target_reader_.read(y)
        reader = self._targets[0].of(self)
        frames = reader.learn(y, None if weight is None else weight > 0)
        self.target_reader_ = reader
        return frames

    def _learn_statistics(self, samples: Samples) -> None:
        super()._learn_statistics(samples)
        others = samples.weight, samples.rows, samples.total_weight
        of_y = Samples(samples.y, None, *others)
        self.y_mean_, self.y_scale_ = self._mean_and_scale(of_y)
        if self.chunks_.n == 1:
            lengths = samples.targets.counts.double()
            self.target_length_ = float(lengths.mean())
            self.longest_ = int(lengths.max())

    # -- the network -------------------------------------------------------------------

    def _build(self) -> nn.Module:
        width, dropout = self.width, self.dropout
        tokens = Embedding(N_RESERVED + len(self.vocabulary_), width)
        encoder = RecurrentEncoder(self.cell, width, self.n_layers, dropout)
        read = TextReading(tokens, encoder)
        standardize = Standardize(self.y_mean_, self.y_scale_)
        sizes: Any = width, dropout, self.frames_per_step, self.target_length_
        return SpeakingNet(read, standardize, self.cell, *sizes)

    # -- what it says ------------------------------------------------------------------

    def predict(self, X: Any) -> np.ndarray:
        """Return the sound of each text.

        Parameters
        ----------
        X : list of str, or list of lists of tokens

        Returns
        -------
        waves : object ndarray of shape (n_samples,)
            Waveforms, ndarrays of float32, of the mean loudness of those of `fit`.
        """
        said, spectrum = self._said(X), Spectrum(self.sample_rate)
        waves = np.empty(len(said), object)
        for i, (own, _) in enumerate(said):
            waves[i] = (self.loudness_ * spectrum.wave(own)).astype(np.float32)
        return waves

    def spectrograms(self, X: Any) -> list[np.ndarray]:
        """Return what the network says, of which `predict` makes waveforms.

        Parameters
        ----------
        X : list of str, or list of lists of tokens

        Returns
        -------
        frames : list of ndarray of shape (n_frames, 40)
            The logarithms of the power in bands, every 8 ms.
        """
        return [own.numpy() for own, _ in self._said(X)]

    def attention_maps(self, X: Any) -> list[np.ndarray]:
        """Return what each step that is said looks at in the text.

        Parameters
        ----------
        X : list of str, or list of lists of tokens

        Returns
        -------
        maps : list of ndarray of shape (n_steps, n_read)
            Steps are of ``frames_per_step`` frames; rows sum to 1. With the mark that
            ends a text.
        """
        return [look.numpy() for _, look in self._said(X)]

    def score(self, X: Any, y: Any) -> float:
        """Return minus the mean distance of what is said to what is to be said.

        Parameters
        ----------
        X : list of str, or list of lists of tokens
        y : list of ndarray

        Returns
        -------
        score : float
            In decibels: the difference of frames, a mean over bands and over the frames
            of the best alignment, in which either may wait for the other.
        """
        check_is_fitted(self)
        found = self._said(X)
        true = given_target(y, type(self).__name__, len(found))
        read = self.target_reader_.read(true)
        parts = read.join().split(read.counts.tolist())
        apart = [
            warped_distance(one.numpy(), own.numpy())
            for one, (own, _) in zip(parts, found)
        ]
        return -_DECIBEL * float(np.mean(apart))

    def _said(self, X: Any) -> list[tuple[Any, Any]]:
        """The frames of each text and what each step looks at, on the CPU."""
        check_is_fitted(self)
        x = self._check_input(X, reset=False)
        said: list[Any] = [None] * len(x)
        if self.max_duration == "auto":
            most = 3 * self.longest_ // 2 + self.frames_per_step
        else:
            most = int(self.max_duration / HOP)
        steps = max(1, most // self.frames_per_step)
        module, counts = self.net_.module_, x.counts.tolist()
        for rows, found in self.net_.batches(x, lambda x: module.say(module(x), steps)):
            for i, (own, look) in zip(np.arange(len(x))[rows], found):
                said[i] = own.float().cpu(), look[:, : counts[i]].float().cpu()
        return said


__all__ = ["SpeechSynthesizer"]
