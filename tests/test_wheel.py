"""The wheel holds all that runs from a folder without the repository, and is made of what the image is given."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDED = {
    "infra/prefect.yaml",
    "tasks/report/templates/report.html.j2",
    *(f"tasks/inference/web/pages/{name}.html.j2" for name in ("base", "enter", "fault", "page")),
    *(f"tasks/inference/web/static/{name}" for name in ("icon.svg", "page.css", "page.js", "timeline.js")),
    *(f"{package}/py.typed" for package in ("flows", "tasks", "fer_models")),
}


def test_a_wheel_holds_data_and_no_tests(tmp_path: Path) -> None:
    image = (ROOT / "infra" / "Dockerfile").read_text(encoding="utf-8").partition("\nFROM")[2].partition("\nFROM")[0]
    copied = re.findall(r"^COPY ((?!infra/\$).+) \S+$", image, re.MULTILINE)
    for name in " ".join(copied).split():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(ROOT / name)  # what building leaves stays out of the repository
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "-q", "-w", "dist"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert names >= NEEDED
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    templates = {f"tasks/report/templates/{path.name}" for path in (ROOT / "tasks/report/templates").iterdir()}
    assert names >= templates
    modules = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("[ft]*s/**/*.py") if "tests" not in path.parts}
    assert {name for name in names if name.endswith(".py")} == modules
