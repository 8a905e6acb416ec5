"""Decoding against enumeration, a textbook, frequencies and recomputation."""

import itertools
from functools import cached_property, partial
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import nn

from sknets._decoding import BeamSearch, GreedySearch, Sampling, select_rows

EOS = 0


class RandomModel:
    """The next token depends on the last two and on the place."""

    def __init__(self, seed, n_tokens=4, spread=2.0, length=20):
        generator = torch.Generator().manual_seed(seed)
        size = (length, *(n_tokens,) * 3)
        logits = torch.randn(size, generator=generator, dtype=torch.float64) * spread
        self.log_p = logits.log_softmax(-1)
        self.n_tokens = n_tokens
        self.rows = []  # of each call

    def __call__(self, tokens, cache):
        place, before = cache["place"], cache["before"]
        self.rows.append(len(tokens))
        after = {"place": place + 1, "before": tokens}
        return self.log_p[place, before, tokens], after

    def start(self, n_prompts=1):
        """The cache and the last tokens of prompts 0, 1, 2, ..."""
        tokens = torch.arange(n_prompts) % self.n_tokens
        return {"place": 0, "before": (tokens * 3 + 1) % self.n_tokens}, tokens

    def next(self, prompt, text):
        """The log-probabilities of the tokens after text."""
        start = [(prompt * 3 + 1) % self.n_tokens, prompt % self.n_tokens]
        before, last = [*start, *text][-2:]
        return self.table[len(text)][before][last]

    def score(self, prompt, text):
        return sum(self.next(prompt, text[:i])[token] for i, token in enumerate(text))

    @cached_property
    def table(self):
        return self.log_p.tolist()


def gnmt(score, length, penalty):
    return score / ((5 + length) / 6) ** penalty


def all_texts(n_tokens, max_length, min_length=0):
    """Every sequence that ends, with the end, and every one cut at max_length."""
    others = range(1, n_tokens)
    for length in range(min_length, max_length):
        for text in itertools.product(others, repeat=length):
            yield [*text, EOS]
    for text in itertools.product(others, repeat=max_length):
        yield list(text)


def textbook(model, prompt, n_beams, max_length, penalty):
    """Beam search to the very end, one prompt, lists only: [(rank, text), ...]."""
    beams, finished = [(0.0, [])], []
    for length in range(1, max_length + 1):
        grown = [
            (score + gain, [*text, token])
            for score, text in beams
            for token, gain in enumerate(model.next(prompt, text))
        ]
        grown.sort(key=lambda each: -each[0])
        ended = [each for each in grown[:n_beams] if each[1][-1] == EOS]
        finished += [(gnmt(score, length, penalty), text) for score, text in ended]
        beams = [each for each in grown if each[1][-1] != EOS][:n_beams]
    return finished + [(gnmt(s, max_length, penalty), text) for s, text in beams]


def greedy_text(model, prompt, max_length):
    text = []
    while len(text) < max_length and text[-1:] != [EOS]:
        text.append(int(np.argmax(model.next(prompt, text))))
    return text


def without_end(text):
    return [token for token in text if token != EOS]


def ranks(generated, penalty):
    lengths = [len(text) for text in generated.tokens] + generated.finished
    return gnmt(generated.scores, lengths, penalty)


@pytest.mark.parametrize("penalty", [0.0, 0.6])
@pytest.mark.parametrize("min_length", [0, 2])
def test_a_beam_as_wide_as_everything_is_exact(penalty, min_length):
    for seed in range(5):
        model = RandomModel(seed, n_tokens=3)
        search = BeamSearch(
            n_beams=81,
            n_best=6,
            length_penalty=penalty,
            max_length=4,
            min_length=min_length,
            eos=EOS,
        )
        found = search(model, *model.start(3))
        for prompt, best in enumerate(found):
            truth = [
                (gnmt(model.score(prompt, text), len(text), penalty), text)
                for text in all_texts(3, 4, min_length)
            ]
            truth = sorted(truth, reverse=True)[:6]
            assert best.tokens == [without_end(text) for _, text in truth]
            np.testing.assert_allclose(ranks(best, penalty), [r for r, _ in truth])
            assert best.finished.tolist() == [text[-1] == EOS for _, text in truth]


