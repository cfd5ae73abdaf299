"""Draws one frame: a person with an expression in a pose, as smooth shaded shapes.

The face is drawn upright on a square canvas (`CANVAS_PX`, half a head's height = `UNIT_PX`) and warped into the
frame with sub-pixel precision, so that motion is smooth and its size is known.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from tasks.corpus.sample.people import Colour, Person

CANVAS_PX = 216
UNIT_PX = 78.0
_CENTRE = np.array([CANVAS_PX / 2, CANVAS_PX / 2])
_SHIFT = 4  # OpenCV draws with 4 fractional bits


@dataclass(frozen=True)
class Pose:
    """Where the face is: centre in px of the frame, half the head's height in px, roll in degrees."""

    x_px: float
    y_px: float
    scale_px: float
    roll_deg: float


class FaceArtist:
    """Draws one person's upright face; what does not change with the expression is drawn once."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self._head = np.zeros((CANVAS_PX, CANVAS_PX, 3), np.uint8)
        opacity = np.zeros((CANVAS_PX, CANVAS_PX), np.uint8)
        _draw_head(self._head, opacity, person)
        #: float32 (CANVAS_PX, CANVAS_PX) in 0..1
        self.opacity = cv2.GaussianBlur(opacity, (0, 0), 1.0).astype(np.float32) / 255.0
        self._shading = np.repeat(_shading(person)[..., None], 3, axis=2)

    def draw(self, expression: np.ndarray, blink: float = 0.0) -> np.ndarray:
        """The face as RGB float32 (CANVAS_PX, CANVAS_PX, 3) in 0..255.

        Args:
            expression: (8,) in the order of `expressions.ACTION_UNITS`; the resting face is added here.
            blink: 0 open .. 1 shut.
        """
        brow_raise, inner_brow, furrow, eye_open, mouth_curve, mouth_open, mouth_width, nose_wrinkle = np.clip(
            expression + self.person.resting, -1.3, 1.3
        )
        image = self._head.copy()
        for side in (-1.0, 1.0):
            _draw_eye(image, self.person, side, eye_open, blink, nose_wrinkle)
            _draw_brow(image, self.person, side, brow_raise, inner_brow, furrow)
        _draw_nose(image, self.person, nose_wrinkle, furrow)
        _draw_mouth(image, self.person, mouth_curve, mouth_open, mouth_width, nose_wrinkle)
        return cv2.multiply(cv2.GaussianBlur(image, (0, 0), 1.0), self._shading, dtype=cv2.CV_32F)


def compose(
    face: np.ndarray, opacity: np.ndarray, background: np.ndarray, pose: Pose, rng: np.random.Generator, noise: float
) -> np.ndarray:
    """Warp a face into a frame and add sensor noise (standard deviation `noise`): uint8 RGB (H, W, 3)."""
    height, width = background.shape[:2]
    factor = pose.scale_px / UNIT_PX
    turn = cv2.getRotationMatrix2D((CANVAS_PX / 2, CANVAS_PX / 2), -pose.roll_deg, factor)
    turn[:, 2] += (pose.x_px - CANVAS_PX / 2, pose.y_px - CANVAS_PX / 2)
    if factor < 0.9:  # warping alone would alias
        sigma = 0.35 / factor
        face = cv2.GaussianBlur(face, (0, 0), sigma)
        opacity = cv2.GaussianBlur(opacity, (0, 0), sigma)
    layer = cv2.warpAffine(np.dstack([face, opacity]), turn, (width, height), flags=cv2.INTER_LINEAR)
    alpha = layer[..., 3:]
    frame = background + (layer[..., :3] - background) * alpha
    if noise:
        frame += rng.standard_normal((height, width, 1), dtype=np.float32) * noise
    return np.clip(frame, 0, 255, out=frame).astype(np.uint8)


def draw_background(person: Person, height: int, width: int, pose: Pose | None, rng: np.random.Generator) -> np.ndarray:
    """A plain, softly lit wall, with the person's shoulders unless `pose` is None: float32 RGB (height, width, 3)."""
    small = rng.normal(0.0, 5.0, (5, 6)).astype(np.float32)
    wall = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    fall_off = np.linspace(8.0, -10.0, height, dtype=np.float32)[:, None, None]
    background = np.clip(np.array(person.background, np.float32) * person.light_level + wall + fall_off, 0, 255)
    background = background.astype(np.uint8)
    if pose:
        _draw_shoulders(background, person, pose)
    return background.astype(np.float32)


def _draw_shoulders(background: np.ndarray, person: Person, pose: Pose) -> None:
    x, y, unit = pose.x_px, pose.y_px, pose.scale_px
    neck = np.array([[-0.3, 0.5], [0.3, 0.5], [0.34, 1.35], [-0.34, 1.35]]) * unit + (x, y)
    _fill(background, neck, _shade(person.skin, 0.72 * person.light_level))
    turns = np.linspace(math.pi, 2 * math.pi, 24)
    arc = np.stack([1.35 * np.cos(turns), 1.75 + 0.65 * np.sin(turns)], axis=1)
    torso = np.concatenate([arc, [[1.4, 4.0], [-1.4, 4.0]]]) * unit + (x, y)
    _fill(background, torso, _shade(person.shirt, person.light_level))


