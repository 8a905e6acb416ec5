"""BERT, GPT-2 and cells: against `transformers`, chains and their own steps."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import sknets
from sknets import (
    BERTClassifier,
    BERTRegressor,
    BERTVectorizer,
    GPT2Generator,
    RNNGenerator,
)
from sknets._engine.containers import Ragged
from sknets._inputs import Subwords
from sknets.language_models._bert_nets import Windows
from sknets.language_models._generator_nets import pieces, with_ends
from sknets.language_models._linear import WordModel

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


# -- generators ------------------------------------------------------------------------

TINY = {
    RNNGenerator: {"hidden_size": 12, "embedding_size": 8},
    GPT2Generator: {
        "embedding_size": 16,
        "n_heads": 2,
        "n_layers": 2,
        "context_size": 32,
        "vocabulary_size": 300,
        "min_frequency": 1,
    },
}
KINDS = {
    "words": (RNNGenerator, {"min_frequency": 1}),
    "characters": (RNNGenerator, {"tokenizer": "characters", "cell": "gru"}),
    "byte pairs": (
        RNNGenerator,
        {"tokenizer": "bpe", "vocabulary_size": 300, "cell": "rnn", "n_layers": 2},
    ),
    "GPT-2": (GPT2Generator, {}),
}


def writer(cls, **params):
    return cls(**{**TINY[cls], "max_epochs": 2, "random_state": 0, **params})


@pytest.fixture(scope="module", params=KINDS)
def model(request):
    cls, params = KINDS[request.param]
    return writer(cls, **params).fit(X)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    """A tiny GPT-2 as `transformers` stores it."""
    folder = tmp_path_factory.mktemp("stored") / "gpt2"
    reader = writer(GPT2Generator).fit(X)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(reader.vocabulary_),
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=40,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=0,
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(reader.tokenizer_)
    return folder


def test_probabilities_of_a_stored_gpt2_are_those_of_transformers(gpt2, tmp_path):
    model = GPT2Generator(pretrained=gpt2, context_size=32, max_epochs=1, lr=1e-12)
    model.fit(X).save(tmp_path / "model")
    model = sknets.load(tmp_path / "model")
    theirs = transformers.GPT2LMHeadModel.from_pretrained(gpt2).eval()
    texts = [*X[:5], ""]
    log_p, following = model.score_samples(texts), model.predict_next(texts)
    for i, text in enumerate(texts):
        tokens = [0, *(model.reader_.encode(text) if text else []), 0]
        with torch.inference_mode():
            logits = theirs(torch.tensor([tokens])).logits[0].double().log_softmax(1)
        chosen = logits[torch.arange(len(tokens) - 1), tokens[1:]]
        np.testing.assert_allclose(log_p[i], float(chosen.sum()), rtol=1e-5)
        np.testing.assert_allclose(following[i], logits[-2].exp(), atol=1e-5)


def following(model, tokens):
    """Probabilities of the token after these."""
    x = Ragged(torch.tensor(tokens, dtype=torch.int32)[None, :, None])
    with torch.inference_mode():
        return model.net_.module_(x)[0].double().exp().numpy()


def test_a_text_is_as_probable_as_its_tokens_one_by_one(model):
    for text in X[:3]:
        (tokens,) = model._prompts([text], "test")
        np.testing.assert_allclose(
            model.predict_next([text])[0], following(model, tokens), atol=1e-5
        )
        tokens = [*tokens, model._boundary]
        pairs = [(tokens[:i], tokens[i]) for i in range(1, len(tokens))]
        log_p = sum(np.log(following(model, own)[token]) for own, token in pairs)
        assert abs(model.score_samples([text])[0] - log_p) < 1e-4
    p = model.predict_next(X[:5])
    assert p.shape == (5, len(model.tokens_))
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)


def test_company_and_padding_change_no_probability(model):
    texts = [*X[:20], "", "a film " * 60]
    together = model.score_samples(texts)
    alone = [model.score_samples([text])[0] for text in texts]
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    following = np.vstack([model.predict_next([text]) for text in texts])
    np.testing.assert_allclose(model.predict_next(texts), following, atol=1e-5)
    n = [len(model._prompts([t], "test", quiet=True)[0]) for t in texts[:20]]
    expected = np.exp(-together[:20].sum() / sum(n))
    assert abs(model.perplexity(texts[:20]) - expected) < 1e-3
    assert model.score(texts[:20]) == -model.perplexity(texts[:20])


def test_writing_goes_by_the_probabilities(model):
    """Greedy texts are those that asking anew for each token gives."""
    prompts = ["the film", "a", "the plot was very"]
    found = model.generate(prompts, temperature=0, max_length=6)
    for prompt, text in zip(prompts, found):
        (tokens,) = model._prompts([prompt], "test")
        new: list[int] = []
        while len(new) < 6:
            p = following(model, tokens + new)
            p[model._never] = 0
            if p.argmax() == model._boundary:
                break
            new.append(int(p.argmax()))
        assert text == prompt + model._continued(tokens, new)
    assert model.generate(prompts[0], temperature=0, max_length=6)[0] == found[0]


def test_what_is_drawn_depends_on_the_seed_alone(model):
    drawn = model.generate(n_samples=6, random_state=3, max_length=12)
    assert drawn.shape == (6,) and len(set(drawn)) > 1
    torch.manual_seed(5)
    again = model.generate(n_samples=6, random_state=3, max_length=12)
    assert drawn.tolist() == again.tolist()
    table = model.generate(["a", "the film"], 3, random_state=0, top_k=5, top_p=0.9)
    assert table.shape == (2, 3) and all(t.startswith("the film") for t in table[1])


def test_beams_find_more_probable_texts_than_greedy_search(model):
    greedy = model.generate("the", temperature=0, max_length=8)
    best = model.generate("the", 2, n_beams=6, max_length=8)
    assert best.shape == (2,)
    ends = [t for t in (greedy[0], best[0]) if len(t.split()) < 8]
    if len(ends) == 2:
        scores = model.score_samples(ends)
        assert scores[1] >= scores[0] - 1e-4


def test_the_chain_that_wrote_the_texts_is_learned():
    """No model does better than the chain's own entropy."""
    random = np.random.default_rng(0)
    names = np.array(["red", "green", "blue", "grey"])
    chain = random.dirichlet([0.3] * 4, size=4)

    def write(n):
        text = [0]
        for _ in range(n - 1):
            text.append(random.choice(4, p=chain[text[-1]]))
        return " ".join(names[text])

    texts, others = [write(30) for _ in range(150)], [write(30) for _ in range(50)]
    states = np.linalg.matrix_power(chain, 50)[0]
    entropy = -(states @ (chain * np.log(chain)).sum(1))
    for cls, lr, n in ((RNNGenerator, 2e-2, 25), (GPT2Generator, 1e-2, 12)):
        model = writer(cls, max_epochs=n, lr=lr, dropout=0.0).fit(texts)
        tokens = np.mean([len(t) for t in model._prompts(others, "test")])
        # Of 31 predictions 29 are the chain's own; byte pairs may join words.
        most = np.exp((29 * entropy + 2 * 0.7) / tokens)
        assert model.perplexity(others) < 1.15 * most
        assert model.perplexity(others) > np.exp(29 * entropy / tokens) * 0.9


