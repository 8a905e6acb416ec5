"""Boltzmann machines: gradients, likelihoods and samples against brute force."""

import itertools
import math
import pickle
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline

import sknets
from sknets import DBNClassifier, DBNFeatures, RBMFeatures, gradient_check
from sknets._engine._skorch import Callback
from sknets.boltzmann._likelihood import anneal
from sknets.boltzmann._machine import RBM, LabelledRBM

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS = DIGITS / 16
# More Gibbs steps than features need: what is drawn shall look like digits.
DREAMS = {
    "hidden_layer_sizes": (64, 64),
    "n_gibbs_steps": 3,
    "n_sampling_steps": 200,
    "random_state": 0,
}


def bits(n):
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n))).double()


def machine(n_visible=5, n_hidden=4, seed=0, spread=1.0, kind=RBM, **others):
    """Random weights in float64, all of them of consequence."""
    generator = torch.Generator().manual_seed(seed)
    rbm = kind(n_visible, n_hidden=n_hidden, **others).double()
    with torch.no_grad():
        for p in rbm.parameters():
            p.normal_(0, spread, generator=generator)
    rbm.generator = generator
    return rbm


def set_weights(estimator, rbm):
    """A fitted estimator with the weights of this machine."""
    estimator.fit(np.tile([0.0, 1.0], (4, 1)).repeat(rbm.weight.shape[1], 1)[:, ::2])
    own = estimator.net_.module_
    with torch.no_grad():
        for into, p in zip(own.parameters(), rbm.parameters()):
            into.copy_(p)
    return estimator


# -- energies and gradients ------------------------------------------------------------


@pytest.mark.parametrize("gaussian", [False, True])
def test_free_energy_sums_over_all_hidden_states(gaussian):
    rbm = machine(gaussian=gaussian)
    v = bits(5) if not gaussian else torch.randn(7, 5, dtype=torch.float64)
    W, b, c = rbm.weight, rbm.visible_bias, rbm.hidden_bias
    h = bits(4)
    visible = (v - b).square().sum(1) / 2 if gaussian else -(v @ b)
    energy = visible[:, None] - (h @ c)[None] - v @ W.t() @ h.t()
    torch.testing.assert_close(rbm.free_energy(v), -torch.logsumexp(-energy, 1))
    # and the hidden units' conditional is the softmax over these states
    p = torch.softmax(-energy, 1) @ h
    torch.testing.assert_close(rbm.hidden_mean(v), p)


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("n_chains", [0, 6])
@pytest.mark.parametrize("sparsity", [None, (0.1, 0.7)])
@pytest.mark.parametrize("kind", ["bernoulli", "gaussian", "softmax"])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_by_hand_are_autograds_of_the_free_energies(
    weighted, kind, sparsity, n_chains, n_steps
):
    options = {"n_steps": n_steps, "n_chains": n_chains, "sparsity": sparsity}
    if kind == "softmax":
        labels = {"kind": LabelledRBM, "n_labels": 3, "several": False, "base": None}
        rbm = machine(20, 90, **labels, **options)
    else:
        # torch's softplus is linear above 20, off by 2e-9: inputs stay below.
        rbm = machine(20, 90, gaussian=kind == "gaussian", spread=0.2, **options)
    v = torch.rand(9, rbm.weight.shape[1], dtype=torch.float64)
    weight = torch.rand(9, dtype=torch.float64) if weighted else None
    chains = rbm.chains.clone() if n_chains else None
    rbm.generator.manual_seed(3)
    by_hand_losses = rbm.train().manual_gradient({})(v, v, weight)
    by_hand = [p.grad.clone() for p in rbm.parameters()]
    moved = rbm.chains.clone() if n_chains else None
    rbm.zero_grad()
    if n_chains:
        rbm.chains.copy_(chains)
    rbm.generator.manual_seed(3)
    losses = rbm.loss(v) if weight is None else rbm.loss(v) * weight
    losses.mean().backward()
    for p, gradient in zip(rbm.parameters(), by_hand):
        torch.testing.assert_close(p.grad, gradient, rtol=1e-10, atol=1e-12)
        assert gradient.abs().max() > 0
    torch.testing.assert_close(losses.detach()[None], by_hand_losses)
    if n_chains:
        assert torch.equal(rbm.chains, moved) and not torch.equal(moved, chains)


