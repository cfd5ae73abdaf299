"""One decoded frame and the pictures that are cut from it, as players show it, with as few conversions as possible.

As shown: what codec and container cut off is gone, pixels that are not square are stretched, the display matrix turns
and mirrors, and colours are those of the declared matrix and range. Every size and box is in px of the frame as shown.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple, cast

import av
import cv2
import numpy as np

from tasks.video.boxes import Box
from tasks.video.cropping import Margins, read_margins
from tasks.video.levelling import level_crop

#: 8-bit formats whose first plane is the grey image, with the factors of their chroma planes.
_PLANAR = {
    "yuv420p": 2,
    "yuvj420p": 2,
    "yuv444p": 1,
    "yuvj444p": 1,
}
_UNSPECIFIED, _BT709, _BT601 = 2, 1, 5  # FFmpeg's AVCOL_SPC_*
#: Shares of red and blue in luma (ITU-R BT.709, FCC, BT.601 twice, SMPTE 240M, BT.2020 twice), by AVCOL_SPC_*.
_LUMA_SHARES = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_HDR_CURVES = frozenset({16, 18})  # AVCOL_TRC_SMPTE2084 (PQ) and AVCOL_TRC_ARIB_STD_B67 (HLG)
#: Pixels are at most so many times wider than high, or higher than wide; what a header declares beyond is no picture.
_MAX_ASPECT = 4


NO_MARGINS = Margins()


class Display(NamedTuple):
    """How a stored picture is shown: it is cropped and stretched, rows and columns change places, and it is mirrored.

    Args:
        margins: what is cut off the stored picture.
        pixel_aspect: width of a stored pixel over its height.
    """

    margins: Margins = NO_MARGINS
    pixel_aspect: Fraction | int = 1
    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False


AS_STORED = Display()


class StreamDisplay:
    """How the frames of a stream are shown, as FFmpeg's players do it."""

    def __init__(self, path: Path, stream: av.VideoStream) -> None:
        codec = stream.codec_context
        self._margins = read_margins(path, codec.width, codec.height)
        self._size = (codec.width, codec.height)
        # the container's word on the pixels counts; where it is the codec's, that may change on the way
        self._source = codec if stream.sample_aspect_ratio == codec.sample_aspect_ratio else stream
        self._degrees: int | None = None
        self._turned = (False, False, False)

    def of(self, frame: av.VideoFrame) -> Display:
        """How one of them is shown, the last that was decoded."""
        if frame.rotation != self._degrees:  # else not looked at: a frame whose side data were is freed late
            self._degrees, self._turned = frame.rotation, _turned(frame)
        margins = self._margins if (frame.width, frame.height) == self._size else NO_MARGINS
        return Display(margins, _believable(self._source.sample_aspect_ratio), *self._turned)


