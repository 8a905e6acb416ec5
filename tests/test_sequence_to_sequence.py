"""Texts that are read and written: attention, cells, convolutions, beams, scores."""

import calendar
from functools import partial

import numpy as np
import pandas as pd
import pytest
import sacrebleu
import torch
import torch.nn.functional as F
from sklearn.base import clone

from sknets import AttentionDisplay, ImageCaptioner, Seq2SeqTranslator, compare
from sknets._attention import attend
from sknets._comparison.sentences import NearestSentence, WordByWord
from sknets._engine.data import Batches
from sknets._engine.optim import Budget
from sknets._inputs.text import EMPTY
from sknets._losses import smoothed_cross_entropy
from sknets.datasets import make_captioned_scenes, make_dates

ARCHITECTURES = ["transformer", "lstm", "gru", "convolutional"]
WORDS = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier", "five": "fünf"}
WORDS |= {"six": "sechs"}
PAIRS = [(f"{a} and {b}", f"{WORDS[b]} und {WORDS[a]}") for a in WORDS for b in WORDS]
KEPT = [pair for i, pair in enumerate(PAIRS) if i % 7]
NEW = [pair for i, pair in enumerate(PAIRS) if not i % 7]


def small(**params):
    given = {"width": 32, "n_layers": 1, "tokenizer": "words", "dropout": 0.0}
    given |= {"max_epochs": 60, "batch_size": 8, "lr": 5e-3, "ema_decay": None}
    return Seq2SeqTranslator(**{**given, "random_state": 0, **params})


@pytest.fixture(scope="module", params=ARCHITECTURES)
def net(request):
    return small(architecture=request.param).fit(*zip(*KEPT))


@pytest.fixture(scope="module")
def transformer():
    return small().fit(*zip(*KEPT))


# -- the networks ----------------------------------------------------------------------


def test_new_combinations_are_translated(net):
    X, y = zip(*NEW)
    assert net.evaluate(X, y)["exact"] == 1
    assert net.score(X, y) == pytest.approx(100)


def test_a_step_with_a_cache_says_what_all_steps_together_say(net):
    module = net.net_.module_.eval()
    x = net.reader_.read([pair[0] for pair in KEPT[:6]]).batch(slice(None))
    tokens = torch.randint(2, net._n_target_tokens, (6, 9))
    tokens[:, 0] = EMPTY
    with torch.inference_mode():
        memory = module(x)
        states = module.decoder(module.tokens(tokens), memory)
        whole = F.linear(states, module.tokens.weight, module.bias)
        cache, _ = module.begin(memory)
        for place in range(9):
            logits, cache = module.step(tokens[:, place], cache)
            torch.testing.assert_close(logits, whole[:, place], rtol=1e-4, atol=1e-4)


def test_padding_is_never_read(net):
    module = net.net_.module_.eval()
    texts = ["two and one and two and three", "five", "four and one"]
    batch = net.reader_.read(texts).batch(slice(None))
    assert batch.mask is not None
    with torch.inference_mode():
        together = module(batch)
        for i, text in enumerate(texts):
            alone = module(net.reader_.read([text]).batch(slice(None)))
            n = alone.states.shape[1]
            assert n == len(text.split()) + 1  # and the end
            torch.testing.assert_close(together.states[i, :n], alone.states[0])
    many, one = net.predict(texts), [net.predict([text])[0] for text in texts]
    assert many.tolist() == one


def test_beams_never_find_less_than_the_greedy_path(transformer):
    net = clone(transformer).set_params(max_epochs=12).fit(*zip(*KEPT))
    X = [pair[0] for pair in PAIRS]
    greedy = net.set_params(n_beams=1, length_penalty=0.0).predict_with_scores(X)[1]
    texts, scores = net.set_params(n_beams=4).predict_with_scores(X)
    assert (scores >= greedy - 1e-4).all()
    assert (scores > greedy + 1e-3).any()
    # What it says of a text is what the network's loss says of it.
    plain = net.set_params(label_smoothing=0.0)._build()
    plain.load_state_dict(net.net_.module_.state_dict())
    unit = net.target_length_
    for one, text, score in list(zip(X, texts, scores))[:5]:
        written = net.target_reader_.read([text]).batch(slice(None))
        read = net.reader_.read([one]).batch(slice(None))
        with torch.inference_mode():
            assert float(plain.eval().loss(read, written)) * unit == pytest.approx(
                -score, rel=1e-3
            )