def test_one_step_is_the_rule_of_contrastive_divergence():
    rbm = machine(6, 5)
    v = (torch.rand(8, 6, dtype=torch.float64) > 0.5).double()
    rbm.generator.manual_seed(0)
    rbm.train().manual_gradient({})(v, v, None)
    with torch.no_grad():
        rbm.generator.manual_seed(0)
        p = torch.sigmoid(v @ rbm.weight.t() + rbm.hidden_bias)
        end, p_end = rbm.negative_phase(p)
        expected = -(p.t() @ v - p_end.t() @ end) / 8
    torch.testing.assert_close(rbm.weight.grad, expected)
    torch.testing.assert_close(rbm.visible_bias.grad, -(v - end).mean(0))
    torch.testing.assert_close(rbm.hidden_bias.grad, -(p - p_end).mean(0))


class SeesBatches(Callback):
    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        self.seen_ = getattr(self, "seen_", 0) + 1


@pytest.mark.parametrize("cls", [RBMFeatures, DBNFeatures])
@pytest.mark.parametrize("persistent", [False, True])
def test_callbacks_on_batches_get_the_same_training(cls, persistent):
    model = cls(
        max_epochs=4, persistent=persistent, random_state=0, sparsity_target=0.2
    )
    lean = model.fit(DIGITS[:300]).transform(DIGITS)
    seen = model.set_params(callbacks=[SeesBatches()]).fit(DIGITS[:300])
    np.testing.assert_allclose(seen.transform(DIGITS), lean, rtol=1e-7)


def test_gradient_check_says_that_there_is_no_loss_to_check():
    with pytest.raises(TypeError, match="gradient of no loss"):
        gradient_check(RBMFeatures(), DIGITS[:50])


def test_sparsity_target_lowers_the_mean_activity():
    shared = {"n_components": 50, "max_epochs": 10, "random_state": 0}
    free = RBMFeatures(**shared).fit_transform(DIGITS).mean()
    forced = RBMFeatures(sparsity_target=0.05, sparsity_cost=1.0, **shared)
    active = forced.fit_transform(DIGITS).mean()
    assert active < 0.15 < 0.2 < free


# -- likelihoods -----------------------------------------------------------------------


@pytest.mark.parametrize("fractional", [False, True])
@pytest.mark.parametrize("spread", [1.0, 60.0])
def test_pseudo_likelihood_is_brute_force(fractional, spread):
    rbm = machine(7, 11, spread=spread)
    X = np.random.RandomState(0).rand(30, 7)
    X = X if fractional else (X > 0.5) * 1.0
    model = set_weights(RBMFeatures(n_components=11, max_epochs=1), rbm)
    v = torch.from_numpy(X)
    expected = torch.zeros(30, dtype=torch.float64)
    for i in range(7):
        on, off = v.clone(), v.clone()
        on[:, i], off[:, i] = 1, 0
        odds = rbm.free_energy(off) - rbm.free_energy(on)
        expected += v[:, i] * F.logsigmoid(odds) + (1 - v[:, i]) * F.logsigmoid(-odds)
    expected = expected.detach().numpy()
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-9, atol=1e-9)
    assert model.score(X) == pytest.approx(expected.mean())


