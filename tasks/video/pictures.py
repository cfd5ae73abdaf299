"""Which frames of a file are new pictures and which repeat the one before, and how far apart in time two were taken.

Screen and meeting recorders, converters and cameras in the dark fill a file's frame rate with repeats: 25 pictures a
second as 50 frames, 24 as 60 in turns of two and three. A repeat that was encoded again differs a little. Compared is
the face where it is known, for around it cursors and other people move.
"""

from array import array
from bisect import bisect_left, bisect_right
from copy import copy

import cv2
import numpy as np

from tasks.video.boxes import Box
from tasks.video.frames import Frame

#: Two values of a pixel (0..255) that differ by no more than this may be one value that was encoded twice.
_ENCODED_TWICE = 4
#: Mean difference of the pixels up to which two frames are one picture in any case.
_SAME = 0.03
#: Up to this share of changed pixels a frame is a repeat when the share is also below `_SAME_PART` of that by which the
#: last new picture changed. Measured on real faces, each frame two or three times and encoded again by H.264, MPEG-2,
#: MPEG-4 and VP9: 93 % of the repeats were found, those that were missed lie in still moments; of other frames 1 %.
_NEARLY_SAME, _SAME_PART = 0.05, 0.2
#: A picture that changed by less than this has no repeats: nothing can be told from noise.
_STILL = 0.005
#: What hardly changes for longer is no picture repeated to fill a rate, but somebody who holds still.
STILL_S = 0.25
#: A video is remarked on when a larger share of its frames repeat the one before: 25 pictures in 30 frames do, not
#: cameras that now and then skip one, nor subjects who hardly move.
NOTABLE_REPEATS = 0.12
#: Frames are compared by about so many of their rows.
_NUM_ROWS = 12
#: Of so many frames the first few are compared, and all for a while after a repeat: of most videos nothing repeats, and
#: comparing all frames would cost a twentieth of the preparation.
_CYCLE, _LOOK, _WATCHFUL = 32, 8, 48
#: Where frames repeat, the time between two pictures is the mean within this many seconds around them.
_AROUND_S = 0.25
#: So many pictures are forgotten at a time.
_MANY_FORGOTTEN = 512
#: Fewer repeats than this share around two pictures say nothing of their time.
_FEW = 1 / 8


class Pictures:
    """Takes the frames of a video one by one; pictures are numbered from 0."""

    def __init__(self) -> None:
        self._num_frames = self._num_repeated = self._run = 0
        self._starts_s = array("d")  # of the pictures that are still asked for
        self._first_frames = array("l")
        self._num_forgotten = 0
        self._last_s = 0.0
        self._look_until = _LOOK
        self._looked_from = 0  # picture from which on all frames were compared
        self._region: Box | None = None
        self._rows: np.ndarray | None = None
        self._last_change = _NEARLY_SAME

    def take(self, frame: Frame, face: Box | None) -> bool:
        """Take the next frame; returns whether it is a new picture.

        Args:
            face: where the face was last seen, in px of the frames since; None looks at whole frames.
        """
        number = self._num_frames
        if number % _CYCLE == 0:
            self._look_until = max(self._look_until, number + _LOOK)
        looks = number < self._look_until
        repeats = looks and self._repeats(frame)
        self._num_frames += 1
        self._last_s = frame.pts_s
        if repeats:
            self._look_until = number + _WATCHFUL
            self._run += 1
            return False
        self._num_repeated, self._run = self._counted(frame.pts_s), 0
        self._starts_s.append(frame.pts_s)
        self._first_frames.append(frame.index)
        if not looks:
            self._rows = None
            return True
        if self._rows is None:
            self._looked_from, self._last_change = self.current, _NEARLY_SAME
        self._region, self._rows = face, frame.rows(face, _NUM_ROWS).copy()
        return True

    def _repeats(self, frame: Frame) -> bool:
        if self._rows is None:
            return False
        rows = frame.rows(self._region, _NUM_ROWS)
        if rows.shape != self._rows.shape:
            return False
        difference = cv2.absdiff(rows, self._rows)
        if cv2.norm(difference, cv2.NORM_L1) <= _SAME * rows.size or frame.pts_s == self._last_s:
            return True
        changed = np.count_nonzero(difference > _ENCODED_TWICE) / rows.size
        nearly = changed < min(_NEARLY_SAME, _SAME_PART * self._last_change) and self._last_change > _STILL
        if nearly and frame.pts_s - self._starts_s[-1] <= STILL_S:
            return True
        self._last_change = changed
        return False

    def fork(self) -> "Pictures":
        """The same so far, to be told of another face from here on."""
        other = copy(self)
        other._starts_s, other._first_frames = self._starts_s[:], self._first_frames[:]
        return other

    @property
    def current(self) -> int:
        """Number of the picture that the last frame shows."""
        return self._num_forgotten + len(self._starts_s) - 1

    @property
    def repeated_share(self) -> float:
        """Share of the frames that were found to repeat the one before, but for those that stand still (`STILL_S`)."""
        return self._counted(self._last_s) / self._num_frames if self._num_frames else 0.0

    def _counted(self, until_s: float) -> int:
        """Repeats so far; how long the last picture was shown is known only now."""
        still = self._run and until_s - self._starts_s[-1] > STILL_S
        return self._num_repeated + (0 if still else self._run)

    def start_s(self, picture: int) -> float:
        """When a picture was shown first."""
        return self._starts_s[picture - self._num_forgotten]

    def forget_before(self, picture: int) -> None:
        """No picture before that one is asked for any more, so that memory does not grow with the video."""
        number = bisect_left(self._starts_s, self.start_s(picture) - _AROUND_S, 0, picture - self._num_forgotten)
        if number >= _MANY_FORGOTTEN:
            del self._starts_s[:number], self._first_frames[:number]
            self._num_forgotten += number

    def interval_s(self, first: int, second: int) -> float:
        """How far apart in time two pictures were taken.

        Where hardly any repeat is near, that is the difference of their time stamps. Elsewhere it is a multiple of the
        mean time between pictures around them: 24 pictures a second that fill 60 frames are shown for 2/60 and 3/60 s
        in turns and were taken 1/24 s apart. (In real recordings, too, the motion after a repeat is no larger than
        elsewhere: what was repeated fills the rate, it does not stand for a picture that was lost.)
        """
        starts, frames = self._starts_s, self._first_frames
        looked_from = self._looked_from - self._num_forgotten
        first, second = first - self._num_forgotten, second - self._num_forgotten
        stamped_s = starts[second] - starts[first]
        if first < looked_from:
            return stamped_s
        low = bisect_left(starts, starts[first] - _AROUND_S, max(looked_from, 0), first + 1)
        high = bisect_right(starts, starts[second] + _AROUND_S, second) - 1
        num_pictures, num_frames = high - low, frames[high] - frames[low]
        is_regular = frames[second] - frames[first] == second - first
        if is_regular and num_frames - num_pictures <= _FEW * num_frames:
            return stamped_s
        around_s = starts[high] - starts[low]
        spacing_s = around_s / num_pictures
        steps = second - first
        if abs(steps * spacing_s - stamped_s) > around_s / num_frames:  # more than a frame: one was taken for another
            steps = max(round(stamped_s / spacing_s), 1)
        return steps * spacing_s