@pytest.mark.parametrize("n_beams", [1, 2, 4])
@pytest.mark.parametrize("penalty", [0.0, 1.0, 3.0])
def test_beam_search_is_the_textbooks_and_the_greedy_path(n_beams, penalty):
    for seed in range(12):
        model = RandomModel(seed, spread=1.0)
        search = BeamSearch(
            n_beams=n_beams,
            n_best=n_beams,
            length_penalty=penalty,
            max_length=7,
            eos=EOS,
        )
        for prompt, best in enumerate(search(model, *model.start(3))):
            truth = textbook(model, prompt, n_beams, 7, penalty)
            text = greedy_text(model, prompt, 7)
            if text not in [known for _, known in truth]:
                rank = gnmt(model.score(prompt, text), len(text), penalty)
                truth.append((rank, text))
            truth = sorted(truth, reverse=True)[:n_beams]
            assert best.tokens == [without_end(text) for _, text in truth]
            np.testing.assert_allclose(ranks(best, penalty), [r for r, _ in truth])


def test_beam_search_never_ranks_below_greedy_search():
    below = 0
    for seed in range(200):
        model = RandomModel(seed, n_tokens=12, spread=1.0, length=12)
        penalty, n_beams = (0.0, 0.6)[seed % 2], 1 + seed // 2 % 4
        early_stopping = seed // 8 % 2 == 1
        limits = {"max_length": 12, "eos": EOS}
        greedy = GreedySearch(**limits)(model, *model.start(3))
        search = BeamSearch(
            n_beams=n_beams,
            length_penalty=penalty,
            early_stopping=early_stopping,
            **limits,
        )
        found = search(model, *model.start(3))
        assert all(len(each.tokens) == 1 for each in found)
        least = ranks(greedy, penalty)
        assert (np.concatenate([ranks(each, penalty) for each in found]) >= least).all()
        if n_beams == 2:
            plain = [max(textbook(model, p, 2, 12, penalty))[0] for p in range(3)]
            below += (np.array(plain) < least - 1e-9).sum()
    assert below > 0  # a textbook's beam search does


@pytest.mark.parametrize("first", range(0, 45, 9))
def test_equal_tokens_are_no_exception(first):
    # topk and argmax choose different ones of equal logits: the first leads to the end.
    table = torch.zeros(50, 50)
    table[:, :first] = -1.0
    table[first, 49] = 99.0
    table[:first] = table[first + 1 :] = table[first - 1]

    def step(tokens, cache):
        return table[tokens], cache

    tokens = torch.tensor([first + 1, first])
    greedy = GreedySearch(max_length=9, eos=49)(step, None, tokens)
    assert greedy.tokens == [[first], []]
    found = BeamSearch(n_beams=2, max_length=9, eos=49)(step, None, tokens)
    assert [each.tokens for each in found] == [[[first]], [[]]]
    np.testing.assert_array_equal([each.scores[0] for each in found], greedy.scores)


def test_early_stopping_saves_rows():
    rows = []
    for early_stopping in (False, True):
        model = RandomModel(3, n_tokens=5, length=60)
        search = BeamSearch(
            length_penalty=1.0, max_length=60, eos=EOS, early_stopping=early_stopping
        )
        search(model, *model.start(5))
        assert len(model.rows) < 60
        rows.append(sum(model.rows))
    assert rows[1] < rows[0]


DRAWS = {
    "plain": {},
    "cold": {"temperature": 0.5},
    "hot": {"temperature": 3.0},
    "top_k": {"top_k": 3},
    "top_p": {"top_p": 0.8},
    "all three": {"temperature": 1.5, "top_k": 6, "top_p": 0.7},
    "more than there are": {"top_k": 99},
}


