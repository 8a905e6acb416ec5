"""BERT: against `transformers` itself; what is learned, read and refused."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import sknets
from sknets import (
    BERTClassifier,
    BERTRegressor,
    BERTVectorizer,
)
from sknets._engine.containers import Ragged
from sknets._inputs import Subwords
from sknets.language_models._bert_nets import Windows
from sknets.language_models._linear import WordModel, _logits

transformers = pytest.importorskip("transformers")
torch.set_num_threads(1)

WORDS = ["the", "a", "film", "plot", "actor", "was", "is", "felt", "rather", "very"]
GOOD, BAD = ["good", "fine", "great"], ["bad", "dull", "poor"]


def reviews(n, seed=0, longest=12):
    """Sentences of unequal length with one word that tells."""
    random = np.random.default_rng(seed)
    X, y = [], []
    for _ in range(n):
        text = list(random.choice(WORDS, random.integers(0, longest)))
        good = bool(random.integers(2))
        at = int(random.integers(len(text) + 1))
        text.insert(at, str(random.choice(GOOD if good else BAD)))
        X.append(" ".join(text))
        y.append("for" if good else "against")
    return X, np.array(y)


X, y = reviews(96)
SMALL = {
    "pretrained": None,
    "embedding_size": 16,
    "n_heads": 2,
    "n_layers": 1,
    "feedforward_size": 16,
    "window_size": 16,
    "random_state": 0,
}


def quick(cls=BERTClassifier, **params):
    given = {"pretraining_epochs": 1} if cls is not BERTVectorizer else {}
    return cls(**{**SMALL, "max_epochs": 2, **given, **params})


@pytest.fixture(scope="module")
def learned():
    return quick().fit(X, y)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT as `transformers` stores it."""
    folder = tmp_path_factory.mktemp("stored") / "bert"
    reader = quick(BERTVectorizer).fit(X)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(reader.vocabulary_),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=0.5,
    )
    transformers.BertModel(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(reader.tokenizer_)
    return folder


def theirs(folder, texts, maps=False):
    """States by `transformers` for each text alone, as (T, d), and attention."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = transformers.BertModel.from_pretrained(
        folder, attn_implementation="eager"
    ).eval()
    first, last = (tokenizer.token_to_id(mark) for mark in ("[CLS]", "[SEP]"))
    states, looks = [], []
    for text in texts:
        tokens = torch.tensor([[first, *tokenizer.encode(text).ids, last]])
        with torch.inference_mode():
            found = model(input_ids=tokens, output_attentions=maps)
        states.append(found.last_hidden_state[0].numpy())
        looks.append(found.attentions)
    return (states, looks) if maps else states


# -- BERT ------------------------------------------------------------------------------


def test_vectors_of_a_stored_model_are_those_of_transformers(folder):
    texts = [*X[:12], ""]
    states = theirs(folder, texts)
    pool = {
        "mean": lambda s: s.mean(0),
        "cls": lambda s: s[0],
        "max": lambda s: s.max(0),
    }
    for pooling, of in pool.items():
        vectorizer = BERTVectorizer(pretrained=folder, window_size=32, pooling=pooling)
        found = vectorizer.fit(X).transform(texts)
        expected = np.stack([of(s) for s in states])
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert vectorizer.n_iter_ == 0 and vectorizer.loss_curve_ == []
    vectorizer.set_params(normalize=True, pooling="mean").fit(X)
    expected = np.stack([s.mean(0) for s in states])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectorizer.transform(texts), expected, atol=1e-5)


def test_attention_maps_are_those_of_transformers(folder):
    model = quick(
        pretrained=folder,
        window_size=32,
        tfidf=False,
        pretraining_epochs=0,
        max_epochs=1,
        lr=1e-9,
    )
    maps = model.fit(X, y).attention_maps(X[:3])
    _, looks = theirs(folder, X[:3], maps=True)
    for found, expected in zip(maps, looks):
        np.testing.assert_allclose(
            found, torch.cat(expected).numpy(), atol=1e-4, rtol=1e-3
        )


def test_a_long_text_is_the_mean_of_its_windows(folder):
    vectorizer = BERTVectorizer(pretrained=folder, window_size=12).fit(X)
    words = " ".join(X[:9]).split()[:40]  # four windows of ten words
    parts = [" ".join(words[i : i + 10]) for i in range(0, 40, 10)]
    expected = np.mean([s.mean(0) for s in theirs(folder, parts)], axis=0)
    found = vectorizer.transform([" ".join(words), X[3]])
    np.testing.assert_allclose(found[0], expected, atol=1e-5)
    short = BERTVectorizer(pretrained=folder, window_size=12, max_length=10).fit(X)
    cut = theirs(folder, parts[:1])[0].mean(0)
    np.testing.assert_allclose(short.transform([" ".join(words)])[0], cut, atol=1e-5)


def test_windows_hold_all_tokens_once_and_in_training_one_part():
    tokens = [[1, *range(10, 10 + n), 2] for n in (0, 3, 9, 25)]
    x = Ragged(
        torch.tensor(np.hstack(tokens), dtype=torch.int32)[:, None],
        torch.tensor(list(map(len, tokens))),
    )
    windows = Windows(8).eval()
    pieces, owner = windows(x)
    cut = [part[:, 0].tolist() for part in pieces.join().split(pieces.counts.tolist())]
    assert max(map(len, cut)) <= 8 and owner.tolist() == [0, 1, *[2] * 2, *[3] * 5]
    for i, text in enumerate(tokens):
        own = [part for part, at in zip(cut, owner) if at == i]
        assert np.hstack([part[1:-1] for part in own]).tolist() == text[1:-1]
        assert all((part[0], part[-1]) == (1, 2) for part in own)
    windows.train().generator = torch.Generator().manual_seed(0)
    starts = set()
    for _ in range(60):
        pieces, owner = windows(x)
        cut = [p[:, 0].tolist() for p in pieces.join().split(pieces.counts.tolist())]
        assert owner.tolist() == [0, 1, 2, 3] and cut[:2] == tokens[:2]
        assert len(cut[3]) == 8 and np.ptp(cut[3][1:-1]) == 5
        starts.add(cut[3][1])
    assert starts == set(range(10, 30))  # 25 tokens have 20 windows of six


def test_padding_and_company_change_no_prediction(learned):
    long = " ".join(X)
    texts = [*X[:20], long, ""]
    together = learned.predict_proba(texts)
    alone = np.vstack([learned.predict_proba([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_classes_are_learned_from_nothing():
    for tfidf in (False, True):
        model = quick(tfidf=tfidf, max_epochs=8, pretraining_epochs=0, lr=1e-2)
        assert model.fit(X, y).score(*reviews(60, seed=1)) > 0.9
    assert model.pretraining_loss_curve_ == []


def test_hidden_tokens_are_learned():
    """A word after "x" is told by it: no guess by frequency does better than log 4."""
    random = np.random.default_rng(0)
    pairs = {"red": "rose", "green": "leaf", "blue": "sky", "black": "coal"}
    texts = [
        " ".join(f"{c} {pairs[c]}" for c in random.choice(list(pairs), 5))
        for _ in range(200)
    ]
    model = quick(BERTVectorizer, max_epochs=25, lr=1e-2, dropout=0.0).fit(texts)
    assert model.loss_curve_[0] > 2 and model.loss_curve_[-1] < np.log(4)
    assert model.transform(texts[:3]).shape == (3, 16)


def test_accents_and_vowel_signs_stay():
    texts = ["\u0928\u092e\u0938\u094d\u0924\u0947 CAF\u00c9"] * 8
    reader = quick(BERTVectorizer, max_epochs=1).fit(texts).reader_
    assert reader.write(reader.encode(texts[0])[1:-1]) == texts[0].lower()


def test_wide_networks_learn_in_sixteen_bits_where_it_is_faster(monkeypatch):
    module = "sknets.language_models._bert"
    for fast in (True, False):
        monkeypatch.setattr(f"{module}.multiplies_bfloat16", lambda fast=fast: fast)
        nets = [
            quick(embedding_size=width, max_epochs=1, precision=precision).fit(
                X[:16], y[:16]
            )
            for width, precision in ((256, "auto"), (256, "float32"), (16, "auto"))
        ]
        when = [net.net_._recipe.bfloat16 for net in nets]
        assert when == ["training" if fast else "never", "never", "never"]
        # Predictions are of 32 bits: they do not depend on how large a batch is.
        alone = np.concatenate([nets[0].predict_proba([text]) for text in X[:4]])
        np.testing.assert_allclose(nets[0].predict_proba(X)[:4], alone, atol=1e-5)


def test_the_network_learns_what_the_words_leave(learned):
    model = WordModel(True, learned.word_model_)
    linear = model(X)[:, 0]
    logits = learned.decision_function(X)
    module = learned.net_.module_
    own = learned.transform(X) @ module.head.weight.detach().numpy().T
    own = own[:, 0] + module.head.bias.item()
    np.testing.assert_allclose(logits, linear + own, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("classify", [True, False])
def test_what_a_linear_model_says_of_a_text_is_learned_from_others(classify):
    """Labels that nothing tells: of what it knows it is certain, of others not."""
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, 8)) for _ in range(60)]
    target = random.integers(0, 2, (60, 1)).astype(float)
    model = WordModel(True)
    other = model.fit(texts, target, None, classify)
    own = model(texts)
    middle = 0 if classify else 0.5
    right = [((each > middle) == (target > 0.5)).mean() for each in (own, other)]
    assert right[0] > 0.9 > 0.7 > right[1]


def test_a_linear_model_of_classes_that_are_rare_or_columns():
    texts = [text for text in X[:30]]
    rare = np.array([0] * 14 + [1] * 15 + [2])
    outputs = WordModel(True).fit(texts, rare, None, True)
    assert outputs.shape == (30, 3) and np.isfinite(outputs).all()
    columns = np.stack([np.arange(30) % 2, np.zeros(30)], 1)
    weight = np.ones(30)
    weight[:5] = 0
    outputs = WordModel(True).fit(texts, columns, weight, True)
    assert outputs.shape == (30, 2) and (outputs[:, 1] < 0).all()
    assert np.isfinite(WordModel(True).fit(["", "!?"], rare[:2], None, True)).all()


def test_linear_models_of_threads_are_the_same():
    """liblinear's own stream of random numbers is one for all of them."""
    x = sp.random(2000, 1000, 0.05, format="csr", random_state=0)
    given = x, np.arange(2000) % 3, 3, None
    expected, _ = _logits(*given)
    with ThreadPoolExecutor(2) as pool:
        for found in [pool.submit(_logits, *given) for _ in range(4)]:
            np.testing.assert_array_equal(found.result()[0], expected)


def test_labels_numbers_and_parts_of_an_estimator():
    labels = np.stack([y == "for", np.arange(96) % 2], 1).astype(int)
    model = quick(max_epochs=1).fit(X, labels)
    assert model.multilabel_ and model.predict(X).shape == (96, 2)
    numbers = quick(BERTRegressor, max_epochs=8, lr=1e-2, tfidf=False)
    assert numbers.fit(X, (y == "for") * 3.0).score(X, (y == "for") * 3.0) > 0.5
    three = quick(class_weight="balanced").fit(X, np.arange(96) % 3, np.ones(96))
    assert three.predict_proba(X).shape == (96, 3)
    assert not hasattr(three, "partial_fit") and hasattr(
        quick(tfidf=False), "partial_fit"
    )
    with pytest.raises(ValueError, match="y has 2 columns of classes"):
        quick().fit(X, np.stack([np.arange(96) % 3] * 2, 1))


def test_held_out_texts_leave_the_linear_model_alone(learned):
    model = quick(early_stopping=True, max_epochs=3)
    model.fit(X, y, X_val=X[:20], y_val=y[:20])
    np.testing.assert_array_equal(
        model.word_model_["coef"], learned.word_model_["coef"]
    )
    assert len(model.validation_scores_) == 3
    assert quick(early_stopping=True).fit(X, y).validation_loss_curve_
    assert quick(BERTVectorizer, early_stopping=True).fit(X).validation_loss_curve_


def test_the_folder_is_not_needed_again(folder, tmp_path):
    model = BERTClassifier(pretrained=str(folder), window_size=32, max_epochs=1)
    model.fit(X, y).save(tmp_path / "model")
    moved = folder.rename(folder.with_name("elsewhere"))
    try:
        twin = sknets.load(tmp_path / "model")
        np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
    finally:
        moved.rename(folder)


def test_weights_under_other_names_are_found(folder, tmp_path):
    """As a model that was stored with its head for hidden tokens."""
    model = transformers.BertForMaskedLM.from_pretrained(folder)
    model.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text((folder / "tokenizer.json").read_text())
    expected = BERTVectorizer(pretrained=folder, window_size=32).fit(X).transform(X)
    found = BERTVectorizer(pretrained=tmp_path, window_size=32).fit(X).transform(X)
    np.testing.assert_array_equal(found, expected)


def test_lists_of_words_and_columns_are_read():
    vectors = quick(BERTVectorizer).fit(X).transform(X)
    words = [text.split() for text in X]
    np.testing.assert_array_equal(
        quick(BERTVectorizer).fit(words).transform(words), vectors
    )
    frame = pd.DataFrame({"n": np.arange(96), "text": X})
    columns = make_column_transformer(
        (quick(BERTVectorizer), "text"), remainder="passthrough"
    ).set_output(transform="pandas")
    table = columns.fit_transform(frame)
    np.testing.assert_array_equal(table.iloc[:, :16], vectors)
    model = make_pipeline(quick(BERTVectorizer), LogisticRegression())
    assert model.fit(X, y).predict(X).shape == (96,)


def test_pieces_of_words_are_the_same_each_time():
    """The trainer numbers what it meets in an order that it draws anew each time."""

    def learn(cut):
        reader = Subwords.of("test", cut=cut, vocabulary_size=60)
        reader.learn(X)
        return reader.tokenizer_

    for cut in ("wordpiece", "bytes"):
        assert len({learn(cut) for _ in range(4)}) == 1
    assert "##" in learn("wordpiece")


def test_the_packaged_model_is_found_where_it_is_installed(
    folder, tmp_path, monkeypatch
):
    import zipfile

    package = tmp_path / "all_minilm_l6_v2"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('not to be run')")
    with zipfile.ZipFile(package / "model.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    monkeypatch.syspath_prepend(tmp_path)
    expected = BERTVectorizer(pretrained=folder, window_size=32).fit(X).transform(X)
    for name in ("auto", "all-minilm-l6-v2"):
        model = BERTVectorizer(pretrained=name, window_size=32).fit(X)
        assert model.pretrained_ == "all-minilm-l6-v2"
        np.testing.assert_array_equal(model.transform(X), expected)


# -- wrong input -----------------------------------------------------------------------


def refused(match, call, *args, kind=ValueError):
    with pytest.raises(kind, match=match) as caught:
        call(*args)
    assert str(caught.value).startswith("BERT")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_texts_that_are_none(missing):
    texts = [*X[:5], missing, *X[6:]]
    for cls in (BERTClassifier, BERTVectorizer):
        refused(r"X\[5\] must be a text .*; make it ''", quick(cls).fit, texts, y)
    refused("has no token, all its texts are empty", quick().fit, ["", " "], y[:2])


def test_pretrained_models_that_are_none(folder, tmp_path, monkeypatch):
    def fit(pretrained, **params):
        return lambda: quick(pretrained=pretrained, **params).fit(X, y)

    gone = FileNotFoundError
    refused("there is no such folder", fit(tmp_path / "none"), kind=gone)
    refused("there is no such folder", fit("./none/of/these"), kind=gone)
    refused("has no config.json", fit(tmp_path), kind=gone)
    monkeypatch.setitem(sys.modules, "all_minilm_l6_v2", None)
    refused(r"\(window_size=64\): .* knows 32 pos", fit(folder, window_size=64))
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "config.json").write_text("[]")
    refused("config.json cannot be read", fit(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    refused("it is a 'gpt2' model, and BERTClassifier takes 'bert'", fit(tmp_path))


def test_a_hub_that_does_not_answer(monkeypatch):
    hub = pytest.importorskip("huggingface_hub")

    def fetch(*args, **params):
        raise ConnectionError("no route to host\nsecond line")

    monkeypatch.setattr(hub, "snapshot_download", fetch)
    model = quick(pretrained="someone/bert")
    refused(
        "no model of this name could be fetched .*no route to host",
        model.fit,
        X,
        y,
        kind=OSError,
    )


def test_missing_packages_are_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    refused(r"needs the package transformers: pip", quick().fit, X, y, kind=ImportError)


def test_parameters_that_do_not_fit():
    refused("n_heads must divide embedding_size=16", quick(n_heads=3).fit, X, y)
