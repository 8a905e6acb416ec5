"""Every example runs, at its quick setting, and saves its pictures."""

import importlib
import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure
from sklearn.datasets import load_iris

import sknets
from sknets.testing import check_estimator_on

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path, tmp_path, monkeypatch):
    argv = [str(path), "--quick", "--output", str(tmp_path)]
    monkeypatch.setattr("sys.argv", argv)
    # Coarse pictures are as telling here, and take a third of the time.
    save = Figure.savefig
    coarsely = lambda *args, dpi, **kwargs: save(*args, dpi=dpi // 3, **kwargs)  # noqa: E731
    monkeypatch.setattr(Figure, "savefig", coarsely)
    runpy.run_path(str(path), run_name="__main__")
    plt.close("all")
    pictures = list(tmp_path.glob("*.png"))
    assert pictures and all(p.stat().st_size > 3_000 for p in pictures)
    assert len(path.read_text().splitlines()) <= 60


def test_the_estimator_of_contributing_keeps_the_contract(tmp_path, monkeypatch):
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 35
    (tmp_path / "maxout.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    MaxoutClassifier = importlib.import_module("maxout").MaxoutClassifier
    # Its line in `sknets/__init__.py`.
    monkeypatch.setattr(sknets, "MaxoutClassifier", MaxoutClassifier, raising=False)
    monkeypatch.setattr(sknets, "__all__", [*sknets.__all__, "MaxoutClassifier"])
    X, y = load_iris(return_X_y=True)
    estimator = MaxoutClassifier(max_epochs=10, lr=0.01, random_state=0)
    check_estimator_on(estimator, X, y)
    assert estimator.fit(X, y).score(X, y) > 0.9