def truncated(logits, temperature=1.0, top_k=None, top_p=1.0):
    p = np.exp(logits / temperature)
    order = np.argsort(-p)[:top_k]
    share = p[order] / p[order].sum()
    order = order[: np.flatnonzero(share.cumsum() >= top_p - 1e-12)[0] + 1]
    kept = np.zeros(len(p))
    kept[order] = p[order]
    return kept / kept.sum()


@pytest.mark.parametrize("n_tokens", [8, 700])
@pytest.mark.parametrize("params", DRAWS.values(), ids=DRAWS)
def test_frequencies_are_probabilities(params, n_tokens):
    # 700 tokens: more than are sorted at first.
    logits = np.random.default_rng(0).normal(size=n_tokens)
    n = 5000
    expected = n * truncated(logits, **params)
    table = torch.from_numpy(logits).expand(n, -1)
    draw = Sampling(max_length=1, **params)
    generated = draw(
        lambda tokens, cache: (table, cache),
        None,
        torch.zeros(n, dtype=torch.int64),
        generator=torch.Generator().manual_seed(0),
    )
    counts = np.bincount(np.concatenate(generated.tokens), minlength=n_tokens)
    assert (counts[expected == 0] == 0).all()
    rare = (expected < 8) & (expected > 0)  # too few each for the test's distribution
    often, expected_often = counts[expected >= 8], expected[expected >= 8]
    if rare.any():
        often = np.append(often, counts[rare].sum())
        expected_often = np.append(expected_often, expected[rare].sum())
    assert chisquare(often, expected_often).pvalue > 0.001
    chosen = np.concatenate(generated.tokens)
    log_p = logits - np.log(np.exp(logits).sum())
    np.testing.assert_allclose(generated.scores, log_p[chosen])


def test_rows_may_need_more_or_fewer_tokens():
    logits = torch.randn(2, 700, generator=torch.Generator().manual_seed(0))
    logits = logits * torch.tensor([[8.0], [0.1]])  # a peak; nearly flat
    logits = logits.repeat(2000, 1)
    draw = Sampling(max_length=1, top_p=0.9)
    tokens = torch.zeros(4000, dtype=torch.int64)
    generator = torch.Generator().manual_seed(1)
    generated = draw(
        lambda tokens, cache: (logits, cache), None, tokens, generator=generator
    )
    drawn = np.concatenate(generated.tokens).reshape(-1, 2).T
    for row, chosen in zip(logits[:2].double().numpy(), drawn):
        assert (truncated(row, top_p=0.9)[chosen] > 0).all()
    assert len(set(drawn[0])) < 30 and len(set(drawn[1])) > 500


@pytest.mark.parametrize("params", [{}, {"top_k": 4}, {"top_p": 0.999}])
def test_a_token_of_probability_zero_is_never_drawn(params):
    p = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]]).expand(2, -1)
    extremes = torch.tensor([[0.0], [1 - 2**-53]], dtype=torch.float64)
    drawn = Sampling(**params)._draw(p, extremes, n_sorted=1)
    assert {1, 3} == set(drawn.tolist())


def test_a_cold_draw_is_greedy():
    model = RandomModel(0)
    greedy = GreedySearch(max_length=9, eos=EOS)(model, *model.start(4))
    for temperature in (0, 1e-300, 1e-9):
        draw = Sampling(temperature=temperature, max_length=9, eos=EOS)
        generator = torch.Generator().manual_seed(0)
        generated = draw(model, *model.start(4), generator=generator)
        assert generated.tokens == greedy.tokens
        np.testing.assert_array_equal(generated.scores, greedy.scores)


def test_the_same_seed_draws_the_same_and_touches_nothing_global():
    model, state = RandomModel(1), torch.random.get_rng_state()
    draw = Sampling(max_length=20, eos=EOS)
    first, again, other = (
        draw(model, *model.start(4), generator=torch.Generator().manual_seed(seed))
        for seed in (5, 5, 6)
    )
    assert first.tokens == again.tokens != other.tokens
    np.testing.assert_array_equal(first.scores, again.scores)
    assert torch.equal(torch.random.get_rng_state(), state)


