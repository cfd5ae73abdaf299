"""Flow `fer-train`: every arm, seed and fold of a study, here one after another, or each on a worker of its own."""

from prefect import flow

from fer_models.errors import FerError, UserError
from fer_models.models.arms import present_name
from fer_models.suggest import nearest
from flows.limits import gpu_slot
from flows.parameters import AS_CONFIGURED, NO_OVERRIDES, Overrides, Preset, TrainOn, run_name, settings_of
from tasks.preparation.in_use import using_shards
from tasks.progress import echo, progress
from tasks.steps.train import train_arm, train_on_workers
from tasks.study.costs import say_costs
from tasks.study.forecast import remember_memory
from tasks.study.pretrained import fetch_weights
from tasks.study.runs import Run, num_epochs, plan_runs
from tasks.tracking import mlflow_log


@flow(name="fer-train", flow_run_name=run_name("train"), validate_parameters=False)
def train(
    preset: Preset = AS_CONFIGURED,
    config: str = "",
    overrides: Overrides = NO_OVERRIDES,
    training: TrainOn = "here",
    run: str = "",
    fold: str = "",
) -> list[str]:
    """Train what is not trained yet; a failed run leaves the others alone. Returns the names of the runs.

    Args:
        preset: Settings to start from; `as configured`: what the configuration file names, else `corrected`.
        config: Path of a YAML file with settings that differ from the preset's, as workers see it; may be empty.
        overrides: Single settings by dotted key, e.g. {"training.epochs": 20}.
        training: `here`, one run after another, or on `workers`, each as a run of the deployment `fer-train/gpu`.
        run: Train only this run, such as `gap-sum, seed 1`; all that are due when empty.
        fold: Train only the runs of this fold, by its name; those of all folds when empty.
    """
    settings = settings_of(preset, config, overrides)
    fetch_weights(settings.all_arms(), settings.model)
    runs = plan_runs(settings)
    if fold:
        runs = of_fold(runs, fold)
    if run:
        runs = [_named(runs, run)]
    due = [one for one in runs if not one.trained]
    say_costs(settings, due, here=training == "here")
    study_run = mlflow_log.open_study(settings)
    failures: dict[str, FerError] = {}
    here = due
    with using_shards(settings, "train"):
        if training == "workers":
            parameters = {"preset": preset, "config": config, "overrides": overrides}
            here = [one for one in due if one.members]  # which wait for all others
            failures = train_on_workers([one for one in due if not one.members], parameters, settings.execution.retries)
        if here:
            epochs = [num_epochs(settings, one.arm) for one in here]
            with gpu_slot(), progress("Training", len(here), sizes=epochs) as advance:
                for one in here:
                    result = train_arm(settings, one, study_run, return_state=True).result(raise_on_failure=False)
                    if isinstance(result, FerError):
                        failures[one.name] = result
                    elif isinstance(result, BaseException):
                        raise result
                    advance("")
            remember_memory(settings, here)
    echo(f"Trained {len(due) - len(failures)} of {len(runs)} runs, {len(runs) - len(due)} were trained before.")
    if failures:
        raise UserError("; ".join(f"{name} was not trained: {message}" for name, message in failures.items()))
    return [one.name for one in runs]


def of_fold(runs: list[Run], name: str) -> list[Run]:
    """The runs of the fold of that name; raises `UserError` when there is none."""
    if found := [run for run in runs if run.fold_name == name]:
        return found
    names = list(dict.fromkeys(run.fold_name for run in runs if run.fold_name))
    known = f"it has {', '.join(names)}" if names else "it has no folds; split.protocol kfold, loso or file makes some"
    raise UserError(f"The study has no fold {name!r}{nearest(name, names)}; {known}.")


def _named(runs: list[Run], name: str) -> Run:
    arm, comma, rest = name.partition(",")
    name = present_name(arm) + comma + rest
    for run in runs:
        if run.name == name:
            return run
    names = [run.name for run in runs]
    raise UserError(f"The study has no run {name!r}{nearest(name, names)}; it has {'; '.join(names)}.")
