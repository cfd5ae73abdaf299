"""Makes the small study beside this file, which later versions must take up: `python tests/made_before/make.py`.

Only to be run again when a version breaks with the past on purpose: what lies here was made by version 0.1 as it was
before the rooms of `tasks` were laid out, and holding on to it is the point.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

from flows.environment import prepare_environment

HERE = Path(__file__).resolve().parent
ARGUMENTS = {
    "preset": "corrected",
    "overrides": {
        "name": "before",
        "data_root": "data",
        "corpus.adapter": "folder",
        "corpus.root": "corpus",
        "corpus.emotions": ["anger", "happiness"],
        "prepare.segment_stride": 8,
        "model.width": 2,
        "model.head_units": 8,
        "training.epochs": 2,
        "training.precision": "float32",
        "arms": ["gap-sum", "optical-flow-only"],
    },
}


def main() -> None:
    """Draw six clips, prepare them, train two arms, and write down what the first says of the training segments."""
    os.environ["PREFECT_HOME"] = tempfile.mkdtemp()
    prepare_environment(quiet=True)
    from fer_models.models.building import load_model
    from fer_models.training.engine import predict
    from flows.prepare import prepare
    from flows.split import split
    from flows.train import train
    from tasks.config.resolving import resolve_settings
    from tasks.corpus.sample.corpus import Clip, SampleCorpus, render_clip, write_video
    from tasks.study.runs import plan_runs, run_arrays

    corpus = SampleCorpus(seconds=0.8, size=(160, 120))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for subject in range(3):
            for emotion in ("anger", "happiness"):
                path = Path("corpus", emotion, f"p{subject}", "clip.mp4")
                path.parent.mkdir(parents=True)
                write_video(path, render_clip(corpus, Clip(subject, 1, emotion)), corpus.fps)
        for flow in (prepare, split, train):
            flow(**ARGUMENTS)
        settings = resolve_settings(**ARGUMENTS)
        run = plan_runs(settings)[0]
        segments = run_arrays(settings, run, "train")
        said = {
            "backend": "tensorflow",
            "run": str(run.folder),
            "segments": list(segments.names),
            "probabilities": predict(load_model(run.folder / "model.keras"), segments).tolist(),
        }
        Path("said.json").write_text(json.dumps(said, indent=1) + "\n")
        unused = shutil.ignore_patterns("mlflow*", "mlartifacts", "*.lock", "in-use")
        for made in ("corpus", "data"):
            shutil.rmtree(HERE / made, ignore_errors=True)
            shutil.copytree(made, HERE / made, ignore=unused)
        shutil.copy("said.json", HERE)


if __name__ == "__main__":
    main()
