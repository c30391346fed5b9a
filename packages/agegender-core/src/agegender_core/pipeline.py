"""An ordered list of stages, run on pictures and on videos."""

from __future__ import annotations

import copy
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal, Self

from .align import Aligner
from .detect import DEFAULT_DETECTOR, make_detector, scores_of
from .faces import Faces, Frame, Stage
from .frames import as_frame
from .high_confidence import HighConfidenceFilter
from .looks import LookPlan
from .model_file import Flip
from .predict import VIDEO_MODEL, load_predictor
from .quality import FaceQuality
from .smoothing import Smoother
from .sources.frames import TimedFrame
from .stages import BatchStage, VideoStage
from .tracking import FaceTracker, SortTracker, TrackStage
from .yunet import YuNetDetector

_WEAKER = 0.2
_ANY = -1e9  # a score that any face reaches
_SECOND = 1.0  # A face that turns away comes back within it or not at all.
# Seconds from one search of the whole frame to the next, the part of the time that it may take, and its latest time.
_SEARCH, _PART, _LATEST = 0.2, 0.4, 1.0


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What a pipeline found in one frame of a video.

    Attributes:
        index: number of the frame in its source, from 0.
        time: seconds since the source's first frame.
        image: uint8 RGB (H, W, 3), as it came.
        faces: the faces after all stages.
        raw: the same rows before the last stage that smooths; `faces` itself where there is none.
        source: what the frame is from, as in `TimedFrame`.
        captured: when the frame came in, in seconds since 1970 (UTC): of live sources alone, ``None`` of others.
        seconds: what each stage took, by its name; a share of it where several videos went through it at once.
        shot: how often the video has cut to another picture so far; no track goes on from one shot to the next.
    """

    index: int
    time: float
    image: Frame
    faces: Faces
    raw: Faces
    source: str = ""
    captured: float | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    shot: int = 0


class _Video:
    """One of the videos that go through a pipeline: its own copies of what keeps state, and when to search it."""

    def __init__(self, stages: Sequence[Stage], every: int | Literal["auto"]) -> None:
        self.stages = stages
        self.every = every
        self.frames = 0
        self._searched = -math.inf
        self._took = 0.0
        for stage in stages:
            if isinstance(stage, VideoStage):
                stage.reset()

    def skips(self, frame: TimedFrame, image: Frame) -> bool:
        """Whether the stages before the tracker are left out on this frame."""
        # Counted here: a source that skips frames has gaps in its own numbers.
        number, self.frames = self.frames, self.frames + 1
        if self.every != "auto":
            due = number % self.every == 0
        else:
            # Of a recording the same at any speed. A live source doesn't wait: a search may take that part of the time.
            live = frame.captured is not None
            wait = min(max(_SEARCH, self._took / _PART), _LATEST) if live else _SEARCH
            due = frame.time - self._searched >= wait - 1e-6
        if not due:
            due = any(isinstance(stage, VideoStage) and stage.needs_detection(image) for stage in self.stages)
        if due:
            self._searched = frame.time
        return not due

    @property
    def shot(self) -> int:
        """How often it has cut so far."""
        return max((stage.shot for stage in self.stages if isinstance(stage, VideoStage)), default=0)

    def searched(self, seconds: float) -> None:
        """What the stages before the tracker took on a frame."""
        self._took = seconds


class Pipeline:
    """Stages in the order in which they work; callable on a picture, and `run` on a video.

    Any callable ``(frame, faces) -> faces`` is a stage; the record says when its frame was taken (`faces.time`,
    `faces.frame`). One that keeps state over a video is a `VideoStage`.

    Args:
        stages: in order; the first one gets `Faces.empty`.
        detect_every: in a video, run all stages on the first frame that comes and on each n-th after it only. On the
            frames between, the tracker (the stage that `follows`) says where the faces are, and the stages after it
            go on from there. "auto": five times a second; of a live source less often if the stages before the tracker
            would take more than 40 % of the time. Where a `VideoStage` says so, as at a cut, they run in any case.

    Raises:
        ValueError: `detect_every` is below 1, or other than 1 without a tracker.
    """

    def __init__(self, stages: Sequence[Stage], detect_every: int | Literal["auto"] = 1) -> None:
        self.stages = tuple(stages)
        for stage in self.stages:
            _tell_of_former_protocol(stage)
        if not (detect_every == "auto" or (isinstance(detect_every, int) and detect_every >= 1)):
            raise ValueError(f'detect_every must be 1 or more, or "auto", got {detect_every!r}')
        following = [n for n, stage in enumerate(self.stages) if isinstance(stage, VideoStage) and stage.follows]
        if detect_every != 1 and not following:
            raise ValueError(f"detect_every={detect_every} needs a tracker, such as TrackStage")
        self.detect_every = detect_every
        self._tracker = following[0] if following else 0

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
        flip: Flip | None = None,
        device: str = "cpu",
        runtime: str = "onnxruntime",
    ) -> Self:
        """Detector, aligner, `FaceQuality` and predictor.

        Args:
            model: a model file, or the name of one that comes with the package: see `load_predictor`.
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
            runtime: see `load_predictor`.

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
        predictor = load_predictor(model, threads=threads, flip=flip, device=device, runtime=runtime)
        aligner = Aligner(predictor.spec.chip_size, predictor.spec.chip_padding)
        return cls([find, aligner, FaceQuality(min_quality), predictor])

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
        flip: Flip | None = False,
        tracker: SortTracker | FaceTracker | None = None,
        max_age: float | None = None,
        smoother: Stage | None = None,
        looks: LookPlan | None = None,
        detect_every: int | Literal["auto"] = "auto",
        device: str = "cpu",
        runtime: str = "onnxruntime",
    ) -> Self:
        """A detector, a tracker, `HighConfidenceFilter`, `LookPlan`, the other stages of `for_pictures`, a smoother.

        Args:
            model: as in `for_pictures`, but "fast" by default.
            detector: as in `for_pictures`. Unless `min_face` is given, YuNet searches as the time of a video allows.
            min_face: as in `for_pictures`.
            any_rotation: as in `for_pictures`.
            upsample: as in `for_pictures`.
            threshold: the least score of a new face; one that is followed already may score 0.2 less, as far as
                there are such scores. ``None``: what the detector has by default; of a stage all faces count.
            threads: as in `for_pictures`.
            flip: as in `for_pictures`, but not unless asked: a video shows each face many times anyway.
            tracker: by default a `FaceTracker`.
            max_age: seconds that a lost face is waited for, with the default tracker or a `SortTracker`; ``None``: one
                second with the default tracker, the tracker's own count of detection passes with another.
            smoother: by default `Smoother`.
            looks: by default `LookPlan` where the smoother is a `Smoother`, which holds what was seen; with another the
                network looks at each face in each frame.
            detect_every: see the class. On the frames between, YuNet looks for faces around those that a `FaceTracker`
                follows; with HOG, another detector or a `SortTracker` boxes move on as the tracker expects, and "auto"
                means each frame.
            device: as in `for_pictures`.
            runtime: as in `for_pictures`.
        """
        smooth = Smoother() if smoother is None else smoother
        if looks is None:
            looks = LookPlan() if isinstance(smooth, Smoother) else LookPlan.always()
        weaker, confident = threshold, []
        if isinstance(detector, str):
            scores = scores_of(detector)
            if threshold is None:
                threshold = scores.threshold
            scores.check(threshold)
            weaker = max(threshold - _WEAKER, (threshold + scores.least) / 2)
            confident = [HighConfidenceFilter(threshold)]
        find = make_detector(
            detector,
            min_face=min_face,
            any_rotation=any_rotation,
            upsample=upsample,
            threshold=weaker,
            threads=threads,
            video=True,
        )
        if tracker is None:
            least = _ANY if threshold is None else threshold
            tracker = FaceTracker(least, max_age=_SECOND if max_age is None else max_age)
            max_age = None
        near = find.near if isinstance(find, YuNetDetector) and isinstance(tracker, FaceTracker) else None
        if detect_every == "auto" and near is None:
            detect_every = 1
        model = VIDEO_MODEL if model is None else model
        found, *rest = cls.for_pictures(
            model, detector=find, threads=threads, flip=flip, device=device, runtime=runtime
        ).stages
        return cls([found, TrackStage(tracker, max_age, near), *confident, looks, *rest, smooth], detect_every)

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

    def batch(self, frames: Sequence[Frame]) -> list[Faces]:
        """The faces of several pictures, each as the call gives them; the network sees the faces of all together.

        Ages and probabilities may differ from the call's by a rounding of float32: a network's sums run in another
        order over several faces than over one.

        Args:
            frames: pictures as for the call, of any sizes.
        """
        frames = [as_frame(frame, grey=True) for frame in frames]
        faces = [Faces.empty() for _ in frames]
        for stage in self.stages if frames else ():
            if isinstance(stage, BatchStage) and len(frames) > 1:
                faces = stage.batch(frames, faces)
            else:
                faces = [stage(frame, one) for frame, one in zip(frames, faces, strict=True)]
        return faces

    def run(self, source: Iterable[TimedFrame], *, bgr: bool = False) -> Iterator[FrameResult]:
        """The results of a video, frame by frame, as they are asked for. Starts by resetting the stages.

        Args:
            source: frames; those of `open_source` are RGB.
            bgr: the frames' channels are blue, green, red; the results' images are RGB.
        """
        video = _Video(self.stages, self.detect_every)
        for frame in source:
            yield from self._results([video], [frame], bgr)

    def run_many(
        self, rounds: Iterable[Mapping[int, TimedFrame]], *, bgr: bool = False
    ) -> Iterator[tuple[int, FrameResult]]:
        """The results of several videos at once, each with a tracker and a smoother of its own.

        The detector looks at one frame after the other, the network at all faces of a round in one batch.

        Args:
            rounds: frames by the number of their video, at most one of each; those of `take_turns`. A video's stages
                are made when its first frame comes.
            bgr: as in `run`.
        """
        videos: dict[int, _Video] = {}
        for frames in rounds:
            for number in frames:
                if number not in videos:
                    own = [copy.deepcopy(stage) if isinstance(stage, VideoStage) else stage for stage in self.stages]
                    videos[number] = _Video(own, self.detect_every)
            results = self._results([videos[number] for number in frames], list(frames.values()), bgr)
            yield from zip(frames, results, strict=True)

    def _results(self, videos: Sequence[_Video], frames: Sequence[TimedFrame], bgr: bool) -> list[FrameResult]:
        images = [as_frame(frame.image, bgr, grey=True) for frame in frames]
        faces = [Faces.empty(frame.time, frame.index) for frame in frames]
        raw: list[Faces | None] = [None] * len(frames)
        seconds: list[dict[str, float]] = [{} for _ in frames]
        coasting = [video.skips(frame, image) for video, frame, image in zip(videos, frames, images, strict=True)]
        for place, shared in enumerate(self.stages):
            active = [n for n in range(len(videos)) if not coasting[n] or place >= self._tracker]
            if not active:
                continue
            if isinstance(shared, VideoStage) and shared.smooths:
                raw = [one if n in active else raw[n] for n, one in enumerate(faces)]
            name, start = _name_of(shared), perf_counter()
            if isinstance(shared, BatchStage) and len(active) > 1:
                found = shared.batch([images[n] for n in active], [faces[n] for n in active])
            else:
                found = [_call(videos[n].stages[place], images[n], faces[n], coasting[n]) for n in active]
            taken = (perf_counter() - start) / len(active)
            for n, one in zip(active, found, strict=True):
                faces[n] = _stamped(one, frames[n])
                seconds[n][name] = seconds[n].get(name, 0.0) + taken
            if place == self._tracker - 1:
                for n in active:
                    videos[n].searched(sum(seconds[n].values()))
        return [
            FrameResult(
                frame.index,
                frame.time,
                image,
                found,
                found if before is None else _stamped(before, frame),
                frame.source,
                frame.captured,
                spent,
                video.shot,
            )
            for video, frame, image, found, before, spent in zip(
                videos, frames, images, faces, raw, seconds, strict=True
            )
        ]


