"""Settings from presets, files and single keys; a mistake is one sentence that names the nearest valid word."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fer_models.errors import UserError
from fer_models.models.arms import ARMS
from fer_models.settings import ConstantSchedule, PlateauSchedule, Triangular2Schedule
from flows.cli.options import Chosen
from tasks.config import resolving
from tasks.config.digests import digest, model_part, prepare_digest, study_part, training_part
from tasks.config.prepare_settings import PrepareSettings
from tasks.config.presets import PRESETS
from tasks.config.resolving import DEFAULT_PRESET, resolve_settings, settings_as_yaml
from tasks.config.settings import CorpusSettings, StudySettings
from tasks.corpus.adapters import baum1


def refused(**arguments: Any) -> str:
    """The message of the `UserError`, which is one line."""
    with pytest.raises(UserError) as caught:
        resolve_settings(**arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def write(folder: Path, text: str) -> Path:
    (folder / "fer.yaml").write_text(text, encoding="utf-8")
    return folder / "fer.yaml"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_and_says_how_to_run_it(name: str) -> None:
    settings = resolve_settings(name)
    assert settings == PRESETS[name]()
    assert set(settings.arms) <= set(ARMS)
    assert f"--preset {name}" in (PRESETS[name].__doc__ or "")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_comes_back_from_its_own_yaml(tmp_path: Path, name: str) -> None:
    settings = resolve_settings(name)
    path = write(tmp_path, settings_as_yaml(settings))
    for base in (None, *PRESETS):
        assert resolve_settings(base, path) == settings


def test_settings_that_differ_from_the_preset_come_back_too(tmp_path: Path) -> None:
    settings = resolve_settings(
        "sample",
        overrides={
            "training.augmentation": "null",
            "training.schedule.kind": "constant",
            "corpus.subsets": "[s, a]",
            "seeds": "[1, 2]",
            "execution.workers": "3",
            "data_root": "Ergebnisse/Übung",
        },
    )
    assert resolve_settings(config=write(tmp_path, settings_as_yaml(settings))) == settings


def test_nothing_named_is_the_default_preset() -> None:
    assert resolve_settings() == PRESETS[DEFAULT_PRESET]()


def test_single_keys_win_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    preset = resolve_settings("sample")
    path = write(tmp_path, "training:\n  epochs: 7\n  batch_size: 9\nname: mine\n")
    settings = resolve_settings("sample", path, {"training.epochs": "3"})
    assert settings.training.epochs == 3
    assert (settings.training.batch_size, settings.name) == (9, "mine")
    assert settings.training.learning_rate == preset.training.learning_rate
    assert settings.model == preset.model
    assert (preset.training.epochs, preset.training.batch_size) == (20, 32)  # so that the above says something


def test_a_file_may_name_its_preset_and_the_command_line_another(tmp_path: Path) -> None:
    path = write(tmp_path, "preset: sample\nname: mine\n")
    assert resolve_settings(config=path) == PRESETS["sample"]().model_copy(update={"name": "mine"})
    assert resolve_settings("published", path) == PRESETS["published"]().model_copy(update={"name": "mine"})


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert resolve_settings("published", write(tmp_path, "# nothing yet\n")) == PRESETS["published"]()


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("training.epochs", "5", 5),
        ("training.learning_rate", "1e-3", 0.001),
        ("training.treatment", "focal", "focal"),
        ("training.early_stopping_patience", "null", None),
        ("arms", "[gap-sum, spatial-only]", ("gap-sum", "spatial-only")),
        ("training.epochs", 5, 5),
        ("seeds", [3, 4], (3, 4)),
        ("corpus.root", "some/where", Path("some/where")),
    ],
)
def test_a_single_key_is_read_as_yaml(key: str, value: object, expected: object) -> None:
    found: Any = resolve_settings(overrides={key: value})
    for part in key.split("."):
        found = getattr(found, part)
    assert found == expected


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"training.schedule.kind": "constant"}, ConstantSchedule()),
        ({"training.schedule.kind": "plateau"}, PlateauSchedule()),
        ({"training.schedule.kind": "plateau", "training.schedule.patience": 7}, PlateauSchedule(patience=7)),
        ({"training.schedule": "{kind: plateau, factor: 0.1}"}, PlateauSchedule(factor=0.1)),
        (
            {"training.schedule.peak_factor": 9},
            Triangular2Schedule(peak_factor=9, half_cycle_epochs=4, restart_patience=10),
        ),
        (
            {"training.schedule.kind": "triangular2"},
            Triangular2Schedule(peak_factor=5, half_cycle_epochs=4, restart_patience=10),
        ),
    ],
)
def test_a_schedule_of_another_kind_replaces_the_old_one_whole(overrides: dict[str, object], expected: object) -> None:
    assert resolve_settings("corrected", overrides=overrides).training.schedule == expected


def test_a_file_may_change_the_kind_of_schedule(tmp_path: Path) -> None:
    path = write(tmp_path, "training:\n  schedule:\n    kind: constant\n")
    assert resolve_settings("corrected", path).training.schedule == ConstantSchedule()


def test_augmentation_can_be_switched_off_and_on_again(tmp_path: Path) -> None:
    path = write(tmp_path, "training:\n  augmentation:\n")
    assert resolve_settings("sample", path).training.augmentation is None
    augmentation = resolve_settings("sample", path, {"training.augmentation.zoom": 0.3}).training.augmentation
    assert augmentation is not None
    assert augmentation.zoom == 0.3


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("training.epoch", "training.epochs"),
        ("training.learningrate", "training.learning_rate"),
        ("trainning", "training"),
        ("corpus.rot", "corpus.root"),
        ("corpus.subset", "corpus.subsets"),
        ("prepare.min_face", "prepare.min_face_px"),
        ("prepare.face_size", "prepare.face_size_px"),
        ("training.treatmnt", "training.treatment"),
        ("training.augmentation.zom", "training.augmentation.zoom"),
    ],
)
def test_an_unknown_key_names_the_nearest_valid_one(key: str, nearest: str) -> None:
    assert refused(overrides={key: 1}).startswith(f"There is no setting {key!r} (did you mean {nearest!r}?")


def test_an_unknown_key_in_a_file_names_the_nearest_valid_one(tmp_path: Path) -> None:
    path = write(tmp_path, "training:\n  schedule:\n    kind: plateau\n    patiense: 3\n")
    assert "'training.schedule.patiense' (did you mean 'training.schedule.patience'?)" in refused(config=path)


def test_an_unknown_key_of_a_schedule_names_one_that_this_schedule_has() -> None:
    message = refused(preset="corrected", overrides={"training.schedule.restart_patiense": 3})
    assert "did you mean 'training.schedule.restart_patience'?" in message


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("training.epochs", "0", "training.epochs: it should be greater than 0 (it is 0)"),
        ("training.epochs", "many", "training.epochs: it should be a valid integer"),
        (
            "training.monitor",
            "loss",
            "training.monitor: it should be 'val_accuracy', 'val_uar' or 'val_loss' (it is 'loss'; did you mean "
            "'val_loss'?).",
        ),
        ("name", "a b", "name: it should be of letters, digits, dots, hyphens and underscores, and begin with one of"),
        ("training.augmentation", "4", "training.augmentation: it should hold settings such as {a: 1} (it is 4)."),
        ("training_of_family.backbone.epochs", "0", "training_of_family.backbone.epochs: it should be greater than 0"),
        ("training_of_family.backbone.epoch", "3", "There is no setting 'training_of_family.backbone.epoch' (did you "),
        (
            "training_of_family.backbone.schedule",
            "{kind: cos}",
            "training_of_family.backbone.schedule: its kind should",
        ),
        ("training_of_family.backbone.schedule", "{a: 1}", "training_of_family.backbone.schedule: it should name its"),
        ("training_of_family.linear.steps", "9", "training_of_family.linear.steps: it should be at least"),
        ("training.schedule.kind", "linear", "its kind should be one of plateau, triangular2, constant, cosine ("),
        ("training.steps", "19", "training.steps: it should be at least training.epochs (50)"),
        ("corpus.adapter", "ravdes", "corpus.adapter: there is no adapter 'ravdes' (did you mean 'ravdess'?)"),
        ("prepare.detector", "harr", "prepare.detector: there is no detector 'harr' (did you mean 'haar'?)"),
        ("training.treatment", "fokal", "training.treatment: there is no treatment 'fokal' (did you mean 'focal'?)"),
        ("split.test_share", "1", "split.test_share: it should be less than 1"),
        ("arms", "[]", "arms: tuple should have at least 1 item"),
        ("arms", "[gap-sums]", "There is no arm 'gap-sums' (did you mean 'gap-sum'?)"),
    ],
)
def test_a_wrong_value_names_its_key_and_the_rule(key: str, value: str, words: str) -> None:
    assert words in refused(overrides={key: value})


@pytest.mark.parametrize("key", ["corpus.adapter", "model.form", "training.treatment", "prepare.detector", "name"])
def test_a_list_in_the_place_of_a_word_is_the_users_mistake(key: str) -> None:
    assert refused(overrides={key: "[a]"}).startswith(f"{key}: it should be ")


def test_a_list_in_the_place_of_the_preset_is_the_users_mistake(tmp_path: Path) -> None:
    assert "no preset" in refused(config=write(tmp_path, "preset: [sample]\n"))


@pytest.mark.parametrize("value", ["[gap-sum", "@home", "a: b: c"])
def test_a_single_key_that_is_no_yaml_is_the_users_mistake(value: str) -> None:
    assert "arms" in refused(overrides={"arms": value})


def test_a_data_root_is_taken_from_the_command_line() -> None:
    assert Chosen(data_root="some/where").settings().data_root == Path("some/where")


@pytest.mark.parametrize("name", ["results #2", "2024", "a: b"])
def test_a_data_root_is_a_path_and_no_yaml(name: str) -> None:
    assert Chosen(data_root=name).settings().data_root == Path(name)


def test_an_unknown_preset_names_the_nearest() -> None:
    message = refused(preset="sampel")
    assert message.startswith("There is no preset 'sampel' (did you mean 'sample'?)")
    assert all(name in message for name in PRESETS)


def test_an_unknown_preset_in_a_file(tmp_path: Path) -> None:
    assert "no preset 'sampel'" in refused(config=write(tmp_path, "preset: sampel\n"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "no configuration file" in refused(config=tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [("training: [", "is not valid YAML"), ("- a\n- b\n", "not list"), ("training", "not str")],
)
def test_a_file_that_holds_no_settings(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)
    message = refused(config=path)
    assert str(path) in message
    assert words in message


def test_settings_are_frozen_and_refuse_unknown_keys() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        StudySettings().name = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        CorpusSettings(roots="videos")  # type: ignore[call-arg]


def test_a_digest_changes_with_every_part_and_with_nothing_else() -> None:
    settings = resolve_settings("sample")
    other = resolve_settings("sample", overrides={"training.epochs": 19})
    assert digest(settings) == digest(resolve_settings("sample"))
    assert len({digest(settings), digest(other), digest(settings, "a"), digest(settings, {"a": 1})}) == 4
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert len(digest("a")) == 12


#: Of preparation, of model and training, and of the study, as version 0.1 computed them.
VERSION_0_1 = {
    "sample": ("1e4da10518c0", "efce97937096", "13402ba6fe58"),
    "published": ("84a50d29c108", "ee558a078334", "39746ed1c5a2"),
    "corrected": ("fe1c04f99023", "269f9c398535", "ecbd53644a90"),
}


def test_digests_are_those_of_version_0_1() -> None:
    """They name folders that exist, so no new word and no new setting may change them."""
    assert prepare_digest(PrepareSettings(segment_stride=8)) == "a6cb30c11f92"
    assert prepare_digest(PrepareSettings(segment_stride=8, face_size_px=48)) == "a6cb30c11f92"
    assert prepare_digest(PrepareSettings(segment_stride=8, face_size_px=64)) != "a6cb30c11f92"
    overrides = {"arms": ["gap-sum", "temporal-only", "published-listing+focal"], "training.treatment": "smote"}
    found = {}
    for name in VERSION_0_1:
        settings = resolve_settings(name, overrides=overrides)
        parts = model_part(settings.model), training_part(settings.training)
        found[name] = (prepare_digest(settings.prepare), digest(*parts), digest(study_part(settings)))
    assert found == VERSION_0_1
    settings = resolve_settings("sample", overrides=overrides | {"ensemble": "seeds"})
    assert digest(study_part(settings)) != VERSION_0_1["sample"][2]


def test_one_second_stage_follows_a_training() -> None:
    machine = {"model.video_classifier": "linear_svm"}
    settings = resolve_settings("sample", overrides=machine | {"treatments": ["none", "class_weights", "focal"]})
    assert digest(model_part(settings.model)) != digest(model_part(resolve_settings("sample").model))
    for more in ({"training.treatment": "smote"}, {"treatments": ["one_vs_rest"]}, {"arms": ["gap-sum+smote"]}):
        with pytest.raises(UserError, match=r"of .* fits the last layer again, whose place"):
            resolve_settings("sample", overrides=machine | more)
    resolve_settings("sample", overrides=machine | {"arms": ["hog-svm"], "training.treatment": "smote"})


def test_options_of_an_adapter_belong_to_its_corpus_alone(tmp_path: Path) -> None:
    both = {"corpus.subsets": "[s, a]"}
    corpus = resolve_settings("sample", overrides=both).corpus
    assert isinstance(corpus, baum1.Options)
    assert corpus.subsets == ("s", "a")
    other = resolve_settings("sample", overrides=both | {"corpus.adapter": "folder"})
    assert type(other.corpus) is CorpusSettings
    assert "subsets" not in settings_as_yaml(other)
    path = write(tmp_path, "corpus: {adapter: folder, subsets: [s]}")  # as version 0.1 wrote it
    assert type(resolve_settings(config=path).corpus) is CorpusSettings
    assert type(StudySettings(corpus=CorpusSettings(adapter="baum1")).corpus) is baum1.Options


@pytest.mark.parametrize(
    ("adapter", "key", "nearest"),
    [("folder", "emotion", "emotions"), ("folder", "rot", "root"), ("baum1", "subset", "subsets")],
)
def test_an_unknown_key_of_a_corpus_names_one_that_this_corpus_has(adapter: str, key: str, nearest: str) -> None:
    message = refused(overrides={"corpus.adapter": adapter, f"corpus.{key}": "x"})
    assert message.startswith(f"There is no setting 'corpus.{key}' (did you mean 'corpus.{nearest}'?)")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines for users."""
    lines: list[str] = []
    monkeypatch.setattr(resolving, "echo", lines.append)
    resolving._echo_once.cache_clear()
    return lines


