"""Boxes: what is where in an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from sknets._inputs.naming import on_one_line
from sknets._inputs.reader import Reader
from sknets._params import param
from sknets._warn import warn

_RECORD = '{"boxes": array of shape (k, 4), "labels": array of shape (k,)}'
_EDGES = ["left", "top", "right", "bottom"]


class Boxes(Reader):
    """A list of records: left, top, right and bottom of each object, and what it is.

    A record is a dict, or a table as `to_frame` of detectors makes them.

    What is read of an image is an array (k, 5): a box and the number of its class.

    Learned:

    classes_ : ndarray of shape (n_classes,)
    """

    name: ClassVar[str] = "boxes"

    # What `partial_fit` announced.
    announced: Any = param(default=None)
    # Whether an image may have labels alone, whose boxes are NaN.
    places_optional: bool = param(default=False)
    # Labels that a class stands for besides itself, if the classes are given.
    known: Any = param(default=None)

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> list[np.ndarray]:
        items = self.items(X)
        counted = [i for i in range(len(items)) if seen is None or seen[i]]
        if reset:
            labels = [items[i][1] for i in counted if len(items[i][1])]
            given = self.known if self.known is not None else self.announced
            if given is None and not labels:
                raise ValueError(f"{self.who}: y has no box to learn from")
            self._refuse_kinds(labels)
            self._refuse_shares(items)
            values = np.concatenate(labels) if given is None else np.asarray(given)
            self.classes_ = np.unique(values)
        return [
            self._encoded(i, *items[i], counts=seen is None or bool(seen[i]))
            for i in range(len(items))
        ]

    def _refuse_kinds(self, labels: list[np.ndarray]) -> None:
        texts = [own for own in labels if own.dtype.kind == "U"]
        if 0 < len(texts) < len(labels):
            number = next(own for own in labels if own.dtype.kind != "U")[0].item()
            raise ValueError(
                f"{self.who}: the labels of y must be numbers or strings, not both, "
                f"got {number!r} and {texts[0][0].item()!r}"
            )

    def _refuse_shares(self, items: list[tuple[np.ndarray, np.ndarray]]) -> None:
        """Raise if no box reaches beyond a pixel: they are shares of their images."""
        first = next((i for i, own in enumerate(items) if len(own[0])), None)
        every = np.concatenate([boxes for boxes, _ in items])
        every = every[np.isfinite(every)]
        if first is None or not every.size or every.max() > 1 or (every % 1 == 0).all():
            return
        raise ValueError(
            f"{self.who}: y[{first}] has the box {items[first][0][0].tolist()}, and "
            "all boxes lie within [0, 1]: a box is in pixels, so multiply it by the "
            "width and height of its image"
        )

    def _encoded(
        self, i: int, boxes: np.ndarray, labels: np.ndarray, counts: bool
    ) -> np.ndarray:
        classes = self.classes_
        known = np.isin(labels, classes)
        if not known.all() and counts:
            raise ValueError(
                f"{self.who}: y[{i}] has the label {labels[~known].tolist()[0]!r}, "
                "which is not among the classes of fit, "
                f"{on_one_line(classes.tolist())}"
            )
        boxes, labels = boxes[known], labels[known]
        codes = np.searchsorted(classes, labels) if len(labels) else np.empty(0)
        return np.column_stack([boxes, codes])

    def items(self, y: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        """The boxes (k, 4), NaN where there are labels alone, and labels (k,)."""
        if y is None:
            raise ValueError(
                f"{self.who} requires y to be passed, but the target y is None: give "
                f"each image {_RECORD}"
            )
        items = [self._item(i, given) for i, given in enumerate(y)]
        flat = [(boxes[:, 2:] == boxes[:, :2]).any(1) for boxes, _ in items]
        where = [i for i, own in enumerate(flat) if own.any()]
        if where:
            i = where[0]
            box, n = items[i][0][flat[i]][0].tolist(), sum(own.sum() for own in flat)
            warn(
                f"{self.who}: y[{i}] has the box {box}, whose width or height is 0: "
                f"all such boxes ({n}) are left out"
            )
        pairs = zip(items, flat)
        return [(boxes[~own], labels[~own]) for (boxes, labels), own in pairs]

    def _item(self, i: int, given: Any) -> tuple[np.ndarray, np.ndarray]:
        given = _record(given)
        needed = ("labels",) if self.places_optional else ("boxes", "labels")
        absent = [name for name in needed if not _has(given, name)]
        if absent:
            raise ValueError(
                f'{self.who}: y[{i}] has no "{absent[0]}", got {on_one_line(given)}: '
                f"give each image {_RECORD}"
            )
        labels = _array(given["labels"])
        missing = labels.dtype.kind == "f" and not np.isfinite(labels).all()
        objects = labels.dtype.kind == "O" and not _texts(labels)
        if labels.ndim != 1 or missing or objects:
            raise ValueError(
                f'{self.who}: the "labels" of y[{i}] must be numbers or strings, one '
                f"for each box, got {on_one_line(given['labels'])}"
            )
        labels = labels.astype(str) if labels.dtype.kind == "O" else labels
        if self.places_optional and not _has(given, "boxes"):
            return np.full((len(labels), 4), np.nan), labels
        try:
            boxes = _array(given["boxes"]).astype(np.float64)
        except (TypeError, ValueError):
            boxes = np.empty((0, 0))
        boxes = boxes.reshape(0, 4) if not boxes.size and not len(labels) else boxes
        if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
            raise ValueError(
                f'{self.who}: the "boxes" of y[{i}] must be finite numbers of shape '
                f"(k, 4): left, top, right, bottom; got {on_one_line(given['boxes'])}"
            )
        if len(boxes) != len(labels):
            raise ValueError(
                f"{self.who}: y[{i}] has {len(boxes)} boxes and {len(labels)} labels"
            )
        turned = (boxes[:, 2:] < boxes[:, :2]).any(1)
        if turned.any():
            raise ValueError(
                f"{self.who}: y[{i}] has the box {boxes[turned][0].tolist()}, and a "
                "box is left, top, right, bottom, the right further than the left and "
                "the bottom further than the top (not a width and a height)"
            )
        return boxes, labels


class OneBox(Boxes):
    """Exactly one box an image: records as of `Boxes`, or an array (n, 4) of boxes.

    Learned:

    classes_ : ndarray of shape (n_classes,)
    listed_ : bool
        Whether y was a list of records; without any all is of one class, 0.
    """

    name: ClassVar[str] = "one box"

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> list[np.ndarray]:
        X = X.detach().cpu().numpy() if isinstance(X, Tensor) else X
        X = X.to_numpy() if hasattr(X, "to_numpy") else X
        listed = X is None or any(isinstance(_record(each), dict) for each in X)
        if reset:
            self.listed_ = listed
        elif listed != self.listed_:
            kinds = "an array of boxes", "a list of records"
            raise ValueError(
                f"{self.who}: y is {kinds[listed]}, and that of fit was "
                f"{kinds[self.listed_]}: give it as in fit"
            )
        if not listed:
            X = [{"boxes": [each], "labels": [0]} for each in X]
        found = super()._read(X, reset, seen)
        for i, rows in enumerate(found):
            if len(rows) != 1 and (seen is None or seen[i]):
                raise ValueError(
                    f"{self.who}: y[{i}] has {len(rows)} boxes, and exactly one an "
                    "image is learned: detectors, such as SSDDetector and "
                    "YOLODetector, find any number"
                )
        return found


def _record(given: Any) -> Any:
    """A table of one image's boxes as a dict."""
    names = [*_EDGES, "label"]
    if not {*names} <= {*map(str, getattr(given, "columns", ()))}:
        return given
    labels = given["label"].to_numpy()
    return {"boxes": given[_EDGES].to_numpy(), "labels": labels}


