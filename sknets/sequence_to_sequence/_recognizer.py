"""From speech to text."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn

from sknets._engine.containers import Ragged
from sknets._engine.data import Samples
from sknets._inputs.reader import Learned
from sknets._inputs.sentences import Transcripts
from sknets._inputs.text import N_RESERVED, UNKNOWN
from sknets._inputs.waveforms import Waveforms, centres
from sknets._layers import Standardize
from sknets._params import param
from sknets._targets import given_target
from sknets.sequence_to_sequence._ctc import Words, best_path, prefix_search
from sknets.sequence_to_sequence._scores import error_rates
from sknets.sequence_to_sequence._speech_net import (
    SpeechAugment,
    SpeechNet,
    ctc_loss,
    room,
    spoken,
)
from sknets.sequence_to_sequence._task import TextTask

_KINDS = ("speed", "voice", "microphone", "mask")
_OF_WAVEFORMS = {"voice", "microphone"}


class SpeechRecognizer(TextTask):
    """Network that writes down what is said [1]_ [2]_.

    A convolution and recurrent cells read a waveform, or what is known of each of its
    moments, in both directions; of each moment the network says a character or none,
    and learns by the sum over all the ways in which that makes the text.

    Parameters
    ----------
    sample_rate : float, default=8000
        Samples a second of all waveforms, those of `predict` too.
    cell : {"lstm", "gru"}, default="lstm"
        What reads.
    width : int, default=96
        Numbers of a moment after the convolution.
    hidden_size : int, default=96
        Numbers of a state in each direction.
    n_layers : int, default=1
        Layers of cells.
    augment : {"auto"}, list of str or None, default="auto"
        How the first three quarters of training vary the sounds: "speed", 0.7 to 1.4
        times as fast [3]_; of waveforms "voice", as by a longer or shorter throat [4]_,
        and "microphone", as by another one; "mask", with up to a tenth of the moments
        hidden [5]_. "auto": all that there may be.
    vocabulary : list of str, default=None
        Words of which all texts are made, one or more: what is found is the most
        probable such text. May be set after `fit`.
    n_beams : int, default=8
        How many beginnings of a text are followed at a time, each with all its ways to
        be said [6]_; 1 takes the most probable character of each moment. May be set
        after `fit`.
    tokenizer : {"characters", "words", "bpe"}, default="characters"
        What a text is cut into: see `sknets.Seq2SeqTranslator`.
    dropout : float, default=0.25
        The share of numbers switched off in training before and after the cells.
    lr : float, default=3e-3
        The learning rate, at its highest.

    Attributes
    ----------
    target_vocabulary_ : dict of str to int
        The number of each token that is written.
    target_length_ : float
        The mean number of tokens of a text.
    x_mean_, x_scale_ : ndarray of shape (n_channels_,)
        What each band is centred and scaled by.
    n_channels_ : int
        Bands of a frame, 40 of waveforms.
    waveforms_ : bool
        Whether X was waveforms, not frames.

    Notes
    -----
    All other parameters, attributes and verbs are as in `sknets.Seq2SeqTranslator`,
    which alone has those of a decoder. X is a list of waveforms, or the rows of an
    array; or a list of arrays (frames, channels) of features, which stay as they are.
    A waveform may be of any numbers: what it is multiplied by makes no difference. It
    becomes the logarithm of the power in 40 bands of 25 ms every 8 ms, after
    pre-emphasis, less half of its mean in each band, which is what a microphone adds
    (and of a word alone also what was said), all bands together of mean 0 and
    variance 1.

    A text that has more characters than its sound has moments, of two frames each, is
    refused. The scores of `predict_with_scores` are the logarithms of sums over all the
    ways in which a text may be said.

    References
    ----------
    .. [1] A. Graves, S. Fernandez, F. Gomez, J. Schmidhuber. Connectionist Temporal
       Classification: Labelling Unsegmented Sequence Data with Recurrent Neural
       Networks. ICML 2006. Here of bands instead of cepstra, with a convolution first.
    .. [2] A. Graves, N. Jaitly. Towards End-to-End Speech Recognition with Recurrent
       Neural Networks. ICML 2014. Here without a language model and its loss.
    .. [3] T. Ko et al. Audio Augmentation for Speech Recognition. Interspeech 2015.
       Here of frames: the pitch stays.
    .. [4] N. Jaitly, G. E. Hinton. Vocal Tract Length Perturbation (VTLP) Improves
       Speech Recognition. ICML Workshop 2013.
    .. [5] D. S. Park et al. SpecAugment. Interspeech 2019. Here one mask, of moments.
    .. [6] A. Hannun et al. First-Pass Large Vocabulary Continuous Speech Recognition
       using Bi-Directional Recurrent DNNs. 2014. Here without a language model.

    Examples
    --------
    Two tones, each a letter, after silence:

    >>> import numpy as np
    >>> from sknets import SpeechRecognizer
    >>> def say(text):
    ...     pitch = {"a": 300, "b": 900}
    ...     tones = [np.sin(np.arange(800) * pitch[c] * np.pi / 4000) for c in text]
    ...     return np.concatenate([np.append(np.zeros(400), tone) for tone in tones])
    >>> y = ["a", "b", "ab", "ba", "abb", "bab"] * 10
    >>> X = [say(text) for text in y]
    >>> net = SpeechRecognizer(hidden_size=16, max_epochs=30, lr=0.01, random_state=0)
    >>> net.fit(X, y).predict([say("bba"), say("aba")]).tolist()
    ['bba', 'aba']
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Waveforms,)
    _targets: ClassVar[tuple[Any, ...]] = (Transcripts,)
    _task: ClassVar[str] = "speech recognition"

    n_channels_ = Learned()
    waveforms_ = Learned()

    sample_rate: float = param(default=8000, above=0)
    cell: Literal["lstm", "gru"] = param(default="lstm")
    width: int = param(default=96, at_least=1)
    hidden_size: int = param(default=96, at_least=1)
    n_layers: int = param(default=1, at_least=1)
    augment: list[str] | Literal["auto"] | None = param(default="auto")
    vocabulary: list[str] | None = param(default=None)
    n_beams: int = param(default=8, at_least=1)
    tokenizer: Literal["characters", "words", "bpe"] = param(default="characters")
    dropout: float = param(default=0.25, at_least=0, below=1)
    lr: float = param(default=3e-3, above=0)

    @property
    def target_vocabulary_(self) -> dict[str, int]:
        """The number of each token that is written."""
        return Learned.of(self, "target_reader_", "vocabulary_")

    def _check_params(self) -> None:
        super()._check_params()
        for kind in self.augment if isinstance(self.augment, list | tuple) else ():
            if kind not in _KINDS:
                known = ", ".join(map(repr, _KINDS))
                raise ValueError(
                    self._refusal("augment", f"{kind!r} is not one of {known}")
                )

    # -- data --------------------------------------------------------------------------

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        y = given_target(y, type(self).__name__, n_samples)
        if reset:
            self.target_reader_ = self._targets[0].of(self)
            self.target_reader_.learn(y, None if weight is None else weight > 0)
            self._words()
        return super()._encode_target(y, n_samples, weight, reset=reset)

    def _read(self, X, y, sample_weight, *, reset, classes=None) -> Samples:
        samples = super()._read(X, y, sample_weight, reset=reset, classes=classes)
        needed = spoken(samples.targets)[2].cpu()
        has = room(samples.x.counts)
        for i in torch.nonzero(needed > has).flatten().tolist()[:1]:
            text = self.target_reader_.texts(y)[i]
            raise ValueError(
                f"{type(self).__name__}: y[{i}], {text!r:.60}, needs {int(needed[i])} "
                f"moments to be said, and X[{i}] has {int(has[i])}, of two frames "
                "each: leave the pair out, or give the whole recording"
            )
        return samples

    def _learn_statistics(self, samples: Samples) -> None:
        super()._learn_statistics(samples)
        self.x_mean_, self.x_scale_ = self._mean_and_scale(samples)
        if self.chunks_.n == 1:
            self.target_length_ = float(samples.targets.counts.double().mean())

    def _augmentation(self) -> Any:
        kinds = list(_KINDS if self.augment == "auto" else self.augment or ())
        if not self.waveforms_:
            kinds = [kind for kind in kinds if kind not in _OF_WAVEFORMS]
        bands = centres(self.sample_rate) if self.waveforms_ else None
        return SpeechAugment(kinds, bands, self.x_mean_) if kinds else None

    # -- the network -------------------------------------------------------------------

    @property
    def _n_tokens(self) -> int:
        """Those of texts, and the blank."""
        return 1 + len(self.target_vocabulary_)

    def _build(self) -> nn.Module:
        sizes = self.n_channels_, self.width, self.hidden_size, self.n_layers
        prepare = Standardize(self.x_mean_, self.x_scale_)
        options: Any = self.cell, self.dropout, self._n_tokens, self.target_length_
        return SpeechNet(prepare, sizes, *options)

    # -- decoding ----------------------------------------------------------------------

    def _words(self) -> Words | None:
        """What ``vocabulary`` allows."""
        if self.vocabulary is None:
            return None
        reader, owner = self.target_reader_, type(self).__name__
        words = sorted({word for text in self.vocabulary for word in text.split()})
        if not words:
            raise ValueError(self._refusal("vocabulary", "it must have a word"))
        read = reader.read([[word] for word in words] if reader.listed_ else words)
        rows = read.join()[:, 0].split(read.counts.tolist())
        for word, numbers in zip(words, rows):
            if UNKNOWN in numbers:
                raise ValueError(
                    f"{owner}(vocabulary=...): {word!r} has a token that no text of "
                    "fit has, so it is never heard: leave it out"
                )
        coded = tuple(tuple((row - N_RESERVED + 1).tolist()) for row in rows)
        gap = 0
        if self.tokenizer == "characters" and not reader.listed_:
            gap = reader.vocabulary_.get(" ", 0) - N_RESERVED + 1  # -1 without one
        return Words.of(coded, gap, self._n_tokens)

    def _written(self, output: Ragged, n_beams: int) -> tuple[list[Any], np.ndarray]:
        words, reader = self._words(), self.target_reader_
        log_p = output.padded().double().log_softmax(2).cpu().numpy()
        lengths = output.counts.cpu().numpy()
        if n_beams == 1 and words is None:
            found = best_path(log_p, lengths)
        else:
            found = prefix_search(log_p, lengths, n_beams, words)[0]
        coded = [[token + N_RESERVED - 1 for token in text] for text in found]
        counts = torch.tensor([len(text) for text in coded])
        flat = torch.tensor([[n] for text in coded for n in text]).view(-1, 1)
        said = Ragged(flat, counts, whole=True)
        scores = -ctc_loss(output.like(output.join().double()), said)
        return [reader.written(text) for text in coded], scores.cpu().numpy()

    def score(self, X: Any, y: Any) -> float:
        """Return 1 less the share of words that are wrong.

        Parameters
        ----------
        X : list of ndarray
        y : list of str, or list of lists of tokens

        Returns
        -------
        score : float
            At most 1; below 0 where more words are put in than there are.
        """
        return self._mark(self.evaluate(X, y))

    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """Return the shares of words and characters that are wrong, of all that are.

        Parameters
        ----------
        X, y
            As in `score`.

        Returns
        -------
        figures : dict
            ``wer`` and ``cer``, the least number of words (characters) to put in, leave
            out and replace, of so many true ones; ``exact``, the share of texts that
            are right.
        """
        return self._marked(X, y)

    def _figures(self, true: Any, found: Any) -> dict[str, float]:
        return error_rates(true, found)

    def _mark(self, figures: dict[str, float]) -> float:
        return 1 - figures["wer"]


__all__ = ["SpeechRecognizer"]
