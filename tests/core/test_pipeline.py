"""Pipelines of stand-in stages: order, time, reset, coasting, raw values."""

from __future__ import annotations

import copy
import itertools
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agegender_core import load_predictor, read_image
from agegender_core.faces import Faces, Frame
from agegender_core.pipeline import Pipeline
from agegender_core.smoothing import Smoother
from agegender_core.sources import TimedFrame
from agegender_core.stages import BatchStage, VideoStage
from agegender_core.tracking import SortTracker, TrackStage

IMAGE = np.zeros((200, 300, 3), np.uint8)


def video(count: int, fps: float = 25.0) -> Iterator[TimedFrame]:
    for index in range(count):
        yield TimedFrame(IMAGE, index, index / fps)


class MovingFace:
    """A detector that sees one face walking right by 3 pixels a frame; counts its calls."""

    def __init__(self, step: int = 1) -> None:
        self.calls, self.step = 0, step

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        assert len(faces) == 0
        x = 10 + 3 * self.step * self.calls
        self.calls += 1
        return Faces(xyxy=np.array([[x, 20, x + 60, 80]], np.float32), score=np.ones(1, np.float32))


class Guess:
    """A predictor whose ages alternate between 28 and 32."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        self.calls += 1
        ages = np.full(len(faces), 28.0 if self.calls % 2 else 32.0, np.float32)
        return faces.with_columns(age=ages, age_std=np.full_like(ages, 5), p_male=np.full_like(ages, 0.9))


def test_stages_run_in_order_on_a_picture() -> None:
    faces = Pipeline([MovingFace(), Guess()])(IMAGE)
    assert faces.age is not None
    assert faces.age.tolist() == [28.0]
    assert len(Pipeline([])(IMAGE)) == 0


def test_a_video_is_tracked_and_smoothed_and_keeps_raw_values() -> None:
    pipeline = Pipeline([MovingFace(), Guess(), TrackStage(), Smoother()])
    results = list(pipeline.run(video(20)))
    assert [result.index for result in results] == list(range(20))
    assert [result.time for result in results] == [index / 25 for index in range(20)]
    assert {int(result.faces.track_id[0]) for result in results} == {1}
    assert {float(result.raw.age[0]) for result in results} == {28.0, 32.0}
    assert 29 < results[-1].faces.age[0] < 31
    assert all(result.image is IMAGE for result in results)


def test_without_a_stage_over_time_raw_is_the_result() -> None:
    (result,) = Pipeline([MovingFace(), Guess()]).run(video(1))
    assert result.raw is result.faces


def test_between_detections_the_tracker_says_where_faces_are() -> None:
    detector, guess = MovingFace(step=3), Guess()
    pipeline = Pipeline([detector, guess, TrackStage(), Smoother()], detect_every=3)
    results = list(pipeline.run(video(31)))
    assert detector.calls == guess.calls == 11
    for result in results[10:]:
        assert result.faces.track_id.tolist() == [1]
        assert 27 < result.faces.age[0] < 33
        assert result.faces.p_male[0] == pytest.approx(0.9)
        # The face walks 3 pixels a frame; the tracker follows within a few.
        assert result.faces.xyxy[0, 0] == pytest.approx(10 + 3 * result.index, abs=4)
        coasted = result.index % 3 != 0
        assert (result.raw.age is None) == coasted
        assert (result.faces.score is None) == coasted


@pytest.mark.parametrize(("start", "step"), [(1, 1), (4, 1), (0, 2), (1, 2), (0, 3), (2, 3)])
def test_detect_every_counts_the_frames_that_come(start: int, step: int) -> None:
    detector = MovingFace()
    pipeline = Pipeline([detector, Guess(), TrackStage()], detect_every=3)
    results = list(pipeline.run(itertools.islice(video(60), start, None, step)))
    detected = [count for count, result in enumerate(results) if result.faces.score is not None]
    assert detected == list(range(0, len(results), 3))
    assert detector.calls == len(detected)
    assert [result.index for result in results] == list(range(start, 60, step))


class Slow:
    """A detector that says it took a while: `clock` is what the pipeline reads."""

    def __init__(self, clock: list[float], seconds: float) -> None:
        self.clock, self.seconds = clock, seconds
        self.times: list[float] = []

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        self.times.append(faces.time)
        self.clock[0] += self.seconds
        return Faces(xyxy=np.array([[10, 20, 70, 80]], np.float32), score=np.full(1, 0.95, np.float32))


@pytest.mark.parametrize(
    ("live", "seconds", "wait"),
    [(False, 0.01, 0.2), (False, 9.0, 0.2), (True, 0.01, 0.2), (True, 0.2, 0.5), (True, 9, 1)],
)
def test_a_search_now_and_then_and_of_a_live_source_as_often_as_there_is_time_for(
    monkeypatch: pytest.MonkeyPatch, live: bool, seconds: float, wait: float
) -> None:
    clock = [0.0]
    monkeypatch.setattr("agegender_core.pipeline.perf_counter", lambda: clock[0])
    detector = Slow(clock, seconds)
    pipeline = Pipeline([detector, TrackStage()], detect_every="auto")
    source = [TimedFrame(IMAGE, n, n / 50, captured=1e9 + n / 50 if live else None) for n in range(200)]
    results = list(pipeline.run(source))
    np.testing.assert_allclose(np.diff(detector.times), wait)
    assert {int(number) for result in results for number in result.faces.track_id} == {1}


def test_a_video_is_searched_where_it_cuts() -> None:
    def picture(seed: int) -> Frame:
        small = np.random.default_rng(seed).integers(0, 255, (9, 16, 1), np.uint8)
        return np.ascontiguousarray(small.repeat(20, axis=0).repeat(20, axis=1).repeat(3, axis=2))

    detector = Slow([0.0], 0.0)
    shots = [picture(1)] * 7 + [picture(2)] * 8
    results = list(Pipeline([detector, TrackStage()], detect_every=5).run(map(TimedFrame, shots, range(15), range(15))))
    assert detector.times == [0, 5, 7, 10]
    assert [result.faces.track_id.tolist() for result in results] == [[1]] * 7 + [[2]] * 8
    assert [result.shot for result in results] == [0] * 7 + [1] * 8


def test_each_run_starts_anew() -> None:
    pipeline = Pipeline([MovingFace(), Guess(), TrackStage(), Smoother()])
    first = list(pipeline.run(video(5)))
    second = list(pipeline.run(video(5)))
    assert first[0].faces.track_id.tolist() == second[0].faces.track_id.tolist() == [1]


def test_results_come_as_they_are_asked_for() -> None:
    detector = MovingFace()
    results = Pipeline([detector]).run(video(1000))
    next(results)
    assert detector.calls == 1


def test_a_plain_callable_reads_the_time_of_its_frame_from_the_record() -> None:
    seen = []

    def note(frame: Frame, faces: Faces) -> Faces:
        seen.append((faces.frame, faces.time, len(faces)))
        return faces

    source = [TimedFrame(IMAGE, index, time) for index, time in ((0, 0.0), (1, 0.4), (7, 0.5))]
    results = list(Pipeline([note, MovingFace(), note, TrackStage(), note]).run(source))
    assert seen == [(index, time, n) for index, time in ((0, 0.0), (1, 0.4), (7, 0.5)) for n in (0, 1, 1)]
    assert [(result.faces.frame, result.raw.time) for result in results] == [(0, 0.0), (1, 0.4), (7, 0.5)]
    assert Pipeline([MovingFace()])(IMAGE).time == 0.0


class Counter(VideoStage):
    """Counts its calls, and those of `coast` apart."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.called, self.coasted = 0, 0

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        self.called += 1
        return faces

    def coast(self, frame: Frame, faces: Faces) -> Faces:
        self.coasted += 1
        return faces


