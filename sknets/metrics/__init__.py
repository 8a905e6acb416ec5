"""What the scores of structured outputs are made of, ready for `make_scorer`."""

from sknets.metrics._boxes import (
    average_precision_by_class,
    box_iou,
    mean_average_precision,
)
from sknets.metrics._distances import frechet_distance
from sknets.metrics._keypoints import (
    keypoint_average_precision,
    matched_errors,
    mean_joint_error,
    nearest_poses,
    object_keypoint_similarity,
    pck,
    visible_of,
)
from sknets.metrics._pixels import (
    accuracy_of,
    dice_of,
    iou_of,
    mean_dice,
    mean_iou,
    pixel_accuracy,
    pixel_confusion,
)
from sknets.metrics._weights import mean_of, weights_of

__all__ = [
    "accuracy_of",
    "average_precision_by_class",
    "box_iou",
    "dice_of",
    "frechet_distance",
    "iou_of",
    "keypoint_average_precision",
    "matched_errors",
    "mean_average_precision",
    "mean_dice",
    "mean_iou",
    "mean_joint_error",
    "mean_of",
    "nearest_poses",
    "object_keypoint_similarity",
    "pck",
    "pixel_accuracy",
    "pixel_confusion",
    "visible_of",
    "weights_of",
]
