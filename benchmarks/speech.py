"""Speech to text and back: spoken digits, known words, new speakers, a voice made.

2,000 recordings of the words "zero" to "nine" by four speakers at 8 kHz (--data DIR or
SKNETS_DATA with spoken_digits.npz of the Free Spoken Digit Dataset: samples, lengths,
digit, speaker): the share of words that are wrong, of 300 at random after a fit of the
other 1,700, and of each speaker after a fit of the three others, beside a support
vector machine on the mean of each band in each third. `SpeechSynthesizer` learns the
1,700 by who speaks and the word's letters, and says each word as each speaker: the
share that the recogniser reads right. Then an epoch of training beside the loop that
one would write by hand. Telephone prompts of Asterisk (--prompts DIR with the files of
Debian's asterisk-core-sounds-en and -en-wav below), one woman's voice: the shares of
words and letters that are wrong in each fifth, after a fit of the others.

    python benchmarks/speech.py [--repeats 3] [--quick] [--data DIR] [--prompts DIR]
"""

from __future__ import annotations

import gzip
import re
import time
import wave
from pathlib import Path

import _measure
import numpy as np
import torch
from _measure import Figure, one_thread, report
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sknets import SpeechRecognizer, SpeechSynthesizer
from sknets._inputs.waveforms import LogMel

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight"]
WORDS += ["nine"]
RATE = 8000