def test_a_declared_stage_is_reset_and_coasts_and_another_is_warned_of() -> None:
    counter = Counter()
    pipeline = Pipeline([MovingFace(), TrackStage(), counter], detect_every=3)
    for _ in range(2):
        list(pipeline.run(video(7)))
        assert (counter.called, counter.coasted) == (3, 4)

    class Former:
        def at(self, time: float) -> None: ...

        def reset(self) -> None: ...

        def __call__(self, frame: Frame, faces: Faces) -> Faces:
            return faces

    with pytest.warns(UserWarning, match=r"Former has at\(\) and reset\(\), .*VideoStage; the time is in faces\.time"):
        Pipeline([Former()])


class Batched(BatchStage):
    """Says of each face how many frames it was looked at with."""

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        return faces.with_columns(age=np.ones(len(faces), np.float32))

    def batch(self, frames: list[Frame], faces: list[Faces]) -> list[Faces]:
        return [one.with_columns(age=np.full(len(one), len(frames), np.float32)) for one in faces]


def test_several_videos_share_the_network_and_nothing_else() -> None:
    pipeline = Pipeline([MovingFace(), Batched(), TrackStage(), Smoother(), Counter()])
    frames = list(video(9))
    rounds = [{0: frames[n], 1: frames[n]} if n % 2 else {0: frames[n]} for n in range(9)]
    found = list(pipeline.run_many(rounds))
    assert [number for number, _ in found] == [0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0]
    assert {float(result.raw.age[0]) for number, result in found if number == 1} == {2.0}
    assert {float(result.raw.age[0]) for number, result in found if number == 0} == {1.0, 2.0}
    # Each has track 1 of its own, though the face has moved on in between.
    assert {int(result.faces.track_id[0]) for _, result in found} == {1}
    assert pipeline.stages[-1].called == 0


