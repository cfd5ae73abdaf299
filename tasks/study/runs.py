"""Training runs: an arm with a seed on a fold of a study. A run's folder is named by all that decides its result.

Nothing here opens the test subset.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fer_models.errors import UserError
from fer_models.models.arms import Arm
from fer_models.models.building import build_ensemble, build_model
from fer_models.models.float32 import computes_bfloat16
from fer_models.models.lineage import Lineage, video_marks
from fer_models.models.motion import motion_scale_px
from fer_models.segments import SegmentArrays
from fer_models.settings import ModelSettings, TrainingSettings
from fer_models.training.fitting import fit
from fer_models.training.joining import join
from fer_models.training.progress import Epoch, Progress, still_climbs
from fer_models.training.solving import solve
from tasks.config.digests import digest, model_part, prepare_digest, training_part
from tasks.config.layout import Layout
from tasks.config.saved_preparation import Crops, carry_prepare
from tasks.config.settings import StudySettings
from tasks.dataset.folds import TRAIN, VALIDATION
from tasks.dataset.frame_store import open_store, stored_arrays
from tasks.dataset.index import fold_folder, index_digest, indexed_shards, read_seen, read_subset, subset_file
from tasks.dataset.splits import fold_names, read_split, split_of_study
from tasks.preparation.ledger import read_ledger
from tasks.progress import echo, progress
from tasks.storage.files import broken_files, find_json, is_whole, set_aside, write_text
from tasks.storage.local_copies import synced_folder
from tasks.study.checkpoints import (
    MODEL_FILE,
    PROGRESS_FILE,
    SETTINGS_FILE,
    RunCheckpoints,
    load_trained,
    read_validation,
)
from tasks.study.initial_weights import (
    check_first_weights,
    first_weights,
    give_initial_weights,
    initial_weights,
)
from tasks.study.needs import check_needs, shape_of
from tasks.study.precision import gains_from_bfloat16
from tasks.study.preparation import Preparation
from tasks.study.pretrained import absent_weights, origins_of, weight_files, weights_part
from tasks.study.run_names import run_folder_name

#: Raised when the same settings and data give another model than before.
CODE_VERSION = 2
#: Raised when the same members give another ensemble than before.
ENSEMBLE_CODE_VERSION = 1


@dataclass(frozen=True)
class Run:
    """One training run of a study. `fold`, the number of its fold, is None in a study of one fold.

    That of an ensemble has the runs whose models it is of as `members`; its `seed` is that of the first.
    """

    arm: Arm
    seed: int
    fold: int | None
    folder: Path
    fold_name: str = ""
    members: tuple["Run", ...] = ()

    @property
    def name(self) -> str:
        seed = "" if self.members else f", seed {self.seed}"
        return self.arm.name + seed + ("" if self.fold is None else f", fold {self.fold_name}")

    @property
    def seeds(self) -> str:
        """Its seed, or those of its members, in words."""
        return " + ".join(str(one.seed) for one in self.members or (self,))

    @property
    def split_fold(self) -> int:
        """The number of its fold in the split."""
        return self.fold or 0

    @property
    def trained(self) -> bool:
        """Whether it is done; a run whose files have lost their content is not."""
        return self.lacking is None

    @property
    def lacking(self) -> Path | None:
        """The first of its files that is not there or has lost its content; None of a run that is done."""
        return next((path for name in (MODEL_FILE, PROGRESS_FILE) if not is_whole(path := self.folder / name)), None)


def plan_runs(settings: StudySettings) -> list[Run]:
    """The runs of a study, fold by fold, in the order of its arms and seeds; an ensemble comes after its members.

    Arms that begin with weights which are not on this machine are left out, unless they are trained.

    Raises:
        UserError: the study has no split or index yet, an arm needs other segments, or no arm is left.
    """
    check_needs(settings)
    check_first_weights(settings)
    layout = Layout.of(settings)
    emotions = settings.corpus.emotions
    split = split_of_study(read_split(layout.split), read_ledger(layout.ledger, emotions), emotions)
    names = fold_names(split)
    runs = [run for fold in names for run in _runs_of_fold(settings, layout, fold, names)]
    if not runs:
        raise UserError(f"{layout.split} has none of the videos of {layout.ledger}; run `fer prepare` and `fer split`.")
    due = {run.arm.name for run in runs if not (run.members or run.trained)}
    absent = {arm.name: absent_weights(arm, settings.model) for arm in settings.all_arms() if arm.name in due}
    if found := [run for run in runs if not any(absent.get(one.arm.name) for one in run.members or (run,))]:
        return found
    missing = dict.fromkeys(name for names in absent.values() for name in names)
    raise UserError(f"Every arm needs weights that are not on this machine; run `fer weights get {' '.join(missing)}`.")


def _runs_of_fold(settings: StudySettings, layout: Layout, fold: int, names: Mapping[int, str]) -> list[Run]:
    several = len(names) > 1
    common = (
        model_part(settings.model),
        prepare_digest(settings.prepare),
        {
            "emotions": settings.corpus.emotions,
            "data": index_digest(read_seen(layout.index, fold, settings.corpus.emotions)),
            "code": CODE_VERSION,
            "backend": keras.backend.backend(),
        },
    )
    part = f"fold{fold}-" if several else ""
    runs: list[Run] = []
    for arm in settings.all_arms():
        if arm.num_members:
            runs.append(_ensemble_run(arm, layout.runs, part, tuple(runs[-arm.num_members :])))
            continue
        what = digest(*common, training_part(own_training(settings, arm)), _identity(arm, settings.model))
        of_several = fold if several else None
        for seed in settings.seeds:
            name = run_folder_name(arm.name, seed, of_several, digest(what, {"seed": seed}))
            runs.append(Run(arm, seed, of_several, layout.runs / name, names[fold] if several else ""))
    return runs


def _ensemble_run(arm: Arm, folder: Path, part: str, members: tuple[Run, ...]) -> Run:
    """The run of an ensemble. Its members decide its result, and their folders' names hold all that decides theirs."""
    what = digest({"members": [one.folder.name for one in members], "code": ENSEMBLE_CODE_VERSION})
    return replace(members[0], arm=arm, folder=folder / f"{arm.name}-{part}{what}", members=members)


