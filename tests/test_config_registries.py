"""What is registered is used: a family of models and a corpus that are made up here go through a whole study.

This module is both of them. Their study stores faces of 64 px, which no other test does as a whole.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import images_of, predicted_rows
from keras import layers

from fer_models.errors import UserError
from fer_models.models.arms import ARMS, Arm
from fer_models.models.building import build_model, load_model, model_network, needs_of, streams_of
from fer_models.models.families import FAMILIES, Family, Recipe, load_family
from fer_models.models.inputs import FaceScaling, input_layers
from fer_models.models.network import FeatureMap, Network
from fer_models.segments import SegmentShape
from fer_models.settings import ModelSettings, PositiveInt, Settings
from flows.evaluate import evaluate
from flows.prepare import prepare
from flows.split import split
from flows.train import train
from tasks.config.digests import study_part
from tasks.config.layout import Layout
from tasks.config.registries import ADAPTERS, DETECTORS, load_module
from tasks.config.resolving import resolve_settings, settings_as_yaml
from tasks.config.settings import CorpusSettings, StudySettings
from tasks.corpus.adapters.source import SourceVideo, label_status
from tasks.corpus.reading import read_corpus
from tasks.corpus.sample.corpus import Clip, SampleCorpus, render_clip, write_video
from tasks.study.explanations import read_explanation
from tasks.study.runs import plan_runs, run_arrays
from tasks.study.tiles import TILES_FILE, read_tiles

EMOTIONS = ("anger", "happiness")
SIDE_PX = 64


class Options(CorpusSettings):
    """What the corpus of this module has to be told."""

    separator: str = "_"


def read(corpus: Options) -> list[SourceVideo]:
    """All videos of one folder, `<emotion><separator><subject>.mp4`."""
    videos = []
    for path in sorted(corpus.root.glob("*.mp4")):
        label, _, subject = path.stem.partition(corpus.separator)
        emotion, status, reason = label_status(label if subject else "")
        videos.append(SourceVideo(path.name, "made-up", path, subject, emotion, label, status, reason))
    return videos


class OneLayer(Settings):
    """In what arms of the family of this module differ."""

    filters: PositiveInt


def build(options: OneLayer, recipe: Recipe) -> tuple[list[Any], Any, Network]:
    """One convolution over the face; motion has no part in it."""
    face = input_layers(recipe.shape)["face"]
    kernel = recipe.initializers("only_conv")
    x = layers.Conv2D(options.filters, 5, 4, "valid", activation="relu", kernel_initializer=kernel, name="only_conv")(
        FaceScaling()(face)
    )
    x = layers.Dense(4, kernel_initializer=recipe.initializers("head"), name="head")(layers.Flatten()(x))
    logits = layers.Dense(recipe.num_classes, kernel_initializer=recipe.last_initializer, name="scores")(x)
    maps = {"spatial": (FeatureMap(layer="only_conv", first_px=2, step_px=4),)}
    return (
        [face],
        logits,
        Network(family="one-layer", shape=recipe.shape, head="head", logits="scores", feature_maps=maps),
    )


FAMILY = Family(
    "one-layer",
    OneLayer,
    lambda _: SegmentShape(has_optical_flow=False),
    lambda _: ("spatial",),
    build,
    lambda arms, settings: f"Networks of {arms[0].filters} filters",
)
ARM = Arm("one-layer", "One layer", "one-layer", {"filters": 3})


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, "one-layer", __name__)
        patch.setitem(ARMS, ARM.name, ARM)
        patch.setitem(ADAPTERS, "made-up", __name__)
        yield


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_reads_and_tells_its_layout(name: str) -> None:
    module = load_module(ADAPTERS, name)
    assert callable(module.read)
    assert (module.__doc__ or "").strip()
    assert issubclass(getattr(module, "Options", CorpusSettings), CorpusSettings)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_can_be_loaded(name: str) -> None:
    assert callable(load_module(DETECTORS, name).load)


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_is_one_of_its_family(name: str) -> None:
    arm = ARMS[name]
    family = load_family(arm.family)
    assert family.name == arm.family
    family.options.model_validate(arm.options)
    assert set(streams_of(arm)) <= {"spatial", "temporal", "frames"}
    assert SegmentShape(num_frames=16).offers(needs_of(arm)), "a whole segment of the usual length is enough"
    assert needs_of(arm).has_optical_flow == ("temporal" in streams_of(arm))


# A corpus


def make(root: Path, *names: str) -> Path:
    root.mkdir(exist_ok=True)
    for name in names:
        (root / name).write_bytes(name.encode())
    return root


def test_a_new_corpus_has_an_option_of_its_own(tmp_path: Path) -> None:
    root = make(tmp_path / "videos", "anger+anna.mp4", "joy+ben.mp4", "fear_carl.mp4")
    overrides = {"corpus.adapter": "made-up", "corpus.root": str(root)}
    settings = resolve_settings(overrides=overrides | {"corpus.separator": "+"})
    assert [(video.subject, video.emotion) for video in read_corpus(settings.corpus)] == [
        ("anna", "anger"),
        ("", ""),
        ("ben", "happiness"),
    ]
    plain = resolve_settings(overrides=overrides)
    assert [video.subject for video in read_corpus(plain.corpus)] == ["", "carl", ""]
    assert study_part(plain)["corpus"]["separator"] == "_"
    assert study_part(plain) != study_part(settings)
    (tmp_path / "fer.yaml").write_text(settings_as_yaml(settings), encoding="utf-8")
    for preset in (None, "sample"):  # whose corpora have another option
        assert resolve_settings(preset, tmp_path / "fer.yaml") == settings


def test_a_mistyped_option_of_a_new_corpus_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no setting 'corpus\.seperator' \(did you mean 'corpus\.separator'\?\)"):
        resolve_settings(overrides={"corpus.adapter": "made-up", "corpus.seperator": "+"})
    corpus = resolve_settings(overrides={"corpus.adapter": "folder", "corpus.separator": "+"}).corpus
    assert type(corpus) is CorpusSettings, "which has no such option"


# A family


def test_an_arm_with_a_mistyped_option_is_refused() -> None:
    wrong = Arm("wrong", "Wrong", "one-layer", {"filter": 3})
    with pytest.raises(ValueError, match="filter"):
        build_model(wrong, ModelSettings())


def test_a_model_of_a_new_family_comes_back_with_its_structure(tmp_path: Path) -> None:
    model = build_model(ARM, ModelSettings(), EMOTIONS, shape=SegmentShape(side_px=SIDE_PX))
    assert [tensor.shape for tensor in model.inputs] == [(None, SIDE_PX, SIDE_PX, 3)]
    model.save(tmp_path / "model.keras")
    network = model_network(load_model(tmp_path / "model.keras"))
    assert network == model_network(model)
    assert (network.family, network.shape.side_px, network.logits) == ("one-layer", SIDE_PX, "scores")


# A whole study of both, at another size of faces


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudySettings:
    folder = tmp_path_factory.mktemp("registered")
    corpus = SampleCorpus(seconds=0.8, size=(160, 120))
    (folder / "videos").mkdir()
    for subject in range(3):
        for emotion in EMOTIONS:
            write_video(
                folder / "videos" / f"{emotion}+p{subject}.mp4",
                render_clip(corpus, Clip(subject, 1, emotion)),
                corpus.fps,
            )
    overrides = {
        "name": "registered",
        "data_root": str(folder / "data"),
        "corpus.adapter": "made-up",
        "corpus.root": str(folder / "videos"),
        "corpus.emotions": list(EMOTIONS),
        "corpus.separator": "+",
        "prepare.face_size_px": SIDE_PX,
        "prepare.segment_stride": 4,
        "model.width": 2,
        "model.head_units": 8,
        "training.epochs": 2,
        "training.precision": "float32",
        "arms": ["gap-sum", "one-layer"],
    }
    for flow in (prepare, split, train, evaluate):
        flow(overrides=overrides)
    return resolve_settings(overrides=overrides)


@pytest.mark.slow
def test_shards_and_arrays_have_faces_of_that_size(study: StudySettings) -> None:
    layout = Layout.of(study)
    shards = list(layout.shards.rglob("*.parquet"))
    assert len(shards) == 6
    for shard in shards:
        faces, optical_flows = images_of(shard)
        assert (faces.shape, faces.dtype) == ((len(faces), SIDE_PX, SIDE_PX, 3), np.uint8)
        assert (optical_flows.shape, optical_flows.dtype) == ((len(faces), SIDE_PX, SIDE_PX, 2), np.float16)
        assert len(faces)
        assert faces.std() > 10
    arrays = run_arrays(study, plan_runs(study)[0], "train")
    assert arrays.shape == SegmentShape(1, SIDE_PX, True)
    batch = arrays.batch(np.arange(2))
    assert {name: values.shape for name, values in batch.items()} == {
        "face": (2, 1, SIDE_PX, SIDE_PX, 3),
        "optical_flow": (2, 1, SIDE_PX, SIDE_PX, 2),
        "seen": (2, 1),
    }


@pytest.mark.trains
@pytest.mark.slow
def test_both_arms_are_trained_at_that_size(study: StudySettings) -> None:
    runs = plan_runs(study)
    assert [run.arm.name for run in runs] == ["gap-sum", "one-layer"]
    for run in runs:
        assert run.trained
        model = load_model(run.folder / "model.keras")
        assert {tensor.shape[1:3] for tensor in model.inputs} == {(SIDE_PX, SIDE_PX)}
        assert model_network(model).shape.side_px == SIDE_PX
    model = load_model(runs[1].folder / "model.keras")
    fresh = build_model(ARM, study.model, EMOTIONS, seed=1, shape=SegmentShape(side_px=SIDE_PX))
    for weight, before in zip(model.weights, fresh.weights, strict=True):
        if weight.path.endswith("kernel"):
            assert not np.array_equal(keras.ops.convert_to_numpy(weight), keras.ops.convert_to_numpy(before))


@pytest.mark.trains
@pytest.mark.slow
def test_both_arms_are_evaluated_and_explained(study: StudySettings) -> None:
    layout = Layout.of(study)
    assert set(pd.read_csv(layout.report / "results.csv")["arm"]) == {"gap-sum", "one-layer"}
    for run, streams in zip(plan_runs(study), [{"spatial", "temporal"}, {"spatial"}], strict=True):
        (folder,) = run.folder.glob("test-*")
        tiles = read_tiles(folder / TILES_FILE)
        assert tiles
        for tile in tiles:
            assert tile.faces.shape == (1, SIDE_PX, SIDE_PX, 3)
            assert {stream: one.shape for stream, one in tile.maps.items()} == dict.fromkeys(
                streams, (SIDE_PX, SIDE_PX)
            )
        explanation = read_explanation(folder)
        assert set(explanation.num_maps) == streams
        assert explanation.convolution == tiles[0].origin.convolution == (3 if len(streams) == 2 else 1)
    text = (layout.report / "index.html").read_text(encoding="utf-8")
    assert re.search(r"a face of 64x64 px", text)
    assert "One layer" in text
    assert "Networks of 3 filters were trained for at most 2 epochs" in text


@pytest.mark.trains
@pytest.mark.parametrize("number", [0, 1], ids=["gap-sum", "one-layer"])
@pytest.mark.slow
def test_a_new_video_is_prepared_at_that_size(study: StudySettings, number: int) -> None:
    run = plan_runs(study)[number]
    (row,) = predicted_rows(run.folder / "model.keras", [study.corpus.root / "anger+p0.mp4"]).to_dict("records")
    assert (row["outcome"], row["predicted"] in EMOTIONS) == ("ok", True)
    assert row["num_segments"] > 0
    assert row["p_anger"] + row["p_happiness"] == pytest.approx(1, abs=1e-5)
