"""Every public estimator's task and kinds of X, known without loading any of them.

The kind that an estimator is made for comes first. `sknets list`, `all_estimators` and
the sentences that refuse an X read this table.
"""

from __future__ import annotations

from collections.abc import Iterable

# name: (task, kinds); tests/test_kinds.py holds it to what the classes say.
ESTIMATORS: dict[str, tuple[str, tuple[str, ...]]] = {
    "FeedforwardClassifier": ("classification", ("table",)),
    "FeedforwardRegressor": ("regression", ("table",)),
    "CNNClassifier": ("classification", ("images",)),
    "CNNRegressor": ("regression", ("images",)),
    "VideoClassifier": ("classification", ("videos",)),
    "VideoRegressor": ("regression", ("videos",)),
    "RNNClassifier": ("classification", ("sequences", "text")),
    "RNNRegressor": ("regression", ("sequences", "text")),
    "RNNForecaster": ("forecasting", ("series",)),
    "RecursiveClassifier": ("classification", ("trees",)),
    "RecursiveRegressor": ("regression", ("trees",)),
    "AutoencoderTransformer": ("transformation", ("table",)),
    "ConvolutionalAutoencoderTransformer": ("transformation", ("images",)),
    "VAETransformer": ("transformation", ("table",)),
    "AutoencoderOutlierDetector": ("outlier detection", ("table",)),
    "PretrainedClassifier": ("classification", ("table",)),
    "RBMFeatures": ("transformation", ("table",)),
    "DBNFeatures": ("transformation", ("table",)),
    "DBNClassifier": ("classification", ("table",)),
    "RBMRecommender": ("regression", ("ratings",)),
    "GANSampler": ("sampling", ("table", "images")),
    "GANOverSampler": ("over-sampling", ("table",)),
    "ImageTranslator": ("image translation", ("images",)),
    "TransformerClassifier": (
        "classification",
        ("table", "sequences", "text", "images"),
    ),
    "TransformerRegressor": ("regression", ("table", "sequences", "text", "images")),
    "BERTClassifier": ("classification", ("text",)),
    "BERTRegressor": ("regression", ("text",)),
    "BERTVectorizer": ("transformation", ("text",)),
    "GPT2Generator": ("language modelling", ("text",)),
    "RNNGenerator": ("language modelling", ("text",)),
    "GNNClassifier": ("classification", ("nodes",)),
    "GNNRegressor": ("regression", ("nodes",)),
    "GNNEmbedder": ("transformation", ("nodes",)),
    "LinkPredictor": ("link prediction", ("links",)),
    "GraphClassifier": ("classification", ("graphs",)),
    "GraphRegressor": ("regression", ("graphs",)),
    "KnowledgeGraphEmbedder": ("transformation", ("triples",)),
    "Word2VecVectorizer": ("transformation", ("text",)),
    "FastTextVectorizer": ("transformation", ("text",)),
    "GloVeVectorizer": ("transformation", ("text",)),
    "ELMoVectorizer": ("transformation", ("text",)),
    "Seq2SeqTranslator": ("translation", ("text",)),
    "ImageCaptioner": ("captioning", ("images",)),
    "SpeechRecognizer": ("speech recognition", ("sequences",)),
    "SpeechSynthesizer": ("speech synthesis", ("text",)),
    "ObjectLocalizer": ("object localization", ("images",)),
    "SSDDetector": ("object detection", ("images",)),
    "FastRCNNDetector": ("object detection", ("images",)),
    "FasterRCNNDetector": ("object detection", ("images",)),
    "RCNNDetector": ("object detection", ("images",)),
    "YOLODetector": ("object detection", ("images",)),
    "FCNSegmenter": ("segmentation", ("images",)),
    "UNetSegmenter": ("segmentation", ("images",)),
    "PoseEstimator": ("pose estimation", ("images",)),
    "PoseLifter": ("pose lifting", ("table",)),
}


def names(data: str | None = None, task: str | None = None) -> list[str]:
    """Return the estimators for a kind of X and a task (None for any), sorted.

    Raises
    ------
    ValueError
        If no estimator has such data or task; the sentence lists those there are.
    """
    kinds = sorted({kind for _, kinds in ESTIMATORS.values() for kind in kinds})
    tasks = sorted({task for task, _ in ESTIMATORS.values()})
    for name, value, legal in (("data", data, kinds), ("task", task, tasks)):
        if value is not None and value not in legal:
            raise ValueError(
                f"all_estimators({name}={value!r}): {name} must be one of "
                f"{', '.join(map(repr, legal))}"
            )
    return [
        name
        for name, (its_task, its_kinds) in sorted(ESTIMATORS.items())
        if data in (None, *its_kinds) and task in (None, its_task)
    ]


def takers(kind: str, task: str) -> list[str]:
    """Return what takes this kind of X for a task, or for any if nothing does.

    Those made for the kind come first.
    """
    found = [name for name, (_, kinds) in ESTIMATORS.items() if kind in kinds]
    found.sort(key=lambda name: ESTIMATORS[name][1][0] != kind)
    same = [name for name in found if ESTIMATORS[name][0] == task]
    return same or found


def listed(words: Iterable[str]) -> str:
    """Return "a, b or c"."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last
