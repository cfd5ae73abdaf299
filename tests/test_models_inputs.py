"""The input layers against OpenCV, hand-computed pictures and a small moving world."""

import math

import cv2
import keras
import numpy as np
import pytest

from fer_models.models.inputs import (
    FaceScaling,
    FaceStandardisation,
    GreyFaces,
    HsvOpticalFlowPicture,
    OpticalFlowComponents,
    PairedAugmentation,
    input_layers,
    input_pictures,
)
from fer_models.models.motion import HeadMotionRemoval
from fer_models.segments import SegmentShape
from fer_models.settings import AugmentationSettings, ModelSettings

STILL = {"mirror": False, "zoom": 0.0, "shear_deg": 0.0}


def augmentation(move_vectors: bool = True, seed: int = 0, **changes: object) -> PairedAugmentation:
    """A layer with everything off but `changes`."""
    return PairedAugmentation(AugmentationSettings(**STILL | changes).model_dump(), move_vectors, seed)


def as_arrays(tensors) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(tensor) for tensor in tensors]


def random_pairs(num: int, channels: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    faces = rng.random((num, 48, 48, 3), np.float32)
    return faces, rng.normal(0, 0.3, (num, 48, 48, channels)).astype(np.float32)


def uniform_motion(num: int, dx: float, dy: float) -> np.ndarray:
    return np.tile(np.array([dx, dy], np.float32), (num, 48, 48, 1))


def opencv_picture(optical_flow: np.ndarray) -> np.ndarray:
    """The study's drawing by OpenCV itself: (H, W, 2) -> uint8 RGB (H, W, 3)."""
    magnitude, angle = cv2.cartToPolar(optical_flow[..., 0], optical_flow[..., 1])
    hsv = np.full((*optical_flow.shape[:2], 3), 255, np.uint8)
    hsv[..., 0] = angle * 180 / np.pi / 2
    hsv[..., 2] = cv2.normalize(magnitude, None, 0, 255, cv2.NORM_MINMAX)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def test_face_scaling():
    faces = np.array([0, 51, 255], np.uint8).reshape(1, 1, 1, 3)
    scaled = keras.ops.convert_to_numpy(FaceScaling()(faces))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.ravel(), [0, 0.2, 1])


def smooth_faces(side_px: int) -> np.ndarray:
    """Coloured noise with a few waves across, uint8 RGB (4, side_px, side_px, 3)."""
    noise = np.random.default_rng(1).integers(0, 256, (4, 12, 12, 3), np.uint8)
    return np.stack([cv2.resize(one, (side_px, side_px), interpolation=cv2.INTER_CUBIC) for one in noise])


def opencv_grey(faces: np.ndarray, side_px: int, interpolation: int) -> np.ndarray:
    grey = [cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32) for face in faces]
    return np.stack([cv2.resize(one, (side_px, side_px), interpolation=interpolation) for one in grey])[..., np.newaxis]


@pytest.mark.parametrize(
    ("side_px", "interpolation"), [(48, cv2.INTER_LINEAR), (64, cv2.INTER_LINEAR), (128, cv2.INTER_AREA)]
)
def test_grey_faces_are_those_of_opencv(side_px: int, interpolation: int):
    faces = smooth_faces(side_px)
    grey = keras.ops.convert_to_numpy(GreyFaces(64)(faces))
    assert grey.shape == (4, 64, 64, 1)
    assert grey.dtype == np.float32
    # OpenCV's grey is rounded, and its area is a box where this is a triangle
    np.testing.assert_allclose((grey + 1) * 127.5, opencv_grey(faces, 64, interpolation), atol=0.6 + 3 * (side_px > 64))


def test_grey_faces_are_in_range_and_reduced_without_aliasing():
    white, black = np.full((1, 48, 48, 3), 255, np.uint8), np.zeros((1, 48, 48, 3), np.uint8)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(GreyFaces(64)(white)), 1.0, atol=1e-6)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(GreyFaces(64)(black)), -1.0, atol=1e-6)
    stripes = np.zeros((1, 224, 224, 3), np.uint8)
    stripes[:, :, ::2] = 255  # too fine for 64 px: grey, but at the edges
    grey = keras.ops.convert_to_numpy(GreyFaces(64)(stripes))
    np.testing.assert_allclose(grey[:, :, 2:-2], 0.0, atol=0.1)


