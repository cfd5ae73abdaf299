"""The adapters of corpora of micro-expressions: sheets with onset and apex, and the images between."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import stand_ins
from openpyxl import load_workbook
from stand_ins import images
from test_corpus_acted import counts, people, videos, written

from fer_models.errors import UserError
from flows.study import full_study
from tasks.config.layout import Layout
from tasks.config.prepare_settings import PrepareSettings
from tasks.config.resolving import resolve_settings
from tasks.config.split_settings import SplitSettings
from tasks.corpus.manifest import build_manifest
from tasks.dataset.splits import update_split
from tasks.outcomes import Outcome
from tasks.preparation.scan import scan_corpus
from tasks.study.runs import plan_runs
from tasks.study.scoring import predicted_segments, predicted_videos, score_tables
from tasks.video.cutting import prepare_video
from tasks.video.image_sequences import sequence_images


def change(path: Path, row: int, column: int, value: object) -> None:
    """One cell of a sheet, rows and columns from 1 on."""
    book = load_workbook(path)
    assert book.active is not None
    book.active.cell(row, column, value)
    book.save(path)


def numbers(path: Path) -> list[int]:
    return [image.number for image in sequence_images(path)]


@pytest.mark.parametrize(
    ("frames", "wanted"),
    [("onset_apex", [10, 12]), ("onset_offset", [10, 11, 12, 13]), ("all", [9, 10, 11, 12, 13, 14])],
)
def test_the_frames_of_casme2_are_those_that_are_asked_for(tmp_path: Path, frames: str, wanted: list[int]) -> None:
    root = written(tmp_path, "casme2")
    found = videos(root, "casme2", frames=frames)
    words = {"happiness": 3, "disgust": 3, "repression": 3, "surprise": 3, "others": 3}
    lost = 1 if frames == "onset_apex" else 0
    assert counts(found) == (
        {**words, "disgust": 3 - lost},
        {"ok": 14, "label_missing": 1} if lost else {"ok": 15},
    )
    assert people(found) == {"casme2/sub01", "casme2/sub02", "casme2/sub03"}
    assert numbers(found["sub02/EP01_01f"].path) == wanted
    if lost:
        video = found["sub01/EP02_01f"]
        assert "row 3 of the sheet gives no usable apex" in video.reason
        assert video.emotion == "disgust"


def test_cropped_casme2_has_other_names(tmp_path: Path) -> None:
    stand_ins.casme2(tmp_path, "reg_", "Cropped")
    (tmp_path / "CASME2-coding-20140508.xlsx").rename(tmp_path / "CASME2-coding-20190701.xlsx")
    assert numbers(videos(tmp_path, "casme2")["sub01/EP01_01f"].path) == [10, 12]
    stand_ins.casme2(tmp_path)
    assert "RAW" in str(videos(tmp_path, "casme2")["sub01/EP01_01f"].path)
    assert "Cropped" in str(videos(tmp_path, "casme2", form="faces")["sub01/EP01_01f"].path)


def test_what_the_sheet_of_casme2_contradicts_is_told(tmp_path: Path) -> None:
    root = written(tmp_path, "casme2")
    sheet = root / "CASME2-coding-20140508.xlsx"
    change(sheet, 4, 5, 10)  # the apex is the onset
    change(sheet, 5, 5, 99)  # there is no such image
    images(root / "CASME2_RAW_selected" / "sub09" / "EP01_01f", "img1.jpg", "img2.jpg")
    (root / "CASME2_RAW_selected" / "sub03" / "EP05_01f").rename(root / "CASME2_RAW_selected" / "sub03" / "EP99")
    found = videos(root, "casme2")
    assert found["sub01/EP03_01f"].status is Outcome.LABEL_CONFLICT
    assert (found["sub01/EP04_01f"].status, "image 99" in found["sub01/EP04_01f"].reason) == (
        Outcome.FILE_MISSING,
        True,
    )
    assert found["sub09/EP01_01f"].status is Outcome.LABEL_MISSING
    assert found["sub03/EP05_01f"].status is Outcome.FILE_MISSING
    sheet.unlink()
    with pytest.raises(UserError, match="no sheet of labels"):
        videos(root, "casme2")


@pytest.mark.parametrize(("offset", "mended"), [(1, True), (13, False)])
def test_the_known_error_of_casme2_is_mended_where_it_stands(tmp_path: Path, offset: int, mended: bool) -> None:
    stand_ins.casme2(tmp_path, people=13)
    folder = tmp_path / "CASME2_RAW_selected" / "sub12" / "EP05_01f"
    images(folder, "img91.jpg")
    change(tmp_path / "CASME2-coding-20140508.xlsx", 61, 6, offset)
    video = videos(tmp_path, "casme2", frames="onset_offset")["sub12/EP05_01f"]
    assert video.status is Outcome.OK
    assert numbers(video.path)[-1] == (91 if mended else 13)
    assert ("known to be 91" in video.reason) == mended
    change(tmp_path / "CASME2-coding-20140508.xlsx", 40, 6, 1)  # an error that nobody knows
    found = videos(tmp_path, "casme2", frames="onset_offset")
    assert found["sub08/EP04_01f"].status is Outcome.LABEL_CONFLICT


def test_samm_has_lines_above_its_header(tmp_path: Path) -> None:
    found = videos(written(tmp_path, "samm"), "samm")
    assert counts(found) == (dict.fromkeys(("anger", "contempt", "happiness", "others", "surprise"), 3), {"ok": 15})
    assert people(found) == {"samm/006", "samm/007", "samm/010"}
    assert numbers(found["006/006_1_1"].path) == [5562, 5563]
    assert found["006/006_1_1"].path.parent.name == "006_1_1"


def test_smic_has_no_apex_and_three_cameras(tmp_path: Path) -> None:
    root = written(tmp_path, "smic")
    found = videos(root, "smic")
    assert counts(found) == (dict.fromkeys(("negative", "positive", "surprise"), 3), {"ok": 9})
    assert people(found) == {"smic/s1", "smic/s2", "smic/s3"}
    assert len(videos(root, "smic", camera="VIS")) == 9
    with pytest.raises(UserError, match="no folder NIR"):
        videos(root, "smic", camera="NIR")


def test_pairs_are_prepared_as_pairs_only(tmp_path: Path) -> None:
    root = written(tmp_path, "casme2")
    overrides = {
        "corpus.adapter": "casme2",
        "corpus.root": str(root),
        "corpus.emotions": ["happiness", "others"],
        "data_root": str(tmp_path / "data"),
    }
    with pytest.raises(UserError, match="onset and apex"):
        scan_corpus(resolve_settings(overrides=overrides))
    pairs = {"prepare.segment_length": 2, "prepare.segment_stride": 2, "prepare.pair": "first_last"}
    scan = scan_corpus(resolve_settings(overrides=overrides | pairs))
    assert len(scan.manifest) == 15
    assert set(scan.manifest.loc[scan.manifest["status"] == "ok", "reason"]) == {""}
    prepare = PrepareSettings(segment_length=2, segment_stride=2, pair="first_last", face="last", precropped=True)
    frames, report = prepare_video(Path(scan.manifest["uri"].iloc[0]), prepare)
    assert (len(frames), report.outcome, report.num_frames) == (1, Outcome.OK, 2)
    assert np.abs(frames[0].optical_flow).max() > 0
    scan_corpus(resolve_settings(overrides=overrides | {"corpus.frames": "all", "data_root": str(tmp_path / "other")}))


def test_loso_on_26_people_gives_uf1_and_uar_over_the_sums_of_all_folds(tmp_path: Path) -> None:
    """As the field of micro-expressions computes them: counts are added up over folds first, then scores are taken."""
    stand_ins.casme2(tmp_path / "corpus", people=26)
    emotions = ("happiness", "disgust", "repression", "surprise", "others")
    settings = resolve_settings(overrides={"corpus.adapter": "casme2", "corpus.root": str(tmp_path / "corpus")})
    manifest = build_manifest(settings.corpus, tmp_path / "manifest.parquet")
    usable = manifest[manifest["status"] == "ok"]
    assert (len(manifest), len(usable), usable["subject"].nunique()) == (130, 129, 26)
    ledger = usable.assign(outcome="ok", num_covered=1, sha256=usable["video_id"])
    split = update_split(ledger, emotions, SplitSettings(protocol="loso"), tmp_path / "split.parquet")
    tested = split[split["side"] == "test"]
    assert tested["fold"].nunique() == 26
    assert (tested.groupby("fold")["subject"].nunique() == 1).all()
    rng = np.random.default_rng(3)
    tables, counts = [], np.zeros((5, 5), int)  # row true, column predicted
    for _, fold in tested.merge(ledger[["video_id", "emotion"]], on="video_id").groupby("fold"):
        truth = [emotions.index(word) for word in fold["emotion"]]
        said = [number if rng.random() < 0.5 else int(rng.integers(5)) for number in truth]
        np.add.at(counts, (truth, said), 1)
        probabilities = 0.1 + 0.5 * np.eye(5)[said]
        frames = fold.assign(segment=0, frame=0, pts_s=0.0, shard="", row=0, box=[[0, 0, 9, 9]] * len(fold))
        segments = predicted_segments(frames, probabilities, emotions)
        tables.append((predicted_videos(segments, fold, 1.0, emotions, "mean"), segments))
    videos, segments = (pd.concat(parts, ignore_index=True) for parts in zip(*tables, strict=True))
    hits = counts.diagonal()
    uf1 = float(np.mean(2 * hits / (counts.sum(axis=1) + counts.sum(axis=0))))
    uar = float(np.mean(hits / counts.sum(axis=1)))
    scores = score_tables(videos, segments, emotions)
    assert scores["video_macro_f1"] == pytest.approx(uf1)
    assert scores["video_uar"] == pytest.approx(uar)
    means = np.mean([score_tables(*tables_of_fold, emotions)["video_macro_f1"] for tables_of_fold in tables])
    assert abs(means - uf1) > 0.01, "the mean over folds is another number"


def with_motion(root: Path) -> None:
    """Onset and apex of each clip drawn anew: the face moves by as much as its class has it, and each person's more."""
    shifts = {"EP01": (3, 0), "EP02": (-3, 0), "EP03": (0, 3), "EP04": (0, -3), "EP05": (2, 2)}
    face = np.asarray(stand_ins.drawn_frames()[0][20:116, 32:128])
    rng = np.random.default_rng(1)
    for folder in sorted(root.glob("Cropped/sub*/EP*")):
        right, down = np.array(shifts[folder.name[:4]]) + rng.integers(-2, 3, 2)  # which some are mistaken by
        for number, picture in ((10, face), (12, np.roll(face, (down, right), (0, 1)))):
            noisy = np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)
            (folder / f"reg_img{number}.jpg").write_bytes(cv2.imencode(".jpg", noisy[..., ::-1])[1].tobytes())