def test_beams_end_when_as_many_texts_have(monkeypatch):
    net = small(max_epochs=12, max_output_length=100).fit(*zip(*KEPT))
    module, rows = net.net_.module_, []
    step = module.step
    monkeypatch.setattr(
        module, "step", lambda *given: rows.append(0) or step(*given), raising=False
    )
    net.predict([pair[0] for pair in PAIRS])
    assert len(rows) <= 10  # three words and the end; 21 until nothing better can come


def test_rows_of_attention_sum_to_one(net):
    X = ["one and two", "five"]
    maps = net.attention_maps(X, ["zwei und eins", "fünf"])
    assert [each.shape for each in maps] == [(4, 4), (2, 2)]
    for each in maps:
        np.testing.assert_allclose(each.sum(1), 1, rtol=1e-5)


def test_attention_is_drawn(transformer):
    plt = pytest.importorskip("matplotlib.pyplot")
    display = AttentionDisplay.from_estimator(transformer, "one and two")
    assert display.names == ["one", "and", "two", "[END]"]
    assert display.written == ["zwei", "und", "eins", "[END]"]
    # What is written by looking at it is there.
    looked = display.weights.argmax(1)
    assert looked[0] in (2, 3) or looked[2] in (0, 3)
    plt.close("all")


def test_smoothed_cross_entropy_is_torchs():
    generator = torch.Generator().manual_seed(0)
    options = {"generator": generator, "dtype": torch.float64}
    states, weight = torch.randn(300, 6, **options), torch.randn(11, 6, **options)
    bias, scale = torch.randn(11, **options), torch.rand(300, **options)
    target = torch.randint(11, (300,), generator=generator)
    for smoothing in (0.0, 0.1):
        given = [each.clone().requires_grad_() for each in (states, weight, bias)]
        ours = smoothed_cross_entropy(*given, target, smoothing)
        theirs = F.cross_entropy(
            F.linear(*given), target, reduction="none", label_smoothing=smoothing
        )
        torch.testing.assert_close(ours, theirs)
        gradients = [
            torch.autograd.grad((loss * scale).sum(), given) for loss in (ours, theirs)
        ]
        for one, other in zip(*gradients):
            torch.testing.assert_close(one, other)


