"""Vectors of words: gensim's own, GloVe's formula, files, bad input."""

import functools
import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from gensim.models import FastText, KeyedVectors, Word2Vec
from gensim.test.utils import datapath
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknets import (
    ELMoVectorizer,
    FastTextVectorizer,
    GloVeVectorizer,
    RNNClassifier,
    Word2VecVectorizer,
    load,
)
from sknets.embeddings import _cooccurrence
from sknets.embeddings._cooccurrence import Cooccurrences

torch.set_num_threads(1)

with open(datapath("lee_background.cor"), encoding="utf-8") as file:
    LEE = [re.findall(r"\w+", line.lower()) for line in file][:120]

# Two worlds whose words never meet.
random = np.random.default_rng(0)
WORLDS = [["cat", "dog", "milk", "fur", "paw"], ["car", "road", "fuel", "oil", "gear"]]
TOY = [" ".join(random.choice([*WORLDS[i % 2], "the", "a"], 8)) for i in range(400)]


@pytest.fixture(scope="module")
def toy():
    return Word2VecVectorizer(
        embedding_size=16, subsample=0, max_epochs=20, random_state=0
    ).fit(TOY)


# -- as gensim ------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["cbow", "skip_gram"])
@pytest.mark.parametrize("loss", ["negative_sampling", "hierarchical_softmax"])
def test_vectors_are_those_of_gensims_word2vec(method, loss):
    ours = Word2VecVectorizer(
        embedding_size=20, method=method, loss=loss, max_epochs=3, random_state=7
    ).fit(LEE)
    negative = loss == "negative_sampling"
    theirs = Word2Vec(
        LEE,
        vector_size=20,
        sg=int(method == "skip_gram"),
        hs=int(not negative),
        negative=5 * negative,
        epochs=3,
        seed=7,
        workers=1,
    )
    assert list(ours.vocabulary_) == theirs.wv.index_to_key
    np.testing.assert_array_equal(ours.vectors_, theirs.wv.vectors)
    found = ours.most_similar("government", k=5)
    expected = theirs.wv.most_similar("government", topn=5)
    assert [w for w, _ in found] == [w for w, _ in expected]
    np.testing.assert_allclose([c for _, c in found], [c for _, c in expected], 1e-4)
    assert (np.diff(ours.loss_curve_) < 0).all()


@pytest.mark.parametrize("method", ["cbow", "skip_gram"])
def test_vectors_are_those_of_gensims_fasttext(method):
    ours = FastTextVectorizer(
        embedding_size=20, method=method, max_epochs=2, random_state=7, n_buckets=5000
    ).fit(LEE)
    theirs = FastText(
        LEE,
        vector_size=20,
        sg=int(method == "skip_gram"),
        epochs=2,
        seed=7,
        workers=1,
        bucket=5000,
    )
    np.testing.assert_allclose(ours.vectors_, theirs.wv.vectors, atol=1e-6)
    unknown = ours.transform_tokens([["governmental", "news"]])[0]
    np.testing.assert_allclose(unknown[0], theirs.wv["governmental"], atol=1e-6)
    np.testing.assert_allclose(unknown[1], theirs.wv["news"], atol=1e-6)
    twin = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(twin.transform(LEE), ours.transform(LEE))
    assert ours.loss_curve_[1] < ours.loss_curve_[0]


def test_the_loss_is_that_of_its_formula():
    """That of negative sampling, in expectation over the words drawn."""
    texts = [["a", "b"], ["c", "d"]] * 40
    words = Word2VecVectorizer(
        embedding_size=4, window=1, subsample=0, max_epochs=3, random_state=0
    ).fit(texts)
    inputs, outputs = words.vectors_, words.net_.module_.table("output")
    share = words.word_counts_**0.75 / (words.word_counts_**0.75).sum()
    log = np.logaddexp(0, outputs @ inputs.T)  # of the output's row, the input's column
    expected = []
    for centre, near in [(0, 1), (1, 0), (2, 3), (3, 2)]:
        i, o = (words.vocabulary_["abcd"[each]] for each in (near, centre))
        others = np.arange(4) != o
        drawn = 5 * (share[others] * log[others, i]).sum()
        expected.append(np.logaddexp(0, -outputs[o] @ inputs[i]) + drawn)
    assert words.loss_curve_[-1] == pytest.approx(np.mean(expected), rel=0.02)


