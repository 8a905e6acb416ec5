"""Sound that is written down: bands, alignments, beams, words that may be said."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from sknets import SpeechRecognizer, compare
from sknets._comparison.sentences import many_texts
from sknets._engine.containers import Ragged
from sknets._inputs.waveforms import (
    LogMel,
    Spectrum,
    Waveforms,
    centres,
    mel,
    mel_matrix,
)
from sknets.sequence_to_sequence._ctc import Words, best_path, prefix_search
from sknets.sequence_to_sequence._scores import edits, error_rates
from sknets.sequence_to_sequence._speech_net import SpeechAugment, ctc_loss

RATE = 4000
PITCHES = {"a": 300, "b": 700, "c": 1300}


def said(text, random):
    """Each letter a tone, each after some silence, all with a little noise."""
    parts = []
    for letter in text:
        long = int(RATE * random.uniform(0.09, 0.14))
        pitch = PITCHES.get(letter, 0) * random.uniform(0.95, 1.05)
        parts += [
            np.zeros(long // 2),
            np.sin(2 * np.pi * pitch * np.arange(long) / RATE),
        ]
    wave = np.concatenate([*parts, np.zeros(200)])
    return wave * random.uniform(0.1, 1) + random.normal(0, 0.01, len(wave))


def spoken_texts(n, lengths, seed):
    random = np.random.default_rng(seed)
    y = ["".join(random.choice([*"abc"], random.choice(lengths))) for _ in range(n)]
    return [said(text, random) for text in y], y


X, y = spoken_texts(96, (1, 2, 3), 0)
X_NEW, Y_NEW = spoken_texts(30, (3, 4), 1)  # many longer than any that it has heard


def small(**params):
    given = {"hidden_size": 24, "width": 24, "max_epochs": 22, "batch_size": 8}
    given |= {"lr": 0.01, "ema_decay": None, "sample_rate": RATE, "dropout": 0.0}
    return SpeechRecognizer(**{**given, "random_state": 0, **params})


@pytest.fixture(scope="module")
def net():
    return small().fit(X, y)


# -- learning --------------------------------------------------------------------------


def test_new_combinations_are_understood(net):
    figures = net.evaluate(X_NEW, Y_NEW)
    assert figures["cer"] <= 0.08 and figures["exact"] >= 0.75
    assert net.score(X_NEW, Y_NEW) == pytest.approx(1 - figures["wer"])
    assert net.loss_curve_[-1] < 0.2 * net.loss_curve_[0]


def test_frames_are_read_as_they_are(net):
    hear = LogMel(RATE)
    frames = [hear(wave) for wave in X[:40]]
    twin = small(augment=None, max_epochs=2).fit(frames, y[:40])
    assert not twin.waveforms_ and twin.n_channels_ == 40
    same = small(augment=None, max_epochs=2).fit(X[:40], y[:40])
    assert twin.loss_curve_ == same.loss_curve_  # what a waveform is turned into
    with pytest.raises(ValueError, match=r"fitted on frames .*, not on waveforms"):
        twin.predict(X[:2])
    with pytest.raises(ValueError, match=r"fitted on waveforms .*, not on frames"):
        net.predict(frames[:2])


def test_company_and_padding_never_change_a_text(net):
    texts, scores = net.predict_with_scores(X_NEW)
    for i in (0, 7, 20):
        text, score = net.predict_with_scores([X_NEW[i]])
        assert text[0] == texts[i]
        assert score[0] == pytest.approx(scores[i], rel=1e-4, abs=1e-4)
    module = net.net_.module_.eval()
    batch = net.reader_.read(X_NEW).batch(slice(None))
    assert batch.mask is not None
    with torch.inference_mode():
        together = module(batch).join().split(module(batch).counts.tolist())
        for wave, logits in zip(X_NEW[:4], together):
            alone = module(net.reader_.read([wave]).batch(slice(None))).join()
            torch.testing.assert_close(alone, logits, rtol=1e-4, atol=1e-4)


def test_neither_loudness_nor_the_type_of_numbers_matters(net):
    expected = net.predict(X_NEW[:8]).tolist()
    louder = [wave * 1e4 for wave in X_NEW[:8]]
    whole = [(wave * 8000).round().astype(np.int16) for wave in X_NEW[:8]]
    columns = [wave[:, None].tolist() for wave in X_NEW[:8]]
    for given in (louder, whole, columns):
        assert net.predict(given).tolist() == expected


def test_sounds_are_varied_as_much_as_is_said():
    bands = centres(RATE)
    kinds = ["speed", "voice", "microphone", "mask"]
    augment = SpeechAugment(kinds, bands, np.zeros(40))
    augment.generator = torch.Generator().manual_seed(0)
    x = Waveforms.of("a test", sample_rate=RATE).learn(X).batch(slice(None))
    texts = Ragged(torch.full((96, 1, 1), 2), whole=True)
    changed, _ = augment(x, texts)
    ratio = changed.counts / x.counts
    assert 0.7 < ratio.min() < 0.75 and 1.3 < ratio.max() < 1.45
    # A tone stays a tone, of another pitch.
    steady = Ragged(torch.eye(40)[20].expand(200, 30, 40))
    heard = augment.voice(steady, None).join().view(200, 30, 40)[:, 0].argmax(1)
    factor = bands[heard] / bands[20]
    assert 0.8 < factor.min() < 0.9 and 1.1 < factor.max() < 1.25
    curves = augment.microphone(steady, None).join().view(200, 30, 40)
    curves = curves - steady.padded()
    assert (curves == curves[:, :1]).all() and 0.3 < curves.std() < 0.5
    bends = (curves[:, 0].diff(n=2).abs() > 1e-4).sum(1)
    assert bends.max() == 6  # straight lines between five, three of which are within
    ones = Ragged(torch.ones(50, 30, 40))
    hidden = (augment.mask(ones, None).join() == 0).float().mean()
    assert 0.03 < hidden < 0.06


# -- sounds ----------------------------------------------------------------------------


def test_bands_are_triangles_equally_far_apart_as_heard():
    assert mel(1000) == pytest.approx(1000, abs=0.1)
    middle = centres(8000)
    steps = np.diff(mel([0, *middle, 4000]))
    np.testing.assert_allclose(steps, steps[0])
    matrix = mel_matrix(8000, 4096)
    bins = np.arange(2049) * 8000 / 4096
    assert matrix.shape == (2049, 40)
    np.testing.assert_allclose(bins[matrix.argmax(0)], middle, atol=2)
    # Between the first and the last centre they sum to 1.
    inside = (bins > middle[0]) & (bins < middle[-1])
    np.testing.assert_allclose(matrix[inside].sum(1), 1)
    edges = np.array([0, *middle, 4000])
    areas = (edges[2:] - edges[:-2]) / 2 / (8000 / 4096)
    np.testing.assert_allclose(matrix.sum(0), areas, rtol=0.02)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_tone_is_heard_where_it_is(rate):
    time = np.arange(rate) / rate
    wave = np.concatenate([np.sin(2 * np.pi * f * time) for f in (400, 2000)])
    frames = LogMel(rate)(wave)
    assert len(frames) == 1 + (2 * rate - round(0.025 * rate)) // round(0.008 * rate)
    assert frames.mean() == pytest.approx(0, abs=1e-4)
    assert frames.std() == pytest.approx(1, abs=1e-4)
    of_bands = Spectrum(rate).frames(wave).mean(0)  # of which half stays
    assert np.corrcoef(of_bands, frames.mean(0))[0, 1] > 0.999
    for part, pitch in ((frames[20:100], 400), (frames[-100:-20], 2000)):
        heard = centres(rate)[part.mean(0).argmax()]
        assert heard == pytest.approx(pitch, rel=0.1)


# -- decoding --------------------------------------------------------------------------


def every_text(log_p):
    """The logarithm of each text's probability, by all its alignments."""
    sums = {}
    n_frames, n_tokens = log_p.shape
    for path in itertools.product(range(n_tokens), repeat=n_frames):
        text = tuple(token for token, _ in itertools.groupby(path) if token)
        score = sum(log_p[i, token] for i, token in enumerate(path))
        sums[text] = np.logaddexp(sums.get(text, -np.inf), score)
    return sums


