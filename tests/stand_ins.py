"""Small stand-ins of corpora: their layouts, names and quirks, filled with one drawn clip."""

import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from openpyxl import Workbook

from tasks.corpus.sample.corpus import Clip, SampleCorpus, render_clip, write_video

FPS = 25
SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
SEVEN = ("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")


@functools.cache
def drawn_frames() -> tuple[np.ndarray, ...]:
    """A few frames of a drawn face, uint8 RGB (120, 160, 3)."""
    return tuple(render_clip(SampleCorpus(seconds=0.24, size=(160, 120)), Clip(1, 1, "happiness")))


@functools.cache
def drawn_video() -> bytes:
    """The same as an MP4 file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_video(path, list(drawn_frames()), FPS)
        return path.read_bytes()


@functools.cache
def drawn_image(number: int, suffix: str) -> bytes:
    """One of the frames as an image file."""
    frame = drawn_frames()[number % len(drawn_frames())]
    return bytes(cv2.imencode(suffix, np.ascontiguousarray(frame[..., ::-1]))[1])


def films(root: Path, *names: str) -> None:
    """Video files with those paths."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(drawn_video())


def images(folder: Path, *names: str) -> None:
    """Image files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).write_bytes(drawn_image(number, Path(name).suffix))


def text(path: Path, *lines: str) -> None:
    """A text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def sheet(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """An Excel sheet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    book = Workbook()
    assert book.active is not None
    for row in rows:
        book.active.append(list(row))
    book.save(path)


def ravdess(root: Path, people: int = 2) -> None:
    for actor in (f"{number:02d}" for number in range(1, people + 1)):
        for code in range(1, 9):
            films(root / f"Actor_{actor}", *(f"{mode}-01-{code:02d}-01-01-01-{actor}.mp4" for mode in ("01", "02")))
    films(root / "Actor_01", "01-02-03-01-01-01-01.mp4")


def cremad(root: Path) -> None:
    for actor in (1001, 1018, 1019, 1072, 1073, 1090, 1091):
        films(
            root / "VideoFlash", *(f"{actor}_DFA_{code}_XX.flv" for code in ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"))
        )
    films(
        root / "VideoFlash", "1076_MTI_NEU_XX.flv", "1076_MTI_SAD_XX.flv", "1064_TIE_SAD_XX.flv", "1064_IEO_DIS_MD.flv"
    )
    text(root / "VideoDemographics.csv", "ActorID,Age,Sex,Race,Ethnicity", "1001,51,Male,Caucasian,Not Hispanic")


def savee(root: Path) -> None:
    for speaker in ("DC", "JE", "JK", "KL"):
        names = [f"{code}{number}.avi" for code in ("d", "f", "h", "n", "sa", "su") for number in (1, 2)]
        films(root / "AudioVisualClip" / speaker, *names, "a1.avi" if speaker == "DC" else "a01.avi")


def enterface(root: Path) -> None:
    for subject in (1, 2, 12):
        for emotion in SIX:
            films(
                root / "enterface database" / f"subject {subject}" / emotion,
                *(f"sentence {one}/s{subject}_{emotion[:2]}_{one}.avi" for one in (1, 2)),
            )
    base = root / "enterface database"
    films(base, "subject 6/anger/s6_an_1.avi", "subject 7/fear/sentence 1/extra/s7_fe_1_b.avi")
    text(base / "subject 1" / "anger" / "Thumbs.db", "x")


def rml(root: Path) -> None:
    for subject in range(1, 9):
        part = "rml-1" if subject <= 5 else "rml-2"
        language = "English/" if subject in (2, 7) else ""
        films(
            root / part / f"s{subject}",
            *(f"{language}{code}{n}.avi" for code in ("an", "di", "fe", "ha", "sa", "su") for n in (1, 2)),
        )
    films(root / "rml-1" / "s2" / "Mandarin", "an1.avi")


def mead(root: Path, more: int = 0) -> None:
    films(root, *(f"M0{41 + n}_front_{word}_level3_001.mp4" for n in range(more) for word in ("angry", "happy")))
    films(
        root,
        *(
            f"M030_front_{emotion}_level3_001.mp4"
            for emotion in ("angry", "contempt", "disgusted", "fear", "happy", "sad", "surprised")
        ),
    )
    films(root, "M030_front_neutral_level1_001.mp4", "M003_level_1_disgusted_015.mp4")
    films(
        root,
        "W037/front/angry/level_3/W037_front_angry_level_3_034.mp4",
        "W037/left_30/angry/level_3/W037_left_30_angry_level_3_034.mp4",
    )
    films(root, "W009/video/front/happy/level_2/001.mp4")


def oulucasia(root: Path, people: int = 2) -> None:
    for camera, light in (("VL", "Strong"), ("VL", "Dark"), ("NI", "Strong")):
        for person in (f"P{number:03d}" for number in range(1, people + 1)):
            for emotion in SIX:
                images(
                    root / "OriginalImg" / camera / light / person / emotion.title(), "000.jpeg", "001.jpeg", "002.jpeg"
                )


def mmi(root: Path, more: int = 0) -> None:
    def session(number: int, code: str, view: str, subject: str = "1", upright: bool = True) -> None:
        folder = root / "Sessions" / str(number)
        films(folder, f"S001-{number:03d}.avi")
        text(
            folder / "session.xml",
            f'<session sessionId="{number}"><subject id="{subject}"/><track view="{view}"/></session>',
        )
        tag = f'<Metatag Name="Emotion" Value="{code}"/>' if code else ""
        text(folder / f"S001-{number:03d}.xml", f"<facs>{tag}</facs>")
        if upright:
            text(folder / f"S001-{number:03d}-oao_aucs.xml", "<aucs/>")

    for number in range(1, 7):
        session(number, str(number), "0", str(1 + number % 2))
    session(7, "1", "2")
    session(8, "4", "0", upright=False)
    session(9, "", "0")
    session(10, "7", "0")
    for number in range(2 * more):
        session(20 + number, "14"[number % 2], "0", f"{11 + number // 2}")


def dfew(root: Path, form: str = "videos", clips: int = 20) -> None:
    for clip in range(1, clips + 3):
        if form == "videos":
            films(root / "Clip" / "original", f"{clip:05d}.mp4")
        else:
            images(root / "Clip" / form / f"{clip:05d}", "1.jpg", "2.jpg", "10.jpg")
    for fold in range(1, 6):
        tested = [clip for clip in range(1, clips + 1) if clip % 5 + 1 == fold]
        for part in ("train", "test"):
            listed = [clip for clip in range(1, clips + 1) if (clip in tested) == (part == "test")]
            # the first list is not filled up to five digits
            names = [f"{clip if fold == 1 else f'{clip:05d}'},{clip % 7 + 1}" for clip in listed]
            name = f"{part}_set_{fold}.csv" if fold == 2 else f"set_{fold}.csv"
            word = "single_labeled" if fold == 3 else "single-labeled"
            text(root / "EmoLabel_DataSplit" / f"{part}({word})" / name, "video_name,label", *names)


def ferv39k(root: Path) -> None:
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for scene in ("Action", "Interview"):
        for emotion in ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"):
            for number in ("0015", "0118"):
                images(root / "2_ClipsforFaceCrop" / scene / emotion / number, "0.jpg", "1.jpg", "2.jpg")
                lists["test" if number == "0118" else "train"].append(f"{scene}/{emotion}/{number} {emotion}")
    for part, lines in lists.items():
        text(root / "4_setups" / "All_scenes" / f"{part}_All.csv", *lines)


def mafw(root: Path, form: str = "clips", number: int = 10) -> None:
    words = (
        "anger",
        "disgust",
        "fear",
        "happiness",
        "neutral",
        "sadness",
        "surprise",
        "contempt",
        "anxiety",
        "helplessness",
    )
    for clip in range(1, number + 2):
        if form == "clips":
            films(root / "data" / "clips", f"{clip:05d}.mp4")
        else:
            images(root / "data" / form / f"{clip:05d}", "frame_1.png", "frame_2.png")
    for fold in range(1, 6):
        for part in ("train", "test"):
            tested = {clip for clip in range(1, number + 1) if (clip + (clip - 1) // 10) % 5 + 1 == fold}
            clips = [clip for clip in range(1, number + 1) if (clip in tested) == (part == "test")]
            for kind, ending in (("single", ""), ("compound", "_fear")):
                lines = [f"{clip:05d}.mp4 {words[(clip - 1) % 10]}{ending}" for clip in clips]
                text(root / "Train & Test Set" / kind / "no_caption" / f"set_{fold}" / f"{part}.txt", *lines)
                text(
                    root / "Train & Test Set" / kind / "with_caption" / f"set_{fold}" / f"{part}.txt",
                    "00001.mp4 sadness he",
                )


def caer(root: Path) -> None:
    for part in ("train", "validation", "test"):
        films(root / "CAER" / part, *(f"{emotion}/0001.avi" for emotion in SEVEN))


def afew(root: Path, faces: bool = False, of_each: int = 1) -> None:
    for part, ending in (("Train_AFEW", ""), ("Val_AFEW", "_Val")):
        for number, emotion in enumerate(("Angry", *SEVEN[1:]) * of_each):
            films(root / part / emotion, f"{number:09d}.avi")
            if faces:
                images(
                    root / part / f"AlignedFaces_LBPTOP_Points{ending}" / "Faces" / f"{number:09d}", "1.jpg", "2.jpg"
                )


def casme2(root: Path, prefix: str = "", folder: str = "CASME2_RAW_selected", people: int = 3) -> None:
    header = [
        "Subject",
        "Filename",
        None,
        "OnsetFrame",
        "ApexFrame",
        "OffsetFrame",
        None,
        "Action Units",
        "Estimated Emotion",
    ]
    rows: list[list[object]] = [header]
    words = ("happiness", "disgust", "repression", "surprise", "others")
    for subject in range(1, people + 1):
        for clip, word in enumerate(words, start=1):
            name = f"EP{clip:02d}_01f"
            images(
                root / folder / f"sub{subject:02d}" / name, *(f"{prefix}img{n}.jpg" for n in (9, 10, 11, 12, 13, 14))
            )
            rows.append([subject, name, None, 10, 12, 13, None, "4", word])
    rows[2][4] = "/"
    sheet(root / "CASME2-coding-20140508.xlsx", rows)


def samm(root: Path) -> None:
    rows: list[list[object]] = [[f"line {number}"] for number in range(1, 14)]
    rows.append(
        [
            "Subject",
            "Filename",
            "Inducement Code",
            "Onset Frame",
            "Apex Frame",
            "Offset Frame",
            "Duration",
            "Micro",
            "Objective Classes",
            "Action Units",
            "Estimated Emotion",
        ]
    )
    for subject in (6, 7, 10):
        for clip, word in enumerate(("Anger", "Contempt", "Happiness", "Other", "Surprise"), start=1):
            name = f"{subject:03d}_{clip}_1"
            images(root / "SAMM" / f"{subject:03d}" / name, *(f"{subject:03d}_{n:05d}.jpg" for n in range(5561, 5566)))
            rows.append([f"{subject:03d}", name, 1, 5562, 5563, 5565, 4, "Micro", 2, "4", word])
    sheet(root / "SAMM_Micro_FACS_Codes_v2.xlsx", rows)


def smic(root: Path) -> None:
    for camera in ("HS", "VIS"):
        for person in (1, 2, 3):
            for emotion, code in (("negative", "ne"), ("positive", "po"), ("surprise", "sur")):
                images(
                    root / camera / f"s{person}" / "micro" / emotion / f"s{person}_{code}_01",
                    "image001.bmp",
                    "image002.bmp",
                )


def ckplus(root: Path, more: int = 0) -> None:
    for person, clip in ((f"S{100 + number}", clip) for number in range(more) for clip in ("001", "002")):
        images(root / "cohn-kanade-images" / person / clip, *(f"{person}_{clip}_{n:08d}.png" for n in (1, 2, 3)))
        label = "3" if clip == "001" else "5"
        text(root / "Emotion" / person / clip / f"{person}_{clip}_00000003_emotion.txt", f"   {label}.0000000e+00")
    for person in ("S005", "S010"):
        images(root / "cohn-kanade-images" / person / "001", *(f"{person}_001_{n:08d}.png" for n in (1, 2, 3)))
        text(root / "Emotion" / person / "001" / f"{person}_001_00000003_emotion.txt", "   3.0000000e+00")


def ckplus48(root: Path, more: int = 0) -> None:
    for person, emotion in ((f"S{100 + number}", word) for number in range(more) for word in ("anger", "happy")):
        clip = "004" if emotion == "anger" else "005"
        images(root / emotion, *(f"{person}_{clip}_{n:08d}.png" for n in (17, 18, 19)))
    for emotion, person in (("anger", "S010"), ("happy", "S011"), ("fear", "S012")):
        images(root / emotion, *(f"{person}_004_{n:08d}.png" for n in (17, 18, 19)))


def baum1(root: Path, more: int = 0) -> None:
    others = [(number, clip) for number in range(3, 3 + more) for clip in (1, 2)]
    films(root / "BAUM1s_MP4 - All", *(f"s{number:03d}/S{number:03d}_{clip:03d}.mp4" for number, clip in others))
    films(root / "BAUM1s_MP4 - All", "s001/S001_001.mp4", "s002/S002_001.mp4")
    header = ["Number", "Subject Label", "Clip", "Clip Name", "Emotion", "Emotion Code", "Gender"]
    rows = [[1, 1, 1, "S001_001", "Anger", 1, "Male"], [2, 2, 1, "S002_001", "Fear", 7, "Female"]]
    rows += [
        [3 + at, number, clip, f"S{number:03d}_{clip:03d}", *(("Anger", 1) if clip == 1 else ("Fear", 7)), "Male"]
        for at, (number, clip) in enumerate(others)
    ]
    sheet(root / "Annotations_BAUM1s.xlsx", [header, *rows])


#: Of every corpus that `fer corpora` knows.
STAND_INS: dict[str, Callable[[Path], None]] = {
    write.__name__: write
    for write in (
        *(afew, baum1, caer, casme2, ckplus, ckplus48, cremad, dfew, enterface, ferv39k, mafw, mead, mmi, oulucasia),
        *(ravdess, rml, samm, savee, smic),
    )
}