def test_standardised_faces_have_mean_0_and_standard_deviation_1_each():
    faces = random_pairs(3)[0] * np.array([0.2, 1, 0.6], np.float32).reshape(3, 1, 1, 1) + 0.1
    faces = np.concatenate([faces, np.full((1, 48, 48, 3), 0.4, np.float32)])
    result = keras.ops.convert_to_numpy(FaceStandardisation()(faces))
    np.testing.assert_allclose(result[:3].mean(axis=(1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(result[:3].std(axis=(1, 2, 3)), 1, atol=0.02)
    np.testing.assert_allclose(result[3], 0, atol=5e-3)  # an even face stays finite


def test_hsv_picture_is_the_one_that_opencv_draws():
    rng = np.random.default_rng(0)
    # directions stay clear of the edges of OpenCV's 2 degree steps, where its own arctangent is not exact
    angle = np.radians(2 * rng.integers(0, 180, (4, 48, 48)) + rng.uniform(0.5, 1.5, (4, 48, 48)))
    speed = rng.gamma(2.0, [[[0.05]], [[0.5]], [[2.0]], [[8.0]]], (4, 48, 48)) + 0.1
    optical_flow = np.stack([speed * np.cos(angle), speed * np.sin(angle)], axis=-1).astype(np.float32)
    ours = keras.ops.convert_to_numpy(HsvOpticalFlowPicture()(optical_flow)) * 255
    theirs = np.stack([opencv_picture(one) for one in optical_flow]).astype(float)
    assert np.abs(ours - theirs).max() <= 2  # the value may be cut one lower, and OpenCV rounds the colour
    assert np.abs(ours - theirs).mean() < 0.5
    assert theirs.std() > 20


@pytest.mark.parametrize(
    ("vector", "colour"),
    [
        ((2, 0), (1, 0, 0)),  # right is red
        ((0, 2), (0.5, 1, 0)),  # down is 90 degrees
        ((-2, 0), (0, 1, 1)),
        ((0, -2), (0.5, 0, 1)),
        ((2 * math.cos(-1e-3), 2 * math.sin(-1e-3)), (1, 0, 2 / 60)),  # 359.9 degrees: the step before red
    ],
)
def test_hsv_picture_by_hand(vector, colour):
    optical_flow = np.zeros((1, 48, 48, 2), np.float32)
    optical_flow[0, 5, 7] = vector
    optical_flow[0, 9, 9] = np.array(vector) / 2
    picture = keras.ops.convert_to_numpy(HsvOpticalFlowPicture()(optical_flow))[0]
    np.testing.assert_allclose(picture[5, 7], colour, atol=1e-4)
    np.testing.assert_allclose(picture[9, 9], np.array(colour) * 127 / 255, atol=1e-4)
    assert np.abs(picture).sum() == pytest.approx(np.abs(picture[[5, 9], [7, 9]]).sum())  # the rest is black


@pytest.mark.parametrize("speed", [0.0, 1.5])
def test_hsv_picture_of_even_motion_is_black(speed):
    picture = keras.ops.convert_to_numpy(HsvOpticalFlowPicture()(uniform_motion(1, speed, 0.0)))
    np.testing.assert_array_equal(picture, 0)


def test_components_by_hand():
    optical_flow = np.array([[0.3, -0.4], [0.0, 0.0], [10.0, -10.0], [-0.5, 0.0]], np.float16).reshape(1, 2, 2, 2)
    picture = keras.ops.convert_to_numpy(OpticalFlowComponents(0.5)(optical_flow)).reshape(4, 3)
    expected = [[0.6, -0.8, 1.0], [0, 0, 0], [3, -3, 3], [-1, 0, 1]]
    np.testing.assert_allclose(picture, expected, atol=1e-3)


@pytest.mark.parametrize(
    "changes",
    [{}, {"mirror": True, "zoom": 0.2, "shear_deg": 20, "rotation_deg": 30, "shift": 0.1, "brightness": 0.3}],
)
def test_augmentation_sleeps_outside_training(changes):
    faces, motion = random_pairs(4)
    new_faces, new_motion = as_arrays(augmentation(**changes)([faces, motion], training=False))
    np.testing.assert_array_equal(new_faces, faces)
    np.testing.assert_array_equal(new_motion, motion)


def test_augmentation_of_nothing_changes_nothing():
    faces, motion = random_pairs(4)
    new_faces, new_motion = as_arrays(augmentation()([faces, motion], training=True))
    np.testing.assert_allclose(new_faces, faces, atol=1e-4)
    np.testing.assert_allclose(new_motion, motion, atol=1e-4)


@pytest.mark.parametrize("move_vectors", [True, False])
def test_mirror_turns_face_and_motion_together(move_vectors):
    faces, motion = random_pairs(32)
    new_faces, new_motion = as_arrays(augmentation(move_vectors, mirror=True)([faces, motion], training=True))
    mirrored = np.abs(new_faces - faces).max(axis=(1, 2, 3)) > 0.1
    assert 8 <= mirrored.sum() <= 24  # about half
    sign = np.array([-1, 1] if move_vectors else [1, 1], np.float32)
    np.testing.assert_allclose(new_faces[mirrored], faces[mirrored][:, :, ::-1], atol=1e-4)
    np.testing.assert_allclose(new_motion[mirrored], motion[mirrored][:, :, ::-1] * sign, atol=1e-4)
    np.testing.assert_allclose(new_faces[~mirrored], faces[~mirrored], atol=1e-4)
    np.testing.assert_allclose(new_motion[~mirrored], motion[~mirrored], atol=1e-4)


def blobs(num: int, x: float, y: float) -> np.ndarray:
    """Faces with one soft light spot at (x, y) px."""
    rows, columns = np.mgrid[:48, :48]
    spot = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 3.0**2))
    return np.broadcast_to(spot[None, :, :, None], (num, 48, 48, 3)).astype(np.float32)


def centroids(faces: np.ndarray) -> np.ndarray:
    """Where the spots are, (n, 2) as x, y in px."""
    rows, columns = np.mgrid[:48, :48]
    weights = faces[..., 0]
    total = weights.sum(axis=(1, 2))
    return np.stack([(weights * columns).sum(axis=(1, 2)), (weights * rows).sum(axis=(1, 2))], axis=-1) / total[:, None]


@pytest.mark.parametrize(
    "changes",
    [
        {"rotation_deg": 40},
        {"mirror": True, "rotation_deg": 40},
        {"zoom": 0.2},
        {"shear_deg": 20},
        {"mirror": True, "zoom": 0.2, "shear_deg": 20, "rotation_deg": 30, "shift": 0.05},
    ],
)
def test_vectors_say_where_the_moved_face_goes(changes):
    """The same draw moves the frame before and the frame after: the way of the spot is the turned vector."""
    num, dx, dy = 24, 4.0, -2.0
    motion = uniform_motion(num, dx, dy)
    before, vectors = as_arrays(augmentation(**changes)([blobs(num, 22, 25), motion], training=True))
    after, _ = as_arrays(augmentation(**changes)([blobs(num, 22 + dx, 25 + dy), motion], training=True))
    way = centroids(after) - centroids(before)
    assert np.ptp(way, axis=0).max() > 0.5  # the draws differ
    np.testing.assert_allclose(vectors, np.broadcast_to(way[:, None, None], vectors.shape), atol=0.1)


def test_rotation_turns_vectors_by_the_drawn_angle_and_keeps_their_length():
    _, vectors = as_arrays(augmentation(rotation_deg=30)([blobs(64, 24, 24), uniform_motion(64, 2, 0)], training=True))
    vector = vectors[:, 24, 24]
    np.testing.assert_allclose(np.hypot(*vector.T), 2, rtol=1e-4)
    angle_deg = np.degrees(np.arctan2(vector[:, 1], vector[:, 0]))
    assert np.abs(angle_deg).max() <= 30.001
    assert angle_deg.min() < -15
    assert angle_deg.max() > 15


def test_zoom_stays_in_its_range_on_each_axis():
    _, vectors = as_arrays(augmentation(zoom=0.2)([blobs(64, 24, 24), uniform_motion(64, 1, 1)], training=True))
    factors = 1 / vectors[:, 24, 24]  # of the sampling map
    assert factors.min() >= 0.799
    assert factors.max() <= 1.201
    assert np.ptp(factors, axis=0).min() > 0.3
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.4  # the axes are drawn apart


def test_shift_moves_both_and_no_vector():
    motion = np.concatenate([blobs(16, 24, 24)[..., :1], np.ones((16, 48, 48, 1), np.float32)], axis=-1)
    faces, new_motion = as_arrays(augmentation(shift=0.1)([blobs(16, 24, 24), motion], training=True))
    way = centroids(faces) - 24
    assert np.abs(way).max() <= 4.85
    assert np.ptp(way, axis=0).min() > 4
    np.testing.assert_allclose(centroids(new_motion), centroids(faces), atol=1e-3)
    np.testing.assert_allclose(new_motion[..., 1], 1, atol=1e-4)


def test_brightness_is_for_faces_only_and_stays_in_range():
    faces, motion = random_pairs(16)
    new_faces, new_motion = as_arrays(augmentation(brightness=0.4)([faces, motion], training=True))
    assert new_faces.min() >= 0
    assert new_faces.max() <= 1
    assert np.ptp(new_faces.mean(axis=(1, 2, 3))) > 0.1
    np.testing.assert_allclose(new_motion, motion, atol=1e-4)


def test_gamma_changes_what_standardisation_leaves():
    faces, motion = random_pairs(16)
    standard = FaceStandardisation()
    brighter, _ = augmentation(brightness=0.1)([0.25 + faces / 2, motion], training=True)  # nothing is clipped
    bent, new_motion = augmentation(gamma=0.5)([faces, motion], training=True)
    np.testing.assert_allclose(standard(brighter), standard(0.25 + faces / 2), atol=0.03)
    assert np.abs(np.asarray(standard(bent)) - np.asarray(standard(faces))).max() > 0.3
    np.testing.assert_allclose(new_motion, motion, atol=1e-4)
    powers = np.log(np.asarray(bent)) / np.log(np.clip(faces, 1e-3, 1))
    np.testing.assert_allclose(np.nanmedian(powers, axis=(1, 2, 3)), np.nanmax(powers, axis=(1, 2, 3)), atol=0.05)
    assert np.nanmedian(powers, axis=(1, 2, 3)).min() >= 0.5
    assert np.nanmedian(powers, axis=(1, 2, 3)).max() <= 1.5


def test_erasing_takes_one_rectangle_from_face_and_motion_of_some_pairs():
    faces, motion = random_pairs(64)
    new_faces, new_motion = as_arrays(augmentation(erasing=0.5)([faces, motion], training=True))
    gone = np.abs(new_faces - faces).max(axis=-1) > 1e-3
    np.testing.assert_array_equal(gone, np.abs(new_motion - motion).max(axis=-1) > 1e-3)
    sizes = gone.sum(axis=(1, 2))
    assert 20 <= (sizes > 0).sum() <= 44
    for row in np.flatnonzero(sizes):
        high, wide = gone[row].any(axis=1), gone[row].any(axis=0)
        assert sizes[row] == high.sum() * wide.sum()
        assert max(high.sum(), wide.sum()) <= 0.4 * 48 + 1
        np.testing.assert_allclose(new_faces[row][gone[row]], faces[row].mean(), atol=1e-4)
        assert not new_motion[row][gone[row]].any()


def test_a_seed_gives_one_sequence_of_draws():
    faces, motion = random_pairs(8)
    changes = {"mirror": True, "zoom": 0.2, "rotation_deg": 20}
    first, again, other = (augmentation(seed=seed, **changes) for seed in (1, 1, 2))
    drawn = [as_arrays(layer([faces, motion], training=True))[0] for layer in (first, again, other, first)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.abs(drawn[0] - drawn[2]).max() > 0.1
    assert np.abs(drawn[0] - drawn[3]).max() > 0.1  # and the next draw is another


@pytest.mark.parametrize(
    "layer",
    [FaceScaling(), FaceStandardisation(), HsvOpticalFlowPicture(), OpticalFlowComponents(0.4), augmentation(zoom=0.1)],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_come_back_from_their_config(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("side_px", [48, 96])
def test_the_same_motion_is_drawn_alike_at_every_size_of_face(side_px):
    """Motion is in px of the stored face, so on twice the side it is twice as many."""
    inputs = input_layers(SegmentShape(side_px=side_px))
    picture = input_pictures(inputs, ModelSettings(optical_flow_scale_px=0.25), None, 0)["temporal"]
    motion = np.full((1, side_px, side_px, 2), 0.1 * side_px / 48, np.float32)
    drawn = keras.Model(list(inputs.values()), picture)([np.zeros((1, side_px, side_px, 3), np.uint8), motion])
    assert np.asarray(drawn)[0, 5, 5, 0] == pytest.approx(0.4)


def test_frames_of_a_segment_are_moved_alike() -> None:
    """One draw a segment: T equal frames stay equal, and are what a single one becomes."""
    layer = augmentation(mirror=True, zoom=0.2, rotation_deg=20, brightness=0.2, erasing=1.0)
    again = augmentation(mirror=True, zoom=0.2, rotation_deg=20, brightness=0.2, erasing=1.0)
    faces, motion = random_pairs(6)
    single = as_arrays(layer([faces, motion], training=True))
    several = as_arrays(again([np.stack([one] * 3, axis=1) for one in (faces, motion)], training=True))
    for alone, frames in zip(single, several, strict=True):
        for number in range(3):
            np.testing.assert_allclose(frames[:, number], alone, atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [FaceStandardisation(), HsvOpticalFlowPicture(), OpticalFlowComponents(0.4), HeadMotionRemoval("remove_shift")],
    ids=lambda layer: type(layer).__name__,
)
def test_each_frame_is_drawn_as_it_is_alone(layer) -> None:
    faces, motion = random_pairs(6)
    pictures = faces if isinstance(layer, FaceStandardisation) else motion
    alone = as_arrays([layer(pictures)])[0]
    frames = as_arrays([layer(pictures.reshape(2, 3, *pictures.shape[1:]))])[0]
    np.testing.assert_allclose(frames.reshape(alone.shape), alone, atol=1e-6)


def test_faces_without_motion_are_augmented_too() -> None:
    faces, motion = random_pairs(4)
    (alone,) = as_arrays(augmentation(zoom=0.2, gamma=0.3, erasing=0.5)([faces], training=True))
    both = as_arrays(augmentation(zoom=0.2, gamma=0.3, erasing=0.5)([faces, motion], training=True))
    np.testing.assert_allclose(alone, both[0], atol=1e-6)