def one(cache, tokens, i):
    return select_rows(cache, torch.tensor([i])), tokens[i : i + 1]


def test_prompts_together_are_prompts_one_by_one():
    model = RandomModel(2, n_tokens=7, spread=1.0)
    limits = {"max_length": 15, "eos": EOS}
    cache, tokens = model.start(6)
    together = torch.Generator().manual_seed(0)
    alone = torch.Generator().manual_seed(0)
    draw = Sampling(top_p=0.9, **limits)
    search = BeamSearch(n_beams=3, n_best=3, length_penalty=0.6, **limits)
    greedy = GreedySearch(**limits)(model, cache, tokens)
    drawn = draw(model, cache, tokens, generator=together)
    found = search(model, cache, tokens)
    assert len({len(text) for text in drawn.tokens}) > 2
    for i in range(6):
        mine = one(cache, tokens, i)
        (best,) = search(model, *mine)
        assert best.tokens == found[i].tokens
        np.testing.assert_array_equal(best.scores, found[i].scores)
        for all_, single in (
            (greedy, GreedySearch(**limits)(model, *mine)),
            (drawn, draw(model, *mine, generator=alone)),
        ):
            assert all_.tokens[i] == single.tokens[0]
            assert all_.scores[i] == single.scores[0]
            assert all_.finished[i] == single.finished[0]
    assert torch.equal(together.get_state(), alone.get_state())


def test_a_row_is_drawn_as_beside_other_neighbours():
    model = RandomModel(2, n_tokens=7, spread=1.0)
    cache, tokens = model.start(4)
    swapped = torch.tensor([3, 1, 0, 2])
    draw = Sampling(max_length=15, eos=EOS)
    first, second = (
        draw(
            model,
            select_rows(cache, rows),
            tokens[rows],
            generator=torch.Generator().manual_seed(0),
        )
        for rows in (torch.arange(4), swapped)
    )
    assert first.tokens[1] == second.tokens[1]


class Recurrent(nn.Module):
    """An LSTM language model: by its state, or by all tokens over again."""

    reorder = staticmethod(partial(select_rows, axis=1))

    def __init__(self):
        super().__init__()
        self.embed, self.out = nn.Embedding(9, 8), nn.Linear(8, 9)
        self.net = nn.LSTM(8, 8, num_layers=2, batch_first=True)
        for weight in self.parameters():
            nn.init.normal_(weight, generator=torch.Generator().manual_seed(0))

    def step(self, tokens, state):
        output, state = self.net(self.embed(tokens[:, None]), state)
        return self.out(output[:, 0]), state

    def start(self, n):
        return (torch.zeros(2, n, 8, dtype=torch.float64),) * 2

    def over_again(self, tokens, texts):
        texts = torch.cat([texts, tokens[:, None]], 1)
        return self.out(self.net(self.embed(texts))[0][:, -1]), texts


class Attention(nn.Module):
    """One causal head with places: by keys and values kept, or by all tokens again."""

    reorder = staticmethod(select_rows)

    def __init__(self):
        super().__init__()
        self.embed, self.places = nn.Embedding(9, 8), nn.Embedding(20, 8)
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 9)
        for weight in self.parameters():
            nn.init.normal_(weight, generator=torch.Generator().manual_seed(1))

    def step(self, tokens, cache):
        place, keys, values = cache
        x = self.embed(tokens) + self.places.weight[place]
        q, k, v = self.qkv(x)[:, None, None].chunk(3, -1)  # (B, heads, 1, d)
        keys, values = torch.cat([keys, k], 2), torch.cat([values, v], 2)
        mixed = nn.functional.scaled_dot_product_attention(q, keys, values)
        return self.out(mixed[:, 0, 0]), (place + 1, keys, values)

    def start(self, n):
        return 0, *(torch.zeros(n, 1, 0, 8, dtype=torch.float64),) * 2

    def over_again(self, tokens, texts):
        texts = torch.cat([texts, tokens[:, None]], 1)
        x = self.embed(texts) + self.places.weight[: texts.shape[1]]
        q, k, v = self.qkv(x).chunk(3, -1)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed[:, -1]), texts