def test_the_same_bits_in_another_process(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from sknets import Word2VecVectorizer\n"
        "texts = open(sys.argv[1]).read().split('\\n')\n"
        "words = Word2VecVectorizer(embedding_size=8, max_epochs=2, random_state=3)\n"
        "print(words.fit(texts).vectors_.tobytes().hex())"
    )
    path = tmp_path / "toy"
    path.write_text("\n".join(TOY))
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": ":".join(sys.path)},
    )
    own = Word2VecVectorizer(embedding_size=8, max_epochs=2, random_state=3).fit(TOY)
    assert done.stdout.strip() == own.vectors_.tobytes().hex(), done.stderr


def test_several_threads_learn_as_well():
    words = Word2VecVectorizer(
        embedding_size=16, subsample=0, max_epochs=20, n_jobs=2, batch_size=500
    ).fit(TOY)
    assert words.similarity("cat", "dog") > words.similarity("cat", "car")


# -- where a corpus comes from ---------------------------------------------------------


def test_a_path_a_function_and_an_object_are_as_the_list(tmp_path, toy):
    path = tmp_path / "toy.txt"
    path.write_text("\n".join(TOY) + "\n", encoding="utf-8")

    class Lines:
        def __iter__(self):
            return iter(TOY)

    for given in (path, lambda: iter(TOY), functools.partial(iter, TOY)):
        same = Word2VecVectorizer(**toy.get_params()).fit(given)
        np.testing.assert_array_equal(same.vectors_, toy.vectors_)
        np.testing.assert_array_equal(same.transform(given), toy.transform(TOY))
    same.fit(Lines())
    np.testing.assert_array_equal(same.vectors_, toy.vectors_)
    tokens = [text.split() for text in TOY]
    np.testing.assert_array_equal(same.fit(tokens).vectors_, toy.vectors_)


def test_long_documents_are_read_to_their_end():
    texts = [["a"] * 10_000 + ["b"] * 10_000 + ["c", "d"] * 5000]
    words = Word2VecVectorizer(embedding_size=4, subsample=0, max_epochs=3).fit(texts)
    before = words._make_model(words.random_state or 0).wv["c"]
    assert np.linalg.norm(words.vectors_[words.vocabulary_["c"]]) > 2 * np.linalg.norm(
        before
    )


def test_a_source_that_fails_or_changes_ends_the_fit_with_its_error():
    class Shrinking:
        n = 401

        def __iter__(self):
            self.n -= 1
            return iter(TOY[: self.n])

    words = Word2VecVectorizer(embedding_size=4, max_epochs=3)
    with pytest.raises(ValueError, match="399 documents in an epoch and 400"):
        words.fit(Shrinking())

    class Failing(Shrinking):
        def __iter__(self):
            self.n -= 1
            yield from TOY
            if self.n == 399:
                raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        words.fit(Failing())
    assert not words.__sklearn_is_fitted__()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([*TOY, None], r"X\[400\] must be a text or a list of tokens, got None; make "),
        ([*TOY, np.nan], r"X\[400\] must be a text .*, got nan; make it ''"),
        (
            [["a"], ["b", 3]],
            r"X\[1\] must be a list of tokens, and 3 is no string",
        ),
        (lambda: iter([*TOY, None]), "item 400 is None: make it ''"),
        ((text for text in TOY), "X is an iterator, over after one pass: give a func"),
        (lambda: 3, r"X\(\) gave 3, no iterator"),
        (lambda: iter([]), "X has 0 samples"),
        (["", ""], "X has no word, all its texts are empty"),
        ([None], r"X\[0\] must be a text or a list of tokens, got None; make it ''"),
        (["a b", "a"], r"\(min_count=5\): no word occurs so often in X .*'a', does 2"),
        ("no such.txt", "got one string, 'no such.txt', and there is no such file"),
    ],
)
def test_what_is_no_corpus_is_refused_in_one_sentence(given, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        Word2VecVectorizer().fit(given)
    assert str(caught.value).startswith("Word2VecVectorizer")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path, toy):
    path = tmp_path / "latin.txt"
    path.write_bytes("ein Wort\nnoch eins\nschön\n".encode("latin-1"))
    for verb in (Word2VecVectorizer().fit, toy.transform):
        with pytest.raises(ValueError, match=r"latin.txt' is not UTF-8: .*0xf6"):
            verb(path)