@pytest.mark.parametrize(
    ("overrides", "now", "line"),
    [
        (
            {"training.imbalance": "focal"},
            {"training.treatment": "focal"},
            "The setting training.imbalance is called training.treatment now.",
        ),
        ({"model.form": "study"}, {"model.form": "published"}, "The model.form 'study' is called 'published' now."),
        (
            {"arms": "[gap-sum, optical-flow-only]"},
            {"arms": "[gap-sum, temporal-only]"},
            "The arm 'optical-flow-only' is called 'temporal-only' now.",
        ),
        (
            {"arms": "[listing]"},
            {"arms": "[published-listing]"},
            "The arm 'listing' is called 'published-listing' now.",
        ),
        (
            {"arms": "[listing+focal]"},
            {"arms": "[published-listing+focal]"},
            "The arm 'listing+focal' is called 'published-listing+focal' now.",
        ),
    ],
    ids=["treatment", "form", "temporal-only", "published-listing", "with a treatment"],
)
def test_a_former_word_works_and_one_line_names_the_new_one(
    overrides: dict[str, Any], now: dict[str, Any], line: str, said: list[str], tmp_path: Path
) -> None:
    expected = resolve_settings("sample", overrides=now)
    assert said == []
    assert resolve_settings("sample", overrides=overrides) == expected
    assert said == [line]
    ((key, value),) = overrides.items()
    group, _, name = key.rpartition(".")
    path = write(tmp_path, f"{group}: {{{name}: {value}}}\n" if group else f"{name}: {value}\n")
    assert resolve_settings("sample", path) == expected
    assert said == [line], "once is enough"


