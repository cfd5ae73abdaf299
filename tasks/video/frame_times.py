"""The one place where a decoder's frames get their times: seconds since the first frame, never running backwards.

Presentation time stamps are taken as they are as long as they can be: those of a recording that was joined from two go
on where the first ends, those that are missing go on at the usual step, and frames of an AVI, which has no such stamps,
stand at the places that their packets have in the file.
"""

from collections import deque

import av

#: A stamp that lies further back than this belongs to another recording; less is disorder between neighbours.
_RESTART_S = 0.5
#: Where nothing is declared.
_USUAL_FPS = 25.0


class FrameTimes:
    """Hands out the times of a stream's frames; sees its packets in the order of the file first.

    Args:
        container, stream: as they were opened.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        self._codec = stream.codec_context
        self._second = float(stream.time_base or 0)
        self.declared_fps = float(stream.average_rate or stream.guessed_rate or 0)
        self._step_s = 1 / (self.declared_fps or _USUAL_FPS)
        self._places: deque[int | None] | None = deque() if container.format.name == "avi" else None
        self._origin_s: float | None = None  # by the clock of the file
        self._last_s: float | None = None
        self.duration_s = 0.0  # how long the frames so far are shown, the last one included

    @property
    def origin_s(self) -> float:
        """When by the clock of the file the times began that are counted now; 0 where the frames have no stamps."""
        return self._origin_s or 0.0

    def see(self, packet: av.Packet) -> None:
        """Note a packet before its frames are decoded."""
        if packet.size and self._places is not None:
            self._places.append(packet.dts)

    def time_of(self, frame: av.VideoFrame) -> float:
        """The time of the next frame in order of presentation, in seconds."""
        place = self._places.popleft() if self._places else None
        # FFmpeg's guesses for an AVI are wrong where frames were reordered: the n-th frame stands at the n-th place
        stamp = place if place is not None and self._codec.has_b_frames else frame.pts
        usual_s = 0.0 if self._last_s is None else self._last_s + self._step_s
        if stamp is None or not self._second:
            time_s = usual_s
        else:
            shown_s = stamp * self._second
            if self._origin_s is None:
                self._origin_s = shown_s - usual_s
            time_s = shown_s - self._origin_s
            if self._last_s is not None and time_s < self._last_s:
                if self._last_s - time_s > _RESTART_S:
                    self._origin_s -= usual_s - time_s
                    time_s = usual_s
                else:
                    time_s = self._last_s
        shown_for_s = (frame.duration or 0) * self._second or self._step_s
        if self._places is not None and self._last_s is not None:  # an AVI knows of no duration but the usual one
            shown_for_s = max(shown_for_s, time_s - self._last_s)
        self._last_s = time_s
        self.duration_s = time_s + shown_for_s
        return time_s