def test_a_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="and that is a folder"):
        Word2VecVectorizer().fit(tmp_path)


def test_half_a_character_has_sub_words(tmp_path):
    """A lone surrogate, as broken JSON leaves it, which UTF-8 does not take."""
    words = FastTextVectorizer(min_count=1, max_epochs=1, n_buckets=50)
    for X in (["a \ud83d b"] * 6, [["a", "\ud83d", "b"]] * 6):
        for given in (X, functools.partial(iter, X)):
            assert "\ufffd" in words.fit(given).vocabulary_
    words.save_word2vec_format(tmp_path / "words.txt")
    assert np.isfinite(words.similarity("\ud83d", "\udc00 a"))


# -- documents -------------------------------------------------------------------------


def test_pooling_is_what_its_name_says(toy):
    texts = ["the cat a dog unheard", "", "unheard", "road the road"]
    vector = {word: toy.vectors_[i] for word, i in toy.vocabulary_.items()}
    parts = [[vector[w] for w in text.split() if w in vector] for text in texts]
    zero = np.zeros(16)

    def expected(function):
        return np.array([function(part) if part else zero for part in parts])

    toy = pickle.loads(pickle.dumps(toy))
    mean = expected(lambda part: np.mean(part, 0))
    np.testing.assert_allclose(toy.transform(texts), mean, atol=1e-6)
    toy.set_params(pooling="max")
    highest = expected(lambda part: np.max(part, 0))
    np.testing.assert_allclose(toy.transform(texts), highest, atol=1e-6)
    toy.set_params(pooling="tfidf")
    tfidf = TfidfVectorizer(
        token_pattern=r"\w+", norm="l1", vocabulary=toy.vocabulary_
    ).fit(TOY)
    weighted = tfidf.transform(texts) @ toy.vectors_
    np.testing.assert_allclose(toy.transform(texts), weighted, atol=1e-6)
    with pytest.raises(ValueError, match="'sif' leaves out only with this pooling"):
        toy.set_params(pooling="sif").transform(texts)
    each = toy.transform_tokens(texts)
    assert [len(rows) for rows in each] == [5, 0, 1, 3]
    np.testing.assert_array_equal(each[0][1], vector["cat"])
    assert not each[0][4].any() and not each[2].any()


def test_sif_leaves_out_what_documents_have_in_common():
    words = Word2VecVectorizer(
        embedding_size=8, pooling="sif", max_epochs=3, random_state=0
    ).fit(TOY)
    share = words.word_counts_ / words.n_tokens_
    weighted = words.vectors_ * (1e-3 / (1e-3 + share))[:, None]
    rows = [[words.vocabulary_[w] for w in text.split()] for text in TOY]
    means = np.array([weighted[row].mean(0) for row in rows])
    first = np.linalg.svd(means, full_matrices=False)[2][0]
    expected = means - np.outer(means @ first, first)
    np.testing.assert_allclose(words.transform(TOY), expected, atol=1e-5)
    twin = pickle.loads(pickle.dumps(words))
    np.testing.assert_array_equal(twin.transform(TOY), words.transform(TOY))


def test_a_column_of_a_frame_in_a_search(toy):
    frame = pd.DataFrame({"text": TOY, "length": [len(text) for text in TOY]})
    y = np.arange(400) % 2
    words = Word2VecVectorizer(**{**toy.get_params(), "max_epochs": 3})
    columns = make_column_transformer(
        (words, "text"), (StandardScaler(), ["length"])
    ).set_output(transform="pandas")
    model = make_pipeline(columns, LogisticRegression())
    choices = {"columntransformer__word2vecvectorizer__pooling": ["mean", "max"]}
    search = GridSearchCV(model, choices, cv=2).fit(frame, y)
    assert search.best_score_ > 0.95
    names = search.best_estimator_[0].get_feature_names_out()
    assert names[0] == "word2vecvectorizer__word2vecvectorizer0" and len(names) == 17


def test_partial_fit_goes_on_with_further_chunks(toy):
    words = Word2VecVectorizer(embedding_size=16, subsample=0, random_state=0)
    for _ in range(20):
        for start in (0, 200):
            words.partial_fit(TOY[start : start + 200])
    assert words.n_iter_ == 40 and words.vocabulary_.keys() == toy.vocabulary_.keys()
    assert words.similarity("cat", "dog") > words.similarity("cat", "car") + 0.2


