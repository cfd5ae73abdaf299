"""Any name of a class can be part of a metric's name in MLflow."""

from mlflow.utils.validation import _validate_metric_name

from tasks.tracking.metric_names import metric_names

NASTY = ["joy (posed)", "anger & rage", "joy, calm", "$s$", "a/../b", "..", "a+b", "a?b", "שמחה", "喜び 🎎", "x" * 300]


def test_mlflow_takes_all_of_them_and_no_two_become_one() -> None:
    names = metric_names(f"test_video_recall_{name}" for name in NASTY)
    assert len(set(names.values())) == len(NASTY)
    for name in names.values():
        _validate_metric_name(name)


def test_what_mlflow_takes_stays_as_it_is() -> None:
    plain = ["test_video_uar", "test_video_recall_anger", "test_video_recall_very sad", "test_video_recall_naïve-1.5"]
    assert metric_names(plain) == {name: name for name in plain}


def test_a_plain_name_keeps_its_name_beside_one_that_becomes_like_it() -> None:
    assert metric_names(["recall_a&b", "recall_a_b", "recall_a+b"]) == {
        "recall_a&b": "recall_a_b 2",
        "recall_a_b": "recall_a_b",
        "recall_a+b": "recall_a_b 3",
    }
