"""Dates as people write them, and as machines do."""

from __future__ import annotations

import calendar
import datetime

import numpy as np

from sknets.datasets._common import checked

_FIRST, _LAST = datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)
_FORMS = (
    "{day} {month} {year}",
    "{day} {short} {year}",
    "{month} {day}, {year}",
    "{short} {day}, {year}",
    "{month} {nth}, {year}",
    "the {nth} of {month} {year}",
    "{weekday}, {day} {month} {year}",
    "{weekday}, {month} {day}, {year}",
    "{day}.{number}.{year}",
    "{day:02}/{number:02}/{year}",
)
_ENDINGS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}


def make_dates(
    n_samples: int = 1000, *, random_state: int | np.random.RandomState | None = None
) -> tuple[list[str], list[str]]:
    """Generate dates written in ten ways, and in ISO 8601's.

    A small task of translation whose right answer is known: days, months and years come
    in any order, months in words or as numbers.

    Parameters
    ----------
    n_samples : int, default=1000
        How many dates, of the years 1950 to 2049; at least 1.
    random_state : int, RandomState or None, default=None
        Seed of everything that is random: the same number, the same bits.

    Returns
    -------
    written : list of str
        Such as "the 3rd of March 1987".
    iso : list of str
        Such as "1987-03-03".

    Raises
    ------
    ValueError
        For an argument out of bounds.

    Examples
    --------
    >>> from sknets.datasets import make_dates
    >>> written, iso = make_dates(2, random_state=0)
    >>> written, iso
    (['the 25th of June 1957', 'Feb 29, 2008'], ['1957-06-25', '2008-02-29'])
    """
    given = "n_samples", n_samples, int, {"at least": 1}
    random = checked("make_dates", given, random_state=random_state)
    written, iso = [], []
    for _ in range(n_samples):
        own = _FIRST + datetime.timedelta(
            int(random.randint((_LAST - _FIRST).days + 1))
        )
        parts = {
            "day": own.day,
            "nth": f"{own.day}{_ENDINGS.get(own.day, 'th')}",
            "number": own.month,
            "month": calendar.month_name[own.month],
            "short": calendar.month_abbr[own.month],
            "year": own.year,
            "weekday": calendar.day_name[own.weekday()],
        }
        written.append(_FORMS[random.randint(len(_FORMS))].format(**parts))
        iso.append(own.isoformat())
    return written, iso


__all__ = ["make_dates"]