# -- words -----------------------------------------------------------------------------


def test_neighbours_are_of_the_same_world(toy):
    for world in WORLDS:
        for word in world:
            near = [w for w, _ in toy.most_similar(word, k=4)]
            assert set(near) <= {*world, "the", "a"} and word not in near
    assert toy.most_similar("CAT", k=1) == toy.most_similar("cat", k=1)
    added = toy.most_similar(["cat", "dog"], "car", k=2)
    assert {w for w, _ in added} <= set(WORLDS[0])
    by_vector = toy.most_similar(toy.vectors_[toy.vocabulary_["cat"]], k=1)
    assert by_vector[0][0] == "cat"
    assert len(toy.most_similar("cat", k=100)) == 11


def test_an_unknown_word_is_named(toy):
    with pytest.raises(ValueError) as caught:
        toy.most_similar("cats")
    assert str(caught.value) == (
        "Word2VecVectorizer.most_similar: 'cats' is none of the 12 words that fit "
        "learned; did you mean 'cat'?"
    )
    with pytest.raises(ValueError, match=r"analogy|most_similar.*'q' is none"):
        toy.analogy("cat", "dog", "q")
    with pytest.raises(ValueError, match=r"k=0"):
        toy.most_similar("cat", k=0)
    with pytest.raises(ValueError, match="a word must be a string, got 3"):
        toy.similarity("cat", 3)
    for nothing in ([], None, 3):
        with pytest.raises(ValueError, match=r"most_similar: .* (in \[\]|got)"):
            toy.most_similar(nothing)


def test_what_is_asked_may_be_a_frame(toy):
    pairs = [("cat", "dog", 3.0), ("cat", "car", 1.0), ("car", "road", 2.0)]
    questions = [("cat", "dog", "car", "road")]
    for verb, rows in (
        (toy.evaluate_word_pairs, pairs),
        (toy.evaluate_analogies, questions),
    ):
        assert verb(pd.DataFrame(rows)) == verb(np.array(rows)) == verb(rows)
    with pytest.raises(ValueError, match=r"pairs\[1\] must be two words and a number"):
        toy.evaluate_word_pairs([pairs[0], (None, "dog", 1)])


def test_evaluations_are_gensims():
    words = Word2VecVectorizer(
        embedding_size=20, max_epochs=2, min_count=2, random_state=0
    ).fit(LEE)
    keyed = KeyedVectors(20)
    keyed.add_vectors(list(words.vocabulary_), words.vectors_)
    path = datapath("wordsim353.tsv")
    pearson, spearman, _ = keyed.evaluate_word_pairs(path)
    found = words.evaluate_word_pairs(path)
    assert found["pearson"] == pytest.approx(pearson.statistic, abs=0.02)
    assert found["spearman"] == pytest.approx(spearman.statistic, abs=0.02)
    rows = [("government", "security", 5.0), ("man", "police", 1), ("zz", "zy", 2)]
    assert words.evaluate_word_pairs(rows)["unknown"] == pytest.approx(1 / 3)
    path = datapath("questions-words.txt")
    score, sections = keyed.evaluate_word_analogies(path)
    found = words.evaluate_analogies(path)
    asked = sum(len(s["correct"]) + len(s["incorrect"]) for s in sections[:-1])
    assert found["n_questions"] == asked and found["accuracy"] == pytest.approx(score)
    with pytest.raises(ValueError, match="all words of none of the 1 questions"):
        words.evaluate_analogies([("a", "b", "c", "qqq")])
    with pytest.raises(ValueError, match=r"pairs\[0\] must be two words and a number"):
        words.evaluate_word_pairs([("a", "b")])
    with pytest.raises(ValueError, match="there is no such file"):
        words.evaluate_word_pairs("none.tsv")