def test_the_former_preset_works_and_one_line_names_the_new_one(said: list[str], tmp_path: Path) -> None:
    assert resolve_settings("study") == PRESETS["published"]()
    assert resolve_settings(config=write(tmp_path, "preset: study\n")) == PRESETS["published"]()
    assert said == ["The preset 'study' is called 'published' now."]


def test_a_wrong_value_under_a_former_word_names_the_new_one(said: list[str]) -> None:
    message = refused(overrides={"training.imbalance": "fokal"})
    assert message.startswith("training.treatment: there is no treatment 'fokal' (did you mean 'focal'?)")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_tilde_is_the_home_folder_in_every_path(tmp_path: Path, home: Path) -> None:
    text = """
        data_root: ~/fer-out
        corpus: {adapter: folder, root: ~/videos}
        prepare: {detector: yunet, detector_model: ~/yunet.onnx}
        split: {protocol: file, folds_file: ~/folds.csv}
    """
    for settings in (
        resolve_settings("sample", write(tmp_path, text)),
        resolve_settings("sample", write(home, text) and "~/fer.yaml"),
        resolve_settings(
            "sample",
            overrides={
                "data_root": Path("~/fer-out"),
                "corpus.root": "~/videos",
                "prepare.detector": "yunet",
                "prepare.detector_model": "~/yunet.onnx",
                "split": "{protocol: file, folds_file: ~/folds.csv}",
            },
        ),
    ):
        assert settings.data_root == home / "fer-out"
        assert settings.corpus.root == home / "videos"
        assert settings.prepare.detector_model == home / "yunet.onnx"
        assert settings.split.folds_file == home / "folds.csv"
        assert "~" not in settings_as_yaml(settings)
    assert Chosen(config=Path("~/fer.yaml"), data_root="~/fer-out").parameters() == {
        "config": str(home / "fer.yaml"),
        "overrides": {"data_root": Path("~/fer-out")},
    }