#: Part of what version 0.1 named runs by, and so never changed, whatever `tasks.study.published` holds.
_PRINTED_THEN = {
    "flatten-concatenate": 57.7,
    "flatten-sum": 59.77,
    "flatten-average": 57.71,
    "gap-concatenate": 59.8,
    "gap-sum": 56.48,
    "gap-average": 57.66,
}


def _identity(arm: Arm, model: ModelSettings) -> dict[str, Any]:
    """What an arm is, in the spelling of `tasks.config.digests`: two-stream arms had fields for their options."""
    if arm.family != "two-stream":
        part = {"family": arm.family, "options": dict(arm.options), "solved": arm.is_solved}
        return part | {"weights": weights_part(arm, model)}
    printed = _PRINTED_THEN.get(arm.name.partition("+")[0])
    defaults = {"streams": ("spatial", "temporal"), "fusion": None, "width": None}
    part = {"name": "", "title": "", "printed_accuracy": printed, "imbalance": None, **defaults, **arm.options}
    weights = weights_part(arm, model)
    return part | ({"weights": weights} if weights else {})


def treatment_of(settings: StudySettings, arm: Arm) -> str:
    """What is done about rare classes when an arm is trained."""
    return arm.treatment or settings.training.treatment


def own_training(settings: StudySettings, arm: Arm) -> TrainingSettings:
    """How an arm is trained on any machine: as its family is, with its treatment, and the model that it begins with.

    Raises as `first_weights`.
    """
    own = {"treatment": treatment_of(settings, arm), "initial_weights": first_weights(settings, arm)}
    training = settings.training
    if of_family := settings.training_of_family.get(arm.family):
        training = TrainingSettings.model_validate(training.model_dump() | of_family)
    return training.model_copy(update=own)


def training_of(settings: StudySettings, arm: Arm) -> TrainingSettings:
    """How an arm is trained on this machine. A run's name does not depend on the machine, so that any can take it."""
    if (precision := settings.training.precision) == "auto":
        precision = "mixed_bfloat16" if gains_from_bfloat16() else "float32"
    return own_training(settings, arm).model_copy(update={"precision": precision})


def num_epochs(settings: StudySettings, arm: Arm) -> int:
    """The most that the training of an arm takes."""
    return 1 if arm.is_solved or arm.num_members else own_training(settings, arm).epochs


def _model_settings(settings: StudySettings, run: Run) -> ModelSettings:
    """Those of the study; the scale of motion is measured on the training subset where they ask for it."""
    model = settings.model
    if not model.optical_flow_quantile:
        return model
    train = run_arrays(settings, run, TRAIN)
    scale_px = motion_scale_px(train, model.head_motion, model.optical_flow_quantile, run.seed)
    return model.model_copy(update={"optical_flow_scale_px": scale_px})


def build_run_model(settings: StudySettings, run: Run, folder: Path) -> keras.Model:
    """A run's model as its training begins; an ensemble's with the weights of its members.

    Args:
        folder: where a table of the initial weights is left, where the settings ask for some.
    """
    if run.members:
        return build_ensemble(run.arm, [load_trained(member.folder, member.name) for member in run.members])
    training = training_of(settings, run.arm)
    stored = initial_weights(training, run.arm)
    model = build_model(
        run.arm,
        _model_settings(settings, run),
        labels=settings.corpus.emotions,
        augmentation=training.augmentation,
        precision=training.precision,
        prepare=carry_prepare(settings.prepare, _crops(settings, run)),
        seed=run.seed,
        shape=shape_of(settings),
        weights=weight_files(run.arm, settings.model),
        lineage=_lineage(settings, run).joined((stored and stored.lineage) or Lineage()),
    )
    if stored:
        give_initial_weights(model, stored, training, run.name, folder)
    return model