def test_long_texts_are_scored_whole():
    """Cells remember; blocks see half a context or more before each token."""
    long = " ".join(X)
    rnn = writer(RNNGenerator, min_frequency=1).fit(X)
    module, tokens = rnn.net_.module_, rnn._prompts([long], "test")[0] + [1]
    with torch.inference_mode():
        states, _ = module.states(torch.tensor([tokens[:-1]]))
        logits = module.logits(states)[0].double().log_softmax(1)
    expected = float(logits[torch.arange(len(tokens) - 1), tokens[1:]].sum())
    assert len(tokens) > 400 and abs(rnn.score_samples([long])[0] - expected) < 1e-2
    gpt = writer(GPT2Generator, context_size=8).fit(X)
    text = " ".join(X[:2])
    tokens = [0, *gpt.reader_.encode(text), 0]
    log_p, done = 0.0, 0
    module = gpt.net_.module_
    while done < len(tokens) - 1:
        begin = max(0, done - 4)
        with torch.inference_mode():
            states, _ = module.states(torch.tensor([tokens[begin : begin + 8]]))
            logits = module.logits(states)[0].double().log_softmax(1)
        for i in range(done, min(begin + 8, len(tokens) - 1)):
            log_p += float(logits[i - begin, tokens[i + 1]])
        done = min(begin + 8, len(tokens) - 1)
    assert abs(gpt.score_samples([text])[0] - log_p) < 1e-3