def _call(stage: Stage, image: Frame, faces: Faces, coast: bool) -> Faces:
    return stage.coast(image, faces) if coast and isinstance(stage, VideoStage) else stage(image, faces)


def _stamped(faces: Faces, frame: TimedFrame) -> Faces:
    """A stage that makes its record anew, as a detector may, need not think of the time."""
    if (faces.time, faces.frame) == (frame.time, frame.index):
        return faces
    return faces.with_columns(time=frame.time, frame=frame.index)


def _name_of(stage: Stage) -> str:
    return getattr(stage, "__name__", type(stage).__name__)


def _tell_of_former_protocol(stage: Stage) -> None:
    former = [name for name in ("at", "coast", "reset") if callable(getattr(stage, name, None))]
    if former and not isinstance(stage, VideoStage):
        names = " and ".join(f"{name}()" for name in former)
        warnings.warn(
            f"{_name_of(stage)} has {names}, which no pipeline calls of a plain stage: derive it from "
            "agegender_core.VideoStage; the time is in faces.time",
            stacklevel=3,
        )


def face_tracker(max_age: int = 25, min_hits: int = 1, iou_threshold: float = 0.1) -> SortTracker:
    """The former tracker of `Pipeline.for_video`: now `FaceTracker`. Goes with the next release."""
    warnings.warn("face_tracker() is now FaceTracker(), or SortTracker() for SORT", DeprecationWarning, stacklevel=2)
    return SortTracker(max_age, min_hits, iou_threshold, keep_confirmed=True)
