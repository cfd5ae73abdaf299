"""Training one run, as a Prefect task."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from fer_models.training import Progress
from tasks import tracking
from tasks.runs import Run, train_run
from tasks.settings import StudySettings


@task(name="train-arm", task_run_name="train {run.name}", cache_policy=NO_CACHE)
def train_arm(settings: StudySettings, run: Run, study_run: tracking.StudyRun) -> Progress:
    """Train one arm with one seed, or go on with it, telling MLflow of every epoch."""
    run_id = tracking.open_run(settings, study_run, run)
    logged = tracking.num_logged_epochs(run_id)
    return train_run(settings, run, lambda epoch: tracking.log_epoch(run_id, epoch) if epoch.epoch > logged else None)
