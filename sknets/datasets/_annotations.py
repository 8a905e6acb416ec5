"""Boxes as other tools write them: COCO, Pascal VOC and YOLO."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

Path_ = str | os.PathLike[str]
Records = list[dict[str, np.ndarray]]
_SUFFIXES = ".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"
_NAMES = "classes.txt", "obj.names"  # where YOLO's tools write names


def read_coco(
    path: Path_, images: Path_ | None = None, *, load_images: bool = True
) -> tuple[list[Any], Records]:
    """Read boxes in the format of COCO: a JSON file of all images.

    Crowds (``iscrowd``), boxes around many objects, are left out.

    Parameters
    ----------
    path : path-like
        The file.
    images : path-like, default=None
        The folder of the images; None: that of the file.
    load_images : bool, default=True
        Whether images are read; otherwise their paths are returned.

    Returns
    -------
    images : list of ndarray of shape (height, width[, 3]), uint8, or list of Path
        In the file's order, in colour if one of them is.
    records : list of dict
        For each image ``"boxes"``, float64 of shape (k, 4): left, top, right and bottom
        edge in pixels, (0, 0) being the corner of the image; and ``"labels"``, names of
        categories of shape (k,). An image may have none.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    ValueError
        If a file is not what it should be.

    References
    ----------
    T.-Y. Lin et al. Microsoft COCO: Common Objects in Context. ECCV 2014.

    Examples
    --------
    >>> from sknets.datasets import read_coco
    >>> X, y = read_coco("instances_val.json", "val")  # doctest: +SKIP
    """
    file, who = Path(path), "read_coco"
    folder = file.parent if images is None else Path(images)
    try:
        given = json.loads(_text(who, file))
    except ValueError as error:
        raise ValueError(f"{who}: {file} is no JSON: {error}") from None
    parts = "images", "annotations", "categories"
    for part in parts:
        if not isinstance(given, dict) or not isinstance(given.get(part), list):
            raise ValueError(
                f'{who}: {file} has no list "{part}": a COCO file of boxes has '
                + ", ".join(parts)
            )
    try:
        paths = {own["id"]: folder / own["file_name"] for own in given["images"]}
        names = {own["id"]: str(own["name"]) for own in given["categories"]}
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{who}: {file} has an image without id or file_name, or a category "
            f"without id or name: {error!r}"
        ) from None
    found: dict[Any, list[Any]] = {key: [] for key in paths}
    for i, own in enumerate(given["annotations"]):
        try:
            if own.get("iscrowd"):
                continue
            x, y, width, height = map(float, own["bbox"])
            boxes, name = found[own["image_id"]], names[own["category_id"]]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{who}: annotations[{i}] of {file} needs a bbox of four numbers, an "
                f"image_id and a category_id that the file has: {error!r}"
            ) from None
        boxes.append(([x, y, x + width, y + height], name))
    return _together(who, list(paths.values()), list(found.values()), load_images)


def read_voc(
    folder: Path_,
    *,
    first_pixel: int = 1,
    difficult: bool = True,
    load_images: bool = True,
) -> tuple[list[Any], Records]:
    """Read boxes in the format of Pascal VOC: an XML file for each image.

    Parameters
    ----------
    folder : path-like
        With folders Annotations and JPEGImages, or with both kinds of files in it. An
        image has the name that its XML file tells, or that file's own.
    first_pixel : {1, 0}, default=1
        What the first row and column are called. Boxes name the first and the last
        pixel of an object, so that from 1 the box 1, 1, 10, 20 is 0, 0, 10, 20 here,
        and from 0 the box 0, 0, 9, 19.
    difficult : bool, default=True
        Whether objects that are marked as difficult are kept.
    load_images : bool, default=True
        Whether images are read; otherwise their paths are returned.

    Returns
    -------
    images, records
        As of `read_coco`, in the order of the names of the XML files.

    Raises
    ------
    FileNotFoundError
        If there is no XML file, or an image of one is not there.
    ValueError
        If a file is not what it should be.

    References
    ----------
    M. Everingham et al. The Pascal Visual Object Classes (VOC) Challenge. IJCV 2010.

    Examples
    --------
    >>> from sknets.datasets import read_voc
    >>> X, y = read_voc("VOCdevkit/VOC2012")  # doctest: +SKIP
    """
    who, top = "read_voc", Path(folder)
    if first_pixel not in (0, 1):
        raise ValueError(f"{who}(first_pixel={first_pixel!r}): first_pixel is 0 or 1")
    notes = _within(top, "Annotations")
    files = sorted(notes.glob("*.xml"))
    if not files:
        raise FileNotFoundError(f"{who}: {notes} has no XML file")
    paths, found = [], []
    for file in files:
        try:
            root = ElementTree.fromstring(_text(who, file))
        except ElementTree.ParseError as error:
            raise ValueError(f"{who}: {file} is no XML: {error}") from None
        pictures = _within(top, "JPEGImages")
        path = pictures / _child(who, file, root, "filename")
        if not path.exists():  # it may have been renamed together with its note
            twins = (pictures / f"{file.stem}{suffix}" for suffix in _SUFFIXES)
            path = next((twin for twin in twins if twin.exists()), path)
        paths.append(path)
        boxes: list[Any] = []
        for item in root.iter("object"):
            if not difficult and (item.findtext("difficult") or "0").strip() == "1":
                continue
            name = _child(who, file, item, "name")
            sides = [
                _child(who, file, item, f"bndbox/{side}")
                for side in ("xmin", "ymin", "xmax", "ymax")
            ]
            try:
                ends = np.array(sides, float)
            except ValueError:
                raise ValueError(
                    f"{who}: {file} has the box {sides}, and sides are numbers"
                ) from None
            # From the edge before the first pixel to that after the last.
            ends += np.array([0, 0, 1, 1]) - first_pixel
            boxes.append((ends.clip(0), name))
        found.append(boxes)
    return _together(who, paths, found, load_images)


def read_yolo(
    folder: Path_,
    names: Sequence[str] | Path_ | None = None,
    *,
    load_images: bool = True,
) -> tuple[list[Any], Records]:
    """Read boxes in the format of YOLO: a text file for each image.

    A line is the number of a class and the middle, the width and the height of a box,
    as shares of the image's. An image without a file has no box.

    Parameters
    ----------
    folder : path-like
        With folders images and labels, of the same structure, or with both kinds of
        files in it.
    names : list of str or path-like, default=None
        The names of the classes, or a file with one a line. None: those of the file
        classes.txt or obj.names of the folder; without one labels are numbers.
    load_images : bool, default=True
        Whether images are returned, or their paths.

    Returns
    -------
    images, records
        As of `read_coco`, in the order of the names of the images.

    Raises
    ------
    FileNotFoundError
        If there is no image.
    ValueError
        If a file is not what it should be.

    Examples
    --------
    >>> from sknets.datasets import read_yolo
    >>> X, y = read_yolo("cells", names=["red", "white"])  # doctest: +SKIP
    """
    who, top = "read_yolo", Path(folder)
    pictures, notes = _within(top, "images"), _within(top, "labels")
    paths = sorted(p for p in pictures.rglob("*") if p.suffix.lower() in _SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"{who}: {pictures} has no image")
    if names is None:
        names = next((top / n for n in _NAMES if (top / n).exists()), None)
    if isinstance(names, str | os.PathLike):
        names = [*filter(None, map(str.strip, _text(who, Path(names)).splitlines()))]
    found, arrays = [], []
    for path in paths:
        image = _image(who, path)
        arrays += [image] * load_images
        height, width = image.shape[:2]
        file = (notes / path.relative_to(pictures)).with_suffix(".txt")
        lines = _text(who, file).splitlines() if file.exists() else []
        found.append(
            [
                _line(f"{who}: line {i} of {file}", line, names, (width, height))
                for i, line in enumerate(lines, 1)
                if line.strip()
            ]
        )
    images, records = _together(who, paths, found, False)
    return (_alike(arrays) if load_images else images), records


def _line(
    where: str, line: str, names: Sequence[str] | None, size: tuple[int, int]
) -> tuple[np.ndarray, Any]:
    try:
        number, *shares = map(float, line.split())
    except ValueError:
        number, shares = -1.0, []
    places = np.array(shares)
    wrong = len(shares) != 4 or (places < 0).any() or (places > 1).any()
    if wrong or number < 0 or number % 1:
        raise ValueError(
            f"{where} is {line.strip()[:60]!r}, and should be the number of a class "
            "and four shares of the image, from 0 to 1: middle (x, y), width and height"
        )
    if names is not None and number >= len(names):
        raise ValueError(
            f"{where} is of class {number:.0f}, and there are {len(names)} names"
        )
    middle, half = places[:2], places[2:] / 2
    box = np.concatenate([middle - half, middle + half]).clip(0, 1) * (size * 2)
    return box, int(number) if names is None else str(names[int(number)])


def _together(
    who: str, paths: list[Path], found: list[list[Any]], load_images: bool
) -> tuple[list[Any], Records]:
    """Images, or their paths, and records of pairs of a box and its label."""
    kind = type(next((own[0][1] for own in found if own), ""))
    records = [
        {
            "boxes": np.array([box for box, _ in own], float).reshape(-1, 4),
            "labels": np.array([label for _, label in own], kind),
        }
        for own in found
    ]
    images: list[Any] = list(paths)
    return (_alike([_image(who, p) for p in paths]) if load_images else images), records


def _image(who: str, path: Path) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            grey = image.mode in ("1", "L", "LA")
            return np.array(image.convert("L" if grey else "RGB"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{who}: the image {path} is not there") from None
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{who}: {path} is no image: {error}") from None


def _alike(images: list[np.ndarray]) -> list[np.ndarray]:
    """All grey, or all in colour."""
    if all(image.ndim == 2 for image in images):
        return images
    return [np.dstack([image] * 3) if image.ndim == 2 else image for image in images]


def _text(who: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(f"{who}: {path} is not there") from None
    except UnicodeDecodeError:
        raise ValueError(f"{who}: {path} is no text in UTF-8") from None


def _within(folder: Path, name: str) -> Path:
    return folder / name if (folder / name).is_dir() else folder


def _child(who: str, file: Path, item: Any, name: str) -> str:
    text = (item.findtext(name) or "").strip()
    if not text:
        raise ValueError(f"{who}: {file} has a <{item.tag}> without <{name}>")
    return text


__all__ = ["read_coco", "read_voc", "read_yolo"]