def test_only_a_tilde_at_the_beginning_is_one(home: Path) -> None:
    settings = resolve_settings(overrides={"data_root": "s3://bucket/~/x", "corpus.root": "a/~/b~"})
    assert (str(settings.data_root), settings.corpus.root) == ("s3://bucket/~/x", Path("a/~/b~"))


@pytest.mark.parametrize("key", ["data_root", "corpus.root", "prepare.detector_model"])
def test_the_home_of_nobody(key: str) -> None:
    message = refused(overrides={key: "~nobody-of-that-name/x"})
    assert message.startswith(f"{key}: ")
    assert "home folder of a user who does not exist" in message


def test_classes_are_compared_as_they_look() -> None:
    names = '["fro\u0308hlich", "Traurig ", "1.0"]'
    assert resolve_settings(overrides={"corpus.emotions": names}).corpus.emotions == ("fr\u00f6hlich", "traurig", "1")
    twice = refused(overrides={"corpus.emotions": '["fro\u0308hlich", "fr\u00f6hlich"]'})
    assert "it names a class twice" in twice
    assert "has no name" in refused(overrides={"corpus.emotions": '["\u200b", "happy"]'})


@pytest.mark.parametrize("value", ["0.04", "1", "neighbours", "first_last"])
def test_a_pair_is_a_time_or_counts_frames(value: str) -> None:
    pair = resolve_settings(overrides={"prepare.pair": value}).prepare.pair
    assert str(pair) == str(float(value) if value[0].isdigit() else value)


@pytest.mark.parametrize("value", ["0", "-0.04", "2", "next", "true", "[0.04]", "1/30"])
def test_a_pair_that_is_neither_is_refused_in_one_sentence(value: str) -> None:
    with pytest.raises(UserError, match=r"^prepare\.pair: it should be a time in seconds.*neighbours") as error:
        resolve_settings(overrides={"prepare.pair": value})
    assert "\n" not in str(error.value)


def test_only_the_published_study_takes_neighbours() -> None:
    pairs = {name: preset().prepare.pair for name, preset in PRESETS.items()}
    assert (pairs.pop("images"), pairs.pop("published")) == ("none", "neighbours")
    assert set(pairs.values()) == {1 / 30}


def test_a_setting_under_both_of_its_names_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "training: {imbalance: focal, treatment: none}\n")
    with pytest.raises(UserError, match=r"training\.imbalance is the former name of training\.treatment; give one"):
        resolve_settings(config=path)
