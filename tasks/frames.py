"""One decoded frame and the pictures that are cut from it: grey, colour, upright, as few conversions as possible."""

from dataclasses import dataclass, field
from functools import cached_property

import av
import cv2
import numpy as np

from tasks.boxes import Box

#: 8-bit formats whose first plane is the grey image, with the factors of their chroma planes.
_PLANAR = {
    "yuv420p": 2,
    "yuvj420p": 2,
    "yuv444p": 1,
    "yuvj444p": 1,
}
_BT709, _FULL_RANGE = 1, 2  # FFmpeg's AVCOL_SPC_BT709 and AVCOL_RANGE_JPEG


@dataclass
class Frame:
    """One decoded frame. Nothing is converted before it is asked for."""

    index: int
    pts_s: float
    _frame: av.VideoFrame
    damaged: bool = False
    _grey_crops: dict[tuple[Box, int], np.ndarray] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in px, as the frame is shown."""
        height, width = self._frame.height, self._frame.width
        return (width, height) if self._quarter_turns % 2 else (height, width)

    @cached_property
    def grey(self) -> np.ndarray:
        """Luma, uint8 (height, width); read in place where the format allows it."""
        return self._turned(_plane(self._frame, 0) if self._is_planar else self._frame.to_ndarray(format="gray"))

    def rows(self, box: Box | None, number: int) -> np.ndarray:
        """About `number` rows of the box (or of the whole frame), uint8, of whatever the first plane holds.

        Read in place and hardly converted, so that any two frames of a video can be compared for next to nothing.
        """
        stored = self._turned(_plane(self._frame, 0) if self._is_planar else _stored(self._frame))
        if box:
            height, width = self.size
            down, right = stored.shape[0] / height, stored.shape[1] / width  # 1 unless the picture is stretched
            top, left = int(box.y * down), int(box.x * right)
            stored = stored[top : top + max(int(box.height * down), 1), left : left + max(int(box.width * right), 1)]
        rows = stored[:: max(len(stored) // number, 1)]
        return rows if rows.dtype == np.uint8 else (rows >> _spare_bits(self._frame)).astype(np.uint8)

    def grey_crop(self, box: Box, side_px: int) -> np.ndarray:
        """The box as a square grey image, uint8 (side_px, side_px)."""
        if (box, side_px) not in self._grey_crops:
            self._grey_crops[box, side_px] = resize(crop(self.grey, box), side_px)
        return self._grey_crops[box, side_px]

    def rgb_crop(self, box: Box, side_px: int) -> np.ndarray:
        """The box as a square uint8 RGB image (side_px, side_px, 3)."""
        if self._is_planar:
            return self._add_colour(box, self.grey_crop(box, side_px))
        return self.rgb_part(box, side_px, side_px)

    def rgb_part(self, box: Box, width_px: int, height_px: int) -> np.ndarray:
        """The box as a uint8 RGB image (height_px, width_px, 3)."""
        if self._is_planar:
            return self._add_colour(box, resize(crop(self.grey, box), width_px, height_px))
        rgb = self._turned(self._frame.to_ndarray(format="rgb24"))
        return resize(crop(rgb, box), width_px, height_px)

    def _add_colour(self, box: Box, luma: np.ndarray) -> np.ndarray:
        """A box in RGB from its resized luma (height, width)."""
        factor = _PLANAR[self._frame.format.name]
        part = Box(box.x // factor, box.y // factor, max(box.width // factor, 1), max(box.height // factor, 1))
        planes = [crop(self._turned(_plane(self._frame, number)), part) for number in (1, 2)]
        chroma = [resize(plane, luma.shape[1], luma.shape[0]) for plane in planes]
        return _yuv_to_rgb(np.stack([luma, *chroma], axis=-1), self._matrix)

    def picture(self, max_side_px: int) -> np.ndarray:
        """The whole frame for people, uint8 RGB (h, w, 3), its longer side shrunk to at most `max_side_px`."""
        rgb = self._frame.to_ndarray(format="rgb24")
        scale = min(max_side_px / max(rgb.shape[:2]), 1.0)
        size = (max(round(rgb.shape[1] * scale), 1), max(round(rgb.shape[0] * scale), 1))
        return self._turned(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if scale < 1.0 else rgb)

    @property
    def _is_planar(self) -> bool:
        return self._frame.format.name in _PLANAR

    @property
    def _matrix(self) -> tuple[bool, bool]:
        full = self._frame.color_range == _FULL_RANGE or self._frame.format.name.startswith("yuvj")
        return self._frame.colorspace == _BT709, full

    @property
    def _quarter_turns(self) -> int:
        return round(getattr(self._frame, "rotation", 0) / 90) % 4

    def _turned(self, image: np.ndarray) -> np.ndarray:
        return np.rot90(image, self._quarter_turns) if self._quarter_turns else image


def crop(image: np.ndarray, box: Box) -> np.ndarray:
    """The part of an image that lies in a box, as a view."""
    return image[box.y : box.y + box.height, box.x : box.x + box.width]


def resize(image: np.ndarray, width_px: int, height_px: int | None = None) -> np.ndarray:
    """Resize, to a square unless a height is given; area averaging when it shrinks."""
    size = (width_px, height_px or width_px)
    shrinks = image.shape[0] > size[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _plane(frame: av.VideoFrame, number: int) -> np.ndarray:
    plane = frame.planes[number]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, abs(plane.line_size))[: plane.height, : plane.width]
    return rows if plane.line_size > 0 else rows[::-1]  # stored from the bottom up


def _stored(frame: av.VideoFrame) -> np.ndarray:
    """The first plane in place: (height, width), or (height, width, values a pixel) where it holds several."""
    plane, components = frame.planes[0], frame.format.components
    packed = len(frame.planes) == 1 and len(components) > 1
    size_bytes = max(frame.format.padded_bits_per_pixel // 8, 1) if packed else (components[0].bits + 7) // 8
    rows = np.frombuffer(plane, np.uint8).reshape(-1, abs(plane.line_size))[: plane.height, : plane.width * size_bytes]
    rows = rows if plane.line_size > 0 else rows[::-1]
    if 8 < components[0].bits <= 16 and size_bytes % 2 == 0:
        rows, size_bytes = rows.view(">u2" if frame.format.is_big_endian else "<u2"), size_bytes // 2
    return rows.reshape(len(rows), -1, size_bytes) if size_bytes > 1 else rows


def _spare_bits(frame: av.VideoFrame) -> int:
    """By how many bits a value of more than 8 is shifted to become one of 8."""
    upper = frame.format.name.startswith(("p0", "p2", "p4"))  # such as p010, whose values fill the upper bits
    return 8 if upper else frame.format.components[0].bits - 8


def _yuv_to_rgb(yuv: np.ndarray, matrix: tuple[bool, bool]) -> np.ndarray:
    """uint8 YUV (H, W, 3) to RGB by ITU-R BT.601 or BT.709, studio or full range."""
    bt709, full = matrix
    kr, kb = (0.2126, 0.0722) if bt709 else (0.299, 0.114)
    luma_gain, chroma_gain, black = (1.0, 1.0, 0.0) if full else (255 / 219, 255 / 224, 16.0)
    red_v, blue_u = 2 * (1 - kr) * chroma_gain, 2 * (1 - kb) * chroma_gain
    kg = 1 - kr - kb
    to_rgb = np.array(
        [
            [luma_gain, 0.0, red_v],
            [luma_gain, -blue_u * kb / kg, -red_v * kr / kg],
            [luma_gain, blue_u, 0.0],
        ]
    )
    offset = -to_rgb @ np.array([black, 128.0, 128.0])
    return cv2.transform(yuv, np.column_stack([to_rgb, offset]))  # rounds and saturates
