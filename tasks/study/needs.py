"""What the arms of a study need of its segments, and what to do where these have less."""

from fer_models.errors import UserError
from fer_models.models.arms import get_arm
from fer_models.models.building import needs_of
from fer_models.segments import SegmentShape
from tasks.config.settings import StudySettings


def shape_of(settings: StudySettings) -> SegmentShape:
    """What the segments of a study hold."""
    prepare = settings.prepare
    return SegmentShape(prepare.frames_per_segment, prepare.face_size_px, prepare.has_optical_flow)


def check_needs(settings: StudySettings) -> None:
    """Raise `UserError` when an arm of the study needs more than its segments hold."""
    shape = shape_of(settings)
    for arm in settings.all_arms():
        needed = needs_of(arm)
        if not shape.offers(needed):
            raise UserError(
                f"The arm {arm.name} needs segments of {_in_words(needed)}; those of this study are of "
                f"{_in_words(shape)}. {_advice(settings, needed)}."
            )


def _advice(settings: StudySettings, needed: SegmentShape) -> str:
    """What to do where an arm lacks something; single images never have it."""
    shape = shape_of(settings)
    fitting = [name for name in settings.arms if shape.offers(needs_of(get_arm(name)))]
    others = f", such as --set 'arms=[{', '.join(fitting)}]'" if fitting else ""
    if settings.corpus.is_of_stills:
        return f"Single images have no more: choose other arms{others}"
    return f"Set {_remedy(shape, needed)}, or choose other arms{others}"


def _remedy(shape: SegmentShape, needed: SegmentShape) -> str:
    """The settings that give segments what an arm lacks of them."""
    frames = f"prepare.frames_per_segment to {needed.num_frames} or more"
    motion = "prepare.pair to a time such as 0.0333"
    return " and ".join(
        words
        for words, lacks in (
            (frames, shape.num_frames < needed.num_frames),
            (motion, shape.has_optical_flow < needed.has_optical_flow),
        )
        if lacks
    )


def _in_words(shape: SegmentShape) -> str:
    frames = "1 frame" if shape.num_frames == 1 else f"{shape.num_frames} frames"
    return f"{frames} with optical flow" if shape.has_optical_flow else frames