@pytest.mark.parametrize("binary", [False, True])
def test_files_of_the_word2vec_tool(tmp_path, toy, binary):
    path = tmp_path / "vectors"
    toy.save_word2vec_format(path, binary=binary)
    theirs = KeyedVectors.load_word2vec_format(str(path), binary=binary)
    np.testing.assert_allclose(theirs.vectors, toy.vectors_, rtol=1e-6)
    twin = Word2VecVectorizer().load_word2vec_format(path, binary=binary)
    np.testing.assert_allclose(twin.transform(TOY), toy.transform(TOY), atol=1e-6)
    assert twin.most_similar("cat", k=1)[0][0] == toy.most_similar("cat", k=1)[0][0]
    twin.save(tmp_path / "own")
    again = load(tmp_path / "own")
    np.testing.assert_array_equal(again.vectors_, twin.vectors_)
    with pytest.raises(AttributeError, match="vectors from a file are not trained on"):
        again.partial_fit(TOY)
    with pytest.raises(ValueError, match="tells nothing of how frequent"):
        again.set_params(pooling="tfidf").transform(TOY)
    if not binary:  # as GloVe's own tool writes
        lines = path.read_text().split("\n", 1)[1]
        path.write_text(lines)
        headless = Word2VecVectorizer().load_word2vec_format(path)
        np.testing.assert_array_equal(headless.vectors_, twin.vectors_)


def test_other_files_are_refused(tmp_path, toy):
    path = tmp_path / "vectors"
    with pytest.raises(ValueError, match="there is no such file"):
        Word2VecVectorizer().load_word2vec_format(path)
    path.write_text("these are\nsome words\n")
    with pytest.raises(ValueError, match="it is no file of vectors, or damaged"):
        Word2VecVectorizer().load_word2vec_format(path)
    path.write_bytes("1 2\nschön 0.5 0.5\n".encode("latin-1"))
    with pytest.raises(ValueError, match="it is not UTF-8"):
        Word2VecVectorizer().load_word2vec_format(path)
    with pytest.raises(ValueError, match="hold no n-grams"):
        FastTextVectorizer().load_word2vec_format(path)


def test_unknown_words_have_vectors_by_their_parts():
    texts = ["running walking jumping", "runs walks jumps", "ran walked jumped"] * 30
    words = FastTextVectorizer(
        embedding_size=16, subsample=0, max_epochs=10, random_state=0
    ).fit(texts)
    assert "walker" not in words.vocabulary_
    assert words.most_similar("walker", k=1)[0][0].startswith("walk")
    one, same = words.transform(["walker", "walker walker"])
    np.testing.assert_allclose(one, same, rtol=1e-6)
    assert one.any()
    words.set_params(max_n=0).fit(texts)
    assert not words.transform(["walker"]).any()
    with pytest.raises(ValueError, match="'walker' is none of the 9 words"):
        words.most_similar("walker")


# -- GloVe -----------------------------------------------------------------------------


def plain_cooccurrences(documents, window):
    """X of the paper, by its words: how often j is near i, by distance."""
    n = max(map(max, documents)) + 1
    counts = np.zeros((n, n))
    for ids in documents:
        for i, word in enumerate(ids):
            for j in range(max(0, i - window), min(len(ids), i + window + 1)):
                if j != i:
                    counts[word, ids[j]] += 1 / abs(i - j)
    return counts


def counted(documents, window):
    n = max(map(max, documents)) + 1
    arrays = (np.array(ids, np.int64) for ids in documents)
    found = Cooccurrences(n, window).count(arrays)
    counts = np.zeros((n, n))
    for part in found.parts():
        assert (part["row"] <= part["column"]).all()
        counts[part["row"], part["column"]] += part["count"]
    return counts + np.triu(counts, 1).T, found


def test_cooccurrences_are_those_of_a_plain_count(monkeypatch):
    random = np.random.RandomState(0)
    documents = [
        random.randint(30, size=random.randint(40)).tolist() for _ in range(50)
    ]
    documents = [ids for ids in documents if ids]
    expected = plain_cooccurrences(documents, 4)
    in_memory, found = counted(documents, 4)
    np.testing.assert_allclose(in_memory, expected, rtol=1e-6)
    assert found.folder is None
    for name, size in (("_WORDS", 60), ("_RUN", 64), ("_PART", 50)):
        monkeypatch.setattr(_cooccurrence, name, size)
    on_disk, found = counted(documents, 4)
    np.testing.assert_allclose(on_disk, expected, rtol=1e-6)
    found.folder.cleanup()