def random_matrix(n, n_frames, n_tokens, seed=0):
    logits = np.random.default_rng(seed).normal(0, 1.5, (n, n_frames, n_tokens))
    return torch.from_numpy(logits).log_softmax(2).numpy()


def test_beams_sum_over_all_alignments():
    log_p, lengths = random_matrix(12, 6, 3), np.array([6, 5, 4, 3, 2, 1] * 2)
    texts, scores = prefix_search(log_p, lengths, 100)
    greedy = best_path(log_p, lengths)
    better = 0
    for i, length in enumerate(lengths):
        sums = every_text(log_p[i, :length])
        best = max(sums, key=sums.__getitem__)
        assert tuple(texts[i]) == best
        assert scores[i] == pytest.approx(sums[best])
        assert sums[tuple(greedy[i])] <= sums[best] + 1e-9
        better += tuple(greedy[i]) != best
        # And so does the loss.
        tokens = torch.tensor(texts[i]).view(-1, 1) + 1
        given = Ragged(torch.from_numpy(log_p[i : i + 1, :length]))
        one = Ragged(tokens, torch.tensor([len(tokens)]), whole=True)
        assert float(ctc_loss(given, one)) == pytest.approx(-scores[i])
    assert better


def test_few_beams_find_less():
    log_p, lengths = random_matrix(40, 8, 4), np.full(40, 8)
    exact = prefix_search(log_p, lengths, 500)[1]
    few = [prefix_search(log_p, lengths, n)[1] for n in (1, 4, 16)]
    means = [score.mean() for score in (*few, exact)]
    assert means == sorted(means) and all(
        (score <= exact + 1e-9).all() for score in few
    )