@pytest.mark.slow
def test_a_study_of_26_people_is_scored_over_the_sums_of_all_folds(tmp_path: Path) -> None:
    """The same through the whole flow: each person is tested once, and what the report says is counted here by hand."""
    stand_ins.casme2(tmp_path / "corpus", "reg_", "Cropped", people=26)
    with_motion(tmp_path / "corpus")
    emotions = ("happiness", "disgust", "repression", "surprise", "others")
    overrides = {
        "name": "loso",
        "data_root": str(tmp_path / "data"),
        "corpus.adapter": "casme2",
        "corpus.root": str(tmp_path / "corpus"),
        "corpus.emotions": list(emotions),
        "prepare.precropped": True,
        "prepare.segment_length": 2,
        "prepare.segment_stride": 2,
        "prepare.pair": "first_last",
        "prepare.face": "last",
        "split.protocol": "loso",
        "arms": ["hof-svm"],
    }
    report = full_study(overrides=overrides)
    settings = resolve_settings(overrides=overrides)
    layout = Layout.of(settings)
    ledger = pd.read_parquet(layout.ledger)
    assert ledger["outcome"].value_counts().to_dict() == {"ok": 129, "label_missing": 1}
    assert set(ledger.loc[ledger["outcome"] == "ok", "num_frames"]) == {2}
    counts, people = np.zeros((5, 5), int), []  # row true, column predicted
    for run in plan_runs(settings):
        (table,) = (pd.read_parquet(path) for path in run.folder.glob("test-*/videos.parquet"))
        people += table["subject"].unique().tolist()
        for truth, said in zip(table["emotion"], table["predicted"], strict=True):
            counts[emotions.index(truth), emotions.index(said)] += 1
    assert people == sorted(set(people), key=people.index)
    assert (len(people), counts.sum()) == (26, 129)
    hits = counts.diagonal()
    assert 129 / 5 < hits.sum() < 129, "neither chance nor all right, or nothing is told of sums"
    uf1 = np.mean(2 * hits / (counts.sum(axis=1) + counts.sum(axis=0)))
    uar = np.mean(hits / counts.sum(axis=1))
    (row,) = pd.read_csv(layout.report / "results.csv").to_dict("records")
    assert row["video_macro_f1"] == pytest.approx(uf1)
    assert row["video_uar"] == pytest.approx(uar)
    text = report.read_text(encoding="utf-8")
    assert f"{100 * uar:.1f}" in text
    assert f"{100 * uf1:.1f}" in text
