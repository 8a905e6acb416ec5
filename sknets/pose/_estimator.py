"""The estimator of poses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sknets._available import available_unless
from sknets._engine.callbacks import with_callbacks
from sknets._engine.collect import items
from sknets._engine.data import Samples
from sknets._engine.optim import Budget
from sknets._in_images import InImages
from sknets._inputs import ImageList, rounded
from sknets._inputs.keypoints import Keypoints, padded, refuse_outside
from sknets._params import param
from sknets._targets import given_target
from sknets.pose._augment import AUGMENTATIONS, PoseAugment
from sknets.pose._decode import Decoder
from sknets.pose._loss import PoseLoss
from sknets.pose._net import STRIDE, Maps, PoseNet, on_canvas
from sknets.pose._scores import KeypointScore, figures_of
from sknets.pose._skeleton import (
    distances,
    pairs_of,
    sides_of,
    spanning_tree,
    usual_size,
)

_STEP = 2**18  # pixels of a step, where ``batch_size`` is "auto"
_ROOM = 3.0  # sides of the windows that are trained on, in people


class PoseEstimator(InImages):
    """Where the joints of people, or animals, are: PoseNet [1]_ and PersonLab [2]_.

    A network makes maps of an image, a quarter as large: for each joint the probability
    that a cell is near one, how far from the cell that is, and for each edge of the
    skeleton, where there may be several people, how far the joint at its other end. Of
    one person each joint is where it is most probable. Of several the surest joints
    begin a person each, and the others are found by following the edges, unless a
    person has that joint already.

    Parameters
    ----------
    joints : list of str, default=None
        The names of the joints; None: "0", "1", ...
    skeleton : list of pairs, default=None
        Which joints are joined, by their names or numbers. None: the tree over all
        joints whose edges are shortest, by the mean distances of joints in y. Joints
        that no edge leads to are found only in the mode "single".
    pairs : list of pairs, default=None
        The left and right of each kind, by names or numbers, which change places in a
        mirror image. None: those whose names differ by "left" and "right" alone.
    mode : {"auto", "single", "multi"}, default="auto"
        Whether an image has exactly one person, or any number. "auto": "multi" if an
        image of `fit` has more than one.
    width : int, default=32
        Channels of the map of stride 4, those of coarser ones 2, 3, ... times as many.
    depth : int, default=3
        How often that map is halved.
    radius : float or "auto", default="auto"
        Of the discs around joints that maps are learned in, in pixels. "auto": a tenth
        of the usual larger side of a person's box, at least 6.
    threshold : float, default=0.3
        The least probability of a joint that begins a person, and of the surest joint
        that a pose has for itself. Of several people only.
    nms_radius : float or "auto", default="auto"
        Joints of a kind within so many pixels are the same. "auto": ``radius``.
    max_people : int, default=20
        Poses found in an image, at most.
    sigmas : float or list of float, default=None
        See `sknets.metrics.object_keypoint_similarity`: of the average precision.
    augment : str, callable or list, default=("rotate", "scale", "shift", "brightness")
        Changes of the images of training, new ones each epoch. "flip" mirrors half of
        them, the left then is the right; "rotate" turns by any angle; "scale" by 0.75
        to 1.33; "shift" puts people anywhere where they are whole; "brightness" changes
        contrast and light by up to a fifth. Leave out what does not occur, "rotate" for
        people who stand, and what changes the meaning of an image. A function is given
        an image, a tensor (channels, height, width), and its keypoints, (people,
        joints, 3 or 4) with NaN for what is missing, and returns both.
    channel_order : {"auto", "first", "last"}, default="auto"
        Where the channels of images are.
    batch_size : int or "auto", default="auto"
        Images a step; "auto": about 260,000 pixels, 4 to 16 images.
    lr : float, default=3e-3
        The learning rate, at its highest.
    lr_schedule : str, default="one_cycle"
        How it changes.
    optimizer : str, default="adamw"
        What makes steps of gradients.
    weight_decay : float, default=1e-4
        L2 penalty of weight matrices.

    Attributes
    ----------
    joints_ : list of str
    skeleton_, pairs_ : ndarray of shape (n, 2)
        Numbers of joints.
    edge_lengths_ : ndarray of shape (n,)
        The mean length of each edge, in pixels.
    mode_ : {"single", "multi"}
    radius_ : float
    person_size_ : float
        The usual larger side of the box around a person's joints, in pixels; of a
        single joint a quarter of the larger side of the largest image.
    depth_ : tuple of float or None
        Mean and standard deviation of the depths of joints, if y has some.
    canvas_size_ : tuple of int
        The size of the images that are trained on: that of the largest; with "shift"
        at most three times ``person_size_``, a random window of larger ones.
    batch_size_ : int
    n_channels_, spatial_dims_ : int
    channel_axis_ : int or None
        0 or -1 of an image's axes, None where there is none.
    pixel_unit_ : {"byte", "unit", "raw"}
        What X was: uint8 (divided by 255), floats within [0, 1], or other numbers.
    x_mean_, x_scale_ : ndarray of shape (n_channels_,)
        What each channel is centred and scaled by.

    Notes
    -----
    The confidence tells whether a joint can be *seen*: around one that is not visible
    the heat map is background. Where its place is given all the same (visible 0, as of
    a joint behind something), which costs the heat map nothing within ``radius`` of it,
    the way from there to the other joints is learned: without these places people of
    whom something hides a part are found in pieces. So give, in images of training, all
    joints that can be seen, and the places of those behind something.

    Of three dimensions a further map of each joint has its z, read where the joint is
    found.

    Training is the same for all estimators: for ``max_epochs`` (30, or more where these
    would be fewer than 1,200 steps), ``early_stopping``, ``warm_start``,
    ``precision``, ``device``, ``random_state``, ``verbose``, ``callbacks`` and the
    rest, and for ``net_``, ``loss_curve_`` and the other attributes of training, see
    `sknets._estimator.Estimator`. ``validation_scores_`` are those of `score`.

    References
    ----------
    .. [1] G. Papandreou et al. Towards Accurate Multi-person Pose Estimation in the
       Wild. CVPR 2017.
    .. [2] G. Papandreou et al. PersonLab: Person Pose Estimation and Instance
       Segmentation with a Bottom-Up, Part-Based, Geometric Embedding Model. ECCV 2018.
       Here a small encoder-decoder of stride 4 instead of a ResNet; probabilities are
       not sharpened by Hough votes, but the 3 x 3 cells around a joint vote on its
       place, and on where an edge leads; of rings of edges the surest branch is
       followed first; offsets refine only where a joint is at all probable.

    Examples
    --------
    A line from a disc to its end; y is an array, so predictions are one.

    >>> import numpy as np
    >>> from sknets import PoseEstimator
    >>> random = np.random.default_rng(0)
    >>> y = random.uniform(4, 28, size=(40, 2, 2))
    >>> row, column = np.mgrid[:32, :32]
    >>> X = np.zeros((40, 32, 32), dtype="uint8")
    >>> for image, (start, end) in zip(X, y):
    ...     for t in np.linspace(0, 1, 30):
    ...         x, down = start + t * (end - start)
    ...         image[(column - x) ** 2 + (row - down) ** 2 < 1 + 8 * (t == 0)] = 200
    >>> net = PoseEstimator(width=16, depth=2, random_state=0, max_epochs=30)
    >>> found = net.fit(X[:30], y[:30]).evaluate(X[30:], y[30:])
    >>> found["median_error"] < 4  # pixels
    True
    >>> net.predict(X[30:]).shape
    (10, 2, 3)
    """

    _targets: ClassVar[tuple[Any, ...]] = (Keypoints,)
    _task: ClassVar[str] = "pose estimation"
    _augmentations: ClassVar[tuple[str, ...]] = AUGMENTATIONS
    _beside: ClassVar[str] = "keypoints"
    _auto_batch: ClassVar[tuple[int, int, int]] = 4, 16, _STEP

    joints: list | tuple | None = param(default=None)
    skeleton: list | tuple | None = param(default=None)
    pairs: list | tuple | None = param(default=None)
    mode: Literal["auto", "single", "multi"] = param(default="auto")
    width: int = param(default=32, at_least=1)
    depth: int = param(default=3, at_least=1)
    radius: float | Literal["auto"] = param(default="auto", at_least=STRIDE)
    threshold: float = param(default=0.3, above=0, below=1)
    nms_radius: float | Literal["auto"] = param(default="auto", above=0)
    max_people: int = param(default=20, at_least=1)
    sigmas: float | list | tuple | None = param(default=None, above=0)
    augment: str | Callable | list | tuple | None = param(
        default=("rotate", "scale", "shift", "brightness")
    )
    _budget = Budget(epochs=30, steps=1200)
    lr: float = param(default=3e-3, above=0)
    optimizer: Literal["adam", "adamw", "sgd"] = param(default="adamw")
    weight_decay: float = param(default=1e-4, at_least=0)

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train on images and the keypoints of those who are in them.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or list of arrays
            uint8, or floats; of a list each image may have a size of its own.
        y : list of dict, or array-like of shape (n_samples, joints, 2 to 4)
            For each image ``{"keypoints": (people, joints, 3)}``: x to the right and y
            downwards in pixels, the middle of the top left pixel being (0, 0), and
            whether the joint is visible: any number above 0, as in COCO. With four
            columns they are x, y, z and visible, z in any unit. Nobody is an array of
            length 0. For one person an image an array will do: with two columns x and
            y, NaN where a joint is missing, with three or four as above.
        sample_weight : array-like of shape (n_samples,), default=None
            Not negative; a weight of 0 is an absent image.
        X_val, y_val : array-like, default=None
            Images to validate by, with ``early_stopping``, instead of a share of X.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for keypoints outside their image, for
            records that differ in their joints, for several people where ``mode`` is
            "single".
        DivergenceError
            When the training loss is no longer finite.
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    @available_unless("_fits_whole")
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        The mode, the skeleton and the units of lengths are those of the first call.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Return the poses in each image.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or list of arrays
            Images of any size.

        Returns
        -------
        poses : object ndarray of dict, or ndarray of shape (n_samples, joints, 3)
            ``{"keypoints": (people, joints, 3), "scores": (people,)}``, the best score
            first. Keypoints are x, y and the confidence, a probability; of three
            dimensions x, y, z and the confidence. A joint to which the skeleton leads
            no way is NaN, of confidence 0. An array, of such keypoints, if the y of
            `fit` was one.
        """
        check_is_fitted(self)
        found = self._poses(self._check_input(X, reset=False))
        if self.target_reader_.listed_:
            return found
        return np.stack([each["keypoints"][0] for each in found])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return PCK at 0.1 of one person, or the average precision of several.

        See `sknets.metrics.pck` and `sknets.metrics.keypoint_average_precision`.

        Parameters
        ----------
        X, y
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        figures = self.evaluate(X, y, sample_weight)
        return figures["average_precision" if self.mode_ == "multi" else "pck"]

    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Return what can be said of predictions beside the truth.

        Parameters
        ----------
        X, y, sample_weight
            As in `score`.

        Returns
        -------
        figures : dict
            ``pck`` and ``average_precision``; ``median_error`` and ``error_90``, the
            median and the 90th percentile of the errors of visible joints in pixels,
            infinite where that many were not found, whatever the weights; ``by_joint``,
            a dict of these two for each joint; of three dimensions
            ``mean_joint_error``, in x, y and z, of the joints that were found.
        """
        check_is_fitted(self)
        x = self._check_input(X, reset=False)
        people = self.target_reader_.read(given_target(y, type(self).__name__, len(x)))
        refuse_outside(type(self).__name__, x.sizes, people)
        records = [{"keypoints": each} for each in people]
        return figures_of(
            records, self._poses(x), self.joints_, self.sigmas, sample_weight
        )

    # -- for the engine ----------------------------------------------------------------

    def _poses(self, x: ImageList) -> np.ndarray:
        """Of each image."""
        module: Any = self.net_.module_
        decoder = self._decoder()

        def run(images: ImageList) -> list[dict[str, np.ndarray]]:
            found = []
            for rows, whole in images.alike(module.stride, 4 * _STEP):
                part = images.batch(rows)
                found += decoder(module(on_canvas(part, whole)), part.sizes[0])
            return found

        return items(self.net_.batches(x, run), len(x))

    def _decoder(self) -> Decoder:
        near = self.radius_ if self.nms_radius == "auto" else float(self.nms_radius)
        several = self.mode_ == "multi"
        return Decoder(self._maps(), several, self.threshold, near, self.max_people)

    def _make_reader(self, kind: Any) -> Any:
        return kind.of(self, spatial_dims=2)

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        y = given_target(y, type(self).__name__, n_samples)
        if not reset:
            people = self.target_reader_.read(y)
        else:
            seen = None if weight is None else weight > 0
            reader = Keypoints.of(self)
            people = reader.learn(y, seen)
            self.target_reader_ = reader
            kept = [each for i, each in enumerate(people) if seen is None or seen[i]]
            self._learn_people(np.concatenate(kept))
        for i, each in enumerate(people):
            if self.mode_ == "single" and len(each) > 1:
                raise ValueError(
                    f"{type(self).__name__}: y[{i}] has {len(each)} people, and one an "
                    'image is learned: fit with mode="multi"'
                )
        return padded(people)

    def _learn_people(self, people: np.ndarray) -> None:
        """Names, skeleton, sides and lengths."""
        reader, given = self.target_reader_, self.joints
        names = range(reader.n_joints_) if given is None else given
        self.joints_ = [str(name) for name in names]
        several = reader.most_ > 1 if self.mode == "auto" else self.mode == "multi"
        self.mode_ = "multi" if several else "single"
        try:
            pairs = sides_of(self.joints_) if self.pairs is None else self.pairs
            self.pairs_ = pairs_of(pairs, self.joints_, "pairs")
            self.skeleton_ = (
                spanning_tree(people)
                if self.skeleton is None
                else pairs_of(self.skeleton, self.joints_, "skeleton")
            )
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: {error}") from None
        lengths = distances(people)
        usual = np.nanmean(np.append(lengths[lengths > 0], 1.0))
        lengths = lengths[self.skeleton_[:, 0], self.skeleton_[:, 1]]
        self.edge_lengths_ = np.where(lengths > 0, lengths, usual)
        self.person_size_ = usual_size(people)
        self.depth_ = None
        if reader.n_dims_ == 3:
            z = people[..., 2][people[..., -1] > 0]
            self.depth_ = float(z.mean()), float(z.std()) or 1.0

    def _read(self, X, y, sample_weight, *, reset, classes=None) -> Samples:
        samples = super()._read(X, y, sample_weight, reset=reset, classes=classes)
        people = samples.y.values.cpu().numpy()
        refuse_outside(type(self).__name__, samples.x.sizes, people)
        if reset:
            self.person_size_ = self.person_size_ or max(samples.x.largest) / 4
            auto = max(1.5 * STRIDE, 0.1 * self.person_size_)
            self.radius_ = auto if self.radius == "auto" else float(self.radius)
            self.canvas_size_ = self._canvas(samples.x.largest)
        return samples

    def _canvas(self, largest: tuple[int, ...]) -> tuple[int, ...]:
        """Whole images, or windows of them that have room for people."""
        stride = STRIDE * 2**self.depth
        if "shift" in self._kinds():
            room = round(_ROOM * self.person_size_)
            largest = tuple(min(side, room) for side in largest)
        return rounded(largest, stride)

    def _trained_size(self) -> tuple[int, ...]:
        return self.canvas_size_

    def _maps(self) -> Maps:
        edges, lengths = self.skeleton_, self.edge_lengths_
        edges = np.concatenate([edges, edges[:, ::-1]])
        lengths = np.concatenate([lengths, lengths])
        n = len(edges) if self.mode_ == "multi" else 0
        both = edges[:n], lengths[:n]
        return Maps(len(self.joints_), *both, self.radius_, self.depth_)

    def _build(self) -> nn.Module:
        sizes = self.n_channels_, self.width, self.depth
        return PoseNet(*sizes, self._maps(), self._standardize())

    def _criterion(self) -> nn.Module:
        return PoseLoss(self._maps())

    def _augmentation(self) -> PoseAugment:
        swap = np.arange(len(self.joints_))
        swap[self.pairs_] = self.pairs_[:, ::-1]
        return PoseAugment(self.canvas_size_, self._kinds(), swap, self.x_scale_)

    def _score(self) -> Any:
        return KeypointScore(self._decoder(), self.sigmas)

    def _decode(self, output: Tensor) -> Any:
        return self._decoder()(output)


__all__ = ["PoseEstimator"]
