"""Generating sequences token by token: greedy search, sampling and beam search.

A model is a function ``step(tokens, cache) -> logits, cache``. It is given the last
token of each row, shape (N,), and whatever it returned as its cache; it returns the
logits of each row's next token, shape (N, vocabulary). The cache is any tree of
tensors: a recurrent state, keys and values, the encoded source sentence. What decodes
looks into it in one way only: ``reorder(cache, rows)`` are the rows chosen, some more
than once and others no more.

>>> import torch
>>> chain = torch.tensor([[0.6, 0.4, 0.0], [0.3, 0.3, 0.4], [0.1, 0.0, 0.9]]).log()
>>> def step(tokens, cache):
...     return chain[tokens], cache
>>> prompts = torch.tensor([0, 2])
>>> GreedySearch(max_length=3, eos=2)(step, None, prompts).tokens
[[0, 0, 0], []]
>>> best, _ = BeamSearch(n_beams=4, max_length=3, eos=2)(step, None, prompts)
>>> best.tokens, best.scores.round(2)
([[0, 0, 0]], array([-1.53]))
>>> draw = Sampling(top_k=2, max_length=3, eos=2)
>>> len(draw(step, None, prompts, generator=torch.Generator().manual_seed(0)).tokens)
2
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sknets._params import Declared, param

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
Reorder = Callable[[Any, Tensor], Any]
Allowed = Tensor | Callable[[np.ndarray, np.ndarray], Any]
# (log-probabilities (N, V), the rows' prompts, place in the sequence) -> tokens (N,)
Choice = Callable[[Tensor, Tensor, int], Tensor]


@dataclasses.dataclass(frozen=True)
class Generated:
    """Sequences that a model has written.

    Attributes
    ----------
    tokens : list of list of int
        The tokens of each, of unequal lengths, without the prompt and without the end.
    scores : ndarray of shape (n,), float64
        The sum of the model's own log-probabilities of these tokens, and of the end's
        where there is one: neither the temperature nor a length penalty nor what was
        forbidden changes it.
    finished : ndarray of shape (n,), bool
        Whether ``eos`` ended it; else it was cut at ``max_length``.
    """

    tokens: list[list[int]]
    scores: np.ndarray
    finished: np.ndarray


def select_rows(cache: Any, rows: Tensor, axis: int = 0) -> Any:
    """The rows of every tensor in a tree of tuples, lists and dicts.

    Parameters
    ----------
    cache : tree of tensors
        Numbers, strings and None in it stay as they are.
    rows : Tensor of shape (n,), int64
    axis : int, default=0
        The axis of the rows. Keys and values (B, heads, T, d) have them first; the
        state of torch's recurrent layers (layers, B, H) second:
        ``reorder=partial(select_rows, axis=1)``.

    Raises
    ------
    TypeError
        For anything else in the tree, which could hide a tensor: give a ``reorder``.
    """
    if isinstance(cache, Tensor):
        return cache.index_select(axis, rows)
    if isinstance(cache, dict):
        return {key: select_rows(value, rows, axis) for key, value in cache.items()}
    if isinstance(cache, tuple | list):
        items = [select_rows(value, rows, axis) for value in cache]
        named = hasattr(cache, "_fields")
        return type(cache)(*items) if named else type(cache)(items)
    if cache is None or isinstance(cache, int | float | str):
        return cache
    raise TypeError(
        f"a cache must be made of tensors, tuples, lists and dicts, and has a "
        f"{type(cache).__name__}: give reorder=, a function of the cache and of the "
        "rows to keep"
    )


class _Model(NamedTuple):
    step: Step
    allowed: Allowed | None
    reorder: Reorder


class _Decoding(Declared):
    """What greedy search, sampling and beam search have in common."""

    max_length: int = param(default=100, at_least=1)
    min_length: int = param(default=0, at_least=0)
    eos: int | None = param(default=None, at_least=0)

    def _check(self, tokens: Tensor, allowed: Allowed | None) -> None:
        self._check_params()
        if self.min_length > self.max_length:
            rule = f"min_length must be at most max_length={self.max_length}"
            raise ValueError(self._refusal("min_length", rule))
        if tokens.ndim != 1 or tokens.dtype != torch.int64:
            raise ValueError(
                f"{type(self).__name__}: tokens must be one integer a prompt, int64 of "
                f"shape (n_prompts,), not {tokens.dtype} of shape {tuple(tokens.shape)}"
            )
        if (
            isinstance(allowed, Tensor)
            and allowed.ndim == 2
            and len(allowed) != len(tokens)
        ):
            raise ValueError(
                f"{type(self).__name__}: allowed must have a row for each of the "
                f"{len(tokens)} prompts, and has {len(allowed)}"
            )

    def _advance(
        self, model: _Model, cache: Any, tokens: Tensor, prefixes: Any, prompts: Any
    ) -> tuple[Tensor, Any]:
        """Log-probabilities (N, V), -inf where a token is forbidden, and the cache.

        ``prefixes`` (N, t) are the tokens that the rows have written, ``prompts`` (N,)
        the numbers of their prompts.
        """
        owner, allowed = type(self).__name__, model.allowed
        logits, cache = model.step(tokens, cache)
        if logits.ndim != 2 or len(logits) != len(tokens):
            raise ValueError(
                f"{owner}: step must return logits of shape ({len(tokens)}, "
                f"vocabulary) for {len(tokens)} tokens, not {tuple(logits.shape)}"
            )
        if self.eos is not None and self.eos >= logits.shape[1]:
            rule = f"eos must be below the number of tokens, {logits.shape[1]}"
            raise ValueError(self._refusal("eos", rule))
        dtype = torch.promote_types(logits.dtype, torch.float32)
        log_p = torch.log_softmax(logits, 1, dtype=dtype)
        wrong = log_p[:, 0].isnan().cpu().numpy()  # as is the whole row then
        if wrong.any():
            raise ValueError(
                f"{owner}: step returned logits that are not finite for token "
                f"{prefixes.shape[1]} of prompt {prompts[wrong][0]}"
            )
        if allowed is not None:
            mask = allowed(prefixes, prompts) if callable(allowed) else allowed
            mask = torch.as_tensor(mask, dtype=torch.bool, device=log_p.device)
            if mask.ndim == 2 and not callable(allowed):
                mask = mask[torch.from_numpy(prompts).to(mask.device)]
            if mask.shape not in (logits.shape, logits.shape[1:]):
                raise ValueError(
                    f"{owner}: allowed must be of shape {tuple(logits.shape[1:])} or "
                    f"{tuple(logits.shape)}, as the logits, not {tuple(mask.shape)}"
                )
            log_p.masked_fill_(~mask, -torch.inf)
        if self.eos is not None and prefixes.shape[1] < self.min_length:
            log_p[:, self.eos] = -torch.inf
        return log_p, cache

    def _refuse_silence(self, prompt: int) -> None:
        raise ValueError(
            f"{type(self).__name__}: every token that could go on prompt {prompt} is "
            f"forbidden; allowed must leave one (eos={self.eos}, "
            f"min_length={self.min_length})"
        )

    @torch.inference_mode()
    def _write(
        self, model: _Model, cache: Any, tokens: Tensor, choose: Choice
    ) -> Generated:
        """One sequence a prompt, each token by ``choose(log_p, prompts, place)``.

        A row that has ended is taken out of the batch: it costs nothing more.
        """
        n = len(tokens)
        written = np.zeros((n, self.max_length), dtype=np.int64)
        lengths, scores = np.zeros(n, dtype=np.int64), np.zeros(n)
        finished, going = np.zeros(n, dtype=bool), np.arange(n)
        for place in range(self.max_length):
            if len(going) == 0:
                break
            prefixes = written[going, :place]
            log_p, cache = self._advance(model, cache, tokens, prefixes, going)
            for prompt in going[log_p.amax(1).isneginf().cpu().numpy()]:
                self._refuse_silence(int(prompt))
            tokens = choose(log_p, torch.from_numpy(going).to(log_p.device), place)
            gains = log_p.gather(1, tokens[:, None])[:, 0]
            scores[going] += gains.cpu().double().numpy()
            written[going, place] = chosen = tokens.cpu().numpy()
            finished[going] = ended = chosen == self.eos
            lengths[going] += ~ended
            if ended.any():
                going = going[~ended]
                rows = torch.from_numpy(np.flatnonzero(~ended)).to(tokens.device)
                tokens = tokens[rows]
                cache = model.reorder(cache, rows) if len(going) else None
        texts = [row[:length].tolist() for row, length in zip(written, lengths)]
        return Generated(texts, scores, finished)


class GreedySearch(_Decoding):
    """The most probable token at each step (the first of equal ones).

    Parameters
    ----------
    max_length : int, default=100
        At most this many tokens are written, ``eos`` counted.
    min_length : int, default=0
        ``eos`` is forbidden before this many tokens.
    eos : int, default=None
        The token that ends a sequence. None: all have ``max_length`` tokens.
    """

    def __call__(
        self,
        step: Step,
        cache: Any,
        tokens: Tensor,
        *,
        allowed: Allowed | None = None,
        reorder: Reorder = select_rows,
    ) -> Generated:
        """Go on from the last tokens of some prompts.

        ``step`` is called once for each token written, with the rows that have not
        ended: as often as the longest sequence has tokens.

        Parameters
        ----------
        step : callable
            ``step(tokens (N,), cache) -> logits (N, vocabulary), cache``.
        cache : tree of tensors
            The state before ``tokens``: of what comes before them in the prompts, of
            the sentence to translate, the picture to describe, ...
        tokens : Tensor of shape (n_prompts,), int64
            The last token of each prompt, or the one that starts a sentence.
        allowed : bool Tensor or callable, default=None
            The tokens that may be written: of shape (vocabulary,) or (n_prompts,
            vocabulary), or a function of the tokens written so far (N, t) and of the
            numbers (N,) of their prompts that returns (N, vocabulary).
        reorder : callable, default=select_rows
            ``reorder(cache, rows)``: the cache of these rows.

        Returns
        -------
        generated : Generated
            A sequence for each prompt.

        Raises
        ------
        ValueError
            For a parameter out of its bounds, logits of a wrong shape or not finite,
            and where no token is allowed.
        """
        self._check(tokens, allowed)

        def highest(log_p: Tensor, prompts: Tensor, place: int) -> Tensor:
            return log_p.argmax(1)

        return self._write(_Model(step, allowed, reorder), cache, tokens, highest)


class Sampling(_Decoding):
    """Each token drawn by the model's probabilities, or by those of the likeliest.

    A prompt's sequence depends on its number, on the generator and on ``max_length``,
    not on what the other prompts are: each has uniform numbers of its own, one a token.
    For a generator of the CPU, prompts one after the other with the same generator give
    what they give together (up to ``step``'s own rounding, which may differ with the
    number of rows).

    Parameters
    ----------
    temperature : float, default=1.0
        The logits are divided by it; 0 is greedy search.
    top_k : int, default=None
        Only this many most probable tokens are drawn from [1]_. None: all.
    top_p : float, default=1.0
        Only the fewest most probable tokens with at least this probability together
        (after ``temperature`` and ``top_k``) are drawn from [2]_.
    max_length, min_length, eos
        As in `GreedySearch`.

    References
    ----------
    .. [1] Fan, Lewis & Dauphin (2018), "Hierarchical neural story generation", ACL.
    .. [2] Holtzman et al. (2020), "The curious case of neural text degeneration", ICLR.
    """

    temperature: float = param(default=1.0, at_least=0)
    top_k: int | None = param(default=None, at_least=1)
    top_p: float = param(default=1.0, above=0, at_most=1)

    def __call__(
        self,
        step: Step,
        cache: Any,
        tokens: Tensor,
        *,
        generator: torch.Generator,
        allowed: Allowed | None = None,
        reorder: Reorder = select_rows,
    ) -> Generated:
        """Go on from the last tokens of some prompts, as in `GreedySearch`.

        All random numbers come from ``generator``; several sequences for one prompt are
        that prompt given several times.
        """
        self._check(tokens, allowed)
        if not isinstance(generator, torch.Generator):
            raise TypeError(
                f"Sampling: generator must be a torch.Generator, not {generator!r}"
            )
        # One number a token, all drawn before: neither the order in which rows end nor
        # the number of rows after it changes what a row is given.
        home, size = generator.device, (len(tokens), self.max_length)
        uniform = torch.rand(size, generator=generator, device=home, dtype=_exact(home))
        uniform = uniform.to(tokens.device)

        def draw(log_p: Tensor, prompts: Tensor, place: int) -> Tensor:
            if self.temperature == 0:
                return log_p.argmax(1)
            if self.temperature != 1:
                # A tiny temperature must not make 0 / 0 of the highest.
                temperature = max(self.temperature, torch.finfo(log_p.dtype).tiny)
                log_p = (log_p - log_p.amax(1, keepdim=True)) / temperature
            return self._draw(log_p.softmax(1), uniform[prompts, place, None])

        return self._write(_Model(step, allowed, reorder), cache, tokens, draw)

    def _draw(self, p: Tensor, uniform: Tensor, n_sorted: int = 256) -> Tensor:
        """Tokens (N,) by the inverse of the distribution function.

        The first token at which it exceeds a share of its end is never one of
        probability zero.
        """
        n_tokens, exact = p.shape[1], _exact(p.device)
        all_of_them = self.top_k is None and self.top_p == 1
        kept = n_tokens if all_of_them else min(self.top_k or n_sorted, n_tokens)
        values, order = (p, None) if all_of_them else p.topk(kept, dim=1)
        cdf = values.cumsum(1, dtype=exact)
        whole = cdf[:, -1:]
        if kept < n_tokens and self.top_k is None:
            whole = p.sum(1, keepdim=True, dtype=exact)
        last = torch.searchsorted(cdf, self.top_p * whole)
        end = cdf.gather(1, last.clamp(max=kept - 1))
        place = torch.searchsorted(cdf, uniform * end, right=True)
        tokens = (place if order is None else order.gather(1, place))[:, 0]
        # Sorting a whole vocabulary takes longer than many a model: where it must be.
        more = (last == kept)[:, 0]
        if kept < n_tokens and more.any():
            tokens[more] = self._draw(p[more], uniform[more], n_tokens)
        return tokens


class BeamSearch(_Decoding):
    """The best sequences found by keeping the ``n_beams`` best beginnings of each.

    Sequences are ranked by ``score / ((5 + length) / 6) ** length_penalty`` [1]_, the
    length with ``eos``. Of the continuations of the open beams the best ``n_beams`` are
    looked at, those that end are finished sequences; the best ``n_beams`` that do not
    end are the next open beams. What is open at ``max_length`` is ranked too.

    The best sequence never ranks below greedy search's, which beam search by itself
    does not promise: the most probable next tokens may lead, a step at a time, to a
    beginning that falls out of the beams and yet ends better than all in them. Here
    the greedy path is never dropped: once out of the beams it is followed in a row
    beside them, of which nothing else is continued, and where it ends it is ranked.
    The row costs at most 1 / ``n_beams``, and ends when it can no longer win. (Where
    ``step`` rounds differently for another number of rows, ties may fall otherwise.)

    Parameters
    ----------
    n_beams : int, default=4
        The number of open beginnings.
    n_best : int, default=1
        The number of sequences returned for each prompt, at most ``n_beams``.
    length_penalty : float, default=0.0
        0 ranks by the log-probability, which favours short sequences; more favours
        longer ones (0.6 in [1]_'s followers).
    early_stopping : bool, default=False
        False: a prompt is done when no open beam can beat its ``n_best`` finished
        ones: nothing better would have come. True: also when ``n_beams`` sequences
        have finished, which is faster where there is a length penalty.
    max_length, min_length, eos
        As in `GreedySearch`.

    References
    ----------
    .. [1] Wu et al. (2016), "Google's neural machine translation system: bridging the
       gap between human and machine translation", arXiv:1609.08144.
    """

    n_beams: int = param(default=4, at_least=1)
    n_best: int = param(default=1, at_least=1)
    length_penalty: float = param(default=0.0, at_least=0, at_most=10)
    early_stopping: bool = param(default=False)

    def __call__(
        self,
        step: Step,
        cache: Any,
        tokens: Tensor,
        *,
        allowed: Allowed | None = None,
        reorder: Reorder = select_rows,
    ) -> list[Generated]:
        """Go on from the last tokens of some prompts, as in `GreedySearch`.

        ``cache`` has one row a prompt; ``step`` is first called with these, then with
        the open beams.

        Returns
        -------
        generated : list of Generated
            For each prompt ``n_best`` sequences, best first (fewer if there are no
            more).
        """
        self._check(tokens, allowed)
        if self.n_best > self.n_beams:
            rule = f"n_best must be at most n_beams={self.n_beams}"
            raise ValueError(self._refusal("n_best", rule))
        return self._search(_Model(step, allowed, reorder), cache, tokens)

    def _rank(self, score: Any, length: int) -> Any:
        return score / ((5 + length) / 6) ** self.length_penalty

    @torch.inference_mode()
    def _search(self, model: _Model, cache: Any, tokens: Tensor) -> list[Generated]:
        n, device = len(tokens), tokens.device
        found = _Found(n, self.n_best)
        every, nothing = np.ones(n, dtype=bool), np.empty((n, 0), dtype=np.int64)
        rows = _Rows(np.arange(n), np.zeros(n), nothing, greedy=every, beam=every)
        for length in range(1, self.max_length + 1):
            if len(rows.prompt) == 0:
                break
            log_p, cache = self._advance(model, cache, tokens, rows.prefix, rows.prompt)
            ended, rows, parent = self._grow(rows, log_p)
            found.add(ended, self._rank(ended.score, length), finished=True)
            if length == self.max_length:
                found.add(rows, self._rank(rows.score, length), finished=False)
                break
            # A score only falls, and the longest sequence ranks it highest.
            hopeful = self._rank(rows.score, self.max_length) > found.worst[rows.prompt]
            going = np.zeros(n, dtype=bool)
            going[rows.prompt[rows.beam & hopeful]] = True
            if self.early_stopping:
                going &= found.counts < self.n_beams
            rows.beam &= going[rows.prompt]
            kept = np.flatnonzero(rows.beam | (rows.greedy & hopeful))
            rows, parent = rows.at(kept), parent[kept]
            tokens = torch.from_numpy(rows.prefix[:, -1].copy()).to(device)
            if len(kept) and not np.array_equal(parent, np.arange(len(log_p))):
                cache = model.reorder(cache, torch.from_numpy(parent).to(device))
        for prompt in np.flatnonzero(found.counts == 0):
            self._refuse_silence(int(prompt))
        return found.generated()

    def _grow(self, rows: _Rows, log_p: Tensor) -> tuple[_Rows, _Rows, np.ndarray]:
        """The sequences that end here, the next rows, and the rows these come from."""
        # Of n_beams + 1 continuations of a row at least n_beams do not end.
        width = min(self.n_beams + 1, log_p.shape[1])
        gains, token = _likeliest(log_p, width, np.flatnonzero(rows.greedy))
        score, token = (rows.score[:, None] + gains).ravel(), token.ravel()
        parent = np.repeat(np.arange(len(log_p)), width)
        prompt, ends, possible = rows.prompt[parent], token == self.eos, score > -np.inf
        path = np.flatnonzero(rows.greedy) * width
        path = path[possible[path]]

        order = np.lexsort((-score, prompt))
        order = order[(rows.beam[parent] & possible)[order]]
        best = order[_place_in(prompt[order]) < self.n_beams]
        ended = np.union1d(best[ends[best]], path[ends[path]])
        order = order[~ends[order]]
        beams = order[_place_in(prompt[order]) < self.n_beams]
        # In the parents' order: where each has one child, no cache need be copied.
        going = np.union1d(beams, path[~ends[path]])

        def chosen(i: np.ndarray) -> _Rows:
            prefix = np.column_stack([rows.prefix[parent[i]], token[i]])
            greedy, beam = np.isin(i, path), np.isin(i, beams)
            return _Rows(prompt[i], score[i], prefix, greedy=greedy, beam=beam)

        return chosen(ended), chosen(going), parent[going]


@dataclasses.dataclass
class _Rows:
    """What is known of each row that ``step`` is given."""

    prompt: np.ndarray
    score: np.ndarray
    prefix: np.ndarray  # (N, t), the tokens written
    greedy: np.ndarray  # whether it is greedy search's path
    beam: np.ndarray  # whether it is a beam, or followed for being that path alone

    def at(self, index: np.ndarray) -> _Rows:
        return _Rows(*(values[index] for values in vars(self).values()))


class _Found:
    """The best finished sequences of each of n prompts, and the worst rank kept."""

    def __init__(self, n: int, n_best: int):
        self.n_best = n_best
        self.worst = np.full(n, -np.inf)
        self.counts = np.zeros(n, dtype=np.int64)
        self.best: list[list[tuple[float, float, list[int], bool]]]
        self.best = [[] for _ in range(n)]

    def add(self, rows: _Rows, ranks: np.ndarray, finished: bool) -> None:
        for i, prompt in enumerate(rows.prompt):
            best, text = self.best[prompt], rows.prefix[i].tolist()
            text = text[:-1] if finished else text
            best.append((ranks[i], rows.score[i], text, finished))
            best.sort(key=lambda each: -each[0])
            del best[self.n_best :]
            self.counts[prompt] += 1
            if len(best) == self.n_best:
                self.worst[prompt] = best[-1][0]

    def generated(self) -> list[Generated]:
        columns = [list(zip(*best))[1:] for best in self.best]
        return [
            Generated(list(texts), np.array(scores), np.array(finished))
            for scores, texts, finished in columns
        ]


def _likeliest(log_p: Tensor, n: int, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """The n highest of each row, and their tokens: in ``rows`` argmax's comes first.

    topk orders equal ones as it likes, argmax gives the first.
    """
    values, tokens = (each.cpu().numpy() for each in log_p.topk(n, dim=1))
    rows = rows[(values[rows, :1] == values[rows, 1:2]).any(1)]
    if len(rows):
        first = log_p[torch.from_numpy(rows).to(log_p.device)].argmax(1, keepdim=True)
        best, mine = first.cpu().numpy(), tokens[rows]
        tokens[rows] = np.where(mine == best, mine[:, :1], mine)
        tokens[rows, 0] = best[:, 0]
    return values.astype(np.float64), tokens


def _exact(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64


def _place_in(groups: np.ndarray) -> np.ndarray:
    """Each item's place in its group; the groups are sorted."""
    return np.arange(len(groups)) - np.searchsorted(groups, groups)


__all__ = ["BeamSearch", "Generated", "GreedySearch", "Sampling", "select_rows"]