def test_pseudo_likelihood_is_the_mean_of_scikit_learns_random_one():
    X = (DIGITS[:60] > 0.5) * 1.0
    peer = BernoulliRBM(20, n_iter=5, random_state=0).fit(X)
    rbm = machine(64, 20)
    weights = (peer.components_, peer.intercept_visible_, peer.intercept_hidden_)
    with torch.no_grad():
        for p, values in zip(rbm.parameters(), weights):
            p.copy_(torch.from_numpy(values))
    model = RBMFeatures(n_components=20, max_epochs=1).fit(X)
    model.net_.module_.load_state_dict(rbm.state_dict())
    draws = [peer.set_params(random_state=s).score_samples(X) for s in range(600)]
    error = np.std(draws) / np.sqrt(600) / np.sqrt(60)
    assert abs(np.mean(draws) - model.score(X)) < 4 * error


def test_hyvarinens_score_is_the_trace_of_the_hessian():
    rbm = machine(4, 6, gaussian=True)
    X = np.random.RandomState(0).randn(20, 4) * 3 + 5
    model = RBMFeatures(n_components=6, max_epochs=1).fit(X)
    assert model.visible_units_ == "gaussian"
    own = model.net_.module_
    own.load_state_dict(rbm.state_dict())
    for x, found in zip(X, model.score_samples(X)):
        v = own.visible(torch.from_numpy(x[None]))[0]

        def log_p(v):
            return -own.free_energy(v[None])[0]

        gradient = torch.autograd.functional.jacobian(log_p, v)
        hessian = torch.autograd.functional.hessian(log_p, v)
        expected = -(gradient.square().sum() / 2 + hessian.trace())
        assert found == pytest.approx(float(expected))


@pytest.mark.parametrize("sides", [(5, 9), (9, 5)])
def test_partition_function_by_enumeration_of_everything(sides):
    rbm = machine(*sides)
    model = set_weights(RBMFeatures(n_components=sides[1], max_epochs=1), rbm)
    energies = rbm.free_energy(bits(sides[0]))
    expected = float(torch.logsumexp(-energies, 0).detach())
    assert model.log_partition_function() == pytest.approx(expected)
    # and so probabilities sum to one
    total = -model.free_energy(bits(sides[0]).numpy()) - expected
    assert np.exp(total).sum() == pytest.approx(1)


def test_gaussian_partition_function_is_the_integral():
    rbm = machine(1, 3, gaussian=True)
    model = RBMFeatures(n_components=3, max_epochs=1).fit([[-5.0], [7.0]])
    model.net_.module_.load_state_dict(rbm.state_dict())
    v = torch.linspace(-30, 30, 200_001, dtype=torch.float64)[:, None]
    integral = torch.trapezoid(torch.exp(-rbm.free_energy(v)), v[:, 0])
    assert model.log_partition_function() == pytest.approx(math.log(integral.item()))


@pytest.mark.parametrize("units", ["bernoulli", "gaussian"])
def test_annealed_importance_sampling_agrees_with_enumeration(units):
    X = DIGITS if units == "bernoulli" else DIGITS * 16
    rbm = RBMFeatures(n_components=12, max_epochs=20, random_state=0).fit(X)
    assert rbm.visible_units_ == units
    exact = rbm.log_partition_function("exact")
    found = rbm.log_partition_function("ais", random_state=0)
    assert abs(found - exact) < 0.5
    assert found == rbm.log_partition_function("ais", random_state=0)


def test_the_exact_likelihood_rises_in_training():
    X, X_new = train_test_split((DIGITS > 0.5) * 1.0, random_state=0)
    found = []
    for epochs in (1, 5, 30):
        rbm = RBMFeatures(n_components=12, max_epochs=epochs, random_state=0).fit(X)
        log_z = rbm.log_partition_function("exact")
        found.append(-rbm.free_energy(X_new).mean() - log_z)
    independent = X.mean(0).clip(1e-3, 1 - 1e-3)
    logs = X_new * np.log(independent) + (1 - X_new) * np.log(1 - independent)
    assert logs.sum(1).mean() < found[1] < found[2] and found[0] < found[1]