def _draw_head(image: np.ndarray, opacity: np.ndarray, person: Person) -> None:
    if person.long_hair:
        back = _ellipse((0.0, 0.12), (person.head_width + 0.17, 1.12))
    else:
        back = _ellipse((0.0, -0.14), (person.head_width + 0.08, 0.96))
    for points in (back, _head_outline(person)):
        _fill(opacity, _pixels(points), 255)
    _fill(image, _pixels(back), person.hair)
    for side in (-1.0, 1.0):
        ear = _ellipse((side * person.head_width * 0.98, 0.05), (0.09, 0.17))
        if not person.long_hair:
            _fill(opacity, _pixels(ear), 255)
            _fill(image, _pixels(ear), _shade(person.skin, 0.88))
    _fill(image, _pixels(_head_outline(person)), person.skin)
    _draw_hairline(image, person)


def _head_outline(person: Person) -> np.ndarray:
    turns = np.linspace(0.0, 2 * math.pi, 72, endpoint=False)
    x, y = np.cos(turns), np.sin(turns)
    narrowing = np.where(y > 0, 1.0 - (0.22 - 0.12 * person.jaw) * y**2, 1.0)
    return np.stack([person.head_width * narrowing * x, y], axis=1)


def _draw_hairline(image: np.ndarray, person: Person) -> None:
    outline = _head_outline(person)
    top = outline[outline[:, 1] < person.hairline + 0.28]
    top = top[np.argsort(np.arctan2(top[:, 1], top[:, 0]))]
    left, right = top[0], top[-1]
    x = np.linspace(right[0], left[0], 16)
    y = person.hairline + 0.28 * (x / person.head_width) ** 2
    _fill(image, _pixels(np.concatenate([top * 1.02, np.stack([x, y], axis=1)])), person.hair)


def _draw_eye(image: np.ndarray, person: Person, side: float, opening: float, blink: float, squint: float) -> None:
    centre = np.array([side * person.eye_distance, person.eye_height])
    half_width = person.eye_size
    upper = person.eye_size * 0.52 * max(0.12, 1.0 + 0.75 * opening) * (1.0 - 0.95 * blink)
    lower = person.eye_size * 0.40 * (1.0 - 0.35 * max(squint, 0.0)) * (1.0 - 0.6 * blink)
    socket = _ellipse(centre + (0, -0.01), (half_width * 1.35, half_width * 1.05))
    _fill(image, _pixels(socket), _shade(person.skin, 0.80))
    turns = np.linspace(0.0, 2 * math.pi, 36, endpoint=False)
    lid = np.stack([half_width * np.cos(turns), np.where(np.sin(turns) < 0, upper, lower) * np.sin(turns)], axis=1)
    mask = np.zeros(image.shape[:2], np.uint8)
    _fill(mask, _pixels(centre + lid), 255)
    ball = np.full_like(image, (238, 236, 232))
    iris = centre + (0.0, -0.005)
    _fill(ball, _pixels(_ellipse(iris, (half_width * 0.52,) * 2)), person.iris)
    _fill(ball, _pixels(_ellipse(iris, (half_width * 0.24,) * 2)), (15, 12, 10))
    _fill(ball, _pixels(_ellipse(iris + (-0.03, -0.03), (half_width * 0.1,) * 2)), (250, 250, 250))
    cv2.copyTo(ball, mask, image)
    lash = centre + lid[lid[:, 1] <= 1e-9]
    _line(image, lash[np.argsort(lash[:, 0])], _shade(person.hair, 0.6), 0.028)


def _draw_brow(
    image: np.ndarray, person: Person, side: float, brow_raise: float, inner_brow: float, furrow: float
) -> None:
    share = np.linspace(0.0, 1.0, 9)  # 0 at the nose, 1 at the temple
    x = person.eye_distance - 0.17 + 0.36 * share - 0.055 * furrow * (1.0 - share)
    y = person.eye_height - person.brow_height - 0.05 * np.sin(math.pi * share) - 0.10 * brow_raise
    y = y - 0.14 * inner_brow * (1.0 - share) ** 1.5 + 0.13 * furrow * (1.0 - share) ** 1.3
    _line(image, np.stack([side * x, y], axis=1), person.hair, person.brow_thickness * 1.6)