def test_words_are_completed():
    texts = ["she sings songs", "she sings songs", "she hums"] * 12
    model = writer(RNNGenerator, max_epochs=20, lr=2e-2, dropout=0.0).fit(texts)
    assert model.complete("she ", 1) == ["sings songs"]
    assert model.complete("she s", 1) == ["ings songs"]
    assert model.complete("she h", 1) == ["ums"]
    assert len(model.complete("she", 3)) == 3
    gpt = writer(GPT2Generator, max_epochs=20, lr=1e-2).fit(texts)
    assert gpt.complete("she", 1) == [" sings songs"]


def test_pieces_of_texts_predict_each_token_once():
    texts = Ragged(
        torch.tensor([[1], [5], [6], [7], [8], [9], [10]]), torch.tensor([1, 4, 2])
    )
    whole = with_ends(texts, 1)
    assert whole.counts.tolist() == [2, 6, 4]
    cut = pieces(whole, 3)
    own = [p[:, 0].tolist() for p in cut.join().split(cut.counts.tolist())]
    assert own == [[1, 1], [1, 5, 6, 7], [7, 8, 1], [1, 9, 10, 1]]


def test_a_search_goes_by_the_perplexity():
    search = GridSearchCV(
        writer(RNNGenerator), {"max_epochs": [1, 12]}, cv=2, error_score="raise"
    ).fit(X)
    assert search.best_score_ < -1 and search.best_params_ == {"max_epochs": 12}


# -- wrong input -----------------------------------------------------------------------


def refused(match, call, *args, kind=ValueError):
    with pytest.raises(kind, match=match) as caught:
        call(*args)
    assert str(caught.value).startswith(("BERT", "RNNGenerator", "GPT2Generator"))
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


def test_prompts_that_cannot_be_gone_on_with():
    gpt = writer(GPT2Generator).fit(X)
    long = " ".join(X)
    refused(
        r"prompt 1 has \d+ tokens, and the context of 32", gpt.generate, ["a", long]
    )
    refused(r"generate\(n_samples=0\): must be at least 1", gpt.generate, "a", 0)
    refused("there are 0 prompts", gpt.generate, [])
    refused(r"X\[1\] must be a text", gpt.generate, ["a", None])
    refused("n_heads must divide", writer(GPT2Generator, n_heads=3).fit, X)
    refused("has no token, all its texts", writer(GPT2Generator).fit, [""])
    rnn = writer(RNNGenerator, min_frequency=99)
    refused("no token that occurs 99 times", rnn.fit, X[:5])
    rnn = writer(RNNGenerator).fit(X)
    with pytest.warns(UserWarning, match="prompt 0 has words that fit has not seen"):
        assert rnn.generate("the xylophone", random_state=0)[0].startswith("the xyl")
    with pytest.raises(ValueError, match="n_best must be at most n_beams=2"):
        rnn.generate("the", 3, n_beams=2)


def test_stored_models_of_another_kind(folder, gpt2):
    model = GPT2Generator(pretrained=folder)
    refused("it is a 'bert' model, and GPT2Generator takes 'gpt2'", model.fit, X)
    model = GPT2Generator(pretrained=gpt2)
    refused(r"\(context_size=128\): the pretrained model knows 40", model.fit, X)