def test_the_loss_of_glove_is_the_papers_formula():
    tokens = [text.split() for text in TOY[:60]]
    words = GloVeVectorizer(
        embedding_size=6, window=3, x_max=5, min_count=1, max_epochs=3, random_state=0
    ).fit(tokens)
    ids = [[words.vocabulary_[w] for w in each] for each in tokens]
    X = plain_cooccurrences(ids, 3)
    w, c, b, d = np.split(words.net_.module_.table("words"), [6, 12, 13], axis=1)
    np.testing.assert_array_equal(words.vectors_, w + c)
    met = X > 0
    log = np.log(np.where(met, X, 1))
    errors = (w @ c.T + b + d.T - log) ** 2
    weights = np.minimum(1, X / 5) ** 0.75
    expected = (weights * errors)[met].mean()
    assert -words.score(tokens) == pytest.approx(expected, rel=1e-5)


def test_a_step_is_that_of_a_plain_adagrad():
    """All pairs in one batch, beside torch's gradient of the formula."""
    tokens = [text.split() for text in TOY[:40]]
    given = {"embedding_size": 5, "window": 3, "min_count": 1, "lr": 0.1}
    given |= {"random_state": 0, "batch_size": 10**9}
    first = GloVeVectorizer(**given, max_epochs=1)
    from sknets.embeddings import _glove

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_glove, "_FEWEST_BLOCKS", 1)
        first.fit(tokens)
        second = GloVeVectorizer(**given, max_epochs=2).fit(tokens)
    ids = [[first.vocabulary_[w] for w in each] for each in tokens]
    X = torch.from_numpy(plain_cooccurrences(ids, 3)).float()
    start = np.random.RandomState(0).random_sample((len(X), 12))
    table = torch.tensor((start - 0.5) / 5, dtype=torch.float32, requires_grad=True)
    squares = torch.full_like(table, 0.01)
    losses = []
    for net in (first, second):
        w, c, b, d = table[:, :5], table[:, 5:10], table[:, 10:11], table[:, 11:]
        errors = (w @ c.T + b + d.T - X.clamp(min=1e-9).log())[X > 0] ** 2
        weights = (X[X > 0] / 10).clamp(max=1) ** 0.75
        loss = (weights * errors).sum()
        losses.append(loss.item() / int((X > 0).sum()))
        (gradient,) = torch.autograd.grad(loss / 2, table)
        squares = squares + gradient**2
        table = (table - 0.1 * gradient / squares.sqrt()).detach().requires_grad_()
        found = net.net_.module_.table("words")
        np.testing.assert_allclose(found, table.detach(), atol=1e-5)
    np.testing.assert_allclose(second.loss_curve_, losses, rtol=1e-4)


def test_glove_finds_the_worlds_and_its_loss_falls():
    words = GloVeVectorizer(
        embedding_size=8, x_max=10, max_epochs=20, random_state=0
    ).fit(TOY)
    assert words.similarity("cat", "dog") > words.similarity("cat", "car")
    assert (np.diff(words.loss_curve_) < 0).all()


# -- as the start of a recurrent network -----------------------------------------------

FEW = ["cat milk", "milk cat cat", "car road", "road road car"] * 8
SIDES = [0, 0, 1, 1] * 8


def test_an_embedding_starts_from_the_vectors_of_words(toy):
    given = {"max_epochs": 1, "lr": 1e-12, "weight_decay": 0.0, "random_state": 0}
    vectorizer = Word2VecVectorizer(embedding_size=8, max_epochs=2)
    rnn = RNNClassifier(**given, embedding=vectorizer).fit(TOY, np.arange(400) % 2)
    seeded = clone(vectorizer).set_params(random_state=0).fit(TOY)
    start = rnn.net_.module_.prepare[0].embedding.weight.detach().numpy()
    assert start.shape[1] == rnn.word_size_ == 8
    own = start[[rnn.vocabulary_[word] for word in seeded.vocabulary_]]
    scale = own.std() / seeded.vectors_.std()
    np.testing.assert_allclose(own, scale * seeded.vectors_, rtol=1e-4, atol=1e-6)
    assert not vectorizer.__sklearn_is_fitted__()
    again = clone(rnn).fit(TOY, np.arange(400) % 2)
    np.testing.assert_array_equal(again.predict_proba(TOY), rnn.predict_proba(TOY))


