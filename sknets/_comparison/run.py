"""The loop over models and folds, and the table of what it found."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from joblib import effective_n_jobs
from tqdm.auto import tqdm

from sknets._comparison.lineup import Entry
from sknets._comparison.measuring import (
    MEASURES,
    TimeUp,
    corrected_t_test,
    run_folds,
)
from sknets._comparison.problem import Problem
from sknets.display import SIGNIFICANT


class Run:
    """The loop over models and folds, and what it has found so far."""

    def __init__(
        self,
        problem: Problem,
        entries: dict[str, Entry],
        n_jobs: int | None,
        deadline: float | None,
        verbose: int,
    ) -> None:
        self.problem, self.entries = problem, entries
        self.n_jobs, self.deadline, self.verbose = n_jobs, deadline, verbose
        self.main = next(iter(problem.scorers))
        self.folds: dict[str, list[dict[str, float]]] = {name: [] for name in entries}
        self.failed: dict[str, str] = {}
        self.cut: set[str] = set()  # stopped within a fold
        self.interrupted = False

    def go(self) -> None:
        """Run every model; keep what is finished when stopped."""
        problem, total = self.problem, len(self.entries) * len(self.problem.splits)
        with tqdm(total=total, unit="fold", disable=not self.verbose) as bar:
            if self.verbose:
                for line in ["; ".join(problem.facts), *problem.notes]:
                    # Not to stdout, which is for the leaderboard.
                    bar.write(f"compare: {line}", file=sys.stderr)
            try:
                for number, name in enumerate(self.entries, start=1):
                    bar.set_description(name)
                    for _ in self._model(name):
                        bar.set_postfix_str(self._best_so_far(), refresh=False)
                        bar.update()
                    # A model that failed or ran out of time is done as well.
                    bar.n = number * len(problem.splits)
                    bar.refresh()
            except KeyboardInterrupt:
                self.interrupted = True

    def _model(self, name: str) -> Iterator[None]:
        splits = self.problem.splits
        # As many folds at a time as run at once: between them is the moment to show
        # progress and to look at the clock, and an interrupt loses only these.
        step = min(effective_n_jobs(self.n_jobs), len(splits))
        slowest = 0.0
        for start in range(0, len(splits), step):
            begin = time.monotonic()
            # What would not be done in time, by the slowest so far, is not begun.
            if self.deadline is not None and begin + slowest >= self.deadline:
                return
            try:
                self.folds[name] += run_folds(
                    self.entries[name].model,
                    self.problem.X,
                    self.problem.y,
                    splits[start : start + step],
                    self.problem.scorers,
                    self.n_jobs,
                    self.deadline,
                    self.problem.ask,
                )
                if not np.isfinite(
                    [fold[self.main] for fold in self.folds[name]]
                ).all():
                    raise ValueError(f"its {self.main} is not a number")
            except TimeUp:
                self.cut.add(name)
                return
            except Exception as error:
                self.folds[name] = []
                lines = str(error).strip().splitlines() or [""]
                self.failed[name] = f"failed: {type(error).__name__}: {lines[0]}"
                return
            slowest = max(slowest, time.monotonic() - begin)
            yield from [None] * len(splits[start : start + step])

    def _best_so_far(self) -> str:
        means = {
            name: np.mean([fold[self.main] for fold in folds])
            for name, folds in self.folds.items()
            if folds
        }
        best = max(means, key=lambda name: self.problem.sign * means[name])
        return f"best {best} {means[best]:.4g}"

    def scores(self) -> pd.DataFrame:
        """Return every figure of every finished fold."""
        rows = {
            (name, number): fold
            for name, folds in self.folds.items()
            for number, fold in enumerate(folds)
        }
        index = pd.MultiIndex.from_tuples(list(rows), names=["model", "fold"])
        columns = [*self.problem.scorers, *MEASURES]
        return pd.DataFrame(list(rows.values()), index=index, columns=columns)

    def table(self) -> pd.DataFrame:
        """Return the leaderboard: complete models best first, then the others.

        Those are ranked by the folds that all of them have.
        """
        full = len(self.problem.splits)
        rows = {name: self._row(name) for name in self.entries}
        partial = [len(f) for f in self.folds.values() if 0 < len(f) < full]
        common = min(partial, default=full)

        def rank(name: str) -> tuple[bool, bool, float]:
            done, folds = self._done(name), self.folds[name]
            scores = [fold[self.main] for fold in folds[: full if done else common]]
            return (
                not done,
                not folds,
                -self.problem.sign * float(np.mean(scores or [0])),
            )

        order = sorted(rows, key=rank)
        best = order[0]
        for name in order:
            rows[name]["p_value"] = self._p_value(name, best)
            rows[name]["verdict"] = self._verdict(name, best, rows[name]["p_value"])
        table = pd.DataFrame([rows[name] for name in order], index=order)
        table.index.name = "model"
        table["parameters"] = table["parameters"].astype("Int64")
        return table

    def _row(self, name: str) -> dict[str, Any]:
        folds = pd.DataFrame(
            self.folds[name], columns=[*self.problem.scorers, *MEASURES], dtype=float
        )
        row: dict[str, Any] = {}
        for metric in self.problem.scorers:
            row[metric] = folds[metric].mean(skipna=False)
            row[f"{metric}_std"] = folds[metric].std(ddof=1, skipna=False)
            if metric == self.main:
                row["p_value"] = float("nan")
        # Medians: the first fold in a process also loads libraries.
        for measure in ("fit_seconds", "predict_seconds", "parameters"):
            row[measure] = folds[measure].median()
        row["parameters"] = np.rint(row["parameters"])
        # The largest: later folds reuse memory that the first one had to ask for.
        row["memory_mb"] = folds["memory_mb"].max()
        row["family"] = self.entries[name].family
        row["verdict"] = None
        row["note"] = self._note(name, folds)
        return row

    def _note(self, name: str, folds: pd.DataFrame) -> str:
        done, full = len(folds), len(self.problem.splits)
        parts = [self.entries[name].note]
        slow = int(folds["not_converged"].sum())
        if slow:
            parts.append(f"did not converge in {slow} of {done} folds")
        if name in self.failed:
            parts.append(self.failed[name])
        elif done < full:
            why = "interrupted" if self.interrupted else "time limit"
            begun = done or name in self.cut
            parts.append(
                f"{why}: {done} of {full} folds" if begun else f"not run: {why}"
            )
        return "; ".join(part for part in parts if part)

    def _done(self, name: str) -> bool:
        return len(self.folds[name]) == len(self.problem.splits)

    def _verdict(self, name: str, best: str, p_value: float) -> str | None:
        if not self._done(name):
            return "unfinished" if self.folds[name] else None
        if name == best:
            return "best"
        if np.isnan(p_value):
            return "untested"
        return "tied" if p_value > SIGNIFICANT else "worse"

    def _p_value(self, name: str, best: str) -> float:
        if name == best or not (self._done(name) and self._done(best)):
            return float("nan")
        both = self.folds[name], self.folds[best]
        ours, theirs = ([fold[self.main] for fold in folds] for folds in both)
        difference = np.subtract(ours, theirs)
        return corrected_t_test(difference, self.problem.test_over_train)
