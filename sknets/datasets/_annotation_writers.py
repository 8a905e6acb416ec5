"""Boxes written as other tools read them: COCO, Pascal VOC and YOLO."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from sknets._inputs.boxes import Boxes, refuse_beyond

Path_ = str | os.PathLike[str]


def write_coco(folder: Path_, X: Sequence[Any], y: Sequence[dict]) -> None:
    """Write images and boxes in the format of COCO.

    Parameters
    ----------
    folder : path-like
        Becomes annotations.json and a folder images of PNG files. It may exist, empty.
    X : sequence of ndarray of shape (height, width[, 1 or 3 or 4])
        uint8, or floats in [0, 1].
    y : sequence of dict
        For each image ``"boxes"``, (k, 4) in pixels, and ``"labels"``, (k,), as
        detectors take and give them; scores are not written.

    Raises
    ------
    FileExistsError
        If the folder is not empty.
    ValueError
        If an image or a box is not what it should be; nothing is written then.

    See Also
    --------
    read_coco : Reads them.

    Examples
    --------
    >>> from sknets.datasets import make_cluttered_digits, read_coco, write_coco
    >>> X, y = make_cluttered_digits(2, random_state=0)
    >>> write_coco("digits", X, y)  # doctest: +SKIP
    >>> X, y = read_coco("digits/annotations.json", "digits/images")  # doctest: +SKIP
    """
    images, rows, names = _checked("write_coco", folder, X, y)
    paths = _write_images(Path(folder) / "images", images)
    boxes = [(i, *row) for i, own in enumerate(rows) for row in own.tolist()]
    file = {
        "images": [
            {
                "id": i,
                "file_name": path.name,
                "width": image.shape[1],
                "height": image.shape[0],
            }
            for i, (path, image) in enumerate(zip(paths, images))
        ],
        "categories": [{"id": k, "name": name} for k, name in enumerate(names)],
        "annotations": [
            {
                "id": j,
                "image_id": i,
                "category_id": int(code),
                "bbox": [x, top, right - x, bottom - top],
                "area": (right - x) * (bottom - top),
                "iscrowd": 0,
            }
            for j, (i, x, top, right, bottom, code) in enumerate(boxes)
        ],
    }
    text = json.dumps(file, ensure_ascii=False)
    (Path(folder) / "annotations.json").write_text(text, encoding="utf-8")


def write_voc(folder: Path_, X: Sequence[Any], y: Sequence[dict]) -> None:
    """Write images and boxes in the format of Pascal VOC.

    Parameters
    ----------
    folder : path-like
        Becomes folders JPEGImages, of PNG files, and Annotations, an XML file for each,
        in which the first pixel is 1. It may exist, empty.
    X, y : as of `write_coco`

    Raises
    ------
    FileExistsError, ValueError
        As `write_coco` does.

    See Also
    --------
    read_voc : Reads them.

    Examples
    --------
    >>> from sknets.datasets import make_cluttered_digits, write_voc
    >>> X, y = make_cluttered_digits(2, random_state=0)
    >>> write_voc("digits", X, y)  # doctest: +SKIP
    """
    images, rows, names = _checked("write_voc", folder, X, y)
    paths = _write_images(Path(folder) / "JPEGImages", images)
    notes = Path(folder) / "Annotations"
    notes.mkdir()
    for path, image, own in zip(paths, images, rows):
        root = ElementTree.Element("annotation")
        size = dict(zip(("height", "width", "depth"), (*image.shape, 1)))
        _write_below(root, {"filename": path.name, "size": size})
        for x, top, right, bottom, code in own.tolist():
            # The first and the last pixel, the corner's being 1.
            ends = {"xmin": x + 1, "ymin": top + 1, "xmax": right, "ymax": bottom}
            item = ElementTree.SubElement(root, "object")
            whole = {k: int(v) if v.is_integer() else v for k, v in ends.items()}
            _write_below(item, {"name": names[int(code)], "bndbox": whole})
        tree = ElementTree.ElementTree(root)
        ElementTree.indent(tree)
        tree.write(notes / f"{path.stem}.xml", encoding="utf-8")


def write_yolo(folder: Path_, X: Sequence[Any], y: Sequence[dict]) -> None:
    """Write images and boxes in the format of YOLO.

    Parameters
    ----------
    folder : path-like
        Becomes folders images, of PNG files, and labels, a text file for each, and
        classes.txt, the names of the classes. It may exist, empty.
    X, y : as of `write_coco`

    Raises
    ------
    FileExistsError, ValueError
        As `write_coco` does.

    See Also
    --------
    read_yolo : Reads them.

    Examples
    --------
    >>> from sknets.datasets import make_cluttered_digits, write_yolo
    >>> X, y = make_cluttered_digits(2, random_state=0)
    >>> write_yolo("digits", X, y)  # doctest: +SKIP
    """
    images, rows, names = _checked("write_yolo", folder, X, y)
    paths = _write_images(Path(folder) / "images", images)
    notes = Path(folder) / "labels"
    notes.mkdir()
    for path, image, own in zip(paths, images, rows):
        whole = np.array([*image.shape[1::-1]])
        low, high = own[:, :2] / whole, own[:, 2:4] / whole
        shares = np.concatenate([(low + high) / 2, high - low], 1).tolist()
        lines = [
            f"{int(code)} {' '.join(map(repr, each))}\n"
            for code, each in zip(own[:, 4], shares)
        ]
        (notes / f"{path.stem}.txt").write_text("".join(lines))
    text = "".join(f"{name}\n" for name in names)
    (Path(folder) / "classes.txt").write_text(text, encoding="utf-8")


def _checked(
    who: str, folder: Path_, X: Sequence[Any], y: Sequence[dict]
) -> tuple[list[np.ndarray], list[np.ndarray], list[str]]:
    """Bytes of images, rows (k, 5) of boxes within them, and names of classes."""
    if len(X) != len(y):
        raise ValueError(f"{who}: X has {len(X)} images and y {len(y)} records")
    images = [_as_bytes(who, i, np.asarray(image)) for i, image in enumerate(X)]
    reader = Boxes.of(who)
    rows = reader.learn(y)
    refuse_beyond(who, [image.shape[:2] for image in images], rows)
    for own, image in zip(rows, images):
        own[:, :4] = own[:, :4].clip(0, [*image.shape[1::-1]] * 2)
    names = [str(label) for label in reader.classes_]
    for name in names:
        if not name.strip() or len(name.splitlines()) > 1 or name != name.strip():
            raise ValueError(
                f"{who}: y has the label {name!r}, and a name in a file is of one "
                "line, with no space around it"
            )
    top = Path(folder)
    if top.exists() and (not top.is_dir() or any(top.iterdir())):
        raise FileExistsError(f"{who}: {top} is not empty: give another folder")
    return images, rows, names


def _as_bytes(who: str, i: int, image: np.ndarray) -> np.ndarray:
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim != 2 and not (image.ndim == 3 and image.shape[2] in (3, 4)):
        raise ValueError(
            f"{who}: X[{i}] must be an image of shape (height, width) or (height, "
            f"width, 1, 3 or 4), got {image.shape}"
        )
    if image.dtype == np.uint8:
        return image
    if image.dtype.kind != "f" or not ((image >= 0) & (image <= 1)).all():
        raise ValueError(
            f"{who}: X[{i}] must be of uint8, or of floats from 0 to 1, got "
            f"{image.dtype} from {image.min()} to {image.max()}"
        )
    return (255 * image).round().astype(np.uint8)


def _write_images(folder: Path, images: list[np.ndarray]) -> list[Path]:
    from PIL import Image

    folder.mkdir(parents=True)
    paths = [folder / f"{i:06d}.png" for i in range(len(images))]
    for path, image in zip(paths, images):
        Image.fromarray(image).save(path)
    return paths


def _write_below(item: ElementTree.Element, values: dict[str, Any]) -> None:
    for name, value in values.items():
        child = ElementTree.SubElement(item, name)
        if isinstance(value, dict):
            _write_below(child, value)
        else:
            child.text = str(value)


__all__ = ["write_coco", "write_voc", "write_yolo"]
