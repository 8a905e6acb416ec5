"""Every example runs, at its quick setting, and saves its pictures."""

import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path, tmp_path, monkeypatch):
    argv = [str(path), "--quick", "--output", str(tmp_path)]
    monkeypatch.setattr("sys.argv", argv)
    runpy.run_path(str(path), run_name="__main__")
    plt.close("all")
    pictures = list(tmp_path.glob("*.png"))
    assert pictures and all(p.stat().st_size > 10_000 for p in pictures)
    assert len(path.read_text().splitlines()) <= 60
