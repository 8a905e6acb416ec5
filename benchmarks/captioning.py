"""Images described: scenes of shapes whose sentences are known, and stamps.

Scenes with captions (`sknets.datasets.make_captioned_scenes`, 3,000 to learn from, 300
new ones): the share of sentences exactly right and BLEU by default parameters, the CPU
time of the fit, beside the sentence of the nearest image. The stamps of Tux Paint
(--data DIR, a folder with *.png and the captions in *.txt beside them; Debian's
tuxpaint-stamps-default has them in /usr/share/tuxpaint/stamps): each fifth held out.

    python benchmarks/captioning.py [--quick] [--data DIR]
"""

from __future__ import annotations

import time

import _measure
import numpy as np
from _measure import Figure, one_thread, report
from PIL import Image

from sknets import ImageCaptioner
from sknets._comparison.sentences import NearestImage
from sknets.datasets import make_captioned_scenes
from sknets.sequence_to_sequence._scores import text_scores


def measured(name: str, X, y, held_out, least: float | None, **params) -> list[Figure]:
    rows, kept = [], ~held_out
    parts = [
        ([X[i] for i in np.flatnonzero(own)], [y[i] for i in np.flatnonzero(own)])
        for own in (kept, held_out)
    ]
    models = {
        "ImageCaptioner": ImageCaptioner(**params, random_state=0),
        "nearest image": NearestImage(),
    }
    for model_name, model in models.items():
        start = time.process_time()
        model.fit(*parts[0])
        took = {"fit s": time.process_time() - start}
        found = model.predict(parts[1][0])
        figures = text_scores(parts[1][1], found)
        print(name, model_name, figures, took, flush=True)
        own = least if model_name == "ImageCaptioner" else None
        right, bleu = figures["exact"], figures["bleu"]
        claim = f"share exactly right: {name}"
        rows.append(Figure(claim, model_name, right, "", None, own, took))
        rows.append(Figure(f"BLEU: {name}", model_name, bleu, ""))
        for text, other in list(zip(found, parts[1][1]))[:5]:
            print(f"  {text} | {other}")
    return rows


def stamps(folder) -> tuple[list[np.ndarray], list[str]]:
    """Pictures on white, as large as 64 x 64 pixels, and the English line."""
    X, y = [], []
    for path in sorted(folder.rglob("*.png")):
        told = path.with_suffix(".txt")
        text = told.read_text("utf-8", "ignore").split("\n")[0] if told.exists() else ""
        if not text.strip():
            continue
        picture = Image.open(path).convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        whole = Image.alpha_composite(ground, picture).convert("RGB")
        X.append(np.asarray(whole.resize((64, 64), Image.Resampling.BILINEAR)))
        y.append(text.strip())
    return X, y


def main() -> None:
    options = _measure.options(__doc__, repeats=1, data=True)
    one_thread()
    n, new = (300, 60) if options.quick else (3000, 300)
    X, y = make_captioned_scenes(n + new, random_state=0)
    least, params = (None, {"max_epochs": 2}) if options.quick else (0.9, {})
    rows = measured("scenes of shapes", X, y, np.arange(n + new) >= n, least, **params)
    if options.data is None:
        print("stamps skipped: no data (--data /usr/share/tuxpaint/stamps)")
    elif not options.quick:
        X, y = stamps(options.data)
        rows += measured("stamps", X, y, np.arange(len(X)) % 5 == 4, None)
    report("captioning", rows, keep=not options.quick)


if __name__ == "__main__":
    main()