def test_products_of_sixteen_bits_are_near():
    generator = torch.Generator().manual_seed(0)
    states, weight = (torch.randn(n, 64, generator=generator) for n in (300, 50))
    bias, target = torch.randn(50, generator=generator), torch.arange(300) % 50
    heads = torch.randn(3, 2, 4, 7, 16, generator=generator)
    mask = (torch.arange(7) < torch.tensor([[7], [3]]))[:, None, None]
    mixed = torch.randn(2, 4, 7, 16, generator=generator)

    def gradients(run, given, kind):
        given = [each.to(kind).requires_grad_() for each in given]
        out = run(*given)
        loss = (out.float() * (mixed if out.ndim == 4 else 1)).sum()
        return [out, *torch.autograd.grad(loss, given)]

    for options in ({"mask": mask}, {"causal": True}, {}):
        both = [
            gradients(partial(attend, **options), heads, kind)
            for kind in (torch.float32, torch.bfloat16)
        ]
        for one, other in zip(*both):
            assert other.dtype == torch.bfloat16
            torch.testing.assert_close(other.float(), one, rtol=0.1, atol=0.05)

    def loss(states, weight, bias):
        return smoothed_cross_entropy(states, weight, bias, target, 0.1)

    exact = gradients(loss, (states, weight, bias), torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        rough = gradients(loss, (states, weight, bias), torch.float32)
    for one, other in zip(exact, rough):
        assert other.dtype == torch.float32
        assert not torch.equal(one, other)
        assert (one - other).norm() < 0.02 * one.norm()


def test_wide_transformers_train_in_sixteen_bits_where_it_is_faster(monkeypatch):
    X, y = zip(*KEPT[:8])
    module = "sknets.sequence_to_sequence._translator"
    for fast in (True, False):
        monkeypatch.setattr(f"{module}.multiplies_bfloat16", lambda fast=fast: fast)
        nets = [
            small(max_epochs=1, **params).fit(X, y)
            for params in (
                {"width": 256},
                {"width": 256, "precision": "bfloat16"},
                {"width": 256, "precision": "float32"},
                {"width": 256, "architecture": "gru"},
                {},
            )
        ]
        when = [net.net_._recipe.bfloat16 for net in nets]
        auto = "training" if fast else "never"
        assert when == [auto, "always", "never", "never", "never"]
        # Predictions are of 32 bits: they do not depend on how large a batch is.
        states = nets[0].net_.batches(nets[0].reader_.read(X))
        assert next(states)[1].states.dtype == torch.float32


def test_short_texts_are_learned_by_as_many_tokens_as_sentences(monkeypatch):
    monkeypatch.setattr("sknets.sequence_to_sequence._translator._MANY", 30)
    few = small(max_epochs=1).fit(*zip(*KEPT[:29]))
    assert few._budget == Budget(epochs=10, steps=2000)
    many = small(max_epochs=1).fit(*zip(*KEPT[:30]))
    assert many.target_length_ == 4  # three words and the end
    for length, steps in ((4.0, 3000), (7.5, 3000), (10.0, 2250), (25.0, 1500)):
        many.target_length_ = length
        assert many._budget == Budget(epochs=6, steps=steps)


def test_batches_are_of_like_lengths_on_both_sides():
    X, y = ["a"] * 64 + ["a b c d"] * 64, (["b", "b a b a b a b"] * 64)
    samples = small(max_epochs=1).fit(X, y)._read(X, y, None, reset=False)
    batches = Batches(samples, 32, torch.Generator().manual_seed(0))
    padded = sum(batch.y.padded()[..., 0].numel() for batch in batches)
    assert padded == samples.y.counts.sum()


# -- what users do ---------------------------------------------------------------------


def test_lists_of_tokens_become_lists_of_tokens():
    X, y = ([text.split() for text in side] for side in zip(*KEPT))
    net = small().fit(X, y)
    assert net.predict([["three", "and", "one"]])[0] == ["eins", "und", "drei"]
    assert net.score(X, y) == pytest.approx(100)
    assert net.evaluate(X, y)["exact"] == 1


def test_byte_pairs_are_shared_by_both_sides_and_spell_any_text():
    X, y = zip(*KEPT)
    net = small(tokenizer="bpe", vocabulary_size=300, max_epochs=2).fit(X, y)
    assert net.vocabulary_ == net.target_vocabulary_
    module = net.net_.module_
    assert module.read.tokens is module.tokens
    assert isinstance(net.predict(["Ŵ 日本"])[0], str)
    apart = small(tokenizer="bpe", vocabulary_size=300, shared_vocabulary=False)
    apart.set_params(max_epochs=1).fit(X, y)
    assert apart.vocabulary_ != apart.target_vocabulary_


def test_words_of_absent_pairs_are_not_learned():
    X, y = [*zip(*KEPT)]
    weight = np.ones(len(X))
    weight[[i for i, text in enumerate(X) if "five" in text]] = 0
    for tokenizer in ("words", "bpe"):
        net = small(tokenizer=tokenizer, max_epochs=1, vocabulary_size=400)
        net.fit(X, y, weight)
        rows = weight > 0
        kept = [[text for text, row in zip(side, rows) if row] for side in (X, y)]
        twin = clone(net).fit(*kept)
        assert net.target_vocabulary_ == twin.target_vocabulary_
        assert net.vocabulary_ == twin.vocabulary_
        if tokenizer == "words":  # in batches of the same lengths
            assert net.loss_curve_ == pytest.approx(twin.loss_curve_, rel=1e-5)


def test_scores_are_sacrebleus(transformer):
    X = [pair[0] for pair in PAIRS]
    other = ["eins und eins"] * len(X)
    found = transformer.predict(X).tolist()
    figures = transformer.evaluate(X, other)
    # Of texts without four words in a row, by shorter rows alone.
    bleu = sacrebleu.BLEU(effective_order=True).corpus_score(found, [other])
    assert figures["bleu"] == pytest.approx(bleu.score)
    assert figures["bleu"] > 0
    assert figures["chrf"] == pytest.approx(sacrebleu.corpus_chrf(found, [other]).score)
    assert figures["exact"] == np.mean([a == b for a, b in zip(found, other)])
    for name, score in figures.items():
        assert clone(transformer).set_params(metric=name).metric == name
        transformer.set_params(metric=name)
        assert transformer.score(X, other) == score
    transformer.set_params(metric="bleu")


def test_validation_scores_are_those_of_texts():
    X, y = zip(*KEPT)
    net = small(early_stopping=True, metric="exact", max_epochs=30)
    net.fit(X, y, X_val=[pair[0] for pair in NEW], y_val=[pair[1] for pair in NEW])
    assert max(net.validation_scores_) == 1 and net.validation_scores_[0] < 0.5


def test_columns_of_a_frame_are_sides():
    frame = pd.DataFrame(KEPT, columns=["en", "de"]).iloc[::-1]
    net = small(max_epochs=2).fit(frame["en"], frame["de"])
    assert net.predict(frame["en"]).shape == (len(frame),)


def test_output_may_be_short(transformer):
    transformer.set_params(max_output_length=2)
    assert len(transformer.predict(["one and two"])[0].split()) <= 2
    transformer.set_params(max_output_length="auto")


@pytest.mark.parametrize(
    ("X", "y", "sentence"),
    [
        (["a", "b"], ["c"], "X has 2, y has 1"),
        (["a", " "], ["b", "c"], r"X\[1\] is an empty text, ' ': leave the pair out"),
        (["a", "b"], ["", "c"], r"y\[0\] is an empty text, ''"),
        (["a", "b"], ["c", None], r"y\[1\] must be a text or a list of tokens, got No"),
        (["a", np.nan], ["c", "d"], r"X\[1\] must be a text or a list of tokens, got"),
        (["a", "b"], None, "requires y to be passed"),
        (
            ["a", "b"],
            "cd",
            "y must be a list of texts, or a column of a table, got one",
        ),
        ("ab", ["c", "d"], "X must be a list of texts, .*, got one string, 'ab'"),
        ([[1.0, 2.0]], ["c"], "takes text, not a table"),
    ],
)
def test_what_is_no_pair_of_texts_is_said_in_a_sentence(X, y, sentence):
    net = small(max_epochs=1)
    with pytest.raises(ValueError, match=rf"^Seq2SeqTranslator.*{sentence}"):
        net.fit(X, y)
    assert not hasattr(net, "net_")


def test_what_is_no_text_is_named_after_fit_too(transformer):
    with pytest.raises(ValueError, match=r"X\[0\] must be a text .*, got None; leave"):
        transformer.predict([None])


def test_widths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="multiple of n_heads=4"):
        small(width=30).fit(*zip(*KEPT))
    with pytest.raises(ValueError, match="must be even"):
        small(width=31, architecture="lstm").fit(*zip(*KEPT))


