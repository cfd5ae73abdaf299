"""An untrained model on new videos: what is found below the paths that are named, how it is prepared, what is said."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import FPS, draw_moving_face, draw_wall, predicted_rows, write_images
from typer.testing import CliRunner

from fer_models.errors import UserError
from fer_models.labels import EMOTIONS
from fer_models.models.arms import get_arm
from fer_models.models.building import build_model, load_model, model_prepare
from fer_models.segments import pair_inputs
from fer_models.settings import ModelSettings
from fer_models.training.engine import predict
from flows.cli import app
from tasks.config.prepare_settings import PrepareSettings
from tasks.config.saved_preparation import Crops, carried_crops, carried_prepare, carry_prepare
from tasks.corpus.sample.corpus import write_video
from tasks.video.cutting import prepare_video

PREPARE = PrepareSettings(segment_length=2, segment_stride=2)


CROPPED = PREPARE.model_copy(update={"precropped": True})


def save_model(path: Path, prepare: dict[str, object], labels: tuple[str, ...] = ("anger", "fear")) -> Path:
    settings = ModelSettings(width=2, head_units=4)
    build_model(get_arm("gap-sum"), settings, labels, prepare=prepare).save(path)
    return path


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "model.keras", PREPARE.model_dump(mode="json"))


@pytest.fixture(scope="module")
def model_of_crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained on face crops of 48x48 px."""
    return save_model(
        tmp_path_factory.mktemp("model") / "model.keras", carry_prepare(CROPPED, Crops.of([(48, 48), (48, 48)]))
    )


def crops(num_frames: int = 6, side_px: int = 48) -> list[np.ndarray]:
    """The drawn face, cut out of its frames."""
    return [cv2.resize(frame[40:190, 20:170], (side_px, side_px)) for frame in draw_moving_face(0.5, num_frames)]


def test_files_folders_and_patterns_of_images_are_videos(model_file: Path, tmp_path: Path) -> None:
    frames = draw_moving_face(1.0, 4)
    (tmp_path / "many").mkdir()
    write_video(tmp_path / "many" / "a.mp4", frames, FPS)
    write_images(tmp_path / "clip", frames)
    write_images(tmp_path / "shared", frames[:2], prefix="a_")
    write_images(tmp_path / "shared", frames[:1], prefix="b_")
    named = ["many", "clip", "shared/a_*.png", "shared/b_*.png", "shared/c_*.png"]
    found = predicted_rows(model_file, [tmp_path / name for name in named])
    assert [Path(video).name for video in found["video"]] == ["a.mp4", "clip", "a_*.png", "b_*.png", "c_*.png"]
    assert found["outcome"].tolist() == ["ok", "ok", "ok", "too_short", "file_missing"]
    assert found["num_segments"].tolist() == [2, 2, 1, 0, 0]
    assert (found["predicted"] != "").tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("name", ["absent.mp4", "empty"])
def test_nothing_to_predict_on(model_file: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=f"There is no video at .*{name}"):
        predicted_rows(model_file, [tmp_path / name])


@pytest.mark.parametrize(
    ("carried", "pair"), [({"pair": 0.04}, 0.04), ({"pair": "neighbours"}, "neighbours"), ({}, "neighbours")]
)
def test_a_models_pairs_are_those_of_its_training(tmp_path: Path, carried: dict[str, object], pair: object) -> None:
    """One that was trained before there was `prepare.pair` was trained on neighbours, and is used on them."""
    prepare = PREPARE.model_dump(mode="json", exclude={"pair"}) | carried
    build_model(get_arm("gap-sum"), ModelSettings(width=2, head_units=4), ("anger", "fear"), prepare=prepare).save(
        tmp_path / "model.keras"
    )
    assert carried_prepare(model_prepare(load_model(tmp_path / "model.keras"))).pair == pair
    write_video(tmp_path / "clip.mp4", draw_moving_face(2.0, 20), FPS)
    assert predicted_rows(tmp_path / "model.keras", [tmp_path / "clip.mp4"])["outcome"].tolist() == ["ok"]


def one(predictions: pd.DataFrame) -> dict[str, object]:
    (row,) = predictions.to_dict("records")
    return row


def test_frames_that_cannot_be_crops_are_searched_for_faces(model_of_crops: Path, tmp_path: Path) -> None:
    scene = tmp_path / "scene.mp4"
    write_video(scene, draw_moving_face(1.0, 8), FPS)
    row = one(predicted_rows(model_of_crops, [scene]))
    assert (row["outcome"], row["faces"], row["num_segments"], row["has_verdict"]) == ("ok", "found", 4, True)
    assert "frames of 320x240 px cannot be face crops" in str(row["message"])
    assert "--precropped" in str(row["message"])
    searched = one(predicted_rows(model_of_crops, [scene], precropped=False))
    assert searched["p_fear"] == row["p_fear"]
    assert "crops" not in str(searched["message"])
    whole = one(predicted_rows(model_of_crops, [scene], precropped=True))
    assert whole["faces"] == "whole frames"
    assert whole["p_fear"] != row["p_fear"]


def test_a_model_that_carries_no_crops_takes_no_scene_for_one(tmp_path: Path) -> None:
    """As models of earlier versions."""
    model = save_model(tmp_path / "model.keras", CROPPED.model_dump(mode="json"))
    write_video(tmp_path / "scene.mp4", draw_moving_face(1.0, 8), FPS)
    write_images(tmp_path / "crops", crops())
    found = predicted_rows(model, [tmp_path / "scene.mp4", tmp_path / "crops"])
    assert found["faces"].tolist() == ["found", "whole frames"]
    assert found["outcome"].tolist() == ["ok", "ok"]


