"""`fer explain`: one picture that shows a Grad-CAM tile with all that it comes from, and whether that is still there.

Reads the tile, the manifest and one frame of the video; hashes the video and the model; writes nothing but the picture.
"""

from pathlib import Path

from fer_models.errors import UserError, VideoFault
from fer_models.models.arms import get_arm
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.corpus.manifest import read_manifest
from tasks.drawing.figures import save_figure
from tasks.report.outputs import PICTURE, check_output
from tasks.report.plots.inspection_moments import Moment
from tasks.report.plots.tile import TilePage, plot_tile
from tasks.storage.stored_names import path_below
from tasks.study.tiles import TILES_FILE, Tile, find_tile
from tasks.video.fingerprint import content_sha256, content_state
from tasks.video.previews import Still, look_into

_STORED = "only what the tile itself stores is shown"


def explain_tile(settings: StudySettings, wanted: str, output: Path | None = None, force: bool = False) -> Path:
    """Draw one tile of a study's runs; returns the path of the PNG.

    Args:
        wanted: the tile's id, or a beginning of it that no other id has.
        output: where to write; `<data_root>/explain/<id>.png` by default.
        force: that may be a PNG which somebody else made.

    Raises:
        UserError: no such tile, no run with tiles, or an output that must not be written (`tasks.report.outputs`).
    """
    layout = Layout.of(settings)
    tile = find_tile(layout.runs, wanted)
    videos = read_manifest(layout.manifest)["uri"] if output and layout.manifest.is_file() else ()
    check_output(output, PICTURE, map(Path, videos), force)
    path = output or _below(layout.tile_pages, f"{tile.tile_id}.png")
    return save_figure(plot_tile(gather_tile(layout, tile)), path)


def gather_tile(layout: Layout, tile: Tile) -> TilePage:
    """All that a tile's page shows; a video that is gone or changed is a notice on it."""
    file, still, notice = _find_still(layout.manifest, tile)
    box = tile.box
    moment = Moment(
        frame=tile.frame,
        pts_s=tile.pts_s,
        picture=still.picture if still else None,
        box=(box.x * still.scale, box.y * still.scale, box.width * still.scale, box.height * still.scale)
        if still
        else None,
        box_px=box.width,
        faces=tile.faces[:1],
        optical_flows=None if tile.optical_flows is None else tile.optical_flows[:1],
    )
    origin = tile.origin
    facts = {
        "video": tile.video_id,
        "subject": tile.subject,
        "frame": f"{tile.frame}, at {tile.pts_s:.3f} s",
        "box": f"{box.width} x {box.height} px at ({box.x}, {box.y})",
        "arm": get_arm(origin.arm).title,
        "seed, fold": f"{origin.seed}, {origin.fold}",
        "segment": str(tile.segment),
        "shards": origin.prepared,
    }
    long_facts = {
        "file": file or "unknown",
        "video SHA-256": tile.sha256,
        "model": origin.checkpoint,
        "model SHA-256": f"{origin.checkpoint_sha256} ({_model_state(_below(layout.runs, origin.checkpoint), tile)})",
    }
    return TilePage(tile, moment, facts, long_facts, notice)


def _find_still(manifest: Path, tile: Tile) -> tuple[str, Still | None, str]:
    """The video's file, the tile's frame of it, and a sentence when that cannot be shown."""
    try:
        videos = read_manifest(manifest)
    except UserError as error:
        return "", None, f"{error} Until then {_STORED}."
    # by its content first, so that a renamed video is found; of several with that content, the one of the same name
    same = (videos["sha256"] == tile.sha256).astype(int) * 2 + (videos["video_id"] == tile.video_id)
    if not same.any():
        return "", None, f"The manifest does not list {tile.video_id} any more; {_STORED}."
    path = Path(videos.loc[same.idxmax(), "uri"])
    try:
        content_state(path)
        if content_sha256(path) != tile.sha256:
            return str(path), None, f"The file has another content now than the one that was prepared; {_STORED}."
    except FileNotFoundError:
        return str(path), None, f"The file is not there any more; {_STORED}."
    except OSError as error:
        return str(path), None, f"The file cannot be read ({error.strerror or error}); {_STORED}."
    except VideoFault as fault:
        return str(path), None, f"The file cannot be read ({fault.message}); {_STORED}."
    stills, notices = look_into(path, [tile.frame], 1, dangerous=False)
    if not notices and tile.frame not in stills:
        notices = [f"The file does not give frame {tile.frame}; {_STORED}."]
    return str(path), stills.get(tile.frame), "\n".join(notices)


def _below(folder: Path, name: str) -> Path:
    return path_below(folder, name, f"A {TILES_FILE}", "remove its folder, and `fer evaluate` explains the run again")


def _model_state(path: Path, tile: Tile) -> str:
    if not path.is_file():
        return "not there any more"
    return "unchanged" if content_sha256(path) == tile.origin.checkpoint_sha256 else "changed since"
