"""Python, the packages, and whether they prepare a video."""

import importlib.metadata as metadata
import sys
import tempfile
import time
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from fer_models.errors import UserError
from tasks.config.settings import StudySettings
from tasks.diagnosis.check_result import CheckResult, State

_DISTRIBUTION = "fer-pipeline"
_REINSTALL = "install the project again: make setup, or pip install -e ."
#: Packages whose versions are worth a line in any report of a fault.
_NAMED = ("prefect", "fastapi", "keras", "tensorflow-cpu", "tensorflow", "mlflow", "opencv-python-headless", "av")
#: What does as well: TensorFlow with CUDA, which some put in the place of the one without.
_IN_PLACE_OF = {"tensorflow-cpu": "tensorflow"}
#: Decoders of the containers that cameras, phones and corpora hand out.
_CODECS = ("h264", "hevc", "mpeg4", "mpeg2video", "mjpeg", "vp8", "vp9", "av1", "wmv2")
_PACKAGES = ("flows", "tasks", "fer_models")


def check_python(_: StudySettings) -> list[CheckResult]:
    """Python's version against the range that the project declares."""
    found = f"{sys.version.split()[0]} in {sys.prefix}"
    wanted = next(iter(_metadata(_DISTRIBUTION, "Requires-Python")), "")
    if wanted and not SpecifierSet(wanted).contains(sys.version.split()[0], prereleases=True):
        fix = "make setup PYTHON=/path/to/one/of/them"
        return [CheckResult("Python", State.ERROR, f"{found}; the project needs {wanted}", fix)]
    return [CheckResult("Python", State.OK, found)]


def check_packages(_: StudySettings) -> list[CheckResult]:
    """Versions of the packages against the ranges that the project declares."""
    needed = _requirements(_DISTRIBUTION)
    if not needed:
        found = f"{_DISTRIBUTION} is not installed, so no range is known"
        return [CheckResult("packages", State.WARNING, found, _REINSTALL)]
    if faults := [fault for requirement in needed if (fault := _fault(requirement))]:
        return faults
    named = [f"{name} {version}" for name in _NAMED if (version := _version(name))]
    return [CheckResult("packages", State.OK, f"all {len(needed)} in range: {', '.join(named)}")]


def check_extras(_: StudySettings) -> list[CheckResult]:
    """Which optional packages are there."""
    extras = [extra for extra in _metadata(_DISTRIBUTION, "Provides-Extra") if extra != "dev"]
    there = [extra for extra in extras if all(map(_is_installed, _requirements(_DISTRIBUTION, extra)))]
    missing = [extra for extra in extras if extra not in there]
    found = "; ".join(
        f"{words}: {', '.join(names)}" for words, names in (("installed", there), ("not installed", missing)) if names
    )
    fix = f"if you want it: pip install '{_DISTRIBUTION}[{missing[0]}]'" if missing else ""
    return [CheckResult("extras", State.NOTE if missing else State.OK, found or "none known", fix)]


def check_doubles(_: StudySettings) -> list[CheckResult]:
    """That one package alone brings OpenCV, and one TensorFlow: two overwrite each other's files."""
    of_modules = metadata.packages_distributions()
    found = []
    for name, module in (("OpenCV", "cv2"), ("TensorFlow", "tensorflow")):
        packages = sorted(set(of_modules.get(module, [])))
        if len(packages) > 1:
            fix = f"pip uninstall {' '.join(packages)}, then {_REINSTALL}"
            found.append(CheckResult(name, State.WARNING, f"{' and '.join(packages)} share one folder", fix))
    return found


def check_shadows(_: StudySettings) -> list[CheckResult]:
    """That nothing else on the path goes by the name of one of the project's packages."""
    home = Path(__file__).parents[2]
    places = {Path(entry or ".").resolve() for entry in (".", *sys.path)} - {home}
    others = [str(path) for place in sorted(places) for name in _PACKAGES if (path := _package_at(place, name))]
    if others:
        fix = "rename or move it: a process that is started there gets the wrong one"
        return [CheckResult("sources", State.WARNING, f"{home}; also {', '.join(others)}", fix)]
    return [CheckResult("sources", State.OK, str(home))]