@pytest.mark.parametrize("make", [Recurrent, Attention])
def test_a_cache_gives_what_recomputing_gives(make):
    model, tokens = make().double(), torch.tensor([1, 5, 3])
    nothing = torch.empty(3, 0, dtype=torch.int64)
    limits = {"max_length": 15, "eos": EOS}
    pairs = [
        (
            decode(model.step, model.start(3), tokens, reorder=model.reorder),
            decode(model.over_again, nothing, tokens),
        )
        for decode in (
            GreedySearch(**limits),
            lambda *args, **given: Sampling(**limits)(
                *args, generator=torch.Generator().manual_seed(0), **given
            ),
            BeamSearch(n_best=4, length_penalty=0.6, **limits),
        )
    ]
    for kept, again in pairs:
        lists = (kept, again) if isinstance(kept, list) else ([kept], [again])
        for one_, other in zip(*lists):
            assert one_.tokens == other.tokens
            np.testing.assert_allclose(one_.scores, other.scores)
            assert len({len(text) for text in one_.tokens}) > 1


def test_scores_are_the_models_own():
    model = RandomModel(4)
    limits = {"max_length": 6, "min_length": 2, "eos": EOS}
    mask = torch.tensor([True, True, False, True])
    generator = torch.Generator().manual_seed(0)
    decoded = [
        Sampling(temperature=2.0, top_k=2, **limits)(
            model, *model.start(4), generator=generator, allowed=mask
        ),
        GreedySearch(**limits)(model, *model.start(4), allowed=mask),
    ]
    for each in decoded:
        for prompt, text in enumerate(each.tokens):
            text = [*text, EOS] if each.finished[prompt] else text
            assert each.scores[prompt] == pytest.approx(model.score(prompt, text))
            assert 2 not in text


def test_where_a_sequence_ends():
    #                 0 is the end: 1 -> 2 -> 3 -> 0, and 4 -> 4
    follows = torch.tensor([0, 2, 3, 0, 4])
    table = torch.full((5, 5), -5.0)
    table[torch.arange(5), follows] = 5.0

    def step(tokens, cache):
        return table[tokens], cache

    tokens = torch.tensor([1, 4, 3, 2])
    ended = [[2, 3], [4, 4, 4, 4, 4], [], [3]]
    greedy = GreedySearch(max_length=5, eos=EOS)(step, None, tokens)
    assert greedy.tokens == ended
    assert greedy.finished.tolist() == [True, False, True, True]
    found = BeamSearch(max_length=5, eos=EOS)(step, None, tokens)
    assert [each.tokens[0] for each in found] == ended
    assert [each.finished[0] for each in found] == [True, False, True, True]
    # The end counts: two tokens and the end are three.
    assert GreedySearch(max_length=3, eos=EOS)(step, None, tokens).finished[0]
    assert not GreedySearch(max_length=2, eos=EOS)(step, None, tokens).finished[0]
    without = GreedySearch(max_length=4)(step, None, tokens)
    assert without.tokens[0] == [2, 3, 0, 0] and not without.finished.any()
    later = GreedySearch(max_length=5, min_length=3, eos=EOS)(step, None, tokens)
    assert [len(text) for text in later.tokens] >= [3, 3, 3, 3]