def test_too_many_states_are_an_error():
    rbm = RBMFeatures(n_components=21, max_epochs=1).fit(DIGITS)
    with pytest.raises(ValueError, match="21 hidden and 64 visible"):
        rbm.log_partition_function("exact")
    for wrong in ({"method": "guess"}, {"n_chains": 0}, {"n_steps": 0.5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            rbm.log_partition_function(**wrong)


# -- samples ---------------------------------------------------------------------------


def moments(rbm, n_visible):
    v = bits(n_visible)
    p = torch.softmax(-rbm.free_energy(v), 0).detach()
    return (p @ v).numpy(), (v.t() @ (p[:, None] * v)).numpy()


def test_samples_have_the_moments_of_the_model():
    rbm = machine(5, 3, seed=4)
    model = set_weights(
        RBMFeatures(n_components=3, max_epochs=1, n_sampling_steps=60), rbm
    )
    mean, second = moments(rbm, 5)
    X = model.sample(20_000, random_state=0)
    assert set(np.unique(X)) == {0, 1}
    np.testing.assert_allclose(X.mean(0), mean, atol=0.015)
    np.testing.assert_allclose(X.T @ X / len(X), second, atol=0.015)
    # Gibbs steps leave that distribution as it is, and reach it from anywhere.
    np.testing.assert_allclose(model.gibbs(X, 1, 0).mean(0), mean, atol=0.015)
    far = model.gibbs(np.zeros((20_000, 5)), n_steps=60, random_state=1)
    np.testing.assert_allclose(far.mean(0), mean, atol=0.015)


def test_gaussian_samples_have_the_moments_of_the_model():
    rbm = machine(2, 2, gaussian=True, seed=2)
    X = np.random.RandomState(0).randn(50, 2) * [1, 10] + [3, -4]
    model = RBMFeatures(n_components=2, max_epochs=1, n_sampling_steps=60).fit(X)
    model.net_.module_.load_state_dict(rbm.state_dict())
    h, W = bits(2), rbm.weight.detach()
    field = h @ W
    b, c = rbm.visible_bias.detach(), rbm.hidden_bias.detach()
    p = torch.softmax(h @ c + field.square().sum(1) / 2 + field @ b, 0)
    means = b + field
    mean = p @ means
    variance = p @ (1 + means.square()) - mean.square()
    Z = (model.sample(40_000, random_state=0) - model.x_mean_) / model.x_scale_
    np.testing.assert_allclose(Z.mean(0), mean, atol=0.03)
    np.testing.assert_allclose(Z.var(0), variance, rtol=0.03)


def test_labelled_machine_draws_given_and_free_labels():
    labels = {"kind": LabelledRBM, "n_labels": 3, "several": False, "base": None}
    rbm = machine(4, 5, seed=1, **labels)
    v = torch.cat(
        [bits(4).repeat(3, 1), torch.eye(3).double().repeat_interleave(16, 0)], 1
    )
    p = torch.softmax(-rbm.free_energy(v), 0).detach().view(3, 16)
    # given y
    betas = torch.ones(60, dtype=torch.float64)
    betas[:30] = torch.linspace(0, 1, 31, dtype=torch.float64)[1:]
    for y in range(3):
        units = F.one_hot(torch.full((8_000,), y), 3).double()
        drawn, _, _ = anneal(rbm, 8_000, betas, rbm.generator, units)
        expected = (p[y] / p[y].sum()) @ bits(4)
        np.testing.assert_allclose(drawn.mean(0), expected, atol=0.02)
    # the joint chain
    state = torch.zeros(8_000, 7, dtype=torch.float64)
    with torch.no_grad():
        for _ in range(100):
            h = rbm.draw_hidden(rbm.hidden_mean(state))
            state = rbm.draw_visible(rbm.visible_mean(h))
    np.testing.assert_allclose(state[:, 4:].mean(0), p.sum(1), atol=0.02)


def test_clamped_samples_carry_their_label():
    names = np.array(list("abcdefghij"))[LABELS]
    dbn = DBNClassifier(pretraining_epochs=30, max_epochs=10, **DREAMS).fit(
        DIGITS[:900], names[:900]
    )
    wanted = np.repeat(np.unique(names), 20)
    X = dbn.sample(200, y=wanted, random_state=0)
    judge = LogisticRegression(max_iter=2000).fit(DIGITS > 0.5, names)
    assert judge.score(X, wanted) > 0.5  # of ten classes
    np.testing.assert_array_equal(X, dbn.sample(200, y=wanted, random_state=0))
    assert dbn.sample(3, y="c").shape == dbn.sample(3).shape == (3, 64)
    with pytest.raises(ValueError, match="labels \\['z'\\]"):
        dbn.sample(y="z")


def test_unclamped_samples_have_the_classes_of_the_data():
    few = np.flatnonzero((LABELS == 0) | ((LABELS == 1) & (np.arange(1797) % 4 == 0)))
    dbn = DBNClassifier(pretraining_epochs=30, max_epochs=10, **DREAMS)
    dbn.fit(DIGITS[few], LABELS[few])
    share = (LABELS[few] == 0).mean()
    judge = LogisticRegression(max_iter=2000).fit(DIGITS[few] > 0.5, LABELS[few])
    found = (judge.predict(dbn.sample(600, random_state=0)) == 0).mean()
    assert abs(found - share) < 0.1


def test_several_labels():
    y = np.column_stack([LABELS % 2, LABELS > 4]).astype(int)
    dbn = DBNClassifier(pretraining_epochs=30, max_epochs=10, **DREAMS)
    dbn.fit(DIGITS[:1000], y[:1000])
    assert dbn.score(DIGITS, y) > 0.9
    wanted = np.tile([[0, 1], [1, 0]], (150, 1))
    X = dbn.sample(y=wanted, random_state=0)
    assert X.shape == (300, 64) == dbn.sample(300, random_state=0).shape
    judge = LogisticRegression(max_iter=2000).fit(DIGITS > 0.5, y[:, 1])
    assert judge.score(X, wanted[:, 1]) > 0.58  # three standard errors above .5
    with pytest.raises(ValueError, match="0/1 matrix of 2 columns"):
        dbn.sample(y=[1, 0])


def test_deep_samples_look_more_like_digits_than_independent_pixels():
    dbn = DBNFeatures(max_epochs=25, **DREAMS).fit(DIGITS)
    X = dbn.sample(200, random_state=0)
    coins = np.random.RandomState(0).rand(200, 64) < DIGITS.mean(0)

    def distance(rows):
        return np.linalg.norm(DIGITS[None] - rows[:, None], axis=2).min(1).mean()

    assert distance(X) < 0.85 * distance(coins)


# -- state -----------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [RBMFeatures, DBNFeatures])
def test_persistent_chains_survive_copies_and_files(cls, tmp_path):
    X = DIGITS[:200]
    whole = cls(max_epochs=4, persistent=True, random_state=0).fit(X)
    half = cls(max_epochs=4, persistent=True, random_state=0)
    half.partial_fit(X).partial_fit(X)
    half.save(tmp_path / "half")
    for twin in (pickle.loads(pickle.dumps(half)), sknets.load(tmp_path / "half")):
        state = half.net_.module_.state_dict()
        chains = [name for name in state if name.endswith("chains")]
        assert chains
        for name in chains:
            assert torch.equal(twin.net_.module_.state_dict()[name], state[name])
        assert state[chains[0]].any()
        twin.partial_fit(X).partial_fit(X)
        np.testing.assert_array_equal(twin.transform(X), whole.transform(X))


def test_chains_do_not_depend_on_a_batch_size_set_later():
    rbm = RBMFeatures(max_epochs=1, persistent=True).fit(DIGITS)
    assert rbm.n_chains_ == 32
    twin = pickle.loads(pickle.dumps(rbm.set_params(batch_size=7)))
    np.testing.assert_array_equal(twin.transform(DIGITS), rbm.transform(DIGITS))


def test_a_killed_pretrained_fit_resumes_with_the_same_bits(tmp_path):
    class Kill(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    X, y = DIGITS[:200], LABELS[:200]
    model = DBNClassifier(max_epochs=3, pretraining_epochs=2, random_state=0)
    expected = model.fit(X, y).predict_proba(X)
    model.set_params(checkpoint=tmp_path / "fit", callbacks=[Kill()])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    model.set_params(callbacks=None).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), expected)


def test_greedy_layers_learn_in_turn():
    seen = []

    class Watch(Callback):
        def on_epoch_end(self, net, **kwargs):
            stack = net.module_
            seen.append([m.weight.detach().clone() for m in stack.machines])

    DBNFeatures(
        hidden_layer_sizes=(8, 5), max_epochs=5, random_state=0, callbacks=[Watch()]
    ).fit(DIGITS)
    moved = [
        [not torch.equal(a, b) for a, b in zip(one, other)]
        for one, other in itertools.pairwise(seen)
    ]
    assert moved == [[True, False], [True, False], [False, True], [False, True]]


def test_pretraining_gives_the_layers_their_weights():
    still = {"lr": 1e-30, "optimizer": "sgd", "max_epochs": 1, "random_state": 0}
    X, y = DIGITS[:600], LABELS[:600]
    dbn = DBNClassifier(hidden_layer_sizes=(30, 20), **still).fit(X, y)
    net = dbn.net_.module_
    first, top = net.stack.machines
    linear = [layer for layer in net.layers if isinstance(layer, torch.nn.Linear)]
    torch.testing.assert_close(linear[0].weight, first.weight)
    torch.testing.assert_close(linear[1].weight, top.weight[:, :30])
    torch.testing.assert_close(linear[2].weight, top.weight[:, 30:].t())
    # The machines alone tell the digits already, and fine-tuning leaves them alone.
    assert dbn.score(DIGITS, LABELS) > 0.5
    tuned = DBNClassifier(hidden_layer_sizes=(30, 20), max_epochs=2, random_state=0)
    tuned.fit(X, y)
    assert torch.equal(tuned.net_.module_.stack.machines[0].weight, first.weight)


# -- what it is good for ---------------------------------------------------------------


def test_features_classify_better_than_pixels_of_half_the_digits():
    X, X_new, y, y_new = train_test_split(
        DIGITS, LABELS, train_size=700, random_state=0
    )
    for features in (RBMFeatures(random_state=0), DBNFeatures(random_state=0)):
        model = make_pipeline(features, LogisticRegression(max_iter=2000)).fit(X, y)
        assert model.score(X_new, y_new) > 0.92


def test_a_search_tunes_by_the_score():
    search = GridSearchCV(
        RBMFeatures(max_epochs=3, random_state=0), {"lr": [1e-5, 0.05]}, cv=2
    ).fit(DIGITS)
    assert search.best_params_ == {"lr": 0.05}


def test_reconstructions_are_near_the_data():
    for scale, units in ((1, "bernoulli"), (16, "gaussian")):
        X = DIGITS[:250] * scale
        for model in (RBMFeatures(random_state=0), DBNFeatures(random_state=0)):
            back = model.fit(X).inverse_transform(model.transform(X))
            assert model.visible_units_ == units and back.shape == X.shape
            error = np.square(back - X).mean() / np.square(X - X.mean(0)).mean()
            assert error < 0.6


def test_float32_and_sparse_rows():
    X = DIGITS[:300].astype(np.float32)
    dense = RBMFeatures(max_epochs=2, random_state=0).fit(X)
    thin = RBMFeatures(max_epochs=2, random_state=0).fit(sparse.csr_matrix(X))
    assert dense.transform(X).dtype == dense.sample(2).dtype == np.float32
    assert dense.gibbs(X).dtype == dense.inverse_transform(dense.transform(X)).dtype
    np.testing.assert_allclose(thin.transform(X), dense.transform(X), atol=1e-5)


# -- bad input -------------------------------------------------------------------------


@pytest.mark.at_most_epochs(2)
@pytest.mark.parametrize("cls", [RBMFeatures, DBNFeatures, DBNClassifier])
def test_values_outside_0_and_1_are_refused_by_binary_units(cls):
    y = LABELS[:100]
    with pytest.raises(ValueError, match=r"in \[0, 16\]: scale it with MinMaxScaler"):
        cls(visible_units="bernoulli").fit(DIGITS[:100] * 16, y)
    fitted = cls().fit(DIGITS[:100], y)
    verb = fitted.transform if hasattr(fitted, "transform") else fitted.predict
    with pytest.warns(UserWarning, match=r"-0.5 to 0.5, and .*MinMaxScaler\(clip=True"):
        outside = verb(DIGITS[:100] - 0.5)
    np.testing.assert_array_equal(outside, verb((DIGITS[:100] - 0.5).clip(0, 1)))


def test_more_hidden_units_than_states_is_said():
    X = np.random.RandomState(0).randint(0, 2, (40, 3))
    with pytest.warns(UserWarning, match="3 binary columns have states, 8"):
        RBMFeatures(max_epochs=1).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RBMFeatures(n_components=8, max_epochs=1).fit(X)


def test_wrong_calls():
    rbm = RBMFeatures(n_components=4, max_epochs=1).fit(DIGITS)
    with pytest.raises(ValueError, match="3 columns, one for each of the 4 components"):
        rbm.inverse_transform(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="n_steps=0"):
        rbm.gibbs(DIGITS, n_steps=0)
    with pytest.raises(ValueError, match="learned X without y"):
        rbm.sample(y=1)
    with pytest.raises(ValueError, match="2 layers needs at least one epoch"):
        DBNFeatures(max_epochs=1).fit(DIGITS)
    for cls in (DBNFeatures, DBNClassifier):
        with pytest.raises(ValueError, match="at least one layer"):
            cls(hidden_layer_sizes=()).fit(DIGITS, LABELS)


def test_divergence_of_pretraining_is_said():
    X = np.random.RandomState(0).randn(200, 4)
    with pytest.raises(FloatingPointError, match="lower pretraining_lr"):
        DBNClassifier(pretraining_lr=1e6, pretraining_epochs=100).fit(X, X[:, 0] > 0)


def test_each_layer_stops_early_by_itself():
    options = {"hidden_layer_sizes": (16, 8), "max_epochs": 60, "random_state": 0}
    dbn = DBNFeatures(early_stopping=True, n_iter_no_change=2, tol=1e-3, **options)
    dbn.fit(DIGITS)
    losses = np.array(dbn.validation_loss_curve_)
    assert dbn.n_iter_ == len(losses) < 60
    # The second layer's error begins anew, and training ends in its phase.
    assert dbn.net_._at == 1 and 2 <= dbn.net_._done < len(losses)
    assert dbn.transform(DIGITS).shape == (len(DIGITS), 8)


def test_a_search_tunes_a_deep_belief_network():
    """The score is the error of what the verbs restore; large layers restore more."""
    search = GridSearchCV(
        DBNFeatures(max_epochs=20, random_state=0),
        {"hidden_layer_sizes": [(4,), (64,)]},
        cv=2,
    ).fit(DIGITS)
    assert search.best_params_ == {"hidden_layer_sizes": (64,)}
    best = search.best_estimator_
    restored = best.inverse_transform(best.transform(DIGITS))
    assert best.score(DIGITS) == pytest.approx(-np.mean((restored - DIGITS) ** 2))
