"""Does an explanation depend on the model? The model-randomisation check of Grad-CAM maps.

After Adebayo et al. 2018, *Sanity checks for saliency maps*, cascading randomisation: the layers are drawn anew from
their own initializers, from the logits down to the first convolutions, and after each the maps of the same class are
compared with the trained model's. Maps that stay as they were show the picture, not the model. Maps of an
untrained model pass as well: the check tells that the weights matter, not that they are good.
"""

import zlib
from dataclasses import dataclass

import keras
import numpy as np
from scipy.stats import rankdata

from fer_models.explanation.gradcam import GradCam
from fer_models.models.building import model_network
from fer_models.segments import SegmentInputs

#: Random models that the similarity is averaged over. All maps of a check come from one model, so that more pictures
#: do not make up for a single draw.
NUM_DRAWS = 5
#: Highest similarity to fully random models that passes, for each stream. Not 0, for edges draw random filters too:
#: maps of untrained models of width 128 had up to 0.22 in common, those of trained and random ones of width 16 up to
#: 0.15. What shows the picture whatever the model stays at 1.
MAX_SIMILARITY = 0.4


@dataclass(frozen=True)
class Randomisation:
    """Outcome of a check.

    Args:
        steps: what was drawn anew, from the top: `logits`, `dense2`, .. `conv1`; what was drawn before stays so.
        similarity: by stream, mean rank correlation with the trained model's maps after each step, -1..1: float (draws,
            steps), NaN where all maps are empty. A stream whose maps were all empty to begin with is left out.
        num_maps: by stream, how many of the maps were not empty and could be compared.
    """

    steps: tuple[str, ...]
    similarity: dict[str, np.ndarray]
    num_maps: dict[str, int]

    @property
    def means(self) -> dict[str, np.ndarray]:
        """By stream the mean over the draws, float (steps,); 0 where all maps are empty: nothing in common is left."""
        return {
            stream: np.ma.masked_invalid(values).mean(axis=0).filled(0.0) for stream, values in self.similarity.items()
        }

    @property
    def passed(self) -> bool:
        """Whether every stream has maps, and none that random models have too."""
        return all(stream in self.similarity and self.means[stream][-1] <= MAX_SIMILARITY for stream in self.num_maps)


def check_randomisation(
    explainer: GradCam,
    segments: SegmentInputs,
    rows: np.ndarray,
    classes: np.ndarray,
    seed: int,
    num_draws: int = NUM_DRAWS,
) -> Randomisation:
    """Compare the maps of a model with those of `num_draws` models that become random layer by layer.

    The explainer's model has its own weights again when this returns or raises.

    Args:
        segments, rows, classes: as of `fer_models.explanation.gradcam.gradcam`.
        seed: of the draws.
    """
    original = explainer.cells(segments, rows, classes)
    usable = {stream: _spread(cells) > 0 for stream, cells in original.items()}
    streams = [stream for stream in original if usable[stream].any()]
    cascade = layers_from_the_top(explainer.model)
    similarity = {stream: np.full((num_draws, len(cascade)), np.nan) for stream in streams}
    kept = [(layer, layer.get_weights()) for layers in cascade.values() for layer in layers]
    try:
        for draw in range(num_draws):
            for step, layers in enumerate(cascade.values()):
                for layer in layers:
                    _draw_anew(layer, f"{seed}/{draw}/{layer.name}")
                found = explainer.cells(segments, rows, classes)
                for stream in streams:
                    both = usable[stream] & (_spread(found[stream]) > 0)
                    if both.any():
                        found_similarity = rank_correlation(original[stream][both], found[stream][both]).mean()
                        similarity[stream][draw, step] = found_similarity
            for layer, weights in kept:
                layer.set_weights(weights)
    finally:
        for layer, weights in kept:
            layer.set_weights(weights)
    return Randomisation(tuple(cascade), similarity, {stream: int(rows.sum()) for stream, rows in usable.items()})


def layers_from_the_top(model: keras.Model) -> dict[str, list[keras.Layer]]:
    """The layers with learned weights, from the logits down.

    Those that lead from one feature map of a stream to the next are one step, such as a convolution and its
    normalisation, and what the streams have alike is one too.
    """
    streams = model_network(model).feature_maps
    maps = {one.layer for maps in streams.values() for one in maps}
    reached: dict[str, str] = {}
    cascade: dict[str, list[keras.Layer]] = {}
    for layer in reversed(model.layers):
        stream = next((name for name in streams if layer.name.startswith(f"{name}_")), "")
        own = layer.name.removeprefix(f"{stream}_")
        if layer.name in maps:
            reached[stream] = own.removesuffix("_frames").removesuffix("_relu")
        if isinstance(layer, _LEARNED):
            cascade.setdefault(reached.get(stream, own), []).append(layer)
    return cascade


_LEARNED = (
    keras.layers.Dense,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv3D,
    keras.layers.LSTM,
    keras.layers.GRU,
    keras.layers.ConvLSTM2D,
    keras.layers.BatchNormalization,
)


def _draw_anew(layer: keras.Layer, key: str) -> None:
    """Give a layer the weights of one that is built like it with another seed, for its own is that of the training.

    Each weight is drawn by its own initializer. What draws nothing becomes what it was before training: normalisation,
    and offsets, among them those that have an LSTM remember.
    """
    config = layer.get_config()
    for name, initializer in config.items():
        if name.endswith("_initializer") and "seed" in initializer["config"]:
            initializer["config"]["seed"] = zlib.crc32(key.encode())
    fresh = type(layer).from_config(config)
    fresh.build_from_config(layer.get_build_config())
    layer.set_weights(fresh.get_weights())


def _spread(maps: np.ndarray) -> np.ndarray:
    """Highest minus lowest value of each map (n, ..): (n,); 0 for one that says nothing."""
    return np.ptp(maps.reshape(len(maps), -1), axis=1)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of each pair of maps, (n, [T',] height, width) both: float (n,), -1..1.

    It is over all cells, those of all frames together. Equal values share their mean rank. A constant map has no order,
    and nothing in common with another: 0.
    """
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second)]
    centred = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    norms = np.prod([np.linalg.norm(rank, axis=1) for rank in centred], axis=0)
    return (centred[0] * centred[1]).sum(axis=1) / np.where(norms > 0, norms, 1.0)
