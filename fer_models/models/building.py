"""Builds an arm as a Keras model, and loads one that was saved."""

import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras

from fer_models.errors import UserError
from fer_models.labels import EMOTIONS
from fer_models.models.arms import Arm
from fer_models.models.families import Recipe, load_families, load_family
from fer_models.models.families.two_stream import recognise
from fer_models.models.float32 import computes_bfloat16, in_float32
from fer_models.models.lineage import Lineage
from fer_models.models.network import Network
from fer_models.models.seeds import layer_seed
from fer_models.segments import SegmentShape
from fer_models.settings import AugmentationSettings, ModelSettings, TrainingSettings

#: The study took Keras's default; with ReLU that shrinks the signal layer by layer (He et al. 2015).
_INITIALIZERS = {
    "published": keras.initializers.GlorotUniform,
    "corrected": keras.initializers.HeNormal,
    "modern": keras.initializers.HeNormal,
}


@keras.saving.register_keras_serializable(package="fer_models")
class EmotionProbabilities(keras.layers.Layer):
    """Softmax that carries what a user of the model must know.

    Args:
        labels: class names in the order of the outputs.
        prepare: the preparation settings that the training data was made with, for use on new videos.
        network: the model's structure, as `Network` gives it.
        lineage: what it began with and whom it has seen, as `Lineage` gives it.
    """

    def __init__(
        self,
        labels: Sequence[str],
        prepare: dict[str, Any] | None = None,
        network: dict[str, Any] | None = None,
        lineage: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.labels = tuple(labels)
        self.prepare = prepare
        self.network = network
        self.lineage = lineage

    def call(self, logits: Any) -> Any:
        return keras.ops.softmax(logits, axis=-1)

    def compute_output_spec(self, logits: Any) -> Any:
        return keras.KerasTensor(logits.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        more = {"labels": list(self.labels), "prepare": self.prepare, "network": self.network}
        return {**super().get_config(), **more, "lineage": self.lineage}


@keras.saving.register_keras_serializable(package="fer_models")
class LogOfMean(keras.layers.Layer):
    """Probabilities of several models, each float32 (batch, classes) in 0..1 -> logits of their mean, of that shape."""

    def call(self, probabilities: Sequence[Any]) -> Any:
        mean = sum(probabilities[1:], start=probabilities[0]) / len(probabilities)
        return keras.ops.log(keras.ops.maximum(mean, _LEAST))

    def compute_output_spec(self, probabilities: Sequence[Any]) -> Any:
        return keras.KerasTensor(probabilities[0].shape, dtype=self.compute_dtype)


#: A probability whose logarithm is taken in place of that of 0.
_LEAST = 1e-30

#: Makes the initializer of a layer's weights from the layer's name.
Initializers = Callable[[str], keras.Initializer]


def seeded_initializers(form: str, seed: int) -> Initializers:
    """Initializers of a form's kind, each drawing from the seed and its layer's name alone."""
    return lambda name: _INITIALIZERS[form](seed=layer_seed(seed, name))


def build_model(
    arm: Arm,
    settings: ModelSettings,
    labels: Sequence[str] = EMOTIONS,
    augmentation: AugmentationSettings | None = None,
    precision: str = "float32",
    prepare: dict[str, Any] | None = None,
    seed: int = 0,
    shape: SegmentShape = SegmentShape(),
    weights: Mapping[str, Path] = MappingProxyType({}),
    lineage: Lineage = Lineage(),
) -> keras.Model:
    """Build one arm for segments of a shape, with fresh weights drawn from `seed`.

    Weights that others trained, as `weights_of` names them, are read from the files that are given, by name. The model
    carries its lineage, whatever it is.

    Inputs: those that its family takes, see `fer_models.models.network.model_inputs`. Output: probabilities, float32
    (batch, len(labels)), in the order of `labels`.
    """
    family = load_family(arm.family)
    recipe = Recipe(
        settings,
        shape,
        len(labels),
        augmentation,
        precision,
        seed,
        seeded_initializers(settings.form, seed),
        seeded_initializers("published", seed)("logits"),
        weights,
    )
    inputs, logits, network = family.build(family.options.model_validate(arm.options), recipe)
    network = network.model_copy(update={"views": settings.views, "video_classifier": settings.video_classifier})
    return _model(arm, inputs, logits, labels, prepare, network, lineage)


def build_ensemble(arm: Arm, members: Sequence[keras.Model]) -> keras.Model:
    """One model that gives the mean of the probabilities of its members, with their inputs, labels and views.

    It is the mean for each segment; what it says of a video comes of its segments as with the members. It has no
    feature maps, as those of its members are several. The mean of probabilities is that of Lakshminarayanan et al.
    2017, Simple and scalable predictive uncertainty estimation using deep ensembles.

    Args:
        members: trained models of one arm; they become part of the new one.
    """
    first = members[0]
    inputs = [keras.Input(batch_shape=one.shape, dtype=one.dtype, name=one.name) for one in first.inputs]
    named = [keras.Model(one.inputs, one.output, name=f"{_MEMBER}{number}") for number, one in enumerate(members, 1)]
    logits = LogOfMean(dtype="float32", name=_MEAN)([one(inputs) for one in named])
    network = model_network(first).model_copy(update={"head": _MEAN, "logits": _MEAN, "feature_maps": {}})
    return _model(arm, inputs, logits, model_labels(first), model_prepare(first), network, model_lineage(first))


def members_of(model: keras.Model) -> list[keras.Model]:
    """The models that an ensemble is made of; none of another model."""
    return [layer for layer in model.layers if layer.name.startswith(_MEMBER) and isinstance(layer, keras.Model)]


def with_plain_head(model: keras.Model, layer: str) -> keras.Model:
    """The layers of a model up to a layer, with logits of their own in place of that and what follows it.

    What the two have in common they share: the one learns what the other does.
    """
    network = model_network(model)
    drawn = model.get_layer(network.logits).kernel_initializer
    initializer = type(drawn).from_config(drawn.get_config())
    classes = len(model_labels(model))
    logits = keras.layers.Dense(classes, kernel_initializer=initializer, dtype="float32", name=_PLAIN)
    network = network.model_copy(update={"head": _PLAIN, "logits": _PLAIN, "belief": ()})
    probabilities = EmotionProbabilities(
        model_labels(model), network=network.model_dump(mode="json"), dtype="float32", name=_OUTPUT
    )
    return keras.Model(model.inputs, probabilities(logits(model.get_layer(layer).input)))


def _model(
    arm: Arm,
    inputs: list[Any],
    logits: Any,
    labels: Sequence[str],
    prepare: dict[str, Any] | None,
    network: Network,
    lineage: Lineage | None,
) -> keras.Model:
    records = (prepare, network.model_dump(mode="json"), lineage.model_dump(mode="json") if lineage else None)
    probabilities = EmotionProbabilities(labels, *records, dtype="float32", name=_OUTPUT)(logits)
    return keras.Model(inputs, probabilities, name=arm.name.translate(_IN_TENSORFLOW))


#: TensorFlow takes no `+` in the name of what it runs.
_IN_TENSORFLOW = str.maketrans("-+", "__")


_OUTPUT = "probabilities"
_MEMBER = "member_"
_MEAN = "log_of_mean"
_PLAIN = "plain_logits"


def freeze_layers(model: keras.Model, settings: TrainingSettings) -> None:
    """Freeze the layers whose weights others or an earlier training of ours gave, where the settings say so."""
    network = model_network(model)
    for names, stay in (
        (network.pretrained, settings.pretrained == "frozen"),
        (network.taken, settings.freeze == "always"),
    ):
        for name in names if stay else ():
            model.get_layer(name).trainable = False


def streams_of(arm: Arm) -> tuple[str, ...]:
    """The streams of input pictures that an arm has: `spatial`, `temporal`, `frames`."""
    family = load_family(arm.family)
    return family.streams(family.options.model_validate(arm.options))


def weights_of(arm: Arm, settings: ModelSettings) -> tuple[str, ...]:
    """Names of the weights that others trained and that an arm begins with."""
    family = load_family(arm.family)
    return family.weights(family.options.model_validate(arm.options), settings)


def needs_of(arm: Arm) -> SegmentShape:
    """What segments must hold at least for an arm."""
    family = load_family(arm.family)
    return family.needs(family.options.model_validate(arm.options))


def model_labels(model: keras.Model) -> tuple[str, ...]:
    """The label order that a model carries."""
    return tuple(model.get_layer(_OUTPUT).labels)


def model_prepare(model: keras.Model) -> dict[str, Any] | None:
    """The preparation settings that a model carries."""
    return model.get_layer(_OUTPUT).prepare


def model_network(model: keras.Model) -> Network:
    """The structure that a model carries; of one that was saved before models carried it, what its layers tell."""
    carried = model.get_layer(_OUTPUT).network
    return Network.model_validate(carried) if carried else recognise(model)


def carry_network(model: keras.Model, network: Network) -> None:
    """Let a model carry another record of its structure."""
    model.get_layer(_OUTPUT).network = network.model_dump(mode="json")


def model_lineage(model: keras.Model) -> Lineage | None:
    """What a model says of its lineage; None for one that was saved before models said it."""
    carried = model.get_layer(_OUTPUT).lineage
    return None if carried is None else Lineage.model_validate(carried)


def load_model(path: Any) -> keras.Model:
    """Load a `.keras` file without running any code from it, in float32 where this machine does not compute bfloat16.

    Raises:
        UserError: it is no model of ours.
    """
    load_families()
    try:
        if not str(path).endswith(".keras"):
            raise ValueError("its name does not end in .keras")  # other formats can hold code
        if os.path.isfile(path) and not zipfile.is_zipfile(path):  # of which Keras says that it is not there
            raise ValueError("it is no archive of Keras, or has lost its end")
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        model_network(model), model_lineage(model)
        labels = model_labels(model)
        if len(set(map(str, labels))) < model.output_shape[-1] or len(labels) > model.output_shape[-1]:
            raise ValueError("its labels are not those of its outputs")
    except Exception as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        why = words[0][:120].rstrip(". ")
        raise UserError(
            f"{path} is not a model of this project ({why}); copy it again, or name another one."
        ) from error
    return model if computes_bfloat16() else in_float32(model)