def test_an_empty_text_is_translated_to_something(transformer):
    assert isinstance(transformer.predict([""])[0], str)


# -- compare ---------------------------------------------------------------------------


def test_compare_ranks_what_writes_texts():
    X, y = make_dates(40, random_state=0)
    net = Seq2SeqTranslator(max_epochs=1, width=8, n_layers=1)
    models = {"net": net, "words": WordByWord(), "nearest": NearestSentence()}
    result = compare(X, y, models=models, cv=2, random_state=0)
    assert {"bleu", "chrf", "exact"} <= {*result.table.columns}
    assert "translation, a text for each" in str(result)
    with pytest.raises(ValueError, match="X must be texts and y a text for each"):
        compare(X, np.arange(40.0), task="translation")
    # Few names again and again are classes, unless it is said what they are.
    classes = compare(X, ["a", "b"] * 20, models=["DummyClassifier"], cv=2)
    assert "accuracy" in classes.table.columns


def test_compare_ranks_what_describes_images(captioner):
    _, images, texts = captioner
    net = ImageCaptioner(max_epochs=1, width=4, hidden_size=8)
    X, y = [*images, *images[::-1]], [f"{text} {i}" for i, text in enumerate(texts * 2)]
    result = compare(X, y, models=[net, "NearestImage"], cv=2, random_state=0)
    assert "captioning, a text for each" in str(result)
    assert {"ImageCaptioner", "NearestImage"} == {*result.table.index}


