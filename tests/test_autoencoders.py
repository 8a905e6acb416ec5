"""What is true of autoencoders alone, against closed forms and other models."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline

from sknets import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    ConvolutionalAutoencoderTransformer,
    PretrainedClassifier,
    VAETransformer,
    gradient_check,
)
from sknets.autoencoders._nets import Autoencoder, _squared_jacobian

torch.set_num_threads(1)

X, y = load_digits(return_X_y=True)
X = X / 16
train, test, y_train, y_test = train_test_split(
    X, y, test_size=400, stratify=y, random_state=0
)
IMAGES = (16 * X).reshape(-1, 8, 8).astype(np.uint8)


def reconstruction_error(model, rows):
    restored = model.inverse_transform(model.transform(rows))
    return np.mean((rows - restored) ** 2)


# -- autoencoders of rows --------------------------------------------------------------


def test_the_linear_autoencoder_finds_the_subspace_of_pca():
    linear = AutoencoderTransformer(
        n_components=4,
        hidden_layer_sizes=(),
        standardize="global",
        max_epochs=100,
        lr=3e-3,
        random_state=0,
    ).fit(train)
    pca = PCA(4).fit(train)
    variance = train.var(axis=0).mean()
    explained = 1 - reconstruction_error(linear, train) / variance
    assert abs(explained - pca.explained_variance_ratio_.sum()) < 0.01
    # The same plane, not only as good a one.
    ours = linear.net_.module_.decoder[0].weight.detach().double().numpy()
    cosines = np.linalg.svd(pca.components_ @ np.linalg.qr(ours)[0])[1]
    assert cosines.min() > 0.98


def test_a_deep_one_restores_better_than_pca():
    deep = AutoencoderTransformer(n_components=4, max_epochs=40, random_state=0)
    pca = PCA(4).fit(train)
    assert -deep.fit(train).score(test) < 0.8 * reconstruction_error(pca, test)


def test_verbs_agree_with_each_other():
    coder = AutoencoderTransformer(max_epochs=2, random_state=0).fit(train)
    restored = coder.inverse_transform(coder.transform(test))
    np.testing.assert_allclose(restored, coder.reconstruct(test), rtol=1e-10)
    assert coder.score(test) == pytest.approx(-np.mean((restored - test) ** 2))
    assert coder.n_components_ == 16 == len(coder.get_feature_names_out())


def test_columns_of_one_range_share_one_scale():
    pixels = AutoencoderTransformer(max_epochs=1).fit(X)
    assert len(np.unique(pixels.x_scale_)) == 1
    units = AutoencoderTransformer(max_epochs=1).fit(X * np.logspace(0, 3, 64))
    assert len(np.unique(units.x_scale_)) > 50
    robust = AutoencoderTransformer(max_epochs=1, standardize="robust").fit(X)
    np.testing.assert_allclose(robust.x_mean_, np.median(X, axis=0))


def test_denoising_gains_five_decibels():
    rng = np.random.default_rng(0)
    denoiser = AutoencoderTransformer(
        n_components=16,
        noise="gaussian",
        noise_level=1.0,
        max_epochs=30,
        random_state=0,
    ).fit(train)
    spread = denoiser.x_scale_
    noisy = test + rng.normal(0, 1, test.shape) * spread
    before = np.mean((noisy - test) ** 2)
    after = np.mean((denoiser.reconstruct(noisy) - test) ** 2)
    assert 10 * np.log10(before / after) > 5


def test_masked_numbers_are_filled_in():
    filler = AutoencoderTransformer(
        noise="masking",
        noise_level=0.3,
        standardize=False,
        max_epochs=30,
        random_state=0,
    ).fit(train)
    hidden = np.random.default_rng(0).random(test.shape) < 0.3
    restored = filler.reconstruct(np.where(hidden, 0, test))
    means = np.broadcast_to(train.mean(axis=0), test.shape)
    error = np.mean((restored - test)[hidden] ** 2)
    assert error < 0.6 * np.mean((means - test)[hidden] ** 2)


def test_sparse_codes_are_rarely_active():
    options = {"n_components": 20, "max_epochs": 10, "random_state": 0}
    free = AutoencoderTransformer(code_activation="sigmoid", **options).fit(train)
    sparse = AutoencoderTransformer(
        sparsity="kl", sparsity_weight=0.1, sparsity_target=0.1, **options
    ).fit(train)
    assert free.transform(test).mean() > 0.3
    assert sparse.transform(test).mean() == pytest.approx(0.1, abs=0.05)
    few = AutoencoderTransformer(sparsity="l1", sparsity_weight=1.0, **options)
    plain = AutoencoderTransformer(**options).fit(train)
    few_size = np.abs(few.fit(train).transform(test)).mean()
    assert few_size < 0.3 * np.abs(plain.transform(test)).mean()


def test_the_penalty_of_a_contractive_code_is_its_jacobian():
    torch.manual_seed(0)
    net = Autoencoder(5, (7,), 3, "tanh", contraction=1.0).double().eval()
    x = torch.randn(4, 5, dtype=torch.double, requires_grad=True)
    found = _squared_jacobian(net.encoder(x), x)
    for row, norm_ in zip(x, found):
        jacobian = torch.autograd.functional.jacobian(net.encoder, row)
        assert norm_.item() == pytest.approx(jacobian.square().sum().item())
    options = {"n_components": 4, "max_epochs": 10, "random_state": 0}
    free = AutoencoderTransformer(**options).fit(train)
    tight = AutoencoderTransformer(contraction=0.1, **options).fit(train)

    def movement(coder):
        moved = coder.transform(test + 1e-4) - coder.transform(test)
        return np.abs(moved).mean() / 1e-4

    assert movement(tight) < 0.5 * movement(free)


def test_tied_weights_are_the_transposed_ones():
    tied = AutoencoderTransformer(tied_weights=True, max_epochs=2).fit(train)
    module = tied.net_.module_
    n_inner = 128 + 16
    assert tied.n_parameters_ == 64 * 128 + 128 * 16 + n_inner + 128 + 64
    code = torch.randn(3, 16, dtype=torch.double)
    first, last = module.encoder[2].weight, module.encoder[0].weight
    a = torch.relu(code @ first + module.decoder[0].bias)
    expected = a @ last + module.decoder[2].bias
    torch.testing.assert_close(module.decode(code), expected)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tied_weights": True},
        {"loss": "cross_entropy"},
        {"sparsity": "kl"},
        {"contraction": 0.1, "activation": "tanh"},
    ],
)
def test_gradients_are_right(options):
    coder = AutoencoderTransformer(hidden_layer_sizes=(5,), n_components=3, **options)
    assert gradient_check(coder, X[:20, 20:30]).passed


def test_a_search_tunes_the_size_of_the_code():
    search = GridSearchCV(
        AutoencoderTransformer(max_epochs=10, random_state=0),
        {"n_components": [1, 12]},
        cv=2,
    ).fit(train)
    assert search.best_params_ == {"n_components": 12}


def test_what_an_autoencoder_refuses():
    with pytest.raises(ValueError, match=r"within \[0, 1\].*MinMaxScaler"):
        AutoencoderTransformer(loss="cross_entropy").fit(X * 16)
    with pytest.raises(ValueError, match='code_activation="sigmoid"'):
        AutoencoderTransformer(sparsity="kl", code_activation="relu").fit(X)
    with pytest.raises(ValueError, match="noise_level is a share below 1"):
        AutoencoderTransformer(noise="masking", noise_level=1.0).fit(X)
    with pytest.warns(UserWarning, match="only 64 columns"):
        AutoencoderTransformer(n_components=70, max_epochs=1).fit(X[:50])
    coder = AutoencoderTransformer(n_components=3, max_epochs=1).fit(X[:50])
    with pytest.raises(ValueError, match="the 3 columns of a code, got 2"):
        coder.inverse_transform([[0.0, 1.0]])


# -- images ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["bytes", "floats", "rows", "channels", "signals"])
def test_images_come_back_as_they_were_given(form):
    given, options = IMAGES[:200], {}
    if form == "floats":
        given = given / 16
    elif form == "rows":
        given, options = given.reshape(200, 64), {"image_shape": (8, 8)}
    elif form == "channels":
        given = np.stack([given] * 3, axis=1)
    elif form == "signals":
        given, options = given / 16, {"spatial_dims": 1, "channel_order": "last"}
    coder = ConvolutionalAutoencoderTransformer(
        max_epochs=2, random_state=0, channels=(4, 8), **options
    ).fit(given)
    restored = coder.reconstruct(given)
    assert restored.shape == given.shape
    assert (restored.dtype == np.uint8) == (given.dtype == np.uint8)
    np.testing.assert_array_equal(
        coder.inverse_transform(coder.transform(given)), restored
    )


def test_convolutions_restore_better_than_pca():
    pixels = IMAGES / 16.0
    coder = ConvolutionalAutoencoderTransformer(
        n_components=6, max_epochs=8, random_state=0
    ).fit(pixels[:1400])
    pca = PCA(6).fit(X[:1400])
    error = np.mean((coder.reconstruct(pixels[1400:]) - pixels[1400:]) ** 2)
    assert error < reconstruction_error(pca, X[1400:])
    assert -coder.score(pixels[1400:]) == pytest.approx(error, rel=1e-5)


def test_odd_sides_and_unequal_images():
    rng = np.random.default_rng(0)
    volumes = rng.random((20, 5, 7, 9, 1), dtype=np.float32)
    coder = ConvolutionalAutoencoderTransformer(max_epochs=1, channels=(3, 4))
    assert coder.fit(volumes).reconstruct(volumes).shape == volumes.shape
    unequal = [rng.random((side, 9)) for side in (9, 11, 11, 13) * 5]
    assert coder.fit(unequal).reconstruct(unequal).shape == (20, 11, 9)
    with pytest.raises(ValueError, match="kernel_size must be an odd number"):
        ConvolutionalAutoencoderTransformer(kernel_size=4).fit(volumes)


# -- the variational autoencoder -------------------------------------------------------


def linear_gaussian(n=4000):
    """Rows whose exact density is known: probabilistic PCA."""
    rng = np.random.default_rng(0)
    loadings = np.array([[2.0, 1.0, 0.5], [0.0, 1.0, -1.0]])
    rows = rng.normal(size=(n, 2)) @ loadings + rng.normal(0, 0.5, (n, 3)) + [5, 0, -2]
    covariance = loadings.T @ loadings + 0.25 * np.eye(3)
    centred = rows - [5, 0, -2]
    mahalanobis = np.einsum("ij,jk,ik->i", centred, np.linalg.inv(covariance), centred)
    log_det = np.linalg.slogdet(2 * np.pi * covariance)[1]
    return rows, -0.5 * (mahalanobis + log_det)


def test_the_bound_reaches_the_density_of_a_linear_gaussian_model():
    rows, exact = linear_gaussian()
    vae = VAETransformer(
        n_components=2,
        hidden_layer_sizes=(),
        max_epochs=40,
        lr=5e-3,
        batch_size=100,
        n_importance_samples=200,
        random_state=0,
    ).fit(rows)
    bound = vae.score_samples(rows)
    assert bound.mean() == pytest.approx(exact.mean(), abs=0.05)
    assert np.corrcoef(bound, exact)[0, 1] > 0.98
    # Drawn from the whole model, samples have the covariance of the data.
    drawn = vae.sample(4000, random_state=0, noise=True)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(rows.T), atol=0.35)
    np.testing.assert_allclose(drawn.mean(axis=0), rows.mean(axis=0), atol=0.15)


def test_the_bound_is_the_formula():
    vae = VAETransformer(
        n_components=2, hidden_layer_sizes=(5,), max_epochs=3, n_importance_samples=7
    ).fit(X[:, 20:26])
    x, module = X[:5, 20:26], vae.net_.module_
    noise = torch.randn((7, 2), generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        given = module.prepare(torch.from_numpy(x))
        mean, log_variance = module.encode(given)
        terms = []
        for each in noise:
            z = mean + each * (0.5 * log_variance).exp()
            output = module.decoder(z)
            spread = (0.5 * module.log_variance).exp().numpy()
            likelihood = norm.logpdf(given, output, spread).sum(1)
            likelihood -= np.log(vae.x_scale_).sum()
            prior = norm.logpdf(z).sum(1)
            posterior = norm.logpdf(z, mean, (0.5 * log_variance).exp()).sum(1)
            terms.append(likelihood + prior - posterior)
    expected = logsumexp(terms, axis=0) - np.log(7)
    np.testing.assert_allclose(vae.score_samples(x), expected, rtol=1e-5)


def test_more_importance_samples_tighten_the_bound():
    vae = VAETransformer(likelihood="bernoulli", max_epochs=8, random_state=0)
    few = vae.set_params(n_importance_samples=1).fit(train).score(test)
    many = vae.set_params(n_importance_samples=100).score(test)
    assert many > few


def test_samples_of_a_conditional_model_are_of_the_class_asked_for():
    vae = VAETransformer(
        likelihood="bernoulli", conditional=True, max_epochs=15, random_state=0
    ).fit(train, y_train)
    reader = LogisticRegression(max_iter=1000).fit(train, y_train)
    wanted = np.repeat(np.arange(10), 20)
    drawn = vae.sample(y=wanted, random_state=0)
    assert np.mean(reader.predict(drawn) == wanted) > 0.9
    assert vae.score(test, y_test) > vae.score_samples(test).mean()
    # Bayes' rule over the classes.
    each = np.column_stack(
        [vae.score_samples(test[:20], np.full(20, c)) for c in range(10)]
    )
    expected = logsumexp(each + np.log(vae.class_prior_), axis=1)
    np.testing.assert_allclose(vae.score_samples(test[:20]), expected, rtol=1e-5)
    style = vae.transform(test[:3])
    assert vae.inverse_transform(style, y=[0, 1, 2]).shape == (3, 64)
    assert vae.sample(3, y=7, random_state=1).shape == (3, 64)


def test_what_a_vae_refuses():
    with pytest.raises(ValueError, match="MinMaxScaler"):
        VAETransformer(likelihood="bernoulli").fit(X * 16)
    with pytest.raises(ValueError, match=r"conditional=True.*requires y"):
        VAETransformer(conditional=True).fit(X)
    vae = VAETransformer(max_epochs=1, conditional=True).fit(X[:60], y[:60])
    with pytest.raises(ValueError, match="at least 1"):
        vae.sample(0)
    with pytest.raises(ValueError, match=r"has \[17\], not among"):
        vae.sample(2, y=17)
    with pytest.raises(ValueError, match="y asks for 2 samples"):
        vae.sample(5, y=[1, 2])
    with pytest.raises(ValueError, match="learned X without y"):
        VAETransformer(max_epochs=1).fit(X[:60], y[:60]).sample(y=1)


def test_samples_repeat_with_an_int_and_only_then():
    vae = VAETransformer(max_epochs=1).fit(X[:100])
    np.testing.assert_array_equal(
        vae.sample(3, random_state=1), vae.sample(3, random_state=1)
    )
    assert (vae.sample(3) != vae.sample(3)).any()


# -- outliers --------------------------------------------------------------------------


def ring(n=400):
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, n)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    mixing = np.random.default_rng(1).normal(size=(2, 6))
    return circle @ mixing + 0.02 * np.random.default_rng(2).normal(size=(n, 6))


def test_outliers_are_found_and_their_values_corrected():
    rows = ring()
    spoilt, damaged = rows.copy(), np.arange(0, 400, 20)
    column = damaged // 20 % 6
    spoilt[damaged, column] += 6 * rows.std(axis=0)[column]
    finder = AutoencoderOutlierDetector(
        contamination=0.05, max_epochs=150, random_state=0
    ).fit(spoilt)
    truth = np.isin(np.arange(400), damaged)
    assert roc_auc_score(truth, -finder.score_samples(spoilt)) > 0.99
    assert (finder.predict(spoilt)[damaged] == -1).mean() > 0.9
    fixed = finder.correct(spoilt)
    before = np.abs(spoilt - rows)[damaged, column].mean()
    assert np.abs(fixed - rows)[damaged, column].mean() < 0.35 * before
    untouched = finder.predict(spoilt) == 1
    np.testing.assert_array_equal(fixed[untouched], spoilt[untouched])
    assert spoilt[0, 0] != rows[0, 0], "X itself is left alone"


def test_values_of_a_frame_are_corrected_without_a_warning():
    frame = pd.DataFrame(ring(100), columns=list("abcdef"))
    frame.loc[3, "b"] += 9
    finder = AutoencoderOutlierDetector(contamination=0.02, random_state=0).fit(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fixed = finder.correct(frame)
    assert abs(fixed[3, 1] - frame.loc[3, "b"]) > 3


def test_the_code_counts_where_the_error_does_not():
    """Far out along the line that the data follows, everything is restored well."""
    rng = np.random.default_rng(0)
    line = rng.normal(size=(300, 1)) * np.array([[1.0, 2.0, -1.0]])
    rows = np.vstack([line + 0.05 * rng.normal(size=(300, 3)), [[9.0, 18.0, -9.0]]])
    finder = AutoencoderOutlierDetector(
        n_components=1, hidden_layer_sizes=(), contamination=0.01, random_state=0
    ).fit(rows)
    assert finder.score_samples(rows).argmin() == 300
    assert finder.predict(rows[-1:]) == [-1]


# -- few labels ------------------------------------------------------------------------


def few_labels(n_each=3):
    few = np.full(len(y_train), -1)
    for label in range(10):
        few[np.flatnonzero(y_train == label)[:n_each]] = label
    return few


def test_unlabelled_rows_help():
    few = few_labels()
    semi = PretrainedClassifier(max_epochs=20, random_state=0).fit(train, few)
    known = few >= 0
    alone = PretrainedClassifier(
        max_epochs=100, pretraining_epochs=0, random_state=0
    ).fit(train[known], few[known])
    assert semi.score(test, y_test) > alone.score(test, y_test) + 0.03
    assert semi.classes_.tolist() == list(range(10))
    assert np.mean(semi.transduction_ == y_train) > 0.85
    np.testing.assert_array_equal(semi.transduction_[known], few[known])
    assert len(semi.pretraining_loss_curve_) == 15


@pytest.mark.parametrize("absent", [-1, None, np.nan, "-1"])
def test_every_way_to_say_unlabelled(absent):
    names = np.array(["zero", "one"])
    rows, labels = make_blobs(60, 4, centers=2, random_state=0)
    few = [names[label] if i < 20 else absent for i, label in enumerate(labels)]
    few = np.array(few) if absent == "-1" else np.array(few, dtype=object)
    fitted = PretrainedClassifier(max_epochs=20, random_state=0).fit(rows, few)
    assert sorted(fitted.classes_) == ["one", "zero"]
    assert fitted.score(rows, names[labels]) > 0.9


def test_minus_one_and_one_are_two_classes():
    rows, labels = make_blobs(60, 4, centers=2, random_state=0)
    fitted = PretrainedClassifier(max_epochs=5).fit(rows, 2 * labels - 1)
    assert fitted.classes_.tolist() == [-1, 1]


def test_labels_that_teach_nothing():
    with pytest.raises(ValueError, match="y has no labelled row, all 60 are -1"):
        PretrainedClassifier().fit(train[:60], np.full(60, -1))
    with pytest.raises(ValueError, match="at least 2 classes"):
        PretrainedClassifier().fit(train[:60], np.r_[np.full(59, -1), 3])
    with pytest.raises(ValueError, match="give at least one"):
        PretrainedClassifier(hidden_layer_sizes=()).fit(train, y_train)


def test_weights_of_rows_with_and_without_a_label():
    few = few_labels()[:200]
    few[:30] = np.arange(30) % 10
    kept = np.arange(200) % 3 > 0
    model = PretrainedClassifier(max_epochs=3, pretraining_epochs=3, random_state=0)
    part = model.fit(train[:200][kept], few[kept]).predict_proba(test)
    weighted = model.fit(train[:200], few, sample_weight=1.0 * kept).predict_proba(test)
    np.testing.assert_allclose(weighted, part, rtol=1e-6, atol=1e-9)
    more = model.fit(train[:200], few, sample_weight=1.0 + kept).predict_proba(test)
    assert np.abs(more - weighted).max() > 0.01
    for wrong, said in [
        (kept - 1.0, "Negative"),
        (kept[:9], "shape"),
        (few < -1, "zero"),
    ]:
        with pytest.raises(ValueError, match=said):
            model.fit(train[:200], few, sample_weight=wrong)


def test_rows_held_out_to_stop_by_are_not_trained_on():
    semi = PretrainedClassifier(
        early_stopping=True, validation_fraction=0.2, random_state=0, max_epochs=3
    ).fit(train, few_labels(10))
    assert len(semi.validation_scores_) == semi.n_iter_ == 3


def test_features_go_into_any_pipeline():
    pipeline = make_pipeline(
        AutoencoderTransformer(max_epochs=15, random_state=0),
        LogisticRegression(max_iter=1000),
    )
    assert pipeline.fit(train, y_train).score(test, y_test) > 0.85