def digits(path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    data = np.load(path)
    parts = np.split(data["samples"], data["lengths"].cumsum()[:-1])
    X = np.empty(len(parts), object)
    X[:] = parts
    return X, np.array(WORDS)[data["digit"]], data["speaker"]


def spectra(X) -> np.ndarray:
    """What a classical model is given: the course of each band, in thirds."""
    hear = LogMel(RATE)
    thirds = [np.array_split(hear(wave), 3) for wave in X]
    return np.array([np.ravel([part.mean(0) for part in own]) for own in thirds])


def wrong(X, y, train, test, seed: int = 0) -> tuple[dict[str, float], dict, object]:
    """Word error rates, what they took, and the recogniser."""
    start = time.process_time()
    net = SpeechRecognizer(random_state=seed).fit(X[train], y[train])
    took = {"fit s": time.process_time() - start}
    rates = {}
    for name, params in (
        ("greedy", {"n_beams": 1}),
        ("8 beams", {"n_beams": 8}),
        ("ten words", {"n_beams": 8, "vocabulary": WORDS}),
    ):
        start = time.process_time()
        rates[name] = net.set_params(**params).evaluate(X[test], y[test])["wer"]
        took[f"{name} s"] = time.process_time() - start
    machine = make_pipeline(StandardScaler(), SVC(C=10))
    machine.fit(spectra(X[train]), y[train])
    rates["SVC"] = 1 - machine.score(spectra(X[test]), y[test])
    return rates, took, net


def spoken(path) -> list[Figure]:
    X, y, speaker = digits(path)
    order = np.random.RandomState(0).permutation(len(X))
    rates, took, judge = wrong(X, y, order[:1700], order[1700:])
    print("random split", rates, took, flush=True)
    made = synthesised(X, y, speaker, order[:1700], judge)
    most = {"greedy": 0.08, "ten words": 0.01}
    claim = "word error rate: spoken digits, 300 of 2,000"
    rows = [
        Figure(claim, name, rate, "", most.get(name), None, took)
        for name, rate in rates.items()
    ]
    for who in np.unique(speaker):
        new = speaker == who
        rates, took, _ = wrong(X, y, np.flatnonzero(~new), np.flatnonzero(new))
        print(f"without {who}", rates, took, flush=True)
        claim = f"word error rate: spoken digits, all by {who}"
        rows += [
            Figure(claim, name, rate, "", details=took) for name, rate in rates.items()
        ]
    return rows + made


def prompts(folder) -> list[Figure]:
    """Sentences of one voice, each fifth new, by letters alone."""
    (told,) = folder.rglob("core-sounds-en.txt.gz")
    lines = gzip.decompress(told.read_bytes()).decode()
    texts = dict(re.findall(r"^([\w/-]+): ?(.*)$", lines, re.MULTILINE))
    X, y = [], []
    for path in sorted(folder.rglob("*.wav")):
        text = next((t for name, t in texts.items() if f"/{name}.wav" in str(path)), "")
        text = re.sub(r"[^a-z' ]", " ", text.lower()) if "[" not in text else ""
        with wave.open(str(path)) as sound:
            samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
        if text.strip() and "<" not in text and len(samples) < 6 * RATE:
            X.append(samples)
            y.append(" ".join(text.split()))
    kept = [i for i in range(len(X)) if i % 5 != 4]
    X_new, y_new = X[4::5], y[4::5]
    start = time.process_time()
    net = SpeechRecognizer(random_state=0)
    net.fit([X[i] for i in kept], [y[i] for i in kept])
    took = {"fit s": time.process_time() - start}
    figures = net.evaluate(X_new, y_new)
    print("prompts", len(X), figures, took, flush=True)
    for text, other in zip(net.predict(X_new[:5]), y_new):
        print(f"  {text} | {other}")
    claim = "error rates: prompts of one voice"
    return [
        Figure(claim, each, figures[each], "", details=took) for each in ("wer", "cer")
    ]


def synthesised(X, y, speaker, train, judge) -> list[Figure]:
    """Each word as each speaker says it, and how it is understood."""
    start = time.process_time()
    net = SpeechSynthesizer(random_state=0)
    net.fit([[str(speaker[i]), *y[i]] for i in train], X[train])
    took = {"fit s": time.process_time() - start}
    texts = [(who, word) for who in np.unique(speaker) for word in WORDS]
    start = time.process_time()
    waves = net.predict([[str(who), *word] for who, word in texts])
    took["s a word"] = (time.process_time() - start) / len(texts)
    rows, words = [], [word for _, word in texts]
    for case, params in (
        ("greedy", {"n_beams": 1, "vocabulary": None}),
        ("ten words", {"n_beams": 8, "vocabulary": WORDS}),
    ):
        right = judge.set_params(**params).evaluate(waves, words)["exact"]
        print("synthesised", case, right, took, flush=True)
        claim = "share read right by the recogniser: synthesised digits"
        rows.append(Figure(claim, case, right, "", None, 0.9, took))
    return rows


def beside_a_loop(repeats: int) -> list[Figure]:
    """An epoch of the same network on noise: ours, and one written by hand."""
    random = np.random.default_rng(0)
    X = [random.normal(size=random.integers(2000, 5000)) for _ in range(600)]
    y = [WORDS[i % 10] for i in range(600)]
    params = {"batch_size": 32, "ema_decay": None, "augment": None, "random_state": 0}
    net = SpeechRecognizer(**params, max_epochs=1).fit(X, y)
    module = net._build().float()
    samples = net._read(X, y, None, reset=False)
    optimizer = torch.optim.AdamW(module.parameters(), 3e-3, fused=True)
    order = samples.x.lengths.argsort(stable=True).split(32)

    def hand():
        module.train()
        for i in torch.randperm(len(order)).tolist():
            batch = samples[order[i]]
            optimizer.zero_grad()
            module.loss(batch.x, batch.y).mean().backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()

    def ours():
        net.net_.train(samples, None, 1, [])

    seconds = _measure.interleaved({"sknets": ours, "by hand": hand}, repeats)
    claim = "time of an epoch: sknets / by hand"
    return [_measure.ratio("lstm", "sknets", "by hand", seconds, 1.05, claim)]


def main() -> None:
    parser = _measure.parser(__doc__, repeats=3, data=True)
    parser.add_argument("--prompts", type=Path, help="folder of Asterisk's sounds")
    options = _measure.given(parser)
    one_thread()
    rows = beside_a_loop(options.repeats)
    path = _measure.find_data(options.data, "spoken_digits.npz")
    if path is None:
        print("spoken_digits.npz was not found: give --data DIR")
    elif not options.quick:
        rows += spoken(path)
    if options.prompts and not options.quick:
        rows += prompts(options.prompts)
    report("speech", rows, keep=not options.quick)


if __name__ == "__main__":
    main()
