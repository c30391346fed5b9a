"""An ordered list of stages, run on pictures and on videos."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self, runtime_checkable

from .align import Aligner
from .detect import DEFAULT_DETECTOR, make_detector, scores_of
from .faces import Faces, Frame, Stage
from .frames import as_frame
from .high_confidence import HighConfidenceFilter
from .predict import load_predictor
from .quality import FaceQuality
from .smoothing import Smoother
from .tracking import SortTracker, TrackStage
from .video import TimedFrame

_WEAKER = 0.2


@runtime_checkable
class TimedStage(Protocol):
    """A stage that works over time: a pipeline passes it each frame's time first."""

    def at(self, time: float) -> object:
        """Set the time of the next frame, in seconds."""

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        """The stage itself."""


@runtime_checkable
class CoastingStage(Protocol):
    """A stage that can predict where the faces are by now without the frame: a tracker."""

    def coast(self) -> Faces:
        """The faces of a frame that the detector skips."""

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        """The stage itself."""


@runtime_checkable
class _Resettable(Protocol):
    def reset(self) -> object: ...


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What a pipeline found in one frame of a video.

    Attributes:
        index: number of the frame in its source, from 0.
        time: seconds since the source's first frame.
        image: uint8 RGB (H, W, 3), as it came.
        faces: the faces after all stages.
        raw: the same rows before the last stage that works over time; `faces` itself where there is none.
    """

    index: int
    time: float
    image: Frame
    faces: Faces
    raw: Faces


class Pipeline:
    """Stages in the order in which they work; callable on a picture, and `run` on a video.

    Any callable ``(frame, faces) -> faces`` is a stage. Two more abilities are used in a video where a stage has them:
    ``reset()`` is called before the first frame, ``at(seconds)`` before each.

    Args:
        stages: in order; the first one gets `Faces.empty`.
        detect_every: in a video, run all stages on the first frame that comes and on each n-th after it only. On the
            frames between, the tracker (the stage with ``coast()``) says where the faces are, and the stages after it
            go on from there.

    Raises:
        ValueError: `detect_every` is below 1, or above 1 without a stage that can coast.
    """

    def __init__(self, stages: Sequence[Stage], detect_every: int = 1) -> None:
        self.stages = tuple(stages)
        if detect_every < 1:
            raise ValueError(f"detect_every must be 1 or more, got {detect_every}")
        coasting = [place for place, stage in enumerate(self.stages) if isinstance(stage, CoastingStage)]
        if detect_every > 1 and not coasting:
            raise ValueError(f"detect_every={detect_every} needs a stage with coast(), such as TrackStage")
        self.detect_every = detect_every
        self._coasting = coasting[0] if coasting else 0

    @classmethod
    def for_pictures(
        cls,
        model: str | os.PathLike[str] | None = None,
        *,
        detector: str | Stage = DEFAULT_DETECTOR,
        min_face: float | None = None,
        any_rotation: bool = False,
        upsample: int = 0,
        threshold: float | None = None,
        min_quality: float = 0.0,
        threads: int = 1,
        flip: bool | None = None,
        device: str = "cpu",
    ) -> Self:
        """Detector, aligner, `FaceQuality` and predictor.

        Args:
            model: a model file; by default the one that comes with the package.
            detector: "yunet" (`YuNetDetector`: also small, turned and half-hidden faces), "hog" (`HogDetector`), or any
                stage that fills xyxy with squares like HOG's.
            min_face: side in pixels of the smallest faces to look for; see `YuNetDetector`. Not for a stage.
            any_rotation: see `YuNetDetector`; for it only.
            upsample: see `HogDetector`; for it only.
            threshold: the least score of a face; ``None``: what the detector has by default. Not for a stage.
            min_quality: see `FaceQuality`.
            threads: see `load_predictor`; YuNet's, too.
            flip: see `load_predictor`.
            device: see `load_predictor`.

        Raises:
            ValueError: there is no such detector, or an option is not for it.
        """
        find = make_detector(
            detector,
            min_face=min_face,
            any_rotation=any_rotation,
            upsample=upsample,
            threshold=threshold,
            threads=threads,
        )
        return cls._of(find, FaceQuality(min_quality), model, threads, flip, device)

    @classmethod
    def _of(
        cls,
        find: Stage,
        quality: FaceQuality,
        model: str | os.PathLike[str] | None,
        threads: int,
        flip: bool | None,
        device: str,
    ) -> Self:
        predictor = load_predictor(model, threads=threads, flip=flip, device=device)
        aligner = Aligner(predictor.spec.chip_size, predictor.spec.chip_padding)
        return cls([find, aligner, quality, predictor])

    @classmethod
    def for_video(
        cls,
        model: str | os.PathLike[str] | None = None,
        *,
        detector: str | Stage = DEFAULT_DETECTOR,
        min_face: float | None = None,
        any_rotation: bool = False,
        upsample: int = 0,
        threshold: float | None = None,
        threads: int = 1,
        flip: bool | None = False,
        tracker: SortTracker | None = None,
        smoother: Stage | None = None,
        detect_every: int = 1,
        device: str = "cpu",
    ) -> Self:
        """The stages of `for_pictures`, then a tracker, `HighConfidenceFilter` and a smoother.

        Args:
            model: as in `for_pictures`.
            detector: as in `for_pictures`. Unless `min_face` is given, YuNet searches as the time of a video allows.
            min_face: as in `for_pictures`.
            any_rotation: as in `for_pictures`.
            upsample: as in `for_pictures`.
            threshold: the least score of a new face; one that is followed already may score 0.2 less, as far as
                there are such scores. ``None``: what the detector has by default; of a stage all faces count.
            threads: as in `for_pictures`.
            flip: as in `for_pictures`, but not unless asked: a video shows each face many times anyway.
            tracker: by default `face_tracker`.
            smoother: by default `Smoother`.
            detect_every: see the class.
            device: as in `for_pictures`.
        """
        track = TrackStage(face_tracker() if tracker is None else tracker)
        smooth = Smoother() if smoother is None else smoother
        weaker, sure = threshold, []
        if isinstance(detector, str):
            scores = scores_of(detector)
            if threshold is None:
                threshold = scores.threshold
            scores.check(threshold)
            weaker = max(threshold - _WEAKER, (threshold + scores.least) / 2)
            sure = [HighConfidenceFilter(threshold)]
        find = make_detector(
            detector,
            min_face=min_face,
            any_rotation=any_rotation,
            upsample=upsample,
            threshold=weaker,
            threads=threads,
            video=True,
        )
        found = cls._of(find, FaceQuality(), model, threads, flip, device).stages
        return cls([*found, track, *sure, smooth], detect_every=detect_every)

    def __call__(self, frame: Frame, *, bgr: bool = False) -> Faces:
        """The faces of one picture.

        Args:
            frame: uint8 RGB (H, W, 3), as `read_image` gives it.
            bgr: the channels are blue, green, red: pass ``bgr=True`` with what ``cv2.imread`` and ``cv2.VideoCapture``
                give. Without it nothing fails, but ages and genders are wrong.

        Raises:
            ValueError: an array of another dtype or shape; the message says how to make it fit.
        """
        frame, faces = as_frame(frame, bgr, grey=True), Faces.empty()
        for stage in self.stages:
            faces = stage(frame, faces)
        return faces

    def run(self, source: Iterable[TimedFrame], *, bgr: bool = False) -> Iterator[FrameResult]:
        """The results of a video, frame by frame, as they are asked for. Starts by resetting the stages.

        Args:
            source: frames; those of `open_source` are RGB.
            bgr: the frames' channels are blue, green, red; the results' images are RGB.
        """
        for stage in self.stages:
            if isinstance(stage, _Resettable):
                stage.reset()
        # Counted here: a source that skips frames has gaps in its own numbers.
        for count, frame in enumerate(source):
            rgb = replace(frame, image=as_frame(frame.image, bgr, grey=True))
            yield self._result(rgb, coast=count % self.detect_every > 0)

    def _result(self, frame: TimedFrame, coast: bool) -> FrameResult:
        faces, stages = Faces.empty(), self.stages
        if coast:
            faces, stages = self._coast(), self.stages[self._coasting + 1 :]
        raw = None
        for stage in stages:
            if isinstance(stage, TimedStage):
                raw = faces
                stage.at(frame.time)
            faces = stage(frame.image, faces)
        return FrameResult(frame.index, frame.time, frame.image, faces, faces if raw is None else raw)

    def _coast(self) -> Faces:
        stage = self.stages[self._coasting]
        assert isinstance(stage, CoastingStage)
        return stage.coast()


def face_tracker(max_age: int = 25, min_hits: int = 1, iou_threshold: float = 0.1) -> SortTracker:
    """A `SortTracker` set for faces at video rates, by measurement on clips of a street, an interview and a corridor.

    Faces seldom overlap, and their boxes jump with the scales of the detector: an IoU of 0.1 keeps tracks whole where
    0.3, made for whole bodies, tears up to a third of them, and mixed up nobody. A face that turns away comes back
    within a second or not at all.

    Args:
        max_age: detection passes that a lost face is waited for; the default is one second at 25 a second.
        min_hits: see `SortTracker`; 1 shows a face from its second detection, so that false ones seldom show.
        iou_threshold: see `SortTracker`.
    """
    return SortTracker(max_age, min_hits, iou_threshold, keep_confirmed=True)
