"""Rewrite the table in README.md from the kept results: a row a claim.

python benchmarks/summary.py
"""

from __future__ import annotations

import json

from _measure import RESULTS, table

README = RESULTS.parent / "README.md"
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


def summary() -> str:
    found, machines = [], {}
    for path in sorted(RESULTS.glob("*.json")):
        kept = json.loads(path.read_text(encoding="utf-8"))
        line = ", ".join(f"{k} {v}" for k, v in kept["machine"].items())
        machines.setdefault(line, []).append(path.stem)
        for claim in dict.fromkeys(row["claim"] for row in kept["rows"]):
            rows = [row for row in kept["rows"] if row["claim"] == claim]
            rows = [row for row in rows if row["target"]]
            if rows:
                found.append(claim_row(claim, rows, path.stem))
    lines = [table(found), ""]
    for line, names in machines.items():
        where = f" ({', '.join(names)})" if len(machines) > 1 else ""
        lines.append(f"Machine: {line}{where}.")
    return "\n".join(lines)


def main():
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{summary()}\n{END}{after}", encoding="utf-8")
    print(summary())


if __name__ == "__main__":
    main()