def test_a_fitted_vectorizer_brings_words_that_fit_has_not_seen(toy, tmp_path):
    given = {"hidden_size": 8, "random_state": 0, "pooling": "mean"}
    unseen = ["fur paw", "dog", "oil gear", "fuel oil"] * 4
    rnn = RNNClassifier(**given, embedding=FrozenEstimator(toy)).fit(FEW, SIDES)
    assert rnn.score(unseen, [0, 0, 1, 1] * 4) == 1
    assert clone(rnn).fit(FEW, SIDES).score(unseen, [0, 0, 1, 1] * 4) == 1
    plain = RNNClassifier(**given).fit(FEW, SIDES)
    assert len(set(plain.predict(unseen))) == 1  # it knows none of these words
    rnn.save(tmp_path / "rnn")
    twin = load(tmp_path / "rnn")
    np.testing.assert_array_equal(twin.predict_proba(unseen), rnn.predict_proba(unseen))
    twin = pickle.loads(pickle.dumps(rnn))
    np.testing.assert_array_equal(twin.predict_proba(unseen), rnn.predict_proba(unseen))


@pytest.mark.parametrize(
    ("given", "X", "sentence"),
    [
        ({"embedding": "word2vec"}, FEW, "embedding must be a vectorizer of words"),
        ({"embedding": Word2VecVectorizer()}, np.ones((32, 3, 2)), "X has no words"),
        (
            {"embedding": Word2VecVectorizer(), "tokenizer": "bpe"},
            FEW,
            "set tokenizer=",
        ),
    ],
)
def test_a_start_that_cannot_be_is_refused(given, X, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        RNNClassifier(**given).fit(X, SIDES)
    assert str(caught.value).startswith("RNNClassifier(embedding=")


# -- ELMo ------------------------------------------------------------------------------


def senses():
    """Sentences in which "bank" is one of two things, and which."""
    random = np.random.default_rng(1)
    texts, which = [], []
    for i in range(240):
        if i % 2:
            verb = random.choice(["lends", "counts", "keeps"])
            texts.append(f"the bank {verb} {random.choice(['money', 'gold'])} today")
        else:
            place = random.choice(["river", "lake", "stream"])
            what = random.choice(["boat", "fish"])
            texts.append(f"a {what} near the bank of the {place}")
        which.append(i % 2)
    return texts, np.array(which)


@pytest.fixture(scope="module")
def elmo():
    texts, which = senses()
    net = ELMoVectorizer(embedding_size=16, max_epochs=4, random_state=0)
    return net.fit(texts[:200], which[:200]), texts[200:], which[200:]


def test_the_same_word_in_two_senses_has_vectors_that_are_nearer_within_each(elmo):
    net, texts, which = elmo
    banks = np.array(
        [
            vectors[text.split().index("bank")]
            for text, vectors in zip(texts, net.transform_tokens(texts))
        ]
    )
    unit = banks / np.linalg.norm(banks, axis=1, keepdims=True)
    cosines = unit @ unit.T
    same = which[:, None] == which
    assert cosines[same].min() > cosines[~same].max()
    fixed = Word2VecVectorizer(embedding_size=8, max_epochs=1).fit(texts)
    one, other = fixed.transform_tokens(texts[:2])
    places = [text.split().index("bank") for text in texts[:2]]
    np.testing.assert_array_equal(one[places[0]], other[places[1]])


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        ([0, 1], "inconsistent numbers of samples"),
        (["a", None] * 2, r"y contains NaN: y\[1\] is None"),
        ([0.5, np.nan] * 2, r"y contains NaN: y\[1\] is nan"),
        (np.zeros((4, 2)), "y should be a 1d array"),
    ],
)
def test_a_y_of_another_form_is_refused_before_training(y, sentence):
    with pytest.raises(ValueError, match=f"^ELMoVectorizer: .*{sentence}"):
        ELMoVectorizer().fit(["a b", "c d"] * 2, y)


