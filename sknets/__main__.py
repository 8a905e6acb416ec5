"""The command line: `python -m sknets` with `compare`, `predict` or `list`."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from sknets import __version__, _catalogue

if TYPE_CHECKING:
    import pandas as pd

WRONG_INPUT, INTERRUPTED = 2, 130
MODEL_FILES = (".safetensors", ".joblib")
SEPARATORS = "what separates columns (default: a comma, or else ; tab |)"


class UserError(Exception):
    """What the user can put right; its text is the one sentence that is printed."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> _Parser:
    parser = _Parser(
        prog="sknets", description="Deep learning as scikit-learn estimators."
    )
    parser.add_argument("--version", action="version", version=f"sknets {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    compare = commands.add_parser(
        "compare",
        help="cross-validate deep and classical models on a CSV file and rank them",
        description="Cross-validate deep and classical models on the same folds of a "
        "CSV file and print the leaderboard. Text, dates, categories and missing "
        "values are prepared for each model.",
    )
    add = compare.add_argument
    add("file", type=Path, help="CSV file with a header line")
    add("--target", required=True, metavar="COLUMN", help="the column to predict")
    add("--task", choices=("auto", "classification", "regression"), default="auto")
    add("--cv", type=int, default=5, metavar="N", help="folds (default: 5)")
    add(
        "--models", metavar="A,B", help="names, comma-separated (default: all that fit)"
    )
    add("--scoring", metavar="A,B", help="scikit-learn's scorers, the main one first")
    add("--time-limit", type=float, metavar="S", help="seconds for everything")
    add("--n-jobs", type=int, metavar="N", help="folds run at once (-1: all cores)")
    add("--seed", type=int, default=0, help="of folds and models (default: 0)")
    add("--device", default="cpu", help="where networks train (default: cpu)")
    add("--output", type=Path, metavar="CSV", help="also write the leaderboard here")
    add("--plot", type=Path, metavar="PNG", help="also save its picture here")
    add(
        "--save",
        type=Path,
        metavar="MODEL",
        help="also refit the best model on all rows and keep it here, for predict: a "
        "network of this library in .safetensors, any model in .joblib",
    )
    add("--sep", help=SEPARATORS)
    add("--quiet", action="store_true", help="no progress")
    compare.set_defaults(run=run_compare)

    predict = commands.add_parser(
        "predict",
        help="predict the rows of a CSV file by a saved model",
        description="Predict the rows of a CSV file by a model that compare --save or "
        "estimator.save kept. A .joblib file can run code when it is read: take those "
        "only from people you trust.",
    )
    add = predict.add_argument
    add("model", type=Path, help=".safetensors or .joblib file")
    add("file", type=Path, help="CSV file with a header line")
    add(
        "--output", type=Path, metavar="CSV", help="where to (default: standard output)"
    )
    add("--sep", help=SEPARATORS)
    predict.set_defaults(run=run_predict)

    listing = commands.add_parser(
        "list", help="list the estimators, by kind of data and task"
    )
    listing.add_argument("--data", help="such as table")
    listing.add_argument("--task", help="such as classification")
    listing.set_defaults(run=run_list)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, default=None
        The words after the program's name; None takes those it was started with.

    Returns
    -------
    int
        0, 2 for wrong input (one sentence is on stderr), 130 after Ctrl-C.
    """
    options = _parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: _say(str(message))
        try:
            return options.run(options)
        except UserError as error:
            _say(f"sknets {options.command}: {error}")
            return WRONG_INPUT
        except KeyboardInterrupt:
            _say("interrupted before anything was finished")
            return INTERRUPTED


def _plain(error: Exception) -> str:
    """Take from an error the call that nobody typed: "compare(cv=1): cv must ..."."""
    words = re.match(r"^\w+\((\w+)=?(.*?)\): (.*)$", str(error), re.S)
    if words is None:
        return str(error)
    name, value, rule = words.groups()
    given = value and value != "..." and name not in ("X", "y")
    return f"--{name.replace('_', '-')} {value}: {rule}" if given else rule


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def run_compare(options: argparse.Namespace) -> int:
    """Run `sknets compare`."""
    begin = time.monotonic()
    _check_outputs(options)
    X, y = read_problem(options.file, options.target, options.sep)

    import sknets

    limit = options.time_limit
    if limit is not None and limit > 0:  # reading the file is of that time as well
        limit = max(limit - (time.monotonic() - begin), 1e-3)
    try:
        comparison = sknets.compare(
            X,
            y,
            models=_names(options.models) or "auto",
            task=options.task,
            cv=options.cv,
            scoring=_names(options.scoring),
            n_jobs=options.n_jobs,
            time_limit=limit,
            random_state=options.seed,
            device=options.device,
            verbose=0 if options.quiet else 1,
        )
    except ValueError as error:
        raise UserError(_plain(error)) from None
    print(comparison)
    if options.output is not None:
        comparison.table.to_csv(options.output)
        print(f"\nleaderboard written to {options.output}")
    finished = comparison.table[comparison.main_score].notna().any()
    if options.plot is not None and finished:
        comparison.plot().figure_.savefig(options.plot, dpi=150)
        print(f"picture saved as {options.plot}")
    if options.save is not None and finished:
        _save(comparison.best_name_, comparison.best_, options.save)
    return INTERRUPTED if comparison.interrupted else 0


def _save(name: str, model: Any, path: Path) -> None:
    """Keep a fitted model; what a .safetensors file cannot hold goes beside it."""
    if path.suffix == ".safetensors":
        if hasattr(model, "save"):
            model.save(path)
            print(f"{name} saved as {path}")
            return
        path = path.with_suffix(".joblib")
        _say(
            f"--save: {name} has steps of scikit-learn, which no .safetensors file "
            f"holds; it goes to {path}"
        )
    import joblib

    joblib.dump(model, path)
    print(f"{name} saved as {path}")


def run_predict(options: argparse.Namespace) -> int:
    """Run `sknets predict`."""
    _check_folder(options.output)
    model = _load(options.model)
    kind = type(model).__name__
    verb = next((v for v in ("predict", "transform") if hasattr(model, v)), None)
    task, _ = _catalogue.ESTIMATORS.get(kind, ("", ()))
    if verb is None or task == "forecasting":
        raise UserError(
            f"{options.model} is a {kind}, which predicts no rows of a table"
        )
    X = read_csv(options.file, options.sep)
    for name in getattr(model, "feature_names_in_", ()):
        if name not in X.columns:
            raise UserError(
                f"{options.file} has no column {name!r}, which the model was fitted on"
            )
    try:
        found = getattr(model, verb)(X[list(getattr(model, "feature_names_in_", X))])
    except (ValueError, TypeError) as error:
        raise UserError(_plain(error).strip().splitlines()[0]) from None

    import pandas as pd

    table = pd.DataFrame(found)
    several = table.shape[1] > 1
    table.columns = [f"prediction_{i}" if several else "prediction" for i in table]
    table.to_csv(sys.stdout if options.output is None else options.output, index=False)
    return 0


def _load(path: Path) -> Any:
    """Read a saved model, or say in one sentence why it is none."""
    if not path.exists():
        raise UserError(f"there is no file {path}")
    if path.suffix == ".joblib":
        import joblib

        try:
            return joblib.load(path)
        except Exception as error:
            why = str(error).strip().splitlines() or [type(error).__name__]
            raise UserError(f"{path} is no saved model ({why[0]})") from None
    import sknets

    try:
        return sknets.load(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {str(error).partition('): ')[2]}") from None


def _names(words: str | None) -> list[str] | None:
    return [w.strip() for w in words.split(",") if w.strip()] if words else None


def _check_folder(path: Path | None) -> None:
    if path is not None and not path.resolve().parent.is_dir():
        raise UserError(f"there is no folder {path.resolve().parent} for {path.name}")


def _check_outputs(options: argparse.Namespace) -> None:
    """Find out before the work whether its results can be kept."""
    for path in (options.output, options.plot, options.save):
        _check_folder(path)
    if options.save is not None and options.save.suffix not in MODEL_FILES:
        raise UserError(
            f"--save {options.save}: the name must end in one of "
            + ", ".join(MODEL_FILES)
        )
    if options.plot is not None:
        from sknets.display import pyplot

        try:
            plt = pyplot()
        except ImportError as error:
            raise UserError(f"--plot: {error}") from None
        # The picture goes to a file: no window system is needed, or wanted.
        plt.switch_backend("agg")
        formats = plt.figure().canvas.get_supported_filetypes()
        plt.close()
        if options.plot.suffix.lstrip(".").lower() not in formats:
            raise UserError(
                f"--plot {options.plot}: the name must end in one of "
                f"{', '.join('.' + name for name in formats)}"
            )


def read_problem(
    file: Path, target: str, sep: str | None
) -> tuple[pd.DataFrame, pd.Series]:
    """Read a CSV file and take the target out of it."""
    frame = read_csv(file, sep)
    names = [str(name) for name in frame.columns]
    if target not in names:
        near = difflib.get_close_matches(target, names, n=1, cutoff=0.5) or [
            name for name in names if name.strip().lower() == target.strip().lower()
        ]
        hint = f"did you mean {near[0]!r}?" if near else f"it has {_shown(names)}"
        raise UserError(f"{file} has no column {target!r}; {hint}")
    if len(names) == 1:
        raise UserError(
            f"{file} has one column only, {target!r}: nothing is left to predict it "
            "from"
        )
    known = frame[target].notna()
    if not known.any():
        raise UserError(f"column {target!r} of {file} is empty in every row")
    if not known.all():
        lost = int((~known).sum())
        rows = "row" if lost == 1 else "rows"
        _say(f"{lost:,} {rows} without {target!r} left out, of {len(frame):,}")
        frame = frame[known].reset_index(drop=True)
    return frame.drop(columns=target), frame[target]


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return ", ".join(map(repr, names[:12])) + more


def read_csv(file: Path, sep: str | None = None) -> pd.DataFrame:
    """Read a CSV file, or say in one sentence why it cannot be read."""
    import pandas as pd

    if not file.exists():
        raise UserError(f"there is no file {file}")
    if file.is_dir():
        raise UserError(f"{file} is a folder, not a CSV file")

    def read(sep: str, **how: Any) -> pd.DataFrame:
        try:
            return pd.read_csv(file, sep=sep, low_memory=False, **how)
        except UnicodeDecodeError:
            # What spreadsheets of Western Windows write; it takes any bytes.
            return pd.read_csv(
                file, sep=sep, low_memory=False, encoding="latin-1", **how
            )

    try:
        sep = sep or _separator(file)
        # Where a comma is the decimal point, a semicolon separates.
        frame = read(sep, decimal="," if sep == ";" else ".")
    except pd.errors.EmptyDataError:
        raise UserError(f"{file} is empty") from None
    except (pd.errors.ParserError, ValueError, OSError) as error:
        why = str(error).strip().splitlines()[0]
        raise UserError(
            f"{file} cannot be read as CSV ({why}): is --sep right?"
        ) from None
    if frame.empty:
        raise UserError(f"{file} has a header line but no rows")
    return frame


def _separator(file: Path) -> str:
    """Return what the header line holds most of: commas, or else ; tab |."""
    with file.open(encoding="latin-1") as lines:
        header = re.sub(r'"[^"]*"', "", lines.readline())
    return max(",;\t|", key=header.count)


def run_list(options: argparse.Namespace) -> int:
    """Run `sknets list`."""
    try:
        found = _catalogue.names(options.data, options.task)
    except ValueError as error:
        raise UserError(_plain(error)) from None
    if not found:
        raise UserError(f"no estimator takes {options.data} for {options.task}")
    rows = []
    for name in found:
        task, kinds = _catalogue.ESTIMATORS[name]
        rows.append((name, ", ".join(kinds), task))
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