def test_words_become_what_they_are_seen_with():
    model = WordByWord().fit(*zip(*KEPT))
    assert model.becomes_ == {**WORDS, "and": "und"}
    assert model.predict(["one and seven"]).tolist() == ["eins und seven"]
    listed = WordByWord().fit(*([text.split() for text in side] for side in zip(*KEPT)))
    assert listed.predict([["two"]])[0] == ["zwei"]
    nearest = NearestSentence().fit(["a red cat", "a dog"], ["eine Katze", "ein Hund"])
    assert nearest.predict(["the cat"]).tolist() == ["eine Katze"]


# -- images ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def captioner():
    random = np.random.default_rng(0)
    images = random.integers(0, 40, (60, 24, 24), dtype=np.uint8)
    texts = []
    for i, image in enumerate(images):
        right, bright = i % 2, i // 2 % 2
        row, column = random.integers(2, 14), random.integers(2, 5) + 10 * right
        image[row : row + 7, column : column + 7] = 230 if bright else 110
        light, side = ("dim", "bright")[bright], ("left", "right")[right]
        texts.append(f"{light} square to the {side}")
    params = {"width": 8, "hidden_size": 24, "max_epochs": 40, "batch_size": 16}
    net = ImageCaptioner(**params, lr=5e-3, dropout=0.0, ema_decay=None, random_state=0)
    return net.fit(images[:48], texts[:48]), images[48:], texts[48:]


def test_images_are_described(captioner):
    net, images, texts = captioner
    assert net.evaluate(images, texts)["exact"] >= 0.9
    greedy = net.set_params(n_beams=1).predict(images)
    assert np.mean(greedy == np.array(texts, object)) >= 0.9


def test_several_texts_of_an_image_are_no_tokens():
    images, texts = make_captioned_scenes(4, size=32, random_state=0)
    with pytest.raises(ValueError, match=r"y\[0\] has 2 texts, .* np.repeat"):
        ImageCaptioner().fit(images, [[text, text] for text in texts])


def test_words_are_seen_where_they_are(captioner):
    net, images, texts = captioner
    maps = net.attention_maps(images[:6], texts[:6])
    assert all(each.shape == (6, 3, 3) for each in maps)  # five words and the end
    for each in maps:
        np.testing.assert_allclose(each.sum((1, 2)), 1, rtol=1e-5)
    with pytest.raises(ValueError, match=r"ImageCaptioner.* takes images, not text"):
        ImageCaptioner().fit(["a"], ["b"])
    with pytest.raises(ValueError, match="ImageCaptioner requires y to be passed"):
        ImageCaptioner().fit(np.zeros((2, 9, 9)), None)
    with pytest.raises(ValueError, match=r"y\[1\] is an empty text"):
        ImageCaptioner().fit(images[:2], ["a", ""])


def test_scenes_and_their_captions_are_those_of_the_seed():
    images, captions = make_captioned_scenes(20, size=48, random_state=3)
    again = make_captioned_scenes(20, size=48, random_state=3)
    assert np.array_equal(images, again[0]) and captions == again[1]
    assert images.shape == (20, 48, 48, 3) and images.dtype == np.uint8
    for image, text in zip(images.astype(int), captions):
        if "red" in text.split():
            red, green, blue = np.moveaxis(image, 2, 0)
            assert ((red > 140) & (green < 90) & (blue < 90)).any()
    with pytest.raises(ValueError, match="size must be at least 32"):
        make_captioned_scenes(1, size=20)
    written, iso = make_dates(50, random_state=0)
    for text, date in zip(written, iso):
        year, month, day = map(int, date.split("-"))
        assert str(year) in text and str(day) in text
        assert calendar.month_name[month][:3] in text or f"{month}" in text
