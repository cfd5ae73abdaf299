"""Models on single images: those that look at one face, whatever they were trained on, and those that need more."""

from pathlib import Path

import pytest
from conftest import FPS, draw_moving_face, draw_wall, predicted_rows, write_images
from test_inference_prediction import PREPARE, crops

from fer_models.models.arms import ensemble_of, get_arm
from fer_models.models.building import build_ensemble, build_model, load_model
from fer_models.models.network import used_inputs
from fer_models.segments import SegmentShape
from fer_models.settings import ModelSettings
from tasks.config.prepare_settings import PrepareSettings
from tasks.corpus.sample.corpus import write_video

STILLS = PrepareSettings(pair="none", segment_length=1)
MODEL = ModelSettings(form="modern", width=2)


def save(path: Path, arm: str, prepare: PrepareSettings = PREPARE, members: int = 0) -> Path:
    shape = SegmentShape(prepare.frames_per_segment, has_optical_flow=prepare.has_optical_flow)
    models = [
        build_model(
            get_arm(arm), MODEL, ("anger", "fear"), prepare=prepare.model_dump(mode="json"), shape=shape, seed=n
        )
        for n in range(members or 1)
    ]
    (build_ensemble(ensemble_of(get_arm(arm), members), models) if members else models[0]).save(path)
    return path


@pytest.mark.parametrize(
    ("arm", "members", "used"),
    [
        ("spatial-only", 0, {"face"}),
        ("spatial-only", 2, {"face"}),
        ("temporal-only", 0, {"optical_flow"}),
        ("gap-sum", 2, {"face", "optical_flow"}),
        ("hog-svm", 0, {"face"}),
        ("majority", 0, {"face"}),
    ],
)
def test_which_inputs_a_model_uses(tmp_path: Path, arm: str, members: int, used: set[str]) -> None:
    model = load_model(save(tmp_path / "model.keras", arm, members=members))
    assert {tensor.name for tensor in model.inputs} == {"face", "optical_flow"}
    assert set(used_inputs(model)) == used


@pytest.mark.parametrize("prepare", [PREPARE, PREPARE.model_copy(update={"face": "last"}), STILLS])
@pytest.mark.parametrize("members", [0, 2])
def test_a_model_of_faces_knows_an_image(tmp_path: Path, prepare: PrepareSettings, members: int) -> None:
    """As it knows the same picture as a frame of a video."""
    frames = draw_moving_face(0.0, 2)
    write_images(tmp_path / "clip", [frames[0]] * 2)
    write_images(tmp_path, frames[:1], prefix="photo", suffix=".png")
    model = save(tmp_path / "model.keras", "spatial-only", prepare, members)
    found = predicted_rows(model, [tmp_path / "photo00000001.png", tmp_path / "clip"])
    assert found["outcome"].tolist() == ["ok", "ok"]
    assert found["num_segments"].tolist() == [1, 1]
    assert found["p_fear"].tolist() == pytest.approx([found["p_fear"][0]] * 2, abs=1e-5)


@pytest.mark.parametrize(
    ("arm", "sight"),
    [
        ("temporal-only", "motion"),
        ("gap-sum", "motion"),
        ("lstm-spatial", "several frames"),
        ("c3d-sum", "several frames and motion"),
    ],
)
def test_a_model_of_more_says_that_it_needs_a_video(tmp_path: Path, arm: str, sight: str) -> None:
    write_images(tmp_path, draw_moving_face(0.0, 1), suffix=".jpg")
    prepare = PREPARE.model_copy(update={"frames_per_segment": 2})
    found = predicted_rows(save(tmp_path / "model.keras", arm, prepare), [tmp_path / "00000001.jpg"])
    assert found["outcome"].tolist() == ["too_short"]
    assert found["message"].tolist() == [f"it is a single image, and this model looks at {sight}; give it a video"]
    assert found["predicted"].tolist() == [""]


def test_what_is_wrong_with_an_image_is_said(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", draw_wall(1), prefix="wall")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no image")
    model = save(tmp_path / "model.keras", "spatial-only", STILLS)
    found = predicted_rows(model, [tmp_path / "photos"])
    assert [Path(name).name for name in found["video"]] == ["broken.jpg", "wall00000001.png"]
    assert found["outcome"].tolist() == ["undecodable", "no_face"]
    assert "broken.jpg cannot be read as an image" in found["message"][0]


def test_crops_are_used_whole_as_in_the_training(tmp_path: Path) -> None:
    write_images(tmp_path, crops(1), suffix=".png")
    prepare = STILLS.model_copy(update={"precropped": True})
    found = predicted_rows(save(tmp_path / "model.keras", "spatial-only", prepare), [tmp_path / "00000001.png"])
    assert (found["outcome"][0], found["faces"][0]) == ("ok", "whole frames")


def test_images_beside_videos_are_left_alone(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", draw_moving_face(1.0, 4), FPS)
    write_images(tmp_path, draw_moving_face(0.0, 1), prefix="poster")
    found = predicted_rows(save(tmp_path / "model.keras", "spatial-only", STILLS), [tmp_path])
    assert [Path(name).name for name in found["video"]] == ["clip.mp4"]
    assert found["outcome"].tolist() == ["ok"]