def _draw_nose(image: np.ndarray, person: Person, wrinkle: float, furrow: float) -> None:
    tip = person.eye_height + person.nose_length
    lift = 0.035 * max(wrinkle, 0.0)
    shade = _shade(person.skin, 0.80)
    _line(image, [(-0.05, person.eye_height), (-0.07, tip - 0.14), (-0.11, tip - 0.03 - lift)], shade, 0.022)
    _fill(image, _pixels(_ellipse((0.0, tip - 0.02 - lift), (0.10, 0.055))), _shade(person.skin, 0.93))
    for side in (-1.0, 1.0):
        nostril = _ellipse((side * 0.065, tip + 0.01 - lift), (0.032 + 0.01 * max(wrinkle, 0.0), 0.02))
        _fill(image, _pixels(nostril), _shade(person.skin, 0.5))
    if wrinkle > 0.1:
        for row in range(3):
            y = person.eye_height + 0.02 + 0.07 * row
            crease = _mix(person.skin, _shade(person.skin, 0.6), min(wrinkle, 1.0))
            _line(image, [(-0.075, y + 0.02), (0.0, y - 0.015), (0.075, y + 0.02)], crease, 0.02)
    if furrow > 0.1:
        crease = _mix(person.skin, _shade(person.skin, 0.6), min(furrow, 1.0))
        for side in (-1.0, 1.0):
            top = person.eye_height - person.brow_height
            _line(image, [(side * 0.04, top - 0.05), (side * 0.035, top + 0.09)], crease, 0.022)


def _draw_mouth(
    image: np.ndarray, person: Person, curve: float, opening: float, widening: float, wrinkle: float
) -> None:
    half = person.mouth_width * (1.0 + 0.28 * widening)
    middle = person.mouth_height - 0.03 * max(wrinkle, 0.0)
    gap = 0.30 * max(opening, 0.0)
    share = np.linspace(-1.0, 1.0, 17)
    bow = 1.0 - share**2
    corners = middle - 0.11 * curve * (share**2 - 0.35)
    upper_edge = corners - gap * 0.22 * bow
    lower_edge = corners + gap * 0.78 * bow
    upper_lip = upper_edge - (0.050 + 0.012 * np.cos(2 * math.pi * share)) * bow - 0.03 * max(wrinkle, 0.0) * bow
    lower_lip = lower_edge + 0.075 * bow
    x = half * share

    def band(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.concatenate([np.stack([x, first], 1), np.stack([x, second], 1)[::-1]])

    if abs(curve) > 0.3 or wrinkle > 0.3:  # the fold from nose to mouth
        depth = min(max(abs(curve), wrinkle), 1.0)
        for side in (-1.0, 1.0):
            fold = [(side * 0.17, middle - 0.25), (side * (half + 0.03), middle - 0.1), (side * (half + 0.05), middle)]
            _line(image, fold, _mix(person.skin, _shade(person.skin, 0.7), depth), 0.022)
    _fill(image, _pixels(band(upper_lip, upper_edge)), person.lips)
    _fill(image, _pixels(band(lower_edge, lower_lip)), _shade(person.lips, 1.06))
    if gap > 0.015:
        _fill(image, _pixels(band(upper_edge, lower_edge)), (58, 22, 24))
        teeth = np.minimum(upper_edge + 0.06 * bow, lower_edge)
        _fill(image, _pixels(band(upper_edge, teeth)), (232, 228, 220))
    _line(image, np.stack([x, (upper_edge + lower_edge) / 2 if gap <= 0.015 else upper_edge], 1), (90, 40, 42), 0.018)


def _shading(person: Person) -> np.ndarray:
    """Light over the face, float32 (CANVAS_PX, CANVAS_PX): brighter on one side and on the brow, darker at the rim."""
    grid = (np.arange(CANVAS_PX, dtype=np.float32) - CANVAS_PX / 2) / UNIT_PX
    x, y = grid[None, :], grid[:, None]
    rim = np.clip(1.0 - 0.28 * ((x / person.head_width) ** 2 + 0.6 * y**2) ** 1.5, 0.55, 1.0)
    mottle = 0.02 * np.sin(9 * x + 3 * y + person.number) * np.sin(7 * y - 2 * x)
    return (person.light_level * rim * (1.0 + person.light_side * x - 0.05 * y + mottle)).astype(np.float32)


def _ellipse(centre: tuple[float, float] | np.ndarray, axes: tuple[float, float]) -> np.ndarray:
    turns = np.linspace(0.0, 2 * math.pi, 40, endpoint=False)
    return np.stack([centre[0] + axes[0] * np.cos(turns), centre[1] + axes[1] * np.sin(turns)], axis=1)


def _pixels(points: np.ndarray) -> np.ndarray:
    return np.asarray(points) * UNIT_PX + _CENTRE


def _fixed_point(pixels: np.ndarray) -> np.ndarray:
    return np.round(pixels * (1 << _SHIFT)).astype(np.int32)


def _fill(image: np.ndarray, pixels: np.ndarray, colour: Colour | float) -> None:
    cv2.fillPoly(image, [_fixed_point(pixels)], colour, cv2.LINE_AA, _SHIFT)


def _line(image: np.ndarray, points: object, colour: Colour, thickness: float) -> None:
    line = _fixed_point(_pixels(np.asarray(points)))
    cv2.polylines(image, [line], False, colour, max(1, round(thickness * UNIT_PX)), cv2.LINE_AA, _SHIFT)


def _shade(colour: Colour, factor: float) -> Colour:
    return min(colour[0] * factor, 255.0), min(colour[1] * factor, 255.0), min(colour[2] * factor, 255.0)


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return red, green, blue
