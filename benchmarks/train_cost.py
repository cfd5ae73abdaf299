"""What training costs: floating point operations counted from the layers' shapes, and hours estimated from them."""

import statistics
import time

import numpy as np
from train_worker import NUM_SEGMENTS, make_engine, random_segments
from training_flop import training_flop

from fer_models.models.arms import ARMS, FUSION_ARMS
from fer_models.models.building import build_model
from tasks.config.presets import PRESETS

EPOCHS = 50
#: NVIDIA H200 SXM, data sheet: dense bfloat16 FLOP/s.
H200_PEAK = 989e12
#: Assumed shares of that peak, worst and best: 48x48 pictures and few channels keep tensor cores waiting.
H200_SHARES = (0.05, 0.2)


def host_seconds(repeats: int = 50) -> float:
    """What a step costs beside its arithmetic: gathering a batch and Keras's way through a model of next to no size."""
    settings = PRESETS["corrected"]()
    tiny = settings.model.model_copy(update={"width": 1, "head_units": 1})
    trainer = make_engine(tiny, settings.training.model_copy(update={"augmentation": None}))._trainer
    segments, size = random_segments(4096), settings.training.batch_size
    rng, seconds = np.random.default_rng(0), []
    for _ in range(repeats):
        rows = rng.permutation(len(segments))[:size]
        start = time.perf_counter()
        faces, optical_flows = segments.faces[rows], segments.optical_flows[rows].astype(np.float32)
        trainer.train_on_batch([faces[:1], optical_flows[:1]], segments.labels[rows][:1])
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def estimates(loop_per_s: float, step_speeds: dict[str, float]) -> dict[str, float]:
    """Hours for the six fusion arms of the corrected preset, 50 epochs of the study's training segments, no validation.

    On this CPU: from the measured samples/s. On one H200: FLOP over an assumed share of its peak, and behind each step
    the host's part, measured here; an estimate, not a measurement.
    """
    settings = PRESETS["corrected"]()
    flop = [training_flop(build_model(ARMS[arm], settings.model)) for arm in FUSION_ARMS]
    samples = EPOCHS * NUM_SEGMENTS
    best_step_per_s = max(speed for name, speed in step_speeds.items() if name.startswith("tensorflow"))
    host_s = host_seconds()
    steps = samples / settings.training.batch_size * len(flop)
    values = {
        "gflop_per_sample": statistics.mean(flop) / 1e9,
        "cpu_hours": len(flop) * samples / loop_per_s / 3600,
        "cpu_hours_at_the_fastest_step": len(flop) * samples / best_step_per_s / 3600,
        "host_ms_per_step": 1e3 * host_s,
    }
    for share in H200_SHARES:
        values[f"h200_hours_at_{share:.0%}_of_peak"] = (
            samples * sum(flop) / (share * H200_PEAK) + steps * host_s
        ) / 3600
    return values
