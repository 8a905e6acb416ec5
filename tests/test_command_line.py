"""`python -m sknets`: the leaderboard from a shell, one sentence for what is wrong."""

import io
import re
import runpy
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import sknets
from sknets.__main__ import main


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A CSV with a date, a text, a category, numbers, holes; two targets."""
    rng = np.random.default_rng(0)
    n = 60
    x = rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "order": pd.date_range("2021-01-01", periods=n).strftime("%Y-%m-%d"),
            "remark": [
                f"{rng.choice(['very good', 'quite bad'])} nr {i}" for i in range(n)
            ],
            "Land": rng.choice(["de", "fr", "it"], n),
            "weight": x,
            "price": 3 * x + rng.normal(scale=0.1, size=n),
            "paid": np.where(x > 0, "yes", "no"),
        }
    )
    frame.loc[::8, "weight"] = np.nan
    frame.loc[:3, "price"] = np.nan
    path = tmp_path_factory.mktemp("shop") / "shop.csv"
    frame.to_csv(path, index=False)
    return path


def run(capsys, *words):
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def compare(capsys, file, *words):
    fast = ("--models", "dummy,ridgecv", "--cv", 3, "--quiet")
    return run(capsys, "compare", file, "--target", "price", *fast, *words)


def test_compare_prints_and_saves_the_leaderboard(shop, tmp_path, capsys):
    table, picture = tmp_path / "table.csv", tmp_path / "out.png"
    code, out, err = compare(capsys, shop, "--output", table, "--plot", picture)
    assert code == 0
    assert "4 rows without 'price' left out, of 60" in err
    assert "1 date, 1 text" in out and "RidgeCV" in out
    saved = pd.read_csv(table, index_col="model")
    assert list(saved.index) == ["RidgeCV", "DummyRegressor"]
    assert saved.columns[0] == "r2"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_same_command_gives_the_same_table(shop, tmp_path, capsys):
    scores = []
    for name in ("a.csv", "b.csv"):
        compare(capsys, shop, "--output", tmp_path / name)
        scores.append(pd.read_csv(tmp_path / name)[["model", "r2", "mae"]])
    pd.testing.assert_frame_equal(*scores)


def test_classes_and_networks_through_the_module(shop, capsys, monkeypatch):
    words = ["compare", shop, "--target", "paid", "--cv", 2, "--time-limit", 60]
    words += ["--models", "feedforward,logisticregression"]
    monkeypatch.setattr(sys, "argv", ["sknets", *map(str, words)])
    monkeypatch.delitem(sys.modules, "sknets.__main__")
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("sknets", run_name="__main__")
    out, err = capsys.readouterr()
    assert caught.value.code == 0, err
    assert "FeedforwardClassifier" in out
    assert "classification of 'paid' guessed" in out
    assert "best " in err  # live progress


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"sknets {sknets.__version__}\n"


def test_the_best_model_is_kept_and_predicts(shop, tmp_path, capsys):
    model, out = tmp_path / "best.joblib", tmp_path / "predicted.csv"
    code, said, _ = compare(capsys, shop, "--save", model)
    assert code == 0 and f"RidgeCV saved as {model}" in said
    code, said, err = run(capsys, "predict", model, shop)
    assert (code, err) == (0, "")
    rows = pd.read_csv(shop)
    found = pd.read_csv(io.StringIO(said))
    assert list(found.columns) == ["prediction"] and len(found) == len(rows)
    known = rows["price"].notna()
    assert np.corrcoef(found["prediction"][known], rows["price"][known])[0, 1] > 0.9
    assert run(capsys, "predict", model, shop, "--output", out)[:2] == (0, "")
    pd.testing.assert_frame_equal(pd.read_csv(out), found)


def test_a_network_is_kept_without_code(tmp_path, capsys):
    file, model = tmp_path / "plain.csv", tmp_path / "net.safetensors"
    x = np.linspace(-1, 1, 60)
    frame = pd.DataFrame({"a": x, "b": x**2, "price": np.where(x > 0, "up", "down")})
    frame.to_csv(file, index=False)
    words = ("--save", model, "--models", "feedforward")
    code, out, _ = compare(capsys, file, *words)
    assert code == 0 and f"FeedforwardClassifier saved as {model}" in out
    code, out, _ = run(capsys, "predict", model, file)
    expected = sknets.load(model).predict(frame[["a", "b"]])
    assert code == 0 and out.split() == ["prediction", *expected]
    # What such a file cannot hold is not lost.
    code, out, err = compare(capsys, file, "--save", model, "--models", "svc")
    assert code == 0 and "no .safetensors file holds" in err
    assert run(capsys, "predict", tmp_path / "net.joblib", file)[0] == 0


def test_predict_refuses_in_one_sentence(tmp_path, capsys):
    files = {name: tmp_path / name for name in ("a.csv", "b.csv", "bad.safetensors")}
    files["a.csv"].write_text("a,b\n1,2\n3,4\n")
    files["b.csv"].write_text("b,c\n1,2\n")
    files["bad.safetensors"].write_text("nonsense")
    (tmp_path / "bad.joblib").write_text("nonsense")
    (tmp_path / "text.csv").write_text("a,b\nx,2\n")
    frame = pd.read_csv(files["a.csv"])
    net, series = tmp_path / "net.safetensors", tmp_path / "series.safetensors"
    sknets.FeedforwardRegressor(max_epochs=1).fit(frame, [1.0, 2.0]).save(net)
    quick = {"strategy": "direct", "difference": "first", "transformation": None}
    forecaster = sknets.RNNForecaster(max_epochs=1, horizon=1, window=2, season=2)
    forecaster.set_params(**quick, intervals=False).fit(np.arange(9.0)).save(series)
    for model, file, sentence in (
        (tmp_path / "no.safetensors", "a.csv", "there is no file"),
        (files["bad.safetensors"], "a.csv", "not a model that sknets saved"),
        (tmp_path / "bad.joblib", "a.csv", "is no saved model"),
        (net, "no.csv", "there is no file"),
        (net, "b.csv", "has no column 'a', which the model was fitted on"),
        (net, "text.csv", "column 'a' of X holds text such as 'x'"),
        (series, "a.csv", "is a RNNForecaster, which predicts no rows"),
    ):
        code, out, err = run(capsys, "predict", model, tmp_path / file)
        assert (code, out, len(err.splitlines())) == (2, "", 1), (file, out, err)
        assert err.startswith("sknets predict: ") and sentence in err, err


def test_list_needs_no_torch():
    command = [sys.executable, "-X", "importtime", "-m", "sknets", "list"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "RNNForecaster" in done.stdout, done.stderr
    loaded = set(re.findall(r"\| +(\w+)$", done.stderr, re.MULTILINE))
    assert "sknets" in loaded and not loaded & {"torch", "numpy", "sklearn", "pandas"}


def test_list(capsys):
    code, out, _ = run(capsys, "list", "--data", "table", "--task", "regression")
    assert code == 0
    assert "FeedforwardRegressor table regression" in " ".join(out.split())
    assert "FeedforwardClassifier" not in out
    code, out, err = run(capsys, "list", "--data", "tables")
    assert (code, out) == (2, "")
    assert "data must be one of" in err
    code, out, err = run(capsys, "list", "--data", "series", "--task", "regression")
    assert (code, out) == (2, "") and "no estimator takes series for regression" in err


@pytest.mark.parametrize("sep", [";", "\t", "|"])
def test_other_separators_are_found(shop, tmp_path, capsys, sep):
    file = tmp_path / "other.csv"
    decimal = "," if sep == ";" else "."
    pd.read_csv(shop).to_csv(file, sep=sep, decimal=decimal, index=False)
    _, expected, _ = compare(capsys, shop)
    code, out, _ = compare(capsys, file)
    assert code == 0
    assert out.splitlines()[0] == expected.splitlines()[0]


def test_latin_1(tmp_path, capsys):
    file = tmp_path / "latin.csv"
    lines = [f"{i},{'Köln' if i % 2 else 'Ulm'},{i % 2 + i / 100}" for i in range(30)]
    file.write_bytes("\n".join(["a,town,price", *lines]).encode("latin-1"))
    code, out, _ = compare(capsys, file)
    assert code == 0 and "1 category" in out


def test_wrong_use_gives_one_sentence_and_code_2(shop, tmp_path, capsys):
    files = {
        "empty.csv": "",
        "header.csv": "a,price\n",
        "single.csv": "price\n1\n2\n",
        "broken.csv": 'a,price\n"1,2\n3,4',
        "unknown.csv": "a,price\n1,\n2,\n",
        "one.csv": "a,price\n1,x\n2,x\n3,x\n4,x\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    cases = [
        (tmp_path / "no.csv", [], "there is no file"),
        (tmp_path, [], "is a folder"),
        (tmp_path / "empty.csv", [], "is empty"),
        (tmp_path / "header.csv", [], "a header line but no rows"),
        (tmp_path / "single.csv", [], "nothing is left to predict it from"),
        (tmp_path / "broken.csv", [], "cannot be read as CSV"),
        (tmp_path / "unknown.csv", [], "is empty in every row"),
        (tmp_path / "one.csv", [], "one class only, x"),
        (shop, ["--target", "pirce"], "did you mean 'price'?"),
        (shop, ["--target", "zzz"], "it has 'order', 'remark', 'Land'"),
        (shop, ["--models", "ridgcv"], "did you mean RidgeCV"),
        (shop, ["--scoring", "r3"], "no such score"),
        (shop, ["--cv", "1"], "--cv 1: cv must be at least 2"),
        (shop, ["--time-limit", "-1"], "must be above 0 seconds"),
        (shop, ["--target", "Land", "--task", "regression"], "must hold numbers"),
        (shop, ["--output", str(tmp_path / "no" / "t.csv")], "there is no folder"),
        (shop, ["--plot", "picture.foo"], "must end in one of"),
        (shop, ["--save", "m.pkl"], "must end in one of .safetensors, .joblib"),
    ]
    for file, words, sentence in cases:
        code, out, err = compare(capsys, file, *words)
        said = [line for line in err.splitlines() if "left out, of 60" not in line]
        assert (code, out, len(said)) == (2, "", 1), (words, out, err)
        assert sentence in said[0] and said[0].startswith("sknets compare: ")


def test_wrong_options_give_one_sentence_and_code_2(capsys):
    for words in (["compare", "f.csv"], ["compare", "f", "--target", "a", "--cv", "x"]):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_interrupt(shop, capsys, monkeypatch):
    def stop(*args, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sknets, "compare", stop)
        code, _, err = compare(capsys, shop)
    assert code == 130
    assert err.splitlines()[-1] == "interrupted before anything was finished"

    from sklearn.linear_model import RidgeCV

    monkeypatch.setattr(RidgeCV, "fit", stop)
    code, out, _ = compare(capsys, shop)
    assert code == 130
    assert "DummyRegressor" in out and "RidgeCV: not run: interrupted" in out