def _lineage(settings: StudySettings, run: Run) -> Lineage:
    """What a model of this run begins with, and whom it sees."""
    seen = read_seen(Layout.of(settings).index, run.split_fold, settings.corpus.emotions)
    origins = origins_of(own_training(settings, run.arm), settings.model, run.arm)
    return Lineage(origins=origins, videos=video_marks(seen["sha256"]))


def _crops(settings: StudySettings, run: Run) -> Crops | None:
    """The frames of a training on face crops: there the box of a segment is its frame."""
    if not settings.prepare.precropped:
        return None
    train = read_subset(Layout.of(settings).index, run.split_fold, TRAIN, settings.corpus.emotions)
    return Crops.of(sorted({(width, height) for _, _, width, height in train["box"]}))


def train_run(settings: StudySettings, run: Run, on_epoch: Callable[[Epoch], None]) -> Progress:
    """Train a run, or go on with it; a run that is done is not touched.

    What has lost its content in its folder is set aside, and the run goes on from what is left, or starts anew.

    Raises:
        UserError: it is an ensemble, and a member is not trained yet.
    """
    for path in broken_files(run.folder):
        set_aside(path)
    done = find_json(run.folder / PROGRESS_FILE, Progress)
    if run.trained and done:
        return done
    if missing := [member.name for member in run.members if not member.trained]:
        raise UserError(f"It averages trained models and lacks {'; '.join(missing)}; `fer train` trains them first.")
    train, validation = (run_arrays(settings, run, subset) for subset in (TRAIN, VALIDATION))
    training = training_of(settings, run.arm)
    if training.precision == "mixed_bfloat16" and not computes_bfloat16():
        raise UserError("training.precision is mixed_bfloat16, which TensorFlow does not compute here; take auto.")
    if done:
        echo(f"{run.name}: going on after epoch {len(done.history)}")
    elif settings.training.initial_weights and not (run.members or run.arm.is_solved or training.initial_weights):
        echo(f"{run.name} begins fresh: no model of {settings.training.initial_weights} has a layer for it.")
    epochs = num_epochs(settings, run.arm)
    with (
        synced_folder(run.folder, last=(PROGRESS_FILE, MODEL_FILE)) as working,
        progress(f"Training {run.name}", epochs) as advance,
    ):
        write_text(working.path / SETTINGS_FILE, json.dumps(settings.recorded(), indent=2) + "\n")

        def tell(epoch: Epoch) -> None:
            working.save()
            on_epoch(epoch)
            advance(f"validation UAR {epoch.val_uar:.3f}")

        def tell_of_refit(epochs: int) -> None:
            working.save()
            if epochs == 1:
                echo(f"{run.name}: the epoch is chosen; training anew on the validation people too")

        checkpoints = RunCheckpoints(working.path, training.keep_epochs)
        build = functools.partial(build_run_model, settings, run, working.path)
        if run.members:
            kept = functools.partial(_kept_validation, run.members)
            result = join(build, train, validation, training, checkpoints, kept, tell)
        else:
            preparation = Preparation(run.name, working.path)
            told = functools.partial(fit, on_streams=preparation.tell_of_streams, on_belief=preparation.keep_belief)
            train_model = solve if run.arm.is_solved else told
            result = train_model(build, train, validation, training, checkpoints, run.seed, tell, tell_of_refit)
    keras.backend.clear_session()
    if len(result.history) == epochs and still_climbs(result.history):
        more = f"more training.{'steps' if training.steps else 'epochs'} may give more"
        echo(f"{run.name}: {training.monitor} still climbed at the end; {more}.")
    return result


def _kept_validation(members: Sequence[Run], names: np.ndarray) -> np.ndarray:
    """The mean of what members kept of the validation segments of these names, (n,): float32 (n, classes)."""
    return np.stack([read_validation(member.folder, names) for member in members]).mean(axis=0)


def training_progress(run: Run) -> Progress:
    """How the training of a run went; raises `UserError` when that is not known (any more)."""
    path = run.folder / PROGRESS_FILE
    if (progress := find_json(path, Progress)) is None:
        raise UserError(f"{path} is not there; run `fer train` again, which trains {run.name} anew.")
    return progress


def run_arrays(settings: StudySettings, run: Run, subset: str) -> SegmentArrays:
    """The segments of one subset of a run's fold; none is in memory before it is asked for."""
    layout = Layout.of(settings)
    modified_ns = subset_file(layout.index, run.split_fold, subset).stat().st_mtime_ns
    return _subset_arrays(layout.index, run.split_fold, subset, settings.corpus.emotions, layout.prepared, modified_ns)


@functools.lru_cache(maxsize=2)
def _subset_arrays(
    index: Path, fold: int, subset: str, emotions: tuple[str, ...], prepared: Path, modified_ns: int
) -> SegmentArrays:
    rows = read_subset(index, fold, subset, emotions)
    store = open_store(prepared, indexed_shards(fold_folder(index, fold)))
    return stored_arrays(rows, store, prepared, emotions)
