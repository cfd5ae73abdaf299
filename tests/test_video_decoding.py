from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import draw_moving_face

from fer_models.errors import VideoFault
from tasks.corpus.sample.corpus import write_video
from tasks.video.boxes import Box
from tasks.video.decoding import Video, decode


def write_as(path: Path, frames: list[np.ndarray], pix_fmt: str, codec: str = "libx264") -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25), options={"crf": "10"} if "264" in codec else {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def test_frames_come_in_order_with_their_times(moving_face: Path) -> None:
    video = Video()
    frames = list(decode(moving_face, video))
    assert [frame.index for frame in frames] == list(range(34))
    assert np.diff([frame.pts_s for frame in frames]) == pytest.approx(0.04)
    assert (video.width, video.height, video.fps, video.num_decoded, video.complete) == (320, 240, 25.0, 34, True)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "gray"])
def test_crops_have_the_colours_of_the_picture(tmp_path: Path, pix_fmt: str) -> None:
    image = np.zeros((128, 160, 3), np.uint8)
    image[:, :80] = (200, 60, 40)
    image[:, 80:] = (30, 90, 210)
    path = tmp_path / "colours.mkv"
    write_as(path, [image] * 3, pix_fmt)
    frame = next(iter(decode(path, Video())))
    left = frame.rgb_crop(Box(10, 10, 60, 60), 48)
    right = frame.rgb_crop(Box(90, 31, 61, 61), 48)
    assert left.shape == (48, 48, 3)
    assert left.dtype == np.uint8
    if pix_fmt == "gray":
        assert np.ptp(left.reshape(-1, 3).mean(0)) < 3
    else:
        assert left.reshape(-1, 3).mean(0) == pytest.approx((200, 60, 40), abs=6)
        assert right.reshape(-1, 3).mean(0) == pytest.approx((30, 90, 210), abs=6)


def test_the_crop_is_the_part_of_the_picture_that_the_box_names(tmp_path: Path) -> None:
    frames = draw_moving_face(0.0, 2)
    path = tmp_path / "face.mkv"
    write_as(path, frames, "yuv420p")
    box = Box(41, 53, 97, 97)
    crop = next(iter(decode(path, Video()))).rgb_crop(box, 97).astype(int)
    wanted = frames[0][box.y : box.y + 97, box.x : box.x + 97].astype(int)
    assert np.abs(crop - wanted).mean() < 4


def test_luma_is_read_in_place(moving_face: Path) -> None:
    frame = next(iter(decode(moving_face, Video())))
    assert not frame.grey.flags.owndata
    assert frame.grey.shape == (240, 320)


def test_a_file_that_breaks_off_is_not_complete(tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    write_video(path, draw_moving_face(2.0, 40), 25)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * 0.8)])
    video = Video()
    frames = list(decode(path, video))
    assert 0 < len(frames) < 40
    assert not video.complete


@pytest.mark.parametrize("content", [b"", b"no video at all", bytes(range(256)) * 50])
def test_what_is_no_video_is_undecodable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoFault, match="undecodable"):
        list(decode(path, Video()))


def test_an_absent_file_is_undecodable(tmp_path: Path) -> None:
    with pytest.raises(VideoFault, match="opened"):
        list(decode(tmp_path / "absent.mp4", Video()))
