"""The expression network that others trained: what videos are asked with where there is no model of one's own.

It looks at single frames and knows the seven classes of FER2013. What it says of the frames of a video is smoothed over
`SMOOTHING_S` (`tasks.inference.smoothing`); what it says of a single picture is scaled with `STILL_TEMPERATURE`.
`benchmarks/pretrained.py` remakes the figures here, and `benchmarks/RESULTS.md` has them all.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from fer_models.errors import UserError
from fer_models.models.lineage import Origin
from tasks.config.prepare_settings import NO_MOTION, PrepareSettings
from tasks.config.registries import WITH_WEIGHTS
from tasks.config.saved_preparation import carry_prepare
from tasks.weights.cache import find, provenance

if TYPE_CHECKING:
    import keras

#: In the registry of weights.
NAME = "fer2013-mini-xception"
#: Sides of the face that is stored and of its middle that the network sees, px. It recognises most in crops that are
#: tighter than a detector's box: on mead24 (three people, seven classes) UAR of frames is 0.61 and 0.62 at this share
#: of the box's side (Haar and BlazeFace), 0.54 and 0.53 at the whole of it, and less with more. Chosen on two people
#: the best share, 0.75 to 0.9, was better for the third than the whole in five cases of six: 0.57 against 0.54, and
#: 0.62 against 0.53.
_FACE_PX, _SEEN_PX = 76, 64

#: Divides the logits of a picture that stands alone; fitted on ck48dev (half of CK+: posed expressions, six classes, 55
#: people). On one half of these people it is 1.50, on the other 1.21; each judged on the other half, calibration error
#: (ECE) goes from 0.099 to 0.115 and from 0.141 to 0.111, cross entropy from 0.815 to 0.818 and from 0.903 to 0.861. On
#: frames of other people (mead24, BlazeFace with level eyes) this one takes ECE from 0.126 to 0.070 and cross entropy
#: from 1.21 to 1.12. Smoothed frames need none, see `SMOOTHING_S`.
STILL_TEMPERATURE = 1.35

#: Length of the window that frames are smoothed over, s. Expressions last half a second or longer (Ekman 2003), and one
#: of half a second keeps most of its height. On mead24 UAR of frames goes from 0.60 to 0.66 (BlazeFace with level eyes;
#: with Haar from 0.62 to 0.68), and the class changes 0.8 times a second in place of 4.2. The mean calibrates too: ECE
#: goes from 0.126 to 0.068 (0.105 to 0.087) without a temperature, and what is left is modesty (a mean probability of
#: 0.61 where 0.66 are right).
SMOOTHING_S = 0.8

#: What users should know before they believe it, a sentence each.
PRETRAINED_LIMITS = (
    "It was trained on FER2013: photos that were found on the web by words for emotions, of people of whom nothing is "
    "known; its authors give an accuracy of 66 % there.",
    "On 21 acted clips of three people (MEAD, seven classes, chance 14 %) it recognised 60 % of the frames (UAR), once "
    "they were smoothed 66 %, and 62 % of the worst recognised person: surprise and happiness nine times of ten and "
    "more, fear and neutral four times of ten.",
    "On posed pictures of 55 people (CK+, six classes) it recognised 59 % (UAR): happiness and surprise nearly always, "
    "anger and disgust four times of ten, sadness twice.",
    "Four times of ten it took disgust for anger, and fear, or the open mouth of somebody who speaks calmly, for "
    "surprise.",
    "It looks at single frames without motion, and gives every face one of its seven classes, contempt and pain too.",
    "How sure it is was held against acted expressions in good light alone; how right that is elsewhere is not known.",
    "Faces below 48 px are not used; at 36 px it recognised a fifth less.",
    "A model of your own, trained by `fer study` on people and expressions like those you look at, is tested on people "
    "whom it has not seen, and says how good it is.",
)


def find_pretrained() -> Path:
    """The file of the network's weights; asks no network and loads no heavy package.

    Raises:
        UserError: it is not on this machine.
    """
    if path := find(NAME):
        return path
    raise UserError(
        f"Without a model of your own expressions are recognised with the published weights {NAME}, which are not on "
        f"this machine; `fer weights get {NAME}` fetches them."
    )


def pretrained_prepare() -> PrepareSettings:
    """How videos are prepared for the network: every frame by itself, faces found by BlazeFace where its weights are.

    BlazeFace says where the eyes are, and crops are turned so that they are level: of heads turned by 30 degrees UAR is
    0.59 in place of 0.42, of upright ones 0.60 in place of 0.61 (mead24).
    """
    has_blazeface = all(map(find, WITH_WEIGHTS["blazeface"]))
    return PrepareSettings(
        segment_length=1,
        segment_stride=1,
        pair=NO_MOTION,
        face_size_px=_FACE_PX,
        detector="blazeface" if has_blazeface else "haar",
        align="eyes" if has_blazeface else "none",
        scene_cuts="split",
    )


def pretrained_origin() -> Origin:
    """Where the network's weights come from: SHA-256, licence, and what they were trained on."""
    return provenance(NAME)


def pretrained_model() -> "keras.Model":
    """The network as a model of the project, like those that `load_model` gives.

    It takes `face`, uint8 RGB (batch, 76, 76, 3), and gives the network's probabilities as they are, not calibrated:
    float32 (batch, 7) of anger, disgust, fear, happiness, sadness, surprise and neutral, in this order.
    `fer_models.training.engine.predict` averages them over the face and its mirror image.

    Raises:
        UserError: the weights are not on this machine, or not what they should be.
    """
    weights = find_pretrained()
    from fer_models.models.arms import Arm
    from fer_models.models.backbones.mini_xception import CLASSES
    from fer_models.models.building import build_model
    from fer_models.models.lineage import Lineage
    from fer_models.segments import SegmentShape
    from fer_models.settings import ModelSettings

    settings = pretrained_prepare()
    return build_model(
        Arm(NAME, "Mini-Xception of FER2013, as published", "fer2013", {"seen_share": _SEEN_PX / _FACE_PX}),
        ModelSettings(views="mirror"),
        CLASSES,
        prepare=carry_prepare(settings),
        shape=SegmentShape(side_px=settings.face_size_px, has_optical_flow=False),
        weights={NAME: weights},
        lineage=Lineage(origins=(pretrained_origin(),)),
    )
