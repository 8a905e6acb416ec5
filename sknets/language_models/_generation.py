"""The task of telling what comes next in texts, and of writing on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sknets._available import available_unless
from sknets._decoding import BeamSearch, Sampling
from sknets._engine.callbacks import with_callbacks
from sknets._engine.data import Samples, rows_a_step
from sknets._estimator import Estimator
from sknets._inputs.sequences import column_of
from sknets._inputs.text import N_RESERVED, UNKNOWN
from sknets._params import param
from sknets._warn import warn
from sknets.language_models._generator_nets import pieces, with_ends

# So many prompts are gone on with together.
_TOGETHER = 64


class LanguageModel(Estimator):
    """Task of telling the next token of texts.

    A subclass gives a reader that writes, and a `LanguageNet`.
    """

    _task: ClassVar[str] = "language modelling"
    _predict_batch_size: ClassVar[int] = 16

    context_size: int = param(default=128, at_least=1)
    batch_size: int | Literal["auto"] = param(  # type: ignore[assignment]
        default="auto", at_least=1
    )

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from texts.

        Parameters
        ----------
        X : list of str or of lists of words
        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for None or NaN among the texts, where all of
            them are empty.
        DivergenceError
            When the training loss is no longer finite.
        """
        return self._fit(X)

    @available_unless("_fits_whole")
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        Parameters
        ----------
        X : list of str or of lists of words
            The tokens are those of the first call.
        y : None
            Ignored.

        Returns
        -------
        self : object
        """
        return self._partial_fit(X)

    # -- what it is asked ------------------------------------------------------------

    def generate(
        self,
        prompts: str | Sequence[str] | None = None,
        n_samples: int = 1,
        *,
        max_length: int = 100,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        n_beams: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> np.ndarray:
        """Write texts, or go on with prompts.

        Parameters
        ----------
        prompts : str, list of str or None, default=None
            None: texts from their beginning.
        n_samples : int, default=1
            How many texts, for each prompt if there are any.
        max_length : int, default=100
            At most so many tokens are written, and no more than the context has room
            for after the longest prompt.
        temperature : float, default=1.0
            Below 1 likely tokens become likelier; 0 takes the likeliest of each step.
        top_k : int or None, default=None
            Only so many most probable tokens are drawn from. None: all.
        top_p : float, default=1.0
            Only the fewest most probable tokens are drawn from that have this
            probability together.
        n_beams : int or None, default=None
            Search for the most probable texts by so many beams, and draw none.
        random_state : int, RandomState or None, default=None
            An int gives the same texts at every call.

        Returns
        -------
        texts : ndarray of str objects of shape (n_samples,), or (n_prompts,) or \
