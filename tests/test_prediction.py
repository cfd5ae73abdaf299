"""An untrained model on new videos: what is found below the paths that are named, and what is said of each."""

from pathlib import Path

import pytest
from conftest import FPS, draw_moving_face, write_images

from fer_models.arms import get_arm
from fer_models.building import build_model, load_model, model_prepare
from fer_models.errors import UseError
from fer_models.settings import ModelSettings
from tasks.carried import carried_prepare
from tasks.prediction import predict_videos
from tasks.sample.corpus import write_video
from tasks.settings import PrepareSettings

PREPARE = PrepareSettings(segment_length=2, segment_stride=2)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.keras"
    settings = ModelSettings(width=2, head_units=4)
    build_model(get_arm("gap-sum"), settings, ("anger", "fear"), prepare=PREPARE.model_dump(mode="json")).save(path)
    return path


def test_files_folders_and_patterns_of_images_are_videos(model_file: Path, tmp_path: Path) -> None:
    frames = draw_moving_face(1.0, 4)
    (tmp_path / "many").mkdir()
    write_video(tmp_path / "many" / "a.mp4", frames, FPS)
    write_images(tmp_path / "clip", frames)
    write_images(tmp_path / "shared", frames[:2], prefix="a_")
    write_images(tmp_path / "shared", frames[:1], prefix="b_")
    named = ["many", "clip", "shared/a_*.png", "shared/b_*.png", "shared/c_*.png"]
    found = predict_videos(model_file, [tmp_path / name for name in named])
    assert [Path(video).name for video in found["video"]] == ["a.mp4", "clip", "a_*.png", "b_*.png", "c_*.png"]
    assert found["outcome"].tolist() == ["ok", "ok", "ok", "too_short", "file_missing"]
    assert found["num_segments"].tolist() == [2, 2, 1, 0, 0]
    assert (found["predicted"] != "").tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("name", ["absent.mp4", "empty"])
def test_nothing_to_predict_on(model_file: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UseError, match=f"There is no video at .*{name}"):
        predict_videos(model_file, [tmp_path / name])


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
    assert predict_videos(tmp_path / "model.keras", [tmp_path / "clip.mp4"])["outcome"].tolist() == ["ok"]
