"""What is true of transformers alone."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from torch import nn

import sknets
from sknets import TransformerClassifier, TransformerRegressor
from sknets._attention import EncoderBlock, sinusoids
from sknets.transformer._nets import PatchTokens

torch.set_num_threads(1)


def ragged(n, seed=0, channels=2, longest=20):
    """Sequences of 1 to ``longest`` steps, and whether the first number is positive."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, longest + 1, n)
    X = [random.normal(size=(length, channels)) for length in lengths]
    return X, np.array(["below", "above"])[[int(x[0, 0] > 0) for x in X]]


X, y = ragged(90)
digits = load_digits()


def quick(**params):
    defaults = {"max_epochs": 2, "embedding_size": 8, "n_heads": 2}
    return TransformerClassifier(
        **{**defaults, "feedforward_size": 16, "random_state": 0, **params}
    )


# -- the blocks ----------------------------------------------------------------------


def torchs_layer(block, width, n_heads, hidden):
    layer = nn.TransformerEncoderLayer(
        width, n_heads, hidden, 0.0, "gelu", batch_first=True, norm_first=True
    )
    renamed = {
        "attention.projections.weight": "self_attn.in_proj_weight",
        "attention.projections.bias": "self_attn.in_proj_bias",
        "attention.out": "self_attn.out_proj",
        "feedforward.0": "linear1",
        "feedforward.3": "linear2",
    }
    weights = {}
    for name, value in block.state_dict().items():
        for ours, theirs in renamed.items():
            name = name.replace(ours, theirs)
        weights[name] = value
    layer.load_state_dict(weights, strict=True)
    return layer


@pytest.mark.parametrize("masked", [False, True])
def test_equal_weights_give_torchs_layer(masked):
    torch.manual_seed(0)
    block = EncoderBlock(24, 3, 40, 0.0)
    layer = torchs_layer(block, 24, 3, 40)
    x = torch.randn(5, 7, 24)
    mask = torch.arange(7) < torch.tensor([7, 1, 3, 5, 7])[:, None] if masked else None
    found = block(x, mask)
    expected = layer(x, src_key_padding_mask=None if mask is None else ~mask)
    real = slice(None) if mask is None else mask
    torch.testing.assert_close(found[real], expected[real], rtol=0, atol=1e-6)
    first = block(x, mask, first_only=True)
    torch.testing.assert_close(first, expected[:, :1], rtol=0, atol=1e-6)
    (gradient,) = torch.autograd.grad(found[real].square().sum(), block.norm1.weight)
    (known,) = torch.autograd.grad(expected[real].square().sum(), layer.norm1.weight)
    torch.testing.assert_close(gradient, known, rtol=1e-4, atol=1e-4)


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def normalised(x, norm):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * norm.weight.detach().numpy() + norm.bias.detach().numpy()


def test_attention_maps_are_those_of_the_paper():
    net = quick(precision="float64").fit(X, y)
    module = net.net_.module_
    maps = net.attention_maps(X[:5])
    project = module.blocks[0].attention.projections
    for x, found in zip(X[:5], maps):
        T = len(x) + 1
        assert found.shape == (2, 2, T, T)
        np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-12)
        step = module.tokens[1]
        x = (x - net.x_mean_) / net.x_scale_
        x = x @ step.weight.detach().numpy().T + step.bias.detach().numpy()
        tokens = np.vstack([module.cls.detach().numpy(), x + waves(len(x), 8)])
        tokens = normalised(tokens, module.blocks[0].norm1)
        qkv = tokens @ project.weight.detach().numpy().T + project.bias.detach().numpy()
        query, key, _ = np.split(qkv, 3, 1)
        for head in range(2):
            part = slice(4 * head, 4 * head + 4)
            expected = softmax(query[:, part] @ key[:, part].T / np.sqrt(4))
            np.testing.assert_allclose(found[0, head], expected, rtol=1e-9)


