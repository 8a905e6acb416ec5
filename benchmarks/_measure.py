"""What the benchmarks share: interleaved timing, figures, tables and JSON."""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def options(description: str, repeats: int, data: bool = False) -> argparse.Namespace:
    """The command line that every benchmark has; ``data`` adds a folder of data."""
    return given(parser(description, repeats, data))


def parser(
    description: str, repeats: int, data: bool = False
) -> argparse.ArgumentParser:
    """What reads it, for a benchmark that has more."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--repeats", type=int, default=repeats, help="rounds that count"
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer cases and rounds; nothing is kept"
    )
    if data:
        folder = os.environ.get("SKNETS_DATA")
        parser.add_argument(
            "--data", type=Path, default=folder, help="folder (default: $SKNETS_DATA)"
        )
    return parser


def given(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """What the command line says."""
    given = parser.parse_args()
    if given.quick:
        given.repeats = min(given.repeats, 3)
    return given


def find_data(
    folder: Path | None, name: str, package: str = "", inside: str = ""
) -> Path | None:
    """A file anywhere below the folder, or where an installed package carries it."""
    for path in folder.rglob(name) if folder else ():
        return path
    try:
        path = Path(str(distribution(package).locate_file(f"{inside}/{name}")))
    except (PackageNotFoundError, ValueError):
        return None
    return path if path.exists() else None


def one_thread() -> None:
    """One thread everywhere, torch's and the BLAS of numpy and scikit-learn.

    With several, small matrices measure how busy the machine is. Call it after the
    imports: it sets the libraries that are loaded.
    """
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
    warnings.simplefilter("ignore")


def interleaved(
    contenders: dict[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.process_time,
    calls: int = 1,
) -> dict[str, list[float]]:
    """Seconds a call of each contender, in turns so that all see the same machine.

    CPU time of the process by default: it does not count what neighbours take. One
    warm-up round is not counted; every second round runs backwards, so that nobody
    always follows the same neighbour.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    gc.collect()
    gc.freeze()  # the libraries' own objects: going through them takes 0.1 s a time
    for repeat in range(repeats + 1):
        turn = list(contenders.items())
        for name, run in turn if repeat % 2 else reversed(turn):
            gc.collect()
            start = clock()
            for _ in range(calls):
                run()
            if repeat:
                seconds[name].append((clock() - start) / calls)
    gc.unfreeze()
    return seconds


@dataclass
class Figure:
    """One measured number of a claim in one case; of the two bounds one or none."""

    claim: str
    case: str
    value: float
    unit: str = "×"
    at_most: float | None = None
    at_least: float | None = None
    details: dict = field(default_factory=dict)

    def row(self) -> dict:
        target = met = None
        if self.at_most is not None:
            target, met = f"≤ {self.at_most:g}", self.value <= self.at_most
        if self.at_least is not None:
            target, met = f"≥ {self.at_least:g}", self.value >= self.at_least
        return {
            "claim": self.claim,
            "case": self.case,
            "measured": float(self.value),
            "unit": self.unit,
            "target": target,
            "met": met if met is None else bool(met),
            **self.details,
        }


def ratio(
    case: str,
    ours: str,
    peer: str,
    seconds: dict[str, list[float]],
    at_most: float | None = None,
    claim: str | None = None,
) -> Figure:
    """Our time divided by the peer's: the median over rounds of their ratio."""
    pairs = zip(seconds[ours], seconds[peer])
    return Figure(
        claim or f"{ours} / {peer}",
        case,
        statistics.median(a / b for a, b in pairs),
        at_most=at_most,
        details={
            "ours s": statistics.median(seconds[ours]),
            "peer s": statistics.median(seconds[peer]),
        },
    )


def report(
    name: str, figures: list[Figure], keep: bool = True, part: bool = False
) -> None:
    """Print the figures, and keep them for the table in README.md (`summary.py`).

    Of a run that is but a ``part``, what was kept of other claims and cases stays.
    """
    rows = [figure.row() for figure in figures]
    for claim in dict.fromkeys(row["claim"] for row in rows):
        print(f"\n{claim}\n")
        of_claim = [row for row in rows if row["claim"] == claim]
        print(table([{k: v for k, v in r.items() if k != "claim"} for r in of_claim]))
    held = [row["met"] for row in rows if row["met"] is not None]
    print(f"\n{sum(held)} of {len(held)} targets met")
    if not keep:
        return
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    if part:
        new = {(row["claim"], row["case"]) for row in rows}
        old = [row for row in kept(name) if (row["claim"], row["case"]) not in new]
        rows = [*old, *rows]
    text = json.dumps(
        {"machine": machine(), "rows": rows}, indent=1, ensure_ascii=False
    )
    path.write_text(text + "\n", encoding="utf-8")


def kept(name: str) -> list[dict]:
    """The rows of a benchmark that the last runs kept."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []


def machine() -> dict[str, object]:
    """Where the figures come from."""
    processor = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            models = [line for line in lines if line.startswith("model name")]
        processor = models[0].partition(":")[2].strip() if models else processor
    packages = ("torch", "scikit-learn", "skorch", "numpy")
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def table(rows: list[dict]) -> str:
    """A Markdown table; figures with four digits."""

    def cell(value) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return "yes" if value else "**no**"
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        lines.append("| " + " | ".join(cell(row.get(c)) for c in columns) + " |")
    return "\n".join(lines)