@pytest.mark.parametrize("gap", [-1, 0, 3])
def test_only_words_are_found_and_the_best_of_them(gap):
    log_p, lengths = random_matrix(8, 5, 4, seed=2), np.array([5, 4] * 4)
    vocabulary = ((1, 2), (2,), (2, 1, 1))
    words = Words.of(vocabulary, gap, 4)
    texts, scores = prefix_search(log_p, lengths, 2, words)
    exact, sums = prefix_search(log_p, lengths, 300, words)
    allowed = set()
    for n in (1, 2, 3, 4, 5):
        for made in itertools.product(vocabulary, repeat=n):
            text = made[0]
            for word in made[1:]:
                text += ((gap,) if gap > 0 else ()) + word
            if gap >= 0 or n == 1:
                allowed.add(text)
    for i, length in enumerate(lengths):
        every = every_text(log_p[i, :length])
        possible = {text: every[text] for text in allowed & every.keys()}
        assert tuple(texts[i]) in possible and scores[i] <= sums[i] + 1e-9
        assert tuple(exact[i]) == max(possible, key=possible.__getitem__)
        assert sums[i] == pytest.approx(possible[tuple(exact[i])])
    # No word fits into one frame.
    texts, scores = prefix_search(log_p, np.ones(8, int), 4, Words.of(((1, 2),), 0, 4))
    assert not any(texts) and (scores == -np.inf).all()


def test_a_vocabulary_restricts_what_is_found(net):
    words = ["abca", "bcab", "cbc", "aaa", "cab"]
    free = net.predict(X_NEW)
    found = net.set_params(vocabulary=words).predict(X_NEW)
    assert set(found) <= {*words} and len(set(found)) > 1
    known = [text for text in free if text in words]
    assert [text for text, own in zip(found, free) if own in words] == known
    # Words of a text are apart.
    random = np.random.default_rng(2)
    pairs = [*map("".join, itertools.product("abc", " ", "abc"))] * 6
    texts = small(vocabulary=["a", "b", "a b"], max_epochs=3).fit(
        [said(text, random) for text in pairs], pairs
    )
    given = texts.predict([said(text, random) for text in pairs[:9]])
    assert all({*text.split()} <= {"a", "b"} for text in given)
    net.set_params(vocabulary=None)


def test_edits_are_levenshteins():
    assert edits("kitten", "sitting") == 3 and edits("", "abc") == edits("abc", "") == 3
    random = np.random.default_rng(0)
    texts = ["".join(random.choice([*"ab"], random.integers(0, 7))) for _ in range(30)]

    def distance(one, other):
        if not one or not other:
            return len(one) + len(other)
        last = distance(one[:-1], other[:-1]) + (one[-1] != other[-1])
        return min(last, 1 + distance(one[:-1], other), 1 + distance(one, other[:-1]))

    for one, other in itertools.pairwise(texts):
        assert edits(one, other) == distance(one, other)
    figures = error_rates(["a b c", "d"], ["a c", "e f"])
    assert figures == {"wer": 3 / 4, "cer": 5 / 6, "exact": 0}


def test_loss_is_torchs(net):
    batch = net.reader_.read(X[:5]).batch(slice(None))
    texts = net.target_reader_.read(y[:5]).batch(slice(None))
    module = net.net_.module_.eval()
    with torch.inference_mode():
        ours = module.loss(batch, texts) * net.target_length_
        logits = module(batch)
        for i, part in enumerate(logits.join().split(logits.counts.tolist())):
            names = [*net.target_vocabulary_]
            wish = torch.tensor([[1 + names.index(letter) for letter in y[i]]])
            log_p = part.log_softmax(1)[:, None]
            size = torch.tensor([len(log_p)]), torch.tensor([wish.shape[1]])
            theirs = F.ctc_loss(log_p, wish, *size, reduction="sum")
            assert float(ours[i]) == pytest.approx(float(theirs), rel=1e-3, abs=1e-4)


# -- what is wrong ---------------------------------------------------------------------

noise = np.random.default_rng(0).normal(size=2000)
nan = np.where(np.arange(2000) == 5, np.nan, noise)