@pytest.mark.parametrize(("gap", "kept"), [(0.9, True), (1.1, False)])
@pytest.mark.parametrize("fps", [4, 25, 60])
def test_a_lost_face_is_waited_for_by_the_clock(fps: int, gap: float, kept: bool) -> None:
    def seen(index: int) -> bool:
        return index < 2 * fps or index >= (2 + gap) * fps

    def detector(frame: Frame, faces: Faces) -> Faces:
        box = np.array([[10, 20, 70, 80]], np.float32)
        return Faces(xyxy=box if seen(faces.frame) else np.empty((0, 4), np.float32))

    stages = [detector, TrackStage(SortTracker(25, 0, 0.1, keep_confirmed=True), max_age=1.0)]
    results = list(Pipeline(stages).run(video(4 * fps, fps)))
    ids = {int(result.faces.track_id[0]) for result in results if len(result.faces)}
    assert ids == ({1} if kept else {1, 2})


def test_a_network_sees_the_same_in_a_batch_of_several_frames(astronaut_path: Path) -> None:
    image = read_image(astronaut_path)
    plain = Pipeline.for_pictures("ssrnet")
    find, align, *_, predictor = plain.stages
    cut = align(image, find(image, Faces.empty()))
    nobody = align(image, Faces.empty())
    for one, want in zip(predictor.batch([image] * 3, [cut, nobody, cut]), [cut, nobody, cut], strict=True):
        alone = predictor(image, want)
        np.testing.assert_allclose(one.age, alone.age, atol=1e-3)
        np.testing.assert_allclose(one.p_male, alone.p_male, atol=1e-5)
        np.testing.assert_array_equal(one.xyxy, want.xyxy)


def test_several_pictures_at_once_give_what_each_gives_alone(astronaut_path: Path) -> None:
    pipeline = Pipeline.for_pictures("tiny")
    picture = read_image(astronaut_path)
    pictures = [picture, IMAGE, np.ascontiguousarray(picture[:, ::-1])]
    found = pipeline.batch(pictures)
    assert [len(faces) for faces in found] == [1, 0, 1]
    for faces, one in zip(found, map(pipeline, pictures), strict=True):
        assert faces.xyxy.tolist() == one.xyxy.tolist()
        assert faces.age == pytest.approx(one.age, abs=1e-4)
        assert faces.p_male == pytest.approx(one.p_male, abs=1e-5)
    assert pipeline.batch([]) == []


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match='detect_every must be 1 or more, or "auto", got 0'):
        Pipeline([MovingFace()], detect_every=0)
    with pytest.raises(ValueError, match="got 'often'"):
        Pipeline([MovingFace()], detect_every="often")
    with pytest.raises(ValueError, match="detect_every=2 needs a tracker"):
        Pipeline([MovingFace(), Smoother()], detect_every=2)


def test_pipelines_can_be_pickled(astronaut_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(load_predictor("ssrnet").path, tmp_path / "mine.onnx")
    monkeypatch.chdir(tmp_path)
    pipeline = Pipeline.for_pictures("mine.onnx", detector="hog", upsample=1, threshold=0.1, flip=True)
    monkeypatch.chdir(tmp_path.parent)  # a path that is relative must lead there still
    image = read_image(astronaut_path)
    for again in (pickle.loads(pickle.dumps(pipeline)), copy.deepcopy(pipeline)):
        detector, *_, predictor = again.stages
        assert (detector.upsample, detector.threshold) == (1, 0.1)
        assert predictor.flip is True
        assert np.array_equal(again(image).age, pipeline(image).age)
    video = Pipeline.for_video("ssrnet", tracker=SortTracker(7, 2, 0.25, keep_confirmed=True))
    tracker = next(stage for stage in pickle.loads(pickle.dumps(video)).stages if isinstance(stage, TrackStage)).tracker
    assert (tracker.max_age, tracker.min_hits, tracker.iou_threshold, tracker.keep_confirmed) == (7, 2, 0.25, True)
    assert tracker.update([[10, 10, 50, 60]]).shape == (1, 5)
