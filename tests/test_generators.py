"""GPT-2 and cells: against `transformers`, chains and their own steps."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import GridSearchCV

import sknets
from sknets import GPT2Generator, RNNGenerator
from sknets._engine.containers import Ragged
from sknets.language_models._generator_nets import pieces, with_ends

transformers = pytest.importorskip("transformers")
torch.set_num_threads(1)

WORDS = ["the", "a", "film", "plot", "actor", "was", "is", "felt", "rather", "very"]
random = np.random.default_rng(0)
X = [" ".join(random.choice(WORDS, random.integers(1, 12))) for _ in range(96)]

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


def test_prompts_are_gone_on_with_as_they_are_written():
    texts = ["She sings, he hums.", "He sings: she hums!"] * 20
    for cls, params in KINDS.values():
        params = {**params, "lowercase": False, "dropout": 0.0, "lr": 1e-2}
        model = writer(cls, **params, max_epochs=3).fit(texts)
        (tokens,) = model._prompts(texts[:1], "test")
        rest = model._continued(tokens[:3], tokens[3:])
        whole = model.reader_.write(tokens[1:])
        assert model.reader_.write(tokens[1:3]) + rest == whole
        assert whole.replace(" ", "") == texts[0].replace(" ", "")


def test_what_is_drawn_depends_on_the_seed_alone(model):
    drawn = model.generate(n_samples=6, random_state=3, max_length=12)
    assert drawn.shape == (6,) and len(set(drawn)) > 1
    torch.manual_seed(5)
    again = model.generate(n_samples=6, random_state=3, max_length=12)
    assert drawn.tolist() == again.tolist()
    table = model.generate(["a", "the film"], 3, random_state=0, top_k=5, top_p=0.9)
    assert table.shape == (2, 3) and all(t.startswith("the film") for t in table[1])


def test_enough_beams_find_the_most_probable_text():
    """Of all texts of up to two tokens."""
    model = writer(RNNGenerator, min_frequency=1, max_epochs=6, lr=2e-2).fit(X)
    (prompt,), end = model._prompts(["the"], "test"), model._boundary
    first = np.log(following(model, prompt))
    first[model._never] = -np.inf
    ways = {(): first[end]}
    for one in set(range(len(first))) - {end, *model._never}:
        second = np.log(following(model, [*prompt, one]))
        second[model._never] = -np.inf
        for two, gain in enumerate(second):
            ways[(one,) if two == end else (one, two)] = first[one] + gain
    best = sorted(ways, key=ways.get)[::-1][:3]
    expected = ["the" + model._continued(prompt, list(way)) for way in best]
    found = model.generate("the", 3, n_beams=40, max_length=2)
    assert found.tolist() == expected


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


def refused(match, call, *args):
    with pytest.raises(ValueError, match=match) as caught:
        call(*args)
    assert str(caught.value).startswith(("RNNGenerator", "GPT2Generator"))
    assert "\n" not in str(caught.value)


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
    with pytest.raises(ValueError, match=r"\(n_samples=3\): must be at most n_beams=2"):
        rnn.generate("the", 3, n_beams=2)
    refused("prompts must be a text or a list of texts, got 5", gpt.generate, 5)
    refused(r"X\[0\] must be a text .* got None; make it ''", gpt.generate, [None])
    refused("prefix must be a text, got None", gpt.complete, None)
    refused(r"n_completions=0\): must be at least 1", rnn.complete, "the", 0)


def test_prompts_may_be_a_column_of_unknown_words(model):
    frame = pd.DataFrame({"prompt": ["zzz", "the zzz"]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        texts = model.generate(frame, max_length=3, random_state=0)
        listed = model.generate(["zzz", "the zzz"], max_length=3, random_state=0)
    assert texts.tolist() == listed.tolist()
    if getattr(model, "tokenizer", "") == "words":
        assert texts[0].startswith("zzz ") and texts[1].startswith("the zzz ")


def test_a_long_prompt_is_read_at_once(model, monkeypatch):
    """Not token by token, as those of unequal lengths are."""
    if not isinstance(model, RNNGenerator):
        return
    module, calls = model.net_.module_, []
    states = type(module).states
    monkeypatch.setattr(
        type(module), "states", lambda *given: calls.append(1) or states(*given)
    )
    alone = model.predict_next([" ".join(X)])
    assert len(calls) == 2
    np.testing.assert_allclose(
        model.predict_next([" ".join(X), X[0]])[0], alone[0], atol=1e-6
    )
    assert len(calls) > 20


def test_stored_models_of_another_kind(gpt2, tmp_path):
    for file in gpt2.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    model = GPT2Generator(pretrained=tmp_path)
    refused("it is a 'bert' model, and GPT2Generator takes 'gpt2'", model.fit, X)
    model = GPT2Generator(pretrained=gpt2)
    refused(r"\(context_size=128\): the pretrained model knows 40", model.fit, X)
