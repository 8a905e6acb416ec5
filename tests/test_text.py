"""What is true of text as X, whichever estimator reads it."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline

import sknets
from sknets import RNNClassifier, RNNRegressor
from sknets._inputs.text import words_of

torch.set_num_threads(1)

WORDS = ["the", "a", "film", "plot", "actor", "was", "is", "felt", "rather", "very"]
GOOD, BAD = ["good", "fine", "great"], ["bad", "dull", "poor"]


def reviews(n, seed=0, negated=False):
    """Sentences of unequal length with one word that tells (or "not" before it)."""
    random = np.random.default_rng(seed)
    X, y = [], []
    for _ in range(n):
        text = list(random.choice(WORDS, random.integers(0, 12)))
        good, turned = random.integers(2), negated and random.integers(2)
        telling = [str(random.choice(GOOD if good else BAD))]
        at = int(random.integers(len(text) + 1))
        text[at:at] = ["not", *telling] if turned else telling
        X.append(" ".join(text))
        y.append("for" if bool(good) != bool(turned) else "against")
    return X, np.array(y)


X, y = reviews(120)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\u0928\u092e\u0938\u094d\u0924\u0947 \u0939\u0948!", 3),  # Hindi
        ("\u0e1e\u0e23\u0e38\u0e48\u0e07\u0e19\u0e35\u0e49", 1),  # Thai
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", 1),  # Persian
        ("cafe\u0301 no. 2", 4),
        ("\u2764\ufe0f ok", 3),  # a heart, its form
    ],
)
def test_marks_belong_to_their_words(text, words):
    """``\\w`` knows no vowel signs: Hindi and Thai would be cut into their letters."""
    found = words_of(text)
    assert len(found) == words and "".join(found) == text.replace(" ", "")


def quick(**params):
    defaults = {"max_epochs": 3, "hidden_size": 8, "embedding_size": 8}
    return RNNClassifier(**{**defaults, "random_state": 0, **params})


@pytest.mark.parametrize("tokenizer", ["words", "characters", "bpe"])
def test_texts_are_learned_by_any_tokenizer(tokenizer):
    rnn = RNNClassifier(tokenizer=tokenizer, vocabulary_size=400, random_state=0)
    X, y = reviews(300)
    rnn.set_params(max_epochs=15).fit(X, y)
    assert rnn.score(*reviews(100, seed=1)) > 0.9
    assert rnn.input_kind_ == "text" and hasattr(rnn, "bpe_") == (tokenizer == "bpe")
    assert not hasattr(rnn, "n_channels_")


def test_order_tells_what_counts_of_words_do_not():
    X, y = reviews(600, negated=True)
    X_test, y_test = reviews(200, seed=1, negated=True)
    counts = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(X, y)
    rnn = RNNClassifier(max_epochs=15, random_state=0).fit(X, y)
    assert counts.score(X_test, y_test) < 0.7 < 0.95 < rnn.score(X_test, y_test)


def test_the_forms_of_one_text_give_one_network():
    expected = quick().fit(X, y).predict_proba(X)
    tokens = [text.split() for text in X]
    for same in (
        tuple(X),
        np.array(X),
        np.array(X, dtype=object),
        pd.Series(X, index=range(7, 127)),
        pd.Series(X, dtype="category").astype(str),
        tokens,
        [tuple(each) for each in tokens],
        pd.Series(tokens),
    ):
        np.testing.assert_array_equal(
            quick().fit(same, y).predict_proba(same), expected
        )


def test_the_vocabulary_is_that_of_fit():
    texts = ["Red red, red fox!", "red fox", "", "owl"]
    target = [0, 1, 0, 1]
    rnn = quick().fit(texts, target)
    assert rnn.vocabulary_ == {"red": 2, "fox": 3, "!": 4, ",": 5, "owl": 6}
    assert list(quick(vocabulary_size=2).fit(texts, target).vocabulary_) == [
        "red",
        "fox",
    ]
    assert list(quick(min_frequency=2).fit(texts, target).vocabulary_) == ["red", "fox"]
    cased = quick(lowercase=False).fit(texts, target).vocabulary_
    assert "Red" in cased and "red" in cased
    letters = quick(tokenizer="characters").fit(texts, target).vocabulary_
    assert set(letters) == set("red, fox!owl")
    given = quick(lowercase=True).fit([["New York"], ["Rome"]] * 2, target).vocabulary_
    assert set(given) == {"New York", "Rome"}


def test_unknown_tokens_are_all_alike_and_texts_may_be_empty():
    rnn = quick().fit([*X, "", []], [*y, "for", "against"])
    a, b, c = rnn.decision_function(["zebra", "quokka", "zebra quokka"])
    assert a == b != c
    nothing = rnn.decision_function(["", [], "   "])
    assert np.isfinite(nothing).all() and np.ptp(nothing) == 0
    assert rnn.fit([[], *X], ["for", *y]).predict([[]]).shape == (1,)


def test_any_word_is_spelt_by_byte_pairs():
    rnn = quick(tokenizer="bpe", vocabulary_size=300).fit(X, y)
    a, b = rnn.decision_function(["zebra", "quokka \N{OWL}"])
    assert a != b and len(rnn.vocabulary_) <= 300
    upper, lower = rnn.decision_function(["A GOOD PLOT", "a good plot"])
    assert upper == lower


def test_only_the_beginning_of_long_texts_is_read():
    rnn = quick(max_length=4).fit(X, y)
    one, other = rnn.decision_function(["a good plot was dull", "a good plot was"])
    assert one == other


@pytest.mark.parametrize("tokenizer", ["words", "bpe"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_company_changes_no_prediction(tokenizer, precision):
    rnn = quick(tokenizer=tokenizer, precision=precision, bidirectional=True).fit(X, y)
    expected = np.ravel([rnn.decision_function([text]) for text in X])
    found = rnn.decision_function(["good " * 300, *X])[1:]
    tolerance = 1e-10 if precision == "float64" else 1e-5
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_texts_go_through_model_selection_and_pipelines():
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    search = GridSearchCV(
        quick(max_epochs=10), {"tokenizer": ["words", "characters"]}, cv=2
    ).fit(X_train, y_train)
    assert search.score(X_test, y_test) > 0.6
    assert len(cross_val_score(quick(), X, y, cv=2, error_score="raise")) == 2
    assert cross_val_predict(quick(), X, y, cv=2).shape == (120,)
    frame = pd.DataFrame({"text": X, "number": np.arange(120.0)})
    features = make_column_transformer((quick(), "text"), ("passthrough", ["number"]))
    model = make_pipeline(features, LogisticRegression(max_iter=1000)).fit(frame, y)
    assert model.predict(frame).shape == (120,)
    names = features.get_feature_names_out()
    assert names[0] == "rnnclassifier__rnnclassifier0"


@pytest.mark.parametrize("tokenizer", ["words", "bpe"])
def test_a_file_keeps_the_vocabulary(tmp_path, tokenizer):
    rnn = quick(tokenizer=tokenizer, vocabulary_size=300).fit(X, y)
    rnn.save(tmp_path / "rnn")
    twin = sknets.load(tmp_path / "rnn")
    assert twin.vocabulary_ == rnn.vocabulary_
    found, expected = twin.predict_proba(X), rnn.predict_proba(X)
    np.testing.assert_array_equal(found, expected)


def test_a_refit_forgets_the_other_kind_of_input():
    rnn = quick(tokenizer="bpe", vocabulary_size=300).fit(X, y)
    rnn.fit(np.random.default_rng(0).normal(size=(120, 5)), y)
    assert rnn.input_kind_ == "sequences" and not hasattr(rnn, "vocabulary_")
    rnn.set_params(tokenizer="words").fit(X, y)
    assert not hasattr(rnn, "bpe_") and not hasattr(rnn, "n_channels_")


def test_a_tag_for_each_token():
    def tagged(n, seed):
        texts = [text.split() for text in reviews(n, seed)[0]]
        return texts, [["tell" if t in GOOD + BAD else "-" for t in x] for x in texts]

    texts, tags = tagged(200, 0)
    rnn = RNNClassifier(per_step=True, max_epochs=5, random_state=0).fit(texts, tags)
    assert rnn.score(*tagged(50, 1)) > 0.95
    assert rnn.predict([["a", "good", "plot"]])[0].tolist() == ["-", "tell", "-"]


def test_numbers_from_texts():
    lengths = np.array([len(text.split()) for text in X], dtype=float)
    rnn = RNNRegressor(random_state=0).fit(X, lengths)
    assert rnn.score(X, lengths) > 0.9


# -- wrong input ---------------------------------------------------------------------


def refused(match, call, *args):
    with pytest.raises(ValueError, match=match) as caught:
        call(*args)
    assert str(caught.value).startswith("RNNClassifier")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("texts", "match"),
    [
        (
            "one review",
            "X must be a list of texts, or a column of a table, got one str",
        ),
        (
            ["a", None],
            r"X\[1\] must be a text or a list of tokens, got None; make it ''",
        ),
        (
            pd.Series(["a", pd.NA], dtype="string"),
            r"X\[1\] must be a text .*, got <NA>; make it ''",
        ),
        (["a", np.nan], r"X\[1\] must be a text or a list of tokens, got nan; make it"),
        (["a", 3], r"X\[1\] must be a text or a list of tokens, got 3$"),
        ([["a"], ["b", 3]], r"X\[1\] must be a list of tokens, and 3 is no string"),
        (["", ""], "X has no token, all its texts are empty"),
    ],
)
def test_one_sentence_before_any_work(texts, match):
    refused(match, quick().fit, texts, [0, 1])


def test_rare_tokens_only():
    texts = ["owl fox", "elk emu"]
    refused(r"occurs 2 times", quick(min_frequency=2).fit, texts, [0, 1])


def test_numbers_where_text_was_learned():
    rnn = quick().fit(X, y)
    refused("was fitted on text, not a table", rnn.predict, np.ones((3, 4)))
    two = pd.DataFrame({"x": X, "y": X})
    refused("was fitted on text, not a table", rnn.predict, two)
    refused("was fitted on text, not a series", rnn.predict, [1.0, 2.0])
    refused("one column of strings", quick().fit, two, y)
    column = pd.DataFrame({"x": X})
    np.testing.assert_array_equal(rnn.predict(column), rnn.predict(X))
    refused("X has 0 samples", rnn.predict, [])


def test_byte_pairs_need_their_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(
        ImportError, match=r"tokenizer='bpe'.*pip install 'sknets\[text"
    ):
        quick(tokenizer="bpe").fit(X, y)