(n_prompts, n_samples) for a list of prompts
            Prompts included.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For a prompt as long as the context or longer, for arguments out of bounds.

        Warns
        -----
        UserWarning
            When a prompt has words that `fit` has not seen.
        """
        check_is_fitted(self)
        single = prompts is None or isinstance(prompts, str)
        several: Any = [prompts or ""] if single else column_of(prompts)
        several = list(several) if hasattr(several, "__iter__") else several
        self._at_least_one("generate", "n_samples", n_samples)
        if n_beams is not None and n_samples > n_beams:
            raise ValueError(
                f"{type(self).__name__}.generate(n_samples={n_samples}): must be at "
                f"most n_beams={n_beams}"
            )
        tokens = self._prompts(several, "generate")
        given = [p if isinstance(p, str) else " ".join(p) for p in several]
        room = self._room(tokens, max_length)
        texts = np.empty((len(given), int(n_samples)), dtype=object)
        if n_beams is not None:
            beams = BeamSearch(
                n_beams=n_beams,
                n_best=int(n_samples),
                max_length=room,
                eos=self._boundary,
            )
            written = self._decoded(beams, tokens)
        else:
            draw = Sampling(
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                max_length=room,
                eos=self._boundary,
            )
            seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
            generator = torch.Generator().manual_seed(int(seed))
            many = [prompt for prompt in tokens for _ in range(n_samples)]
            written = self._decoded(draw, many, generator=generator)
        flat = iter(written)
        for i, prompt in enumerate(given):
            found = next(flat) if n_beams is not None else None
            for j in range(int(n_samples)):
                new = next(flat) if found is None else found[min(j, len(found) - 1)]
                texts[i, j] = prompt + self._continued(tokens[i], new, prompt)
        if single:
            return texts[0]
        return texts[:, 0] if n_samples == 1 else texts

    def complete(
        self, prefix: str, n_completions: int = 5, *, max_length: int = 5
    ) -> list[str]:
        """Return likely ways to go on with a text, the likeliest first.

        A last word that no space follows may be the beginning of a word, where texts
        are cut into words.

        Parameters
        ----------
        prefix : str
        n_completions : int, default=5
        max_length : int, default=5
            At most so many tokens.

        Returns
        -------
        completions : list of str
            What comes after the prefix.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For a prefix as long as the context or longer, for a number below 1.
        """
        check_is_fitted(self)
        if not isinstance(prefix, str):
            raise ValueError(
                f"{type(self).__name__}.complete: prefix must be a text, got "
                f"{prefix!r:.60}"
            )
        self._at_least_one("complete", "n_completions", n_completions)
        (prompt,) = self._prompts([prefix], "complete", quiet=True)
        begun, first = self._begun(prefix)
        prompt = prompt[:-1] if begun else prompt
        beams = BeamSearch(
            n_beams=max(8, n_completions),
            n_best=n_completions,
            max_length=self._room([prompt], max_length),
            length_penalty=1.0,
            eos=self._boundary,
        )
        found = self._decoded(beams, [prompt], first=first)[0]
        texts = [self._continued(prompt, new, prefix) for new in found]
        if begun:
            texts = [text.lstrip()[len(begun) :] for text in texts]
        return texts

    def predict_next(self, X: Any) -> np.ndarray:
        """Return the probability of each token to come after a text.

        Parameters
        ----------
        X : list of str or of lists of words
            Of texts longer than the context its end is read.

        Returns
        -------
        p : ndarray of shape (n_samples, n_tokens)
            Columns are those of ``tokens_``; rows sum to 1.
        """
        return np.exp(self._outputs(X).astype(np.float64))

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the log-probability of each text, its end included.

        Parameters
        ----------
        X : list of str or of lists of words

        Returns
        -------
        log_p : float64 ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        whole = with_ends(self._check_input(X, reset=False), self._boundary)
        return self._collect(whole, self.net_.module_.log_likelihoods)

    def perplexity(self, X: Any) -> float:
        """Return how many tokens the model seems to choose from at each step.

        Parameters
        ----------
        X : list of str or of lists of words

        Returns
        -------
        perplexity : float
            The exponential of minus the mean log-probability of a token, the end of
            each text being one.
        """
        log_p = self.score_samples(X).sum()
        counts = with_ends(self._check_input(X, reset=False), self._boundary).counts
        return float(np.exp(-log_p / float((counts - 1).sum())))

    def score(self, X: Any, y: Any = None) -> float:
        """Return minus the `perplexity`: more is better.

        Parameters
        ----------
        X : list of str or of lists of words
        y : None
            Ignored.

        Returns
        -------
        score : float
        """
        return -self.perplexity(X)

    @property
    def tokens_(self) -> np.ndarray:
        """How each token is written, by its number."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"{type(self).__name__} has no tokens_ before fit")
        names = np.empty(len(self.reader_.names), dtype=object)
        names[:] = self.reader_.names
        return names

    # -- for the engine --------------------------------------------------------------

    @property
    def _boundary(self) -> int:
        return self.reader_.boundary

    def _batch_size(self) -> int:
        size = rows_a_step(self.batch_size, self.n_samples_seen_)
        # A step of more tokens learns hardly more than one of these.
        self.batch_size_ = min(16, size) if self.batch_size == "auto" else size
        return self.batch_size_

    def _read(self, X, y, sample_weight, *, reset, classes=None):
        """Texts cut into pieces, which are the samples."""
        samples = super()._read(X, y, sample_weight, reset=reset, classes=classes)
        cut = pieces(with_ends(samples.x, self._boundary), self.context_size)
        return Samples(cut.to(samples.x.device, samples.x.dtype))

    # -- going on --------------------------------------------------------------------

    def _outputs(self, X: Any, then: Any = None, *, features: bool = False) -> Any:
        check_is_fitted(self)
        x = self._check_input(X, reset=False)
        whole, context = with_ends(x, self._boundary, both=False), self._context
        if context is not None and int(whole.counts.max()) > context:
            tokens = whole.join().split(whole.counts.tolist())
            whole = type(x).of([each[-context:].numpy() for each in tokens], whole=True)
        return self._collect(whole, self.net_.module_)

    @property
    def _context(self) -> int | None:
        return self.net_.module_.context

    def _prompts(
        self, prompts: list[Any], verb: str, quiet: bool = False
    ) -> list[list[int]]:
        """Tokens of prompts, the boundary first."""
        owner = f"{type(self).__name__}.{verb}"
        if not isinstance(prompts, list):
            raise ValueError(
                f"{owner}: prompts must be a text or a list of texts, got "
                f"{prompts!r:.60}"
            )
        if not prompts:
            raise ValueError(f"{owner}: there are 0 prompts, give at least one")
        x = self._check_input(prompts, reset=False)
        whole = with_ends(x, self._boundary, both=False)
        tokens = [
            each[:, 0].tolist() for each in whole.join().split(whole.counts.tolist())
        ]
        for i, each in enumerate(tokens):
            if self._context is not None and len(each) > self._context:
                raise ValueError(
                    f"{owner}: prompt {i} has {len(each) - 1} tokens, and the context "
                    f"of {self._context} leaves none to write: give its end"
                )
            if not quiet and UNKNOWN in each and UNKNOWN in self._never:
                warn(f"{owner}: prompt {i} has words that fit has not seen")
        return tokens

    def _at_least_one(self, verb: str, name: str, value: Any) -> None:
        if not isinstance(value, int | np.integer) or value < 1:
            owner = f"{type(self).__name__}.{verb}"
            raise ValueError(f"{owner}({name}={value!r}): must be at least 1")

    def _room(self, tokens: list[list[int]], max_length: Any) -> Any:
        """So many tokens may be written, after the longest prompt too."""
        if self._context is None or not isinstance(max_length, int):
            return max_length
        return min(max_length, self._context - max(map(len, tokens)) + 1)

    @property
    def _never(self) -> list[int]:
        return self.reader_.never_written

    def _decoded(
        self, search: Any, prompts: list[list[int]], first: Any = None, **more: Any
    ) -> list[Any]:
        """The tokens that come after each prompt, or of beams lists of them."""
        net, module = self.net_, self.net_.module_
        device = module.vectors.device
        n_tokens = len(module.vectors)
        may = torch.ones(n_tokens, dtype=torch.bool, device=device)
        may[self._never] = False
        allowed: Any = may
        if first is not None:
            begins = torch.zeros_like(may)
            begins[first] = True

            def allowed(prefixes: np.ndarray, numbers: np.ndarray) -> Tensor:
                return begins if prefixes.shape[1] == 0 else may

        found: list[Any] = []
        for start in range(0, len(prompts), _TOGETHER):
            some = prompts[start : start + _TOGETHER]
            lengths = torch.tensor([len(each) for each in some])
            table = torch.zeros(len(some), int(lengths.max()), dtype=torch.int64)
            for row, each in zip(table, some):
                row[: len(each)] = torch.tensor(each)
            last = table.gather(1, lengths[:, None] - 1)[:, 0].to(device)
            with torch.inference_mode(), net._autocast():
                cache = module.begin(table.to(device), lengths.to(device))
                written = search(module.step, cache, last, allowed=allowed, **more)
            if isinstance(written, list):  # of beams
                found += [each.tokens for each in written]
            else:
                found += written.tokens
        return found

    def _continued(self, prompt: list[int], new: list[int], text: str = "") -> str:
        """What new tokens add to a prompt, and to the text that it was."""
        write, before = self.reader_.write, prompt[1:]
        old, whole = write(before), write([*before, *new])
        added = whole[len(old) :] if whole.startswith(old) else write(new)
        if text.strip() and not old:  # its words are unknown
            added = self.reader_.gap + added
        return added.lstrip() if text[-1:].isspace() else added

    def _begun(self, prefix: str) -> tuple[str, list[int] | None]:
        """The last word if it may go on, and the tokens that begin so."""
        if getattr(self.reader_, "tokenizer", "") != "words" or not prefix:
            return "", None
        words = (prefix.lower() if self.reader_.lowercase else prefix).split()
        last = words[-1] if words else ""
        if not last.isalnum() or prefix[-1].isspace():
            return "", None
        names = enumerate(self.reader_.names)
        begin = [i for i, name in names if i >= N_RESERVED and name.startswith(last)]
        return (last, begin) if begin else ("", None)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = False, True
        return tags


__all__ = ["LanguageModel"]
