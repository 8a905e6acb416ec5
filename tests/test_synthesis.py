"""Texts that are read aloud: frames and back, steps, ends, voices, bad input."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sknets import AttentionDisplay, SpeechRecognizer, SpeechSynthesizer
from sknets._engine.containers import Ragged
from sknets._inputs.waveforms import Spectrum
from sknets.sequence_to_sequence._scores import warped_distance

RATE = 4000
PITCHES = {"a": 300, "b": 900}


def said(text, random, voice=1.0):
    """Each letter a tone, each after some silence, all with a little noise."""
    parts = []
    for letter in text:
        long = int(RATE * random.uniform(0.07, 0.08))
        pitch = voice * PITCHES[letter] * random.uniform(0.98, 1.02)
        tone = np.sin(2 * np.pi * pitch * np.arange(long) / RATE)
        parts += [np.zeros(long // 2), tone]
    wave = np.concatenate([*parts, np.zeros(200)])
    return 100 * (wave + random.normal(0, 0.01, len(wave)))


def spoken_texts(n, lengths, seed):
    random = np.random.default_rng(seed)
    X = ["".join(random.choice([*"ab"], random.choice(lengths))) for _ in range(n)]
    return X, [said(text, random) for text in X]


X, y = spoken_texts(64, (1, 2, 3), 0)


def small(**params):
    given = {"cell": "gru", "width": 64, "max_epochs": 40, "batch_size": 16}
    given |= {"lr": 0.01, "ema_decay": None, "sample_rate": RATE, "random_state": 0}
    return SpeechSynthesizer(**{**given, **params})


@pytest.fixture(scope="module")
def net():
    return small().fit(X, y)


def pitch(wave, rate=RATE):
    """The frequency of the most power."""
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    return power.argmax() * rate / len(wave)


# -- sound -----------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [2000, 8000, 16000])
def test_frames_become_a_wave_that_has_them(rate):
    spectrum = Spectrum(rate)
    time = np.arange(rate) / rate
    # A tone that rises from an eighth of the rate to a quarter, and swells.
    wave = np.sin(2 * np.pi * rate * (time / 8 + time**2 / 16)) * (0.2 + time)
    frames = spectrum.frames(wave)
    found = spectrum.wave(frames)
    assert len(found) == (len(frames) - 1) * spectrum.hop + spectrum.window
    assert found.std() == pytest.approx(1)
    for part in (slice(0, rate // 8), slice(rate // 2, 5 * rate // 8)):
        assert pitch(found[part], rate) == pytest.approx(pitch(wave[part], rate), 0.05)
    assert (spectrum.frames(found) - frames).abs().mean() < 0.3
    noise = torch.randn(frames.shape, generator=torch.Generator().manual_seed(0))
    assert (frames + noise - frames).abs().mean() > 0.6  # what is not near
    np.testing.assert_array_equal(found, spectrum.wave(frames))
    np.testing.assert_allclose(spectrum.frames(1e-9 * wave), frames, atol=1e-3)


def test_the_best_alignment_is_the_best_of_all():
    random = np.random.default_rng(0)
    one, other = random.normal(size=(3, 2)), random.normal(size=(4, 2))
    apart = np.abs(one[:, None] - other).mean(2)
    moves = (1, 0), (0, 1), (1, 1)
    sums = []
    for n in range(3, 6):
        for way in itertools.product(moves, repeat=n):
            places = np.cumsum([(0, 0), *way], 0)
            if tuple(places[-1]) == (2, 3) and (places <= (2, 3)).all():
                sums.append((apart[tuple(places.T)].sum(), len(places)))
    least, n = min(sums)
    assert warped_distance(one, other) == pytest.approx(least / n)
    assert warped_distance(one, one[[0, 0, 1, 2, 2, 2]]) == 0


# -- learning --------------------------------------------------------------------------


def test_what_it_says_is_understood(net):
    listener = SpeechRecognizer(
        hidden_size=24,
        width=24,
        max_epochs=16,
        batch_size=8,
        lr=0.01,
        sample_rate=RATE,
        augment=None,
        random_state=0,
    ).fit(y, X)
    new = ["aba", "bab", "abb", "baa", "aab", "bb", "ab", "a"]
    waves = net.predict(new)
    assert listener.evaluate(waves, new)["cer"] <= 0.1
    assert waves.dtype == object and waves[0].dtype == np.float32
    for text, wave in zip(new, waves):
        assert len(wave) / RATE == pytest.approx(0.05 + 0.11 * len(text), rel=0.2)
        assert wave.std() == pytest.approx(net.loudness_, rel=1e-3)
    true = [said(text, np.random.default_rng(1)) for text in new]
    assert net.score(new, true) > net.score(new[::-1], true) + 1
    assert {"train_frames", "train_end", "train_attention"} <= set(net.net_.history[-1])


def test_it_looks_along_the_text(net):
    (looks,) = net.attention_maps(["aba"])
    np.testing.assert_allclose(looks.sum(1), 1, rtol=1e-5)
    assert looks.shape[1] == 4  # with the end
    assert len(looks) * net.frames_per_step == len(net.spectrograms(["aba"])[0])
    where = looks @ np.arange(4)
    assert (np.diff(where) > -1e-6).all()  # never back
    assert where[0] < 0.5 and where[-1] > 2.5


def test_steps_say_what_all_of_them_together_say(net):
    module = net.net_.module_.eval()
    x = net.reader_.read(["aba", "b"]).batch(slice(None))
    with torch.inference_mode():
        said = module.say(module(x), 30)
        assert len(said[1][0]) < len(said[0][0]) < 30 * net.frames_per_step
        for text, (own, look) in zip(["aba", "b"], said):
            alone = net.reader_.read([text]).batch(slice(None))
            steps = module._steps(Ragged(own[None]))
            states, looks = module._run(steps, module(alone))
            options = {"rtol": 1e-3, "atol": 1e-3}
            torch.testing.assert_close(module.frames(states), steps, **options)
            torch.testing.assert_close(looks[0], look[:, : looks.shape[2]], **options)
            ends = module.end(states)[0, :, 0] > 0
            assert ends.tolist() == [False] * (len(ends) - 1) + [True]


def test_losses_are_those_of_real_frames(net):
    module = net.net_.module_.eval()
    x, frames = net.reader_.read(X[:8]), net.target_reader_.read(y[:8])
    rows = torch.arange(8)
    with torch.inference_mode():
        together = module.loss(x.batch(rows), frames.batch(rows))
        for i in range(8):
            row = rows[i : i + 1]
            alone = module.loss(x.batch(row), frames.batch(row))
            for name, loss in alone.items():
                torch.testing.assert_close(loss[0], together[name][i])
        # By hand, of one text.
        steps = module._steps(frames.batch(row))
        states, told = module._run(steps, module(x.batch(row)))
        n = int(frames.counts[7])
        found = module.frames(states).view(-1, 40)[:n]
        far = (found - steps.view(-1, 40)[:n]).abs().mean(1).sum()
        torch.testing.assert_close(alone["frames"][0], far / net.target_length_)
        ends = F.softplus(module.end(states)[0, :, 0])
        ends[-1] = 5 * (ends[-1] - module.end(states)[0, -1, 0])
        share = net.frames_per_step / net.target_length_
        torch.testing.assert_close(alone["end"][0], ends.sum() * share / 2)
        (looks,) = told
        places = np.arange(len(looks))[:, None] / len(looks)
        apart = places - np.arange(looks.shape[1]) / looks.shape[1]
        lost = (looks.numpy() * (1 - np.exp(-(apart**2) / 0.18))).sum()
        assert float(alone["attention"]) == pytest.approx(lost * share, rel=1e-4)


def test_a_token_may_be_who_speaks():
    random = np.random.default_rng(0)
    texts = [([*"ab"][i % 2], ["low", "high"][i // 2 % 2]) for i in range(64)]
    waves = [said(t, random, 1 if who == "low" else 1.6) for t, who in texts]
    net = small(max_epochs=25).fit([[who, *t] for t, who in texts], waves)
    for letter in "ab":
        low, high = net.predict([["low", letter], ["high", letter]])
        assert pitch(low) == pytest.approx(PITCHES[letter], rel=0.1)
        assert pitch(high) == pytest.approx(1.6 * PITCHES[letter], rel=0.1)


# -- what users do ---------------------------------------------------------------------


def test_a_length_may_be_set(net):
    whole = net.predict(["aba"])[0]
    try:
        cut = net.set_params(max_duration=0.1).predict(["aba"])[0]
    finally:
        net.set_params(max_duration="auto")
    assert len(cut) <= 0.12 * RATE < len(whole)


def test_alignments_are_drawn(net):
    plt = pytest.importorskip("matplotlib.pyplot")
    display = AttentionDisplay.from_estimator(net, "aba")
    assert display.names == ["a", "b", "a", "[END]"]
    assert display.written[:2] == ["0.00 s", "0.03 s"]
    plt.close("all")


def test_rows_of_an_array_are_waveforms():
    waves = np.stack([said("a", np.random.default_rng(0))[:500]] * 8)
    net = small(max_epochs=1).fit(["a"] * 8, waves)
    twin = small(max_epochs=1).fit(["a"] * 8, list(waves))
    assert net.loss_curve_ == twin.loss_curve_
    assert net.longest_ == len(Spectrum(RATE).frames(waves[0]))


@pytest.mark.parametrize(
    ("params", "given", "said"),
    [
        ({"width": 33}, (X[:2], y[:2]), r"width=33\): width must be even"),
        ({}, (X[:2], y[:3]), "X has 2, y has 3"),
        ({}, (X[:2], None), "requires y"),
        ({}, (["a", ""], y[:2]), r"X\[1\] is an empty text"),
        ({}, (X[:2], [y[0], y[1][:50]]), r"y\[1\] has 50 samples, and a window"),
        ({}, (X[:2], [y[0], 0 * y[1]]), r"y\[1\] is silent"),
        ({}, (X[:2], [y[0], y[1] * np.nan]), r"y\[1\] contains NaN"),
        (
            {},
            (X[:2], [y[0], np.stack([y[1]] * 2, 1)]),
            r"one channel .*, y\[1\]\.mean\(1\)",
        ),
        ({}, (X[:2], [(8000, wave) for wave in y[:2]]), r"the samples, y\[0\]\[1\]"),
        ({}, (X[:2], [y[0], "b"]), r"y\[1\] must be an array of numbers, got 'b'"),
        ({}, (X[:2], 3.0), "Expected sequence or array-like"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(params, given, said):
    net = small(**params)
    with pytest.raises((ValueError, TypeError), match=said) as caught:
        net.fit(*given)
    assert "\n" not in str(caught.value)
    assert not net.__sklearn_is_fitted__()