@pytest.mark.parametrize("min_length", [0, 1, 4, 8])
def test_no_sequence_ends_before_min_length(min_length):
    model = RandomModel(5, n_tokens=3)
    limits = {"max_length": 8, "min_length": min_length, "eos": EOS}
    generator = torch.Generator().manual_seed(0)
    decoded = [
        GreedySearch(**limits)(model, *model.start(3)),
        Sampling(**limits)(model, *model.start(3), generator=generator),
        *BeamSearch(n_best=4, **limits)(model, *model.start(3)),
    ]
    for each in decoded:
        lengths = [len(text) for text in each.tokens]
        assert min(lengths) >= min_length and max(lengths) <= 8
        assert [length < 8 for length in lengths] == each.finished.tolist()


def test_a_step_a_token_for_the_rows_that_go_on():
    model = RandomModel(2, n_tokens=7, spread=1.0)
    generator = torch.Generator().manual_seed(0)
    draw = Sampling(max_length=15, eos=EOS)
    drawn = draw(model, *model.start(6), generator=generator)
    written = [len(text) + 1 for text in drawn.tokens] - ~drawn.finished * 1
    expected = [sum(written > place) for place in range(max(written))]
    assert model.rows == expected and len(set(expected)) > 2

    model = RandomModel(2, n_tokens=7, spread=1.0)
    BeamSearch(n_beams=3, max_length=15, eos=EOS)(model, *model.start(6))
    assert len(model.rows) <= 15 and model.rows[0] == 6
    assert max(model.rows) <= 6 * (3 + 1)

    model = RandomModel(2)
    cache, tokens = model.start(0)
    assert GreedySearch(eos=EOS)(model, cache, tokens).tokens == []
    assert BeamSearch(eos=EOS)(model, cache, tokens) == [] and model.rows == []


def no_pair_twice(prefixes, prompts):
    mask = np.ones((len(prefixes), 5), dtype=bool)
    for row, text in enumerate(prefixes.tolist()):
        for before, after in itertools.pairwise(text):
            if before == text[-1]:
                mask[row, after] = False
    return mask


def test_only_allowed_tokens_are_written():
    model = RandomModel(6, n_tokens=5)
    limits = {"max_length": 12, "eos": EOS}
    mine = torch.eye(5, dtype=torch.bool)[:3] | torch.tensor([1, 0, 0, 0, 1]).bool()

    def decoded(allowed):
        generator = torch.Generator().manual_seed(0)
        start = model.start(3)
        yield GreedySearch(**limits)(model, *start, allowed=allowed).tokens
        draw = Sampling(**limits)
        yield draw(model, *start, allowed=allowed, generator=generator).tokens
        search = BeamSearch(n_beams=3, **limits)
        found = search(model, *start, allowed=allowed)
        yield [each.tokens[0] for each in found]

    for texts in decoded(torch.tensor([True, True, False, True, False])):
        assert {token for text in texts for token in text} <= {1, 3}
    for texts in decoded(mine):
        assert all(set(text) <= {i, 4} for i, text in enumerate(texts))
    for texts in decoded(no_pair_twice):
        for text in texts:
            pairs = list(itertools.pairwise(text))
            assert len(pairs) == len(set(pairs))


def test_a_dead_end_is_left_by_beams_and_named_where_it_is_the_only_way():
    words = {(): [1, 2], (1,): [], (2,): [3], (2, 3): [EOS]}

    def spell(prefixes, prompts):
        mask = np.zeros((len(prefixes), 4), dtype=bool)
        for row, text in enumerate(prefixes.tolist()):
            mask[row, words[tuple(text)]] = True
        return mask

    log_p = torch.tensor([0.1, 0.6, 0.2, 0.1]).log()

    def step(tokens, cache):
        return log_p.expand(len(tokens), -1), cache

    tokens = torch.tensor([0, 0])
    found = BeamSearch(n_beams=2, eos=EOS)(step, None, tokens, allowed=spell)
    assert [each.tokens for each in found] == [[[2, 3]]] * 2
    generator = torch.Generator().manual_seed(0)
    draw = partial(Sampling.__call__, generator=generator)
    for decode in (
        GreedySearch(eos=EOS),
        BeamSearch(n_beams=1, eos=EOS),
        partial(draw, Sampling(temperature=0.5, eos=EOS)),
        partial(draw, Sampling(top_k=2, eos=EOS)),
        partial(draw, Sampling(top_p=0.5, eos=EOS)),
    ):
        with pytest.raises(ValueError, match=r"every token that could go on prompt \d"):
            for _ in range(9):  # a draw may have luck
                decode(step, None, tokens, allowed=spell)