def _turned(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Whether a frame's display matrix lets rows and columns change places, and mirrors it in x and in y."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    (a, b, _), (c, d, _) = np.frombuffer(cast("bytes", matrix), np.int32).reshape(3, 3)[:2].tolist()
    return (True, c < 0, b < 0) if abs(b) + abs(c) > abs(a) + abs(d) else (False, a < 0, d < 0)


def _believable(pixel_aspect: Fraction | None) -> Fraction | int:
    """The shape of a pixel that is declared; 1 where none is, or one that cannot be."""
    return pixel_aspect if pixel_aspect and 1 <= _MAX_ASPECT * pixel_aspect <= _MAX_ASPECT**2 else 1


@dataclass
class Frame:
    """One decoded frame. Nothing is converted before it is asked for."""

    index: int
    pts_s: float
    _frame: av.VideoFrame
    damaged: bool = False
    display: Display = AS_STORED
    _grey_crops: dict[tuple[Box, int, float], np.ndarray] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in px, as the frame is shown."""
        left, right, top, bottom = self.display.margins
        height, width = self._frame.height - top - bottom, self._frame.width - left - right
        if self.display.pixel_aspect != 1:
            width, height = self._stretched_size(width, height)
        return (width, height) if self.display.transposed else (height, width)

    @property
    def is_interlaced(self) -> bool:
        """Whether it holds two moments, in the even and in the odd lines."""
        return bool(self._frame.interlaced_frame)

    @property
    def is_hdr(self) -> bool:
        """Whether its values follow a curve of high dynamic range (PQ or HLG)."""
        return self._frame.color_trc in _HDR_CURVES

    @cached_property
    def grey(self) -> np.ndarray:
        """Luma, uint8 (height, width); read in place where the format allows it."""
        grey = _plane(self._frame, 0) if self._is_planar else self._frame.to_ndarray(format="gray")
        return self._upright(self._cropped(grey))

    def rows(self, box: Box | None, number: int) -> np.ndarray:
        """About `number` rows of the box (or of the whole frame), uint8, of whatever the first plane holds.

        Read in place and hardly converted, so that any two frames of a video can be compared for next to nothing.
        """
        stored = self._turned(self._cropped(_plane(self._frame, 0) if self._is_planar else _stored(self._frame)))
        if box:
            stored = crop(stored, box if self.display.pixel_aspect == 1 else self._as_stored(box, stored))
        rows = stored[:: max(len(stored) // number, 1)]
        return rows if rows.dtype == np.uint8 else (rows >> _spare_bits(self._frame)).astype(np.uint8)

    def _as_stored(self, box: Box, stored: np.ndarray) -> Box:
        """A box of the frame as shown in px of the stored plane, which is not stretched yet."""
        height, width = self.size
        down, right = stored.shape[0] / height, stored.shape[1] / width
        sides = max(int(box.width * right), 1), max(int(box.height * down), 1)
        return Box(int(box.x * right), int(box.y * down), *sides)

    def grey_crop(self, box: Box, side_px: int, roll_deg: float = 0.0) -> np.ndarray:
        """The box as a square grey image, uint8 (side_px, side_px), turned so that what has that roll is level."""
        wanted = (box, side_px, roll_deg)
        if wanted not in self._grey_crops:
            if roll_deg:
                self._grey_crops[wanted] = level_crop(self._grey_part, self.size, box, roll_deg, side_px)
            else:
                self._grey_crops[wanted] = self._grey_part(box, side_px, side_px)
        return self._grey_crops[wanted]

    def _grey_part(self, box: Box, width_px: int, height_px: int) -> np.ndarray:
        return resize(crop(self.grey, box), width_px, height_px)

    def rgb_crop(self, box: Box, side_px: int, roll_deg: float = 0.0) -> np.ndarray:
        """The box as a square uint8 RGB image (side_px, side_px, 3), turned in the same way."""
        if roll_deg:
            return level_crop(self.rgb_part, self.size, box, roll_deg, side_px)
        if self._is_planar:
            return self._add_colour(box, self.grey_crop(box, side_px))
        return self.rgb_part(box, side_px, side_px)

    def rgb_part(self, box: Box, width_px: int, height_px: int) -> np.ndarray:
        """The box as a uint8 RGB image (height_px, width_px, 3)."""
        if self._is_planar:
            return self._add_colour(box, self._grey_part(box, width_px, height_px))
        rgb = self._cropped(_to_rgb(self._frame, self._guessed_matrix))
        return resize(crop(self._upright(rgb), box), width_px, height_px)

    def _add_colour(self, box: Box, luma: np.ndarray) -> np.ndarray:
        """A box in RGB from its resized luma (height, width)."""
        factor = _PLANAR[self._frame.format.name]
        part = Box(box.x // factor, box.y // factor, max(box.width // factor, 1), max(box.height // factor, 1))
        stored = (self._cropped(_plane(self._frame, number), factor) for number in (1, 2))
        planes = [crop(self._upright(plane), part) for plane in stored]
        chroma = [resize(plane, luma.shape[1], luma.shape[0]) for plane in planes]
        return _yuv_to_rgb(np.stack([luma, *chroma], axis=-1), _LUMA_SHARES[self._matrix], self._is_full_range)

    def picture(self, max_side_px: int) -> np.ndarray:
        """The whole frame to look at, uint8 RGB (h, w, 3), its longer side shrunk to at most `max_side_px`."""
        rgb = self._rgb()
        width, height = self._stretched_size(rgb.shape[1], rgb.shape[0])
        scale = min(max_side_px / max(width, height), 1.0)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        interpolation = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
        return self._turned(cv2.resize(rgb, size, interpolation=interpolation) if size != rgb.shape[1::-1] else rgb)

    def _rgb(self) -> np.ndarray:
        """The frame as it is stored but for its margins, uint8 RGB (h, w, 3)."""
        return self._cropped(self._frame.to_ndarray(format="rgb24", src_colorspace=self._guessed_matrix))

    @property
    def _guessed_matrix(self) -> int | None:
        """What a conversion to RGB is to be told; None where the frame knows."""
        return self._matrix if self._frame.colorspace == _UNSPECIFIED and not self._frame.format.is_rgb else None

    @property
    def _is_planar(self) -> bool:
        return self._frame.format.name in _PLANAR

    @property
    def _matrix(self) -> int:
        """AVCOL_SPC_* of the conversion to RGB; as players do, what declares none is taken for BT.709 when it is HD."""
        if self._frame.colorspace in _LUMA_SHARES:
            return self._frame.colorspace
        is_hd = self._frame.width >= 1280 or self._frame.height > 576
        return _BT709 if self._frame.colorspace == _UNSPECIFIED and is_hd else _BT601

    @property
    def _is_full_range(self) -> bool:
        return self._frame.color_range == _FULL_RANGE or self._frame.format.name.startswith("yuvj")

    def _stretched_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of a plane once its pixels are square; one of them grows, so that nothing is lost."""
        aspect = self.display.pixel_aspect
        if aspect > 1:
            return round(width * aspect), height
        return width, round(height / aspect) if aspect < 1 else height

    def _cropped(self, plane: np.ndarray, factor: int = 1) -> np.ndarray:
        """A stored plane without its margins, as a view."""
        left, right, top, bottom = (margin // factor for margin in self.display.margins)
        return plane[top : plane.shape[0] - bottom, left : plane.shape[1] - right]

    def _upright(self, plane: np.ndarray) -> np.ndarray:
        """A cropped plane as it is shown; the same memory where its pixels are square."""
        if self.display.pixel_aspect != 1:
            size = self._stretched_size(plane.shape[1], plane.shape[0])
            plane = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
        return self._turned(plane)

    def _turned(self, image: np.ndarray) -> np.ndarray:
        transposed, mirrored_x, mirrored_y = self.display[2:]
        if transposed:
            image = image.swapaxes(0, 1)
        return image[:: -1 if mirrored_y else 1, :: -1 if mirrored_x else 1] if mirrored_x or mirrored_y else image


def crop(image: np.ndarray, box: Box) -> np.ndarray:
    """The part of an image that lies in a box, as a view."""
    return image[box.y : box.y + box.height, box.x : box.x + box.width]


def resize(image: np.ndarray, width_px: int, height_px: int | None = None) -> np.ndarray:
    """Resize, to a square unless a height is given; area averaging when it shrinks."""
    size = (width_px, height_px or width_px)
    shrinks = image.shape[0] > size[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


@lru_cache(maxsize=1)
def _to_rgb(frame: av.VideoFrame, matrix: int | None) -> np.ndarray:
    """The frame as it is stored, uint8 RGB, to be read only; kept, for a search looks at hundreds of parts of it."""
    return frame.to_ndarray(format="rgb24", src_colorspace=matrix)


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


def _yuv_to_rgb(yuv: np.ndarray, luma_shares: tuple[float, float], full: bool) -> np.ndarray:
    """uint8 YUV (H, W, 3) to RGB, from studio or full range."""
    kr, kb = luma_shares
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
