"""Weights as Keras publishes them: fetched from an address, found where Keras keeps them, or a file of the user's."""

import hashlib
import os
from pathlib import Path

import pytest

from fer_models.errors import UserError
from fer_models.models.arms import ARMS
from fer_models.settings import ModelSettings, TrainingSettings
from tasks.config.digests import model_part
from tasks.study.pretrained import absent_weights, fetch_weights, origins_of, weight_files, weights_part
from tasks.weights.cache import cache_folder, find, get, provenance
from tasks.weights.given import given_file
from tasks.weights.registry import WEIGHTS, Download, Weights

CONTENT = b"weights of VGG16" * 10
NAME = "vgg16-imagenet"
PUBLISHED_NAME = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
#: A port of this machine where nobody answers.
NOWHERE = f"http://127.0.0.1:9/{PUBLISHED_NAME}"
IMAGENET = ModelSettings(backbone_weights="imagenet")
ARM = ARMS["vgg16-spatial"]


def record(url: str, content: bytes = CONTENT) -> Weights:
    source = Download(url, hashlib.md5(content, usedforsecurity=False).hexdigest())
    return Weights(NAME, "tests", source, PUBLISHED_NAME, "", len(content), "CC BY 4.0", "photos", "pictures in", False)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file at an address; no other network, and caches that are not there yet."""
    path = tmp_path / "served" / PUBLISHED_NAME
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    monkeypatch.setenv("FER_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setitem(WEIGHTS, NAME, record(path.as_uri()))
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    return path


def sha256(content: bytes = CONTENT) -> str:
    return hashlib.sha256(content).hexdigest()


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_it_is_fetched_once_and_told_of() -> None:
    assert find(NAME) is None
    assert provenance(NAME).sha256 == "", "which nobody has published"
    assert "SHA-256" not in provenance(NAME).in_words()
    path = get(NAME)
    assert path == cache_folder() / f"{NAME}-{WEIGHTS[NAME].checksum[:12]}.h5"
    assert path.read_bytes() == CONTENT
    assert get(NAME) == find(NAME) == path
    told = provenance(NAME)
    assert (told.name, told.sha256, told.licence, told.trained_on) == (NAME, sha256(), "CC BY 4.0", "photos")
    assert provenance(put(path.with_name("mine.h5"))) == told, "known by its content"


@pytest.mark.parametrize("place", [f"weights/{PUBLISHED_NAME}", f"keras/models/{PUBLISHED_NAME}"])
def test_a_file_under_keras_name_is_found(tmp_path: Path, place: str) -> None:
    put(tmp_path / place, CONTENT[::-1])
    assert find(NAME) is None, "of another content"
    put(tmp_path / place)
    assert get(NAME) == tmp_path / place


def test_without_a_network_a_sentence_says_which_file_whence_and_how_to_name_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(WEIGHTS, NAME, record(NOWHERE))
    with pytest.raises(UserError) as caught:
        get(NAME)
    sentence = str(caught.value)
    assert sentence.startswith(f"{PUBLISHED_NAME} could not be downloaded from {NOWHERE} (")
    assert (
        "fetch it on a machine with a network, and name the file, or its folder, in model.backbone_weights" in sentence
    )
    assert "\n" not in sentence
    assert absent_weights(ARM, IMAGENET) == [NAME]
    fetch_weights([ARM, ARMS["vgg16-concatenate"], ARMS["gap-sum"]], IMAGENET)
    said = capsys.readouterr().err
    assert said.startswith(
        f"Left out: vgg16-spatial, vgg16-concatenate, for want of the weights {NAME}. {PUBLISHED_NAME}"
    )


def test_another_answer_is_not_used(elsewhere: Path) -> None:
    elsewhere.write_bytes(b"<html>log in</html>")
    with pytest.raises(
        UserError, match=r"is not vgg16_.*_notop\.h5 as Keras knows it \(another MD5\), and was not used"
    ):
        get(NAME)
    assert list(cache_folder().glob("*")) == []


# A file of the user's


def test_a_file_of_the_users_stands_for_the_published_one(tmp_path: Path) -> None:
    mine = put(tmp_path / "mine" / "own.h5", b"own")
    settings = ModelSettings(backbone_weights=str(mine))
    assert weight_files(ARM, settings) == {NAME: mine}
    assert absent_weights(ARM, settings) == []
    (origin,) = origins_of(TrainingSettings(), settings, ARM)
    assert (origin.name, origin.sha256, origin.licence) == ("own.h5", sha256(b"own"), None)
    assert weights_part(ARM, settings) == [sha256(b"own")]
    assert weights_part(ARM, IMAGENET) == [WEIGHTS[NAME].checksum]
    assert weights_part(ARM, ModelSettings()) == weights_part(ARMS["gap-sum"], settings) == []
    assert given_file(WEIGHTS["fer2013-mini-xception"], str(mine)) is None, "which is no published network's"


def test_a_folder_has_files_under_keras_names(tmp_path: Path) -> None:
    file = put(tmp_path / "models" / PUBLISHED_NAME)
    settings = ModelSettings(backbone_weights=str(file.parent))
    assert weight_files(ARM, settings) == {NAME: file}
    assert origins_of(TrainingSettings(), settings, ARM)[0].name == NAME
    with pytest.raises(UserError, match=r"models has no vgg19_.*_notop\.h5; it can be had from https://storage"):
        absent_weights(ARMS["vgg19-spatial"], settings)


def test_what_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    settings = ModelSettings(backbone_weights=str(tmp_path / "none.h5"))
    for ask in (absent_weights, weights_part):
        with pytest.raises(UserError, match=r"model\.backbone_weights: there is no .*none\.h5; name a file"):
            ask(ARM, settings)
    with pytest.raises(UserError, match=r"there is no .*none\.h5"):
        model_part(settings)


def test_the_content_counts_wherever_it_lies(tmp_path: Path) -> None:
    files = [put(tmp_path / name, content) for name, content in (("a.h5", b"1"), ("b.h5", b"1"), ("c.h5", b"2"))]
    first, copy, other = (model_part(ModelSettings(backbone_weights=str(file))) for file in files)
    assert first == copy != other
    folder = put(tmp_path / "models" / PUBLISHED_NAME, b"1").parent
    assert model_part(ModelSettings(backbone_weights=str(folder)))["backbone_weights"] == sha256(b"1")
    assert model_part(IMAGENET)["backbone_weights"] == "imagenet"
    assert not {"backbone_weights", "backbone_width", "unfreeze_from"} & model_part(ModelSettings()).keys()


def test_a_file_that_changes_is_looked_at_again(tmp_path: Path) -> None:
    path = put(tmp_path / "own.h5", b"one")
    before = provenance(path)
    put(path, b"three")
    assert provenance(path).sha256 == sha256(b"three") != before.sha256