class State(NamedTuple):
    h: torch.Tensor
    c: torch.Tensor


def test_the_rows_of_a_tree():
    x, rows = torch.arange(6).reshape(2, 3), torch.tensor([2, 0, 2])
    tree = {"state": [State(x, x + 6), None], "place": 3, "kind": "lstm"}
    chosen = select_rows(tree, rows, axis=1)
    assert isinstance(chosen["state"][0], State)
    assert chosen["state"][0].c.tolist() == [[8, 6, 8], [11, 9, 11]]
    assert chosen["state"][1] is None and chosen["place"] == 3
    with pytest.raises(TypeError, match="has a SimpleNamespace: give reorder="):
        select_rows((x, SimpleNamespace(x=x)), rows, axis=1)


@pytest.mark.parametrize(
    "decode, sentence",
    [
        (GreedySearch(max_length=0), "max_length=0.*must be at least 1"),
        (GreedySearch(max_length=3, min_length=4), "must be at most max_length=3"),
        (GreedySearch(eos=-1), "eos=-1.*must be at least 0"),
        (GreedySearch(eos=4), "eos must be below the number of tokens, 4"),
        (Sampling(temperature=-1), "temperature=-1.*must be at least 0"),
        (Sampling(temperature=np.inf), "temperature must be finite"),
        (Sampling(top_k=0), "top_k=0.*must be at least 1"),
        (Sampling(top_p=0.0), "top_p=0.0.*must be above 0"),
        (Sampling(top_p=1.5), "top_p=1.5.*must be at most 1"),
        (BeamSearch(n_beams=0), "n_beams=0.*must be at least 1"),
        (BeamSearch(n_best=5), "n_best=5.*must be at most n_beams=4"),
        (BeamSearch(length_penalty=-1), "length_penalty=-1.*must be at least 0"),
    ],
)
def test_a_wrong_parameter_is_one_sentence(decode, sentence):
    model = RandomModel(0)
    given = {"generator": torch.Generator()} if isinstance(decode, Sampling) else {}
    with pytest.raises(ValueError, match=sentence):
        decode(model, *model.start(2), **given)


def test_a_wrong_argument_is_one_sentence():
    model = RandomModel(0)
    cache, tokens = model.start(2)
    greedy = GreedySearch(max_length=3, eos=EOS)
    with pytest.raises(ValueError, match=r"one integer a prompt.*shape \(1, 2\)"):
        greedy(model, cache, tokens[None])
    with pytest.raises(ValueError, match=r"not torch\.float32"):
        greedy(model, cache, tokens.float())
    with pytest.raises(TypeError, match=r"a torch\.Generator, not None"):
        Sampling()(model, cache, tokens, generator=None)
    with pytest.raises(ValueError, match="for each of the 2 prompts, and has 3"):
        greedy(model, cache, tokens, allowed=torch.ones(3, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"of shape \(4,\) or \(2, 4\), as the logits"):
        greedy(model, cache, tokens, allowed=torch.ones(5, dtype=torch.bool))
    for logits, sentence in (
        (torch.zeros(2, 1, 4), r"\(2, vocabulary\) for 2 tokens, not \(2, 1, 4\)"),
        (torch.tensor([[0.0], [torch.nan]]), "not finite for token 0 of prompt 1"),
    ):
        for decode in (greedy, BeamSearch(max_length=3, eos=EOS)):
            with pytest.raises(ValueError, match=sentence):
                decode(lambda *_, logits=logits: (logits, None), None, tokens)
