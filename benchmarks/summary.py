"""Rewrite the table in README.md from the kept results: a row a claim.

python benchmarks/summary.py
"""

from __future__ import annotations

import json

from _measure import RESULTS, table

README = RESULTS.parent / "README.md"
COLUMNS = ("claim", "target", "measured", "met", "command")
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def claim_row(claim: str, rows: list[dict], command: str) -> dict:
    """The range of a claim over its cases, and in how many theirs is met."""
    values = [row["measured"] for row in rows]
    low, high, unit = short(min(values)), short(max(values)), rows[0]["unit"]
    return {
        "claim": claim,
        "target": ", ".join(dict.fromkeys(row["target"] for row in rows)),
        "measured": (low if low == high else f"{low} to {high}") + f" {unit}".rstrip(),
        "met": f"{sum(row['met'] for row in rows)} of {len(rows)}",
        "command": f"`python benchmarks/{command}.py`",
    }


def summary(before: str) -> str:
    """The table with the rows of kept results; others stay as they were."""
    found, machines, lines = {}, {}, before.splitlines()
    for path in sorted(RESULTS.glob("*.json")):
        kept = json.loads(path.read_text(encoding="utf-8"))
        line = ", ".join(f"{k} {v}" for k, v in kept["machine"].items())
        machines.setdefault(line, []).append(path.stem)
        found[path.stem] = []
        for claim in dict.fromkeys(row["claim"] for row in kept["rows"]):
            rows = [row for row in kept["rows"] if row["claim"] == claim]
            rows = [row for row in rows if row["target"]]
            if rows:
                found[path.stem].append(claim_row(claim, rows, path.stem))
    for line in lines:
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        name = cells[-1].removeprefix("`python benchmarks/").removesuffix(".py`")
        if len(cells) == len(COLUMNS) and name not in found and name != cells[-1]:
            found.setdefault(f"{name} ", []).append(dict(zip(COLUMNS, cells)))
    told = [line for line in lines if line.startswith("Machine")]
    for line, names in machines.items():
        told.append(f"Machine of {', '.join(names)}: {line}.")
    rows = [row for name in sorted(found) for row in found[name]]
    return "\n".join([table(rows), "", *dict.fromkeys(told)])


def main():
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    rows, _, after = rest.partition(END)
    found = summary(rows)
    README.write_text(f"{before}{BEGIN}\n{found}\n{END}{after}", encoding="utf-8")
    print(found)


if __name__ == "__main__":
    main()
