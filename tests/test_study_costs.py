"""What training takes is said before it begins, and what does not fit is not begun."""

from pathlib import Path

import pandas as pd
import pytest
from stored_tables import store

from fer_models.errors import UserError
from fer_models.models.arms import get_arm
from flows.train import train
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings
from tasks.dataset.index import SCHEMA, subset_file
from tasks.progress import collected
from tasks.study import costs
from tasks.study.costs import check_memory, say_costs
from tasks.study.runs import Run

GB = 10**9


@pytest.fixture
def study(tmp_path: Path) -> StudySettings:
    """A study whose training subset has 30,000 segments of two videos."""
    overrides = {
        "data_root": tmp_path,
        "corpus.emotions": ["anger", "fear"],
        "arms": ["gap-sum", "hog-svm"],
        "model.width": 4,
        "model.head_units": 8,
    }
    settings = resolve_settings("sample", overrides=overrides)
    for subset, number in (("train", 30_000), ("validation", 10_000)):
        halves = ["anger" if row % 2 else "fear" for row in range(number)]
        columns = {"emotion": halves, "video_id": halves, "shard": halves, "row": range(number), "side": subset}
        store(subset_file(Layout.of(settings).index, 0, subset), pd.DataFrame(columns), SCHEMA)
    return settings


@pytest.fixture(autouse=True)
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, int | None]:
    """Free memory, of the machine and of a device, as the test says."""
    has: dict[str, int | None] = {"machine": 100 * GB, "device": None}
    monkeypatch.setattr(costs, "free_bytes", lambda: has["machine"])
    monkeypatch.setattr(costs, "_computes_on_a_device", lambda: has["device"] is not None)
    monkeypatch.setattr(costs, "device_bytes", lambda: has["device"])
    return has


def runs(settings: StudySettings) -> list[Run]:
    return [Run(arm, 1, None, Path()) for arm in settings.all_arms()]


def test_a_line_an_arm(study: StudySettings) -> None:
    with collected() as lines:
        say_costs(study, [*runs(study), *runs(study)], here=True)
    assert lines[0] == "Training takes, by estimate, of 100.0 GB of free memory:"
    assert [line.split()[0] for line in lines[1:]] == ["gap-sum", "hog-svm"]
    assert lines[1].split()[1:3] == ["3,122", "parameters,"]
    data = 4 * 64 * 2**20 / GB  # blocks that are there at once, of 0.6 GB in all
    assert all(data < float(line.split()[-2]) < data + 2 for line in lines[1:])
    with collected() as lines:
        say_costs(study, [], here=True)
    assert lines == []


def test_what_does_not_fit_is_not_begun(study: StudySettings, free: dict[str, int | None]) -> None:
    free["machine"] = GB // 2
    with collected() as lines, pytest.raises(UserError) as raised:
        say_costs(study, runs(study), here=True)
    assert len(lines) == 3, "they are said all the same"
    sentence = str(raised.value)
    assert sentence.startswith("The training of hog-svm takes about ")
    assert "(data 0.3 GB, weights 0.0 GB, computation 1." in sentence
    assert "and 0.5 GB are free. Lower training.batch_size or model.width, leave it out" in sentence
    assert "execution.exceed_memory=true" in sentence
    with collected():
        say_costs(study, runs(study), here=False)
    tried = study.model_copy(update={"execution": study.execution.model_copy(update={"exceed_memory": True})})
    with collected() as lines:
        say_costs(tried, runs(study), here=True)
    assert lines[-1].endswith("0.5 GB are free; it is tried all the same.")


def test_before_there_is_data_the_models_count(study: StudySettings, free: dict[str, int | None]) -> None:
    check_memory(study)
    free["machine"] = GB // 20
    with pytest.raises(UserError, match=r"The training of gap-sum takes about .*data 0\.0 GB"):
        check_memory(study)
    sequences = {"arms": ["lstm-spatial"], "prepare.frames_per_segment": 8, "model.width": 64}
    with pytest.raises(UserError, match=r"Lower training\.batch_size, model\.width or prepare\.frames_per_segment"):
        check_memory(resolve_settings("sample", overrides=sequences))
    published = resolve_settings("sample", overrides={"arms": ["vgg16-spatial"]})
    with pytest.raises(UserError, match=r"training\.batch_size or model\.backbone_width"):
        check_memory(published)


def test_a_device_has_a_memory_of_its_own(study: StudySettings, free: dict[str, int | None]) -> None:
    free |= {"machine": GB, "device": 100 * GB}
    with collected():
        say_costs(study, runs(study), here=True)
    free |= {"machine": 100 * GB, "device": GB // 20}
    with collected(), pytest.raises(UserError, match=r"computation .*, and the device has 0\.1 GB"):
        say_costs(study, runs(study), here=True)


def test_a_study_says_so_before_anything_is_trained(
    study: StudySettings, free: dict[str, int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    free["machine"] = GB // 4
    due = [Run(get_arm("gap-sum"), 1, None, study.data_root / "absent")]
    monkeypatch.setattr("flows.train.settings_of", lambda *_: study)
    monkeypatch.setattr("flows.train.plan_runs", lambda _: due)
    monkeypatch.setattr("flows.train.mlflow_log.open_study", lambda _: pytest.fail("it was begun"))
    with collected(), pytest.raises(UserError, match="The training of gap-sum takes"):
        train.fn()
