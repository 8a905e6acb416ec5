"""Deep learning as scikit-learn estimators: one ``fit`` away, in any Pipeline.

``import sknets`` loads neither torch nor scikit-learn: names are loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what is loaded on first use, for type checkers and editors
    from sknets.adversarial import *
    from sknets.autoencoders import *
    from sknets.backpropagation import gradient_check as gradient_check
    from sknets.backpropagation import gradient_norms as gradient_norms
    from sknets.boltzmann import *
    from sknets.comparison import *
    from sknets.convolutional import *
    from sknets.detection import *
    from sknets.embeddings import *
    from sknets.feedforward import *
    from sknets.graph import *
    from sknets.inspection import *
    from sknets.language_models import *
    from sknets.parallel import data_parallel as data_parallel
    from sknets.persistence import load as load
    from sknets.pose import *
    from sknets.recurrent import *
    from sknets.recursive import *
    from sknets.segmentation import *
    from sknets.sequence_to_sequence import *
    from sknets.transformer import *

__version__ = "0.1.0"

# The one table of public names: name -> module that defines it.
_HOME = {
    # Which algorithm for which case
    "compare": "comparison",
    "Comparison": "comparison",
    "all_estimators": "comparison",
    # Tools over estimators
    "load": "persistence",
    "data_parallel": "parallel",
    "grad_cam": "inspection",
    "occlusion_map": "inspection",
    "first_layer_filters": "inspection",
    "SaliencyDisplay": "inspection",
    "FiltersDisplay": "inspection",
    "TreeDisplay": "inspection",
    "AttentionDisplay": "inspection",
    # 1. Feedforward networks
    "FeedforwardClassifier": "feedforward",
    "FeedforwardRegressor": "feedforward",
    # 1. Backpropagation
    "gradient_check": "backpropagation",
    "gradient_norms": "backpropagation",
    # 2. Convolutional networks
    "CNNClassifier": "convolutional",
    "CNNRegressor": "convolutional",
    "VideoClassifier": "convolutional",
    "VideoRegressor": "convolutional",
    # 3. Recurrent networks
    "RNNClassifier": "recurrent",
    "RNNRegressor": "recurrent",
    "RNNForecaster": "recurrent",
    # 4. Recursive networks
    "RecursiveClassifier": "recursive",
    "RecursiveRegressor": "recursive",
    # 5. Autoencoders
    "AutoencoderTransformer": "autoencoders",
    "ConvolutionalAutoencoderTransformer": "autoencoders",
    "VAETransformer": "autoencoders",
    "AutoencoderOutlierDetector": "autoencoders",
    "PretrainedClassifier": "autoencoders",
    # 6. Restricted Boltzmann machines and deep belief networks
    "RBMFeatures": "boltzmann",
    "DBNFeatures": "boltzmann",
    "DBNClassifier": "boltzmann",
    "RBMRecommender": "boltzmann",
    # 7. Generative adversarial networks
    "GANSampler": "adversarial",
    "GANOverSampler": "adversarial",
    "ImageTranslator": "adversarial",
    # 8. Transformers
    "TransformerClassifier": "transformer",
    "TransformerRegressor": "transformer",
    # 8. Language models
    "BERTClassifier": "language_models",
    "BERTRegressor": "language_models",
    "BERTVectorizer": "language_models",
    "GPT2Generator": "language_models",
    "RNNGenerator": "language_models",
    # 9. Graph neural networks
    "graph_nodes": "graph",
    "GNNClassifier": "graph",
    "GNNRegressor": "graph",
    "GNNEmbedder": "graph",
    "LinkPredictor": "graph",
    "GraphDisplay": "graph",
    "graph_links": "graph",
    "link_split": "graph",
    "GraphClassifier": "graph",
    "GraphRegressor": "graph",
    "KnowledgeGraphEmbedder": "graph",
    # 10. Word embeddings
    "Word2VecVectorizer": "embeddings",
    "FastTextVectorizer": "embeddings",
    "GloVeVectorizer": "embeddings",
    "ELMoVectorizer": "embeddings",
    # 11. Sequence to sequence
    "Seq2SeqTranslator": "sequence_to_sequence",
    "ImageCaptioner": "sequence_to_sequence",
    "SpeechRecognizer": "sequence_to_sequence",
    "SpeechSynthesizer": "sequence_to_sequence",
    # 12. Object detection
    "DetectionDisplay": "detection",
    "ObjectLocalizer": "detection",
    "SSDDetector": "detection",
    "FastRCNNDetector": "detection",
    "FasterRCNNDetector": "detection",
    "RCNNDetector": "detection",
    "YOLODetector": "detection",
    # 13. Semantic segmentation
    "FCNSegmenter": "segmentation",
    "UNetSegmenter": "segmentation",
    "SegmentationDisplay": "segmentation",
    # 14. Pose estimation
    "PoseDisplay": "pose",
    "PoseEstimator": "pose",
    "PoseLifter": "pose",
}
# Public modules: those of the names above, and those that only hold classes and tools.
_MODULES = {*_HOME.values(), "datasets", "display", "testing"}

__all__ = [*_HOME, "__version__"]


def __getattr__(name):
    if name in _MODULES:
        return import_module(f"sknets.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'sknets' has no attribute {name!r}")
    value = getattr(import_module(f"sknets.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__, *_MODULES})