def test_crops_are_used_whole(model_of_crops: Path, tmp_path: Path) -> None:
    for side_px in (48, 96, 190):
        write_images(tmp_path / str(side_px), crops(side_px=side_px))
    found = predicted_rows(model_of_crops, [tmp_path / name for name in ("48", "96", "190")])
    assert found["faces"].tolist() == ["whole frames"] * 3
    assert not found["message"].str.contains("crops").any()


def test_a_scene_without_a_face_is_not_recognised(model_of_crops: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "wall.mp4", draw_wall(8), FPS)
    row = one(predicted_rows(model_of_crops, [tmp_path / "wall.mp4"]))
    assert (row["outcome"], row["predicted"]) == ("no_face", "")
    assert "--precropped" in str(row["message"])


def test_crops_in_which_no_face_is_found_name_the_option(model_file: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "clip", crops(side_px=40))
    row = one(predicted_rows(model_file, [tmp_path / "clip"]))
    assert row["predicted"] == ""
    assert str(row["message"]).endswith("add --precropped")
    assert one(predicted_rows(model_file, [tmp_path / "clip"], precropped=True))["outcome"] == "ok"


@pytest.mark.parametrize(
    ("size", "fits"),
    [
        ((48, 48), True),
        ((192, 192), True),
        ((40, 48), True),
        ((193, 193), False),
        ((1920, 1080), False),
        ((64, 48), False),
        ((27, 48), False),
        ((1, 4000), False),
    ],
)
def test_what_may_be_a_crop(size: tuple[int, int], fits: bool) -> None:
    assert Crops.of([(48, 48)]).may_hold(*size) is fits


def test_crops_of_several_sizes_allow_all_of_them() -> None:
    several = Crops.of([(100, 160), (490, 640), (48, 48)])
    assert all(several.may_hold(*size) for size in ((100, 160), (490, 640), (48, 48), (1000, 1200)))
    assert not several.may_hold(1920, 1080)
    assert carried_crops(carry_prepare(CROPPED, several)) == several
    assert carried_crops(None) == Crops() == carried_crops({"segment_stride": 4})


def test_few_faces_and_low_confidence_are_said(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model.keras", PREPARE.model_dump(mode="json"), EMOTIONS)
    write_video(tmp_path / "half.mp4", draw_wall(14) + draw_moving_face(1.0, 6), FPS)
    row = one(predicted_rows(model, [tmp_path / "half.mp4"]))
    assert row["coverage"] == pytest.approx(0.3)
    assert row["confidence"] == pytest.approx(max(row[f"p_{emotion}"] for emotion in EMOTIONS))
    assert row["message"] == "a face in 3 of 10 segments only; low confidence"
    assert not row["has_verdict"]


def test_the_segments_of_a_video_are_pooled_as_the_model_says(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", draw_moving_face(2.0, 12), FPS)
    segments, _ = prepare_video(tmp_path / "clip.mp4", PREPARE)
    faces, optical_flows = (np.stack([getattr(one, name) for one in segments]) for name in ("face", "optical_flow"))
    pools = {"mean_probability": lambda p: p.mean(axis=0), "linear_svm": lambda p: np.exp(np.log(p).mean(axis=0))}
    for how, pool in pools.items():
        settings = ModelSettings(width=2, head_units=4, video_classifier=how)
        model = build_model(get_arm("gap-sum"), settings, ("anger", "fear"), prepare=PREPARE.model_dump(mode="json"))
        kernel, bias = model.get_layer("logits").get_weights()
        model.get_layer("logits").set_weights([30 * kernel, bias])  # else the two means are nearly the same
        model.save(tmp_path / "model.keras")
        probabilities = predict(model, pair_inputs(faces, optical_flows))
        means = [each(probabilities) / each(probabilities).sum() for each in pools.values()]
        assert abs(means[0] - means[1]).max() > 1e-3
        row = one(predicted_rows(tmp_path / "model.keras", [tmp_path / "clip.mp4"]))
        assert [row["p_anger"], row["p_fear"]] == pytest.approx(list(pool(probabilities) / pool(probabilities).sum()))


def test_the_command_shows_and_writes_all_of_it_and_destroys_nothing(model_of_crops: Path, tmp_path: Path) -> None:
    model, scene = str(shutil.copy(model_of_crops, tmp_path / "model.keras")), tmp_path / "scene.mp4"
    write_video(scene, draw_moving_face(1.0, 8), FPS)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "link.csv").symlink_to(scene)
    (tmp_path / "copy.csv").hardlink_to(model)
    for output in ("scene.mp4", "model.keras", "link.csv", "copy.csv"):
        for force in ([], ["--force"]):
            result = CliRunner().invoke(app, ["predict", model, str(scene), "-o", str(tmp_path / output), *force])
            assert isinstance(result.exception, UserError), result.output
    assert {path: path.read_bytes() for path in before} == before
    table = tmp_path / "table.csv"
    for _ in range(2):
        result = CliRunner().invoke(app, ["predict", model, str(scene), "-o", str(table)], env={"COLUMNS": "300"})
        assert result.exit_code == 0, result.output
    assert "4 of 4" in result.output
    assert "320x240" in result.output
    written = pd.read_csv(table)
    assert written.columns.tolist()[:8] == [
        *("video", "outcome", "message", "num_segments", "predicted", "confidence", "coverage", "faces")
    ]
    assert written["faces"].tolist() == ["found"]