@pytest.mark.parametrize(
    ("waves", "texts", "params", "sentence"),
    [
        ([noise, noise * 0], "ab", {}, r"X\[1\] is silent, all its 2000 samples are 0"),
        ([noise, noise * 0 + 3], "ab", {}, r"X\[1\] is silent"),
        (
            [noise, np.stack([noise, noise], 1)],
            "ab",
            {},
            r"X\[1\] has the shape \(2000, 2\), .* of it, X\[1\]\.mean\(1\)",
        ),
        (
            [np.stack([noise] * 2)] * 2,
            "ab",
            {},
            r"one channel of it, X\[0\]\.mean\(0\)",
        ),
        ([(8000, noise)] * 2, "ab", {}, r"X\[0\] is a pair .* samples, X\[0\]\[1\], "),
        (
            pd.DataFrame({"sound": [noise] * 2}),
            "ab",
            {},
            r"column 'sound' of X holds an array a row, .* alone, X\['sound'\]",
        ),
        ([noise, nan], "ab", {}, r"X\[1\] contains NaN"),
        ([noise, noise[:0]], "ab", {}, r"X\[1\] is an empty sequence"),
        ([noise, noise[:99]], "ab", {}, r"X\[1\] has 99 samples, .* has 100: leave"),
        ([noise, "b"], "ab", {}, r"X\[1\] must be an array of numbers"),
        ([noise] * 2, "ab", {"sample_rate": 0}, "sample_rate must be above 0"),
        ([noise] * 2, "ab", {"augment": ["pitch"]}, "'pitch' is not one of 'speed', "),
        ([noise] * 2, "ab", {"vocabulary": ["ax"]}, "'ax' has a token that no text"),
        ([noise] * 2, "ab", {"vocabulary": [" "]}, "it must have a word"),
        ([noise] * 2, "ab", {"vocabulary": "ab"}, "must be a list of strings"),
        ([noise] * 2, ["a", " "], {}, r"y\[1\] is an empty text, ' ': leave the pair"),
        ([noise] * 2, ["a", None], {}, r"y\[1\] must be a text .*None; leave it out"),
        ([noise] * 2, None, {}, "requires y to be passed"),
        ([noise] * 2, iter("ab"), {}, r"y is a str_\w*iterator, .* give list\(y\)"),
        ([noise] * 2, "abc", {}, "X has 2, y has 3"),
        (
            [noise, noise[:200]],
            ["a", "abca"],
            {},
            r"y\[1\], 'abca', needs 4 moments to be said, and X\[1\] has 2",
        ),
        (["a", "b"], "ab", {}, "takes sequences, not text"),
    ],
)
def test_what_cannot_be_learned_of_is_said_in_a_sentence(
    waves, texts, params, sentence
):
    model = small(max_epochs=1, **params)
    with pytest.raises(ValueError, match=rf"^SpeechRecognizer.*{sentence}") as caught:
        model.fit(waves, list(texts) if isinstance(texts, str) else texts)
    assert "\n" not in str(caught.value) and not hasattr(model, "net_")


def test_stereo_is_named_after_fit_too_however_short(net):
    with pytest.raises(ValueError, match=r"make one channel of it, X\[0\]\.mean\(1\)"):
        net.predict([np.ones((900, 2))])


def test_words_that_no_text_has_are_refused_after_fit_too(net):
    with pytest.raises(ValueError, match=r"'abx' has a token"):
        net.set_params(vocabulary=["ab", "abx"]).predict(X[:2])
    net.set_params(vocabulary=None)


# -- compare ---------------------------------------------------------------------------


def test_compare_ranks_what_hears(net):
    texts = [f"{text} {i}" for i, text in enumerate(y)]
    net = small(max_epochs=1, hidden_size=4, width=4)
    result = compare(X[:40], texts[:40], models=[net, "NearestSound"], cv=2)
    assert "speech recognition, a text for each" in str(result)
    assert {"SpeechRecognizer", "NearestSound"} == {*result.table.index}
    assert {"word_accuracy", "character_accuracy", "exact"} <= {*result.table.columns}
    # Few words are heard if that is said, else they are classes.
    short = ["a", "b"] * 20
    given = {"cv": 2, "random_state": 0}
    waves = [said(text, np.random.default_rng(i)) for i, text in enumerate(short)]
    heard = compare(waves, short, models="SVC", task="speech recognition", **given)
    assert heard.table["word_accuracy"].iloc[0] == 1
    classes = compare(waves, short, models=["DummyClassifier"], **given)
    assert "accuracy" in classes.table.columns
    with pytest.raises(ValueError, match="X must be waveforms and y a text for each"):
        compare(waves, np.arange(40.0), task="speech recognition")
    many = [f"{i} {text}" for i, text in enumerate(y * 2)]
    assert many_texts(None, many, {}) and not many_texts(None, short, {})