def test_a_mixture_of_layers_is_learned_with_y(elmo):
    net, texts, _ = elmo
    assert net.layer_weights_.sum() == pytest.approx(1, rel=1e-5)
    assert np.ptp(net.layer_weights_) > 0.01
    mixed = net.transform_tokens(texts)[0]
    layers = [twin(net, layers=k).transform_tokens(texts)[0] for k in (0, 1, 2)]
    expected = net.layer_scale_ * sum(w * v for w, v in zip(net.layer_weights_, layers))
    np.testing.assert_allclose(mixed, expected, atol=1e-5)
    side_by_side = twin(net, layers="all").transform_tokens(texts)[0]
    np.testing.assert_array_equal(side_by_side, np.concatenate(layers, 1))
    np.testing.assert_allclose(net.transform(texts[:1])[0], mixed.mean(0), atol=1e-5)


def twin(estimator, **given):
    return pickle.loads(pickle.dumps(estimator)).set_params(**given)


def test_the_mixture_prefers_the_layer_that_tells(monkeypatch):
    net = ELMoVectorizer(embedding_size=2)
    random = np.random.default_rng(0)
    y = np.arange(200) % 2
    layers = random.normal(size=(200, 1, 3, 4)).astype(np.float32)
    layers[:, 0, 2, 0] += 3.0 * y
    monkeypatch.setattr(net, "_layers", lambda documents: [list(layers)])
    weights, _ = net._learn_mixture(range(200), y)
    assert weights.argmax() == 2 and weights[2] > 0.6
    weights, _ = net._learn_mixture(range(200), layers[:, 0, 1, 0].astype(float))
    assert weights.argmax() == 1
    with pytest.raises(ValueError, match="y has 3 values, X 200 documents"):
        net._learn_mixture(range(200), y[:3])


def test_elmo_reads_any_word_and_long_texts_in_pieces(elmo):
    net, texts, _ = elmo
    assert "banking" not in net.vocabulary_
    assert net.transform_tokens(["banking überall 鳥", ""])[0].shape == (3, 32)
    assert not net.transform([""]).any()
    text = " ".join(texts[:10])
    whole = twin(net, max_length=8).transform_tokens([text])[0]
    words = text.split()
    parts = [" ".join(words[i : i + 8]) for i in range(0, len(words), 8)]
    np.testing.assert_allclose(
        whole, np.concatenate(net.transform_tokens(parts)), atol=1e-5
    )
    assert len(net.most_similar("bank", k=3)) == 3
    assert net.score(texts) > -0.85 * np.log(len(net.vocabulary_) + 2)


def test_the_losses_of_elmo_are_those_of_both_directions(elmo):
    net, texts, _ = elmo
    pieces, _ = net._spelled([texts[0].split(), texts[1].split()])
    module = net.net_.module_
    batch = pieces.batch(slice(0, 2))
    with torch.inference_mode():
        found = module.loss(batch, None)
        forwards, backwards = (each[-1] for each in module.states(batch))
        classes = batch.classes.padded()
        for i, length in enumerate(batch.classes.counts):
            told = classes[i, :length]
            ahead = torch.log_softmax(module.output(forwards[i, : length - 1]), 1)
            back = torch.log_softmax(module.output(backwards[i, 1:length]), 1)
            steps = torch.arange(length - 1)
            expected = -(ahead[steps, told[1:]] + back[steps, told[:-1]]).mean() / 2
            assert found[i].item() == pytest.approx(expected.item(), rel=1e-4)


def test_a_word_is_not_told_by_itself(elmo):
    """What a direction says of a word does not change with it."""
    net, _, _ = elmo
    module = net.net_.module_

    def states(text):
        batch = net._spelled([text.split()])[0].batch(slice(0, 1))
        with torch.inference_mode():
            return [each[-1][0] for each in module.states(batch)]

    (ahead, back), (ahead2, back2) = states("the bank keeps"), states("the lake keeps")
    # Places: edge, the, (bank | lake), keeps, edge.
    torch.testing.assert_close(ahead[:2], ahead2[:2])
    torch.testing.assert_close(back[3:], back2[3:])
    assert not torch.allclose(ahead[2:], ahead2[2:])


def test_many_words_are_told_by_an_adaptive_softmax(monkeypatch):
    from sknets.embeddings import _elmo_nets

    monkeypatch.setattr(_elmo_nets, "_MANY", 6)
    texts, _ = senses()
    net = ELMoVectorizer(embedding_size=8, max_epochs=2, random_state=0).fit(texts)
    assert isinstance(net.net_.module_.output, torch.nn.AdaptiveLogSoftmaxWithLoss)
    assert net.loss_curve_[1] < net.loss_curve_[0]