def _has(given: Any, name: str) -> bool:
    return isinstance(given, dict) and given.get(name) is not None


def _array(given: Any) -> np.ndarray:
    try:
        return np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given)
    except ValueError:
        return np.empty((0, 0), dtype=object)


def _texts(labels: np.ndarray) -> bool:
    return all(isinstance(label, str) for label in labels)


def refuse_beyond(who: str, sizes: Sequence[tuple[int, ...]], found: Any) -> None:
    """Raise if a box is not within its image, (height, width)."""
    for i, ((height, width), rows) in enumerate(zip(sizes, found)):
        boxes = rows[:, :4]
        # Annotators may round up, or count pixels from 1.
        beyond = (boxes < -1) | (boxes > np.array([width, height] * 2) + 1)
        if beyond.any():
            box = boxes[beyond.any(1)][0].round(2).tolist()
            raise ValueError(
                f"{who}: y[{i}] has the box {box} (left, top, right, bottom), which is "
                f"not within X[{i}], {width} wide and {height} high: cut it off there"
            )


def padded_boxes(found: Sequence[np.ndarray]) -> np.ndarray:
    """(n, most, 5): where there is nothing the class is -1, the box NaN."""
    most = max(1, *map(len, found))
    table = np.full((len(found), most, 5), np.nan)
    table[..., 4] = -1
    for row, own in zip(table, found):
        row[: len(own)] = own
    return table


__all__ = ["Boxes", "OneBox", "padded_boxes", "refuse_beyond"]