def check_preparation(settings: StudySettings) -> list[CheckResult]:
    """That a drawn clip can be encoded, decoded, and its face found by the detector of the settings."""
    began = time.monotonic()
    try:
        outcome, num_covered, num_segments = _prepare_drawn_clip(settings)
    except UserError as error:
        return [CheckResult("a drawn video", State.ERROR, str(error))]
    except Exception as error:  # whatever a broken OpenCV or FFmpeg raises is what is looked for
        fix = f"{_REINSTALL} (OpenCV 5 has no Haar cascades)"
        return [CheckResult("a drawn video", State.ERROR, f"{type(error).__name__}: {error}", fix)]
    duration_s = time.monotonic() - began
    found = f"prepared in {duration_s:.1f} s as {outcome!r}: a face in {num_covered} of {num_segments} segments"
    state = State.OK if outcome == "ok" and num_covered else State.ERROR
    fix = "" if state is State.OK else f"check prepare.detector and prepare.min_face_px, else {_REINSTALL}"
    return [CheckResult("a drawn video", state, found, fix)]


def check_codecs(_: StudySettings) -> list[CheckResult]:
    """That FFmpeg, as PyAV brings it, decodes what corpora are encoded with."""
    import av

    missing = [name for name in _CODECS if not _decodes(name)]
    found = f"FFmpeg of PyAV {av.__version__}: {', '.join(name for name in _CODECS if name not in missing)}"
    if missing:
        fix = "pip install --force-reinstall av, or convert such videos"
        return [CheckResult("codecs", State.WARNING, f"{found}; not {', '.join(missing)}", fix)]
    return [CheckResult("codecs", State.OK, found)]


def _metadata(distribution: str, key: str) -> list[str]:
    """All values of a field of a distribution's metadata; none when it is not installed."""
    try:
        return metadata.metadata(distribution).get_all(key) or []
    except metadata.PackageNotFoundError:
        return []


def _requirements(distribution: str, extra: str = "") -> list[Requirement]:
    """What a distribution needs on this platform; with an extra only what that adds."""
    declared = [Requirement(text) for text in _metadata(distribution, "Requires-Dist")]
    return [
        needed
        for needed in declared
        if ("extra" in str(needed.marker or "")) == bool(extra)
        and (needed.marker is None or needed.marker.evaluate({"extra": extra}))
    ]


def _is_installed(needed: Requirement) -> bool:
    """Whether a requirement is met, and those of its own extras."""
    own = [more for extra in needed.extras for more in _requirements(needed.name, extra)]
    return not any(map(_fault, [needed, *own]))


def _fault(needed: Requirement) -> CheckResult | None:
    """What is wrong with an installed package."""
    fix = f"pip install '{needed.name}{needed.specifier}', or {_REINSTALL}"
    version = _version(needed.name) or _version(_IN_PLACE_OF.get(needed.name, needed.name))
    if version is None:
        return CheckResult(needed.name, State.ERROR, f"not installed, needs {needed.specifier or 'any version'}", fix)
    if not needed.specifier.contains(version, prereleases=True):
        return CheckResult(needed.name, State.ERROR, f"{version}, needs {needed.specifier}", fix)
    return None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _package_at(place: Path, name: str) -> Path | None:
    """A package or module of that name in a folder of the path."""
    candidates = (place / name / "__init__.py", place / f"{name}.py")
    return next((path for path in candidates if path.is_file()), None)


def _prepare_drawn_clip(settings: StudySettings) -> tuple[str, int, int]:
    from tasks.corpus.sample.corpus import SampleCorpus, plan_clips, render_clip, write_video
    from tasks.video.cutting import prepare_video

    corpus = SampleCorpus(subjects=1, clips=1, seconds=2 * settings.prepare.segment_length / 25, faults=False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.mp4"
        write_video(path, render_clip(corpus, plan_clips(corpus)[0]), corpus.fps)
        _, report = prepare_video(path, settings.prepare)
    return str(report.outcome), report.num_covered, report.num_segments


def _decodes(name: str) -> bool:
    from av.codec import Codec

    try:
        return bool(Codec(name, "r"))
    except ValueError:
        return False