def waves(length, width):
    """PE(t, 2i) = sin(t / 10000^(2i/d)), PE(t, 2i + 1) = cos of the same."""
    table = np.empty((length, width))
    for t in range(length):
        for i in range(width):
            angle = t / 10000 ** (2 * (i // 2) / width)
            table[t, i] = np.cos(angle) if i % 2 else np.sin(angle)
    return table


def test_positions_are_the_papers_waves():
    for width in (1, 7, 8):
        np.testing.assert_allclose(sinusoids(30, width), waves(30, width), atol=1e-12)


def test_patches_are_cut_row_by_row_and_padded():
    image = torch.arange(2 * 3 * 5 * 7).view(2, 3, 5, 7).double()
    cut = PatchTokens(3, (2, 4), 24, nn.Identity()).double()
    with torch.no_grad():
        cut.project.weight.copy_(torch.eye(24))
        cut.project.bias.zero_()
        found = cut(image)
    padded = nn.functional.pad(image, (0, 1, 0, 1))
    patches = [
        padded[:, :, i : i + 2, j : j + 4].flatten(1)
        for i in range(0, 6, 2)
        for j in range(0, 8, 4)
    ]
    torch.testing.assert_close(found, torch.stack(patches, 1))


def test_a_column_is_its_vector_times_its_value_plus_its_bias():
    rows = np.random.default_rng(0).normal(size=(40, 3))
    frame = pd.DataFrame(rows, columns=list("abc"))
    frame["b"] = pd.Categorical(np.where(rows[:, 1] > 0, "up", "down"))
    net = quick(precision="float64").fit(frame, np.arange(40) % 2)
    tokens = net.net_.module_.tokens
    x = net._check_input(frame, reset=False).batch(slice(0, 9)).double()
    with torch.inference_mode():
        found = tokens(x).numpy()
        weight, bias = tokens.weight.numpy(), tokens.bias.numpy()
        vectors = tokens.categories[0].weight.numpy()
    z = (rows[:9] - rows.mean(0)) / rows.std(0)
    np.testing.assert_allclose(found[:, 0], z[:, :1] * weight[0] + bias[0], rtol=1e-9)
    np.testing.assert_allclose(found[:, 2], z[:, 2:] * weight[1] + bias[2], rtol=1e-9)
    codes = np.where(rows[:9, 1] > 0, 2, 1)  # 0 is unknown
    np.testing.assert_allclose(found[:, 1], vectors[codes] + bias[1], rtol=1e-12)
    frame["b"] = pd.Categorical(["sideways"] * 40)
    unknown = net.decision_function(frame[:1])
    assert np.isfinite(unknown).all() and (vectors[0] == 0).all()


# -- padding and batches -------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("positional_encoding", ["sinusoidal", "learned", None])
def test_padding_and_company_change_no_prediction(
    positional_encoding, pooling, precision
):
    far = 1e3 * np.ones((30, 2))  # company that is longer, and of other numbers
    net = quick(
        positional_encoding=positional_encoding, pooling=pooling, precision=precision
    ).fit([*X, far], [*y, "above"])
    expected = np.ravel([net.decision_function([x]) for x in X])
    tolerance = 1e-10 if precision == "float64" else 1e-5
    for batch_size in (1, 7, 128):
        recipe = replace(net.net_._recipe, predict_batch_size=batch_size)
        net.net_._recipe = recipe
        found = net.decision_function([far, *X])[1:]
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
        order = np.random.default_rng(0).permutation(90)
        found = net.decision_function([X[i] for i in order])
        np.testing.assert_allclose(found, expected[order], rtol=0, atol=tolerance)


def test_the_gradient_of_a_padded_batch_is_that_of_its_sequences():
    net = quick(precision="float64").fit(X, y)
    module = net.net_.module_
    samples = net._read(X[:12], y[:12], None, reset=False)

    def gradient(index):
        x, target = samples[index]
        module.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(
            module(x), target, reduction="sum"
        ).backward()
        return [p.grad.clone() for p in module.parameters()]

    assert samples[slice(0, 12)].x.lengths is not None
    whole = gradient(slice(0, 12))
    one_by_one = [gradient(slice(i, i + 1)) for i in range(12)]
    for found, parts in zip(whole, zip(*one_by_one)):
        torch.testing.assert_close(found, sum(parts), rtol=1e-9, atol=1e-12)


def test_without_positions_order_does_not_matter():
    net = quick(positional_encoding=None, precision="float64").fit(X, y)
    turned = [x[::-1].copy() for x in X]
    found, expected = net.decision_function(turned), net.decision_function(X)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    net = quick(precision="float64").fit(X, y)
    assert abs(net.decision_function(turned) - net.decision_function(X)).max() > 1e-3


def largest_tensor(call):
    """Numbers in the largest tensor that a call makes."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watch(TorchDispatchMode):
        largest = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            for each in out if isinstance(out, tuple | list) else (out,):
                if isinstance(each, torch.Tensor):
                    self.largest = max(self.largest, each.numel())
            return out

    with Watch() as watch:
        call()
    return watch.largest


def test_prediction_never_holds_the_attention_of_all_to_all():
    module = quick().fit(np.zeros((4, 10, 1)), [0, 1, 0, 1]).net_.module_
    for size in (2, 4):
        x = torch.zeros(size, 600, 1)
        with torch.inference_mode():
            found = largest_tensor(lambda x=x: module(x))
        assert found <= size * 601 * 3 * 8 < size * 2 * 601 * 601


# -- what X is -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "params", "kind"),
    [
        (digits.data[:60], {}, "table"),
        (digits.data[:60].tolist(), {}, "table"),
        (pd.DataFrame(digits.data[:60]), {}, "table"),
        (digits.images[:60], {}, "sequences"),
        (list(digits.images[:60]), {}, "sequences"),
        (list(digits.data[:60]), {}, "sequences"),
        (digits.data[:60, :, None], {}, "sequences"),
        (digits.images[:60] / 16, {"patch_size": 4}, "images"),
        (digits.images[:60] / 16, {"patch_size": "auto"}, "images"),
        (list(digits.images[:60] / 16), {"patch_size": (2, 8)}, "images"),
        (digits.images[:60, :, :, None] / 16, {}, "images"),
        (digits.data[:60] / 16, {"image_shape": (8, 8)}, "images"),
        ([f"word {i % 3}" for i in range(60)], {}, "text"),
        ([["word", str(i % 3)] for i in range(60)], {}, "text"),
    ],
)
def test_the_axes_of_X_tell_what_it_is(data, params, kind):
    net = quick(max_epochs=1, **params).fit(data, np.arange(60) % 3)
    assert net.input_kind_ == kind
    p = net.predict_proba(data)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    maps = net.attention_maps(data[:4])
    assert len(maps) == 4 and maps[0].shape[:2] == (2, 2)
    np.testing.assert_allclose(maps[3].sum(-1), 1, rtol=1e-5)
    assert net.transform(data).shape == (60, 8)


def test_a_refit_forgets_the_other_kind():
    net = quick().fit(X, y)
    net.fit(digits.data[:90], y)
    assert net.input_kind_ == "table" and not hasattr(net, "n_positions_")
    assert not hasattr(net.fit(["a b", "c"] * 45, y), "n_features_in_")


# -- long sequences ------------------------------------------------------------------


def test_long_sequences_have_a_token_for_several_steps():
    random = np.random.default_rng(0)
    for n_steps, stride in [(32, 1), (33, 2), (129, 3)]:
        X, y = random.normal(size=(6, n_steps, 1)), np.arange(6) % 2
        net = quick(max_epochs=1).fit(X, y)
        assert net.stride_ == stride
        # Without strides there is [CLS], too.
        n_tokens = n_steps + 1 if stride == 1 else -(-n_steps // stride)
        assert net.attention_maps(X).shape == (6, 2, 2, n_tokens, n_tokens)
        assert net.transform(X).shape == (6, 8)
    longer = random.normal(size=(2, 200, 1))
    assert net.predict(longer).shape == (2,)
    learned = quick(positional_encoding="learned", pooling="cls", max_epochs=1)
    assert learned.fit(X, y).predict(X).shape == (6,)
    with pytest.raises(ValueError, match="a sequence of 200 steps"):
        learned.predict(longer)


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
def test_padding_and_company_change_no_prediction_of_long_sequences(pooling):
    net = quick(stride=3, pooling=pooling, precision="float64").fit(X, y)
    few = [*X[:20], X[0] * 0 + 3]
    expected = np.ravel([net.decision_function([x]) for x in few])
    far = 1e6 * np.ones((151, 2))
    found = net.decision_function([far, *few])[1:]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_a_pattern_anywhere_in_a_long_sequence():
    random = np.random.default_rng(0)
    X, y = random.normal(0, 0.3, (160, 250, 1)), np.arange(160) % 2
    wave = 2 * np.sin(np.linspace(0, 2 * np.pi, 16))
    for x, label, start in zip(X, y, random.integers(0, 234, 160)):
        x[start : start + 16, 0] += wave if label else -wave
    net = TransformerClassifier(max_epochs=12, random_state=0).fit(X[:80], y[:80])
    assert net.score(X[80:], y[80:]) > 0.95


# -- learning ------------------------------------------------------------------------


def test_patches_of_digits():
    train, test = slice(0, 1200), slice(1200, None)
    vit = TransformerClassifier(patch_size=2, max_epochs=6, random_state=0)
    vit.fit(digits.images[train] / 16, digits.target[train])
    assert vit.score(digits.images[test] / 16, digits.target[test]) > 0.7


def test_columns_of_wine():
    X, y = load_wine(return_X_y=True)
    net = TransformerClassifier(max_epochs=10, random_state=0)
    assert cross_val_score(net, X, y, cv=2).mean() > 0.9


def test_a_lag_of_a_hundred_steps():
    """Which of two letters came at the beginning."""
    random = np.random.default_rng(0)
    letters = random.integers(2, 6, (400, 100))
    letters[:, 0] = random.integers(0, 2, 400)
    target, data = letters[:, 0], np.eye(6)[letters]
    net = TransformerClassifier(n_layers=1, max_epochs=5, random_state=0)
    net.fit(data[:300], target[:300])
    assert net.score(data[300:], target[300:]) > 0.95


def test_numbers_from_ragged_sequences():
    target = np.array([[x.mean(0)[0], x.mean(0)[1]] for x in X])
    net = TransformerRegressor(pooling="mean", random_state=0).fit(X, target)
    assert net.predict(X[:5]).shape == (5, 2) and net.score(X, target) > 0.7


def test_each_step_has_a_label():
    target = [np.where(x[:, 0] > 0, "up", "down") for x in X]
    net = TransformerClassifier(per_step=True, max_epochs=8, random_state=0)
    net.fit(X, target)
    assert net.score(X, target) > 0.9
    assert [len(each) for each in net.predict(X)] == list(map(len, X))
    assert net.attention_maps(X[:1])[0].shape[-1] == len(X[0])  # no [CLS]
    numbers = TransformerRegressor(per_step=True, max_epochs=8, random_state=0)
    assert numbers.fit(X, [x[:, 0] for x in X]).score(X, [x[:, 0] for x in X]) > 0.8


def test_dropout_draws_from_the_nets_own_stream():
    plain = quick().fit(X, y).predict_proba(X)
    torch.manual_seed(1)
    found = quick(dropout=0.3).fit(X, y).predict_proba(X)
    torch.manual_seed(2)
    np.testing.assert_array_equal(found, quick(dropout=0.3).fit(X, y).predict_proba(X))
    assert abs(found - plain).max() > 1e-5


def test_ragged_lists_go_through_model_selection(tmp_path):
    assert cross_val_predict(quick(), X, y, cv=3).shape == (90,)
    pipeline = make_pipeline(quick(), LogisticRegression())
    grid = {"transformerclassifier__n_layers": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert search.predict(X).shape == (90,)
    net = quick(positional_encoding="learned").fit(X, y)
    net.save(tmp_path / "net")
    twin = sknets.load(tmp_path / "net")
    np.testing.assert_array_equal(twin.predict_proba(X), net.predict_proba(X))


def test_compare_leaves_out_wide_tables_unless_asked():
    wide, target = np.random.default_rng(0).normal(size=(40, 201)), np.arange(40) % 2
    few = {"cv": 2, "random_state": 0, "verbose": 0}
    asked = sknets.compare(
        wide, target, models=["TransformerClassifier"], time_limit=1e-9, **few
    ).table.index
    assert list(asked) == ["TransformerClassifier"]
    everything = sknets.compare(wide, target, time_limit=1e-9, **few).table.index
    assert "TransformerClassifier" not in everything
    narrow = sknets.compare(wide[:, :200], target, time_limit=1e-9, **few).table.index
    assert "TransformerClassifier" in narrow


# -- wrong input ---------------------------------------------------------------------


def refused(match, call, *args):
    with pytest.raises(ValueError, match=match) as caught:
        call(*args)
    assert str(caught.value).startswith("TransformerClassifier")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("params", "data", "match"),
    [
        ({"n_heads": 3}, X, r"\(n_heads=3\): n_heads must divide embedding_size=8"),
        ({"patch_size": (2, 2, 2)}, X, "must be one side, or height and width"),
        ({"patch_size": 2}, digits.data[:90], "say with image_shape which images"),
        ({"per_step": True}, digits.data[:90], "needs sequences or text, and X is a t"),
        ({}, np.zeros((90, 2, 2, 2, 2)), r"not volumes of shape .*: use CNNClassifier"),
        ({}, [*X[:5], np.ones((4, 3)), *X[6:]], r"X\[5\] has 3 channels, but X\[0\]"),
    ],
)
def test_one_sentence_before_any_work(params, data, match):
    refused(match, quick(**params).fit, data, y)


def test_what_changes_at_predict():
    net = quick(positional_encoding="learned").fit(X, y)
    refused(
        "a sequence of 25 steps, and positions were", net.predict, [np.ones((25, 2))]
    )
    vit = quick(patch_size=4).fit(digits.images[:90] / 16, y)
    refused("shape", vit.predict, digits.images[:3, :4] / 16)
    table = quick().fit(digits.data[:90], y)
    with pytest.raises(ValueError, match="X has 60 features, but Transformer"):
        table.predict(digits.data[:3, :60])


def test_pictures_of_words():
    pytest.importorskip("matplotlib").use("agg")
    texts = ["she sings", "he sings", "she hums", "he hums"] * 5
    net = quick(pooling="cls").fit(texts, [0, 0, 1, 1] * 5)
    shown = sknets.AttentionDisplay.from_estimator(net, "she hums", layer=0, head=1)
    assert shown.names == ["[CLS]", "she", "hums"]
    expected = net.attention_maps(["she hums"])[0][0, 1]
    np.testing.assert_array_equal(shown.weights, expected)
    labels = [label.get_text() for label in shown.axes_.get_xticklabels()]
    assert labels == shown.names
    np.testing.assert_allclose(shown.weights.sum(1), 1, rtol=1e-5)


def test_pictures_of_patches_and_of_columns():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    images = digits.images[:90] / 16
    vit = quick(patch_size=(4, 2)).fit(images, y)
    shown = sknets.AttentionDisplay.from_estimator(vit, images[0])
    assert shown.grid == (2, 4) and shown.names[5] == "1,0"
    drawn = shown.axes_[1].images[-1].get_array()
    expected = np.kron(shown.weights[0, 1:].reshape(2, 4), np.ones((4, 2)))
    np.testing.assert_allclose(drawn, expected)
    frame = pd.DataFrame(digits.data[:90, 20:23], columns=["a", "b", "c"])
    net = quick(pooling="mean").fit(frame, y)
    shown = sknets.AttentionDisplay.from_estimator(net, frame.iloc[0])
    assert shown.names == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"AttentionDisplay\(head=7\): there are 2"):
        sknets.AttentionDisplay.from_estimator(net, frame.iloc[0], head=7)
    with pytest.raises(TypeError, match="LogisticRegression has none"):
        sknets.AttentionDisplay.from_estimator(LogisticRegression(), X[0])
    plt.close("all")
