"""Where results go: names that anybody wrote stay below the folder, each video has its own, nothing is hurt."""

import os
from pathlib import Path

import pytest
from test_fault_names import NAMES

from fer_models.errors import UserError
from tasks.inference.batch.folders import place_videos, results_folder
from tasks.inference.batch.wishes import FILES, MARKER
from tasks.inference.sources import NamedVideo, list_videos


def folders(out: Path, *names: str) -> list[str]:
    """The folders of videos of these names that lie in different places, below `out`."""
    videos = [NamedVideo(Path(f"/nowhere/{number}"), name) for number, name in enumerate(names)]
    placed = place_videos(videos, out)
    assert [one.video for one in placed] == [one.path for one in videos]
    return [one.folder.relative_to(out).as_posix() for one in placed]


def test_plain_names_are_folders_as_they_are(tmp_path: Path) -> None:
    plain = ["a.mp4", "below/a.mp4", "ünï 表情 😀.mp4", "-dash.mp4", "100%.mp4", "'quotes' & $HOME `id`.mp4", " .mp4"]
    assert folders(tmp_path, *plain) == plain


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("new\nline.mp4", "new_line.mp4-"),
        ("back\\slash.mp4", "back_slash.mp4-"),
        ("C:/a.mp4", "C_/a.mp4-"),
        ("../../etc/a.mp4", "__/__/etc/a.mp4-"),
        ("./a.mp4", "_/a.mp4-"),
        (".part-1.mp4", "_part-1.mp4-"),
        ("S010_*.png", "S010__.png-"),
        ("dots.../a.mp4", "dots_/a.mp4-"),
        ("a" * 251 + ".mp4", "a" * 230 + "-"),
        ("é" * 127, "é" * 115 + "-"),
        ("predictions.csv", "predictions.csv-"),
        ("Timeline.PNG", "Timeline.PNG-"),
        ("a/prediction.json", "a/prediction.json-"),
        (os.fsdecode(b"latin-\xe9.mp4"), "latin-_.mp4-"),
    ],
)
def test_odd_names_become_plain_ones(tmp_path: Path, name: str, begin: str) -> None:
    (folder,) = folders(tmp_path, name)
    assert folder.startswith(begin)
    assert len(folder) == len(begin) + 8
    assert folders(tmp_path, name) == [folder], "the next run finds it"


def test_names_that_fall_together_are_told_apart_however_many_there_are(tmp_path: Path) -> None:
    names = ["a.mp4", "A.mp4", "a.mp4", "b.mp4", "e\u0301.mp4", "\u00e9.mp4", "x/a.mp4", "a?.mp4", "a*.mp4"]
    found = folders(tmp_path, *names)
    assert len({one.casefold() for one in found}) == len(names)
    assert [one for one in found if one in names] == ["b.mp4", "x/a.mp4"]
    assert folders(tmp_path, *names[::-1])[::-1] != found, "it is the video's place that tells, not the name's"


def test_any_name_is_a_folder_below(tmp_path: Path) -> None:
    found = folders(tmp_path, *NAMES, *FILES, MARKER)
    assert len(set(found)) == len(found)
    for folder in found:
        (tmp_path / folder).mkdir(parents=True)
        assert (tmp_path / folder).resolve().is_relative_to(tmp_path)


def test_no_link_leads_out(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path)
    with pytest.raises(UserError, match="leads out of"):
        folders(tmp_path / "out", "sub/a.mp4")
    (tmp_path / "out" / "a.mp4").touch()
    with pytest.raises(UserError, match="which is a file"):
        folders(tmp_path / "out", "a.mp4")


def test_one_run_at_a_time_goes_on_where_another_was_killed(tmp_path: Path) -> None:
    with results_folder(tmp_path / "new" / "out", []) as out:
        assert out == tmp_path / "new" / "out"
        (out / "a.mp4").mkdir()
        (out / "a.mp4" / ".part-12345678-frames.csv").touch()
        (out / ".fer-predict" / "123").mkdir(parents=True)
        with pytest.raises(UserError, match=r"Another run writes to .*out'"), results_folder(out, []):
            pass
    with results_folder(out, []):
        assert [path.name for path in out.rglob("*") if ".lock" not in path.name] == ["a.mp4"]


def test_what_others_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "predictions.csv").write_text("name,price\n")
    for force in (False, True):
        if force:
            with results_folder(tmp_path / "theirs", [], force):
                pass
        else:
            with (
                pytest.raises(UserError, match="holds other files; name a new"),
                results_folder(tmp_path / "theirs", []),
            ):
                pass
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "predictions.csv").write_text('"video",outcome,message\n')
    with results_folder(tmp_path / "ours", []):
        pass


def test_results_do_not_lie_among_the_videos(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    (videos / "below").mkdir(parents=True)
    (videos / "a.mp4").touch()
    (tmp_path / "link").symlink_to(videos)
    for out in (videos, videos / "below" / "out", tmp_path / "link" / "out"):
        with (
            pytest.raises(UserError, match=r"lies within .*videos', where the videos are"),
            results_folder(out, [videos]),
        ):
            pass
    assert not (videos / "below" / "out").exists()
    with pytest.raises(UserError, match="is a file; name a folder"), results_folder(videos / "a.mp4", [videos]):
        pass
    with pytest.raises(UserError, match="which is a file"):
        place_videos(list_videos([videos / "a.mp4"]), videos)


def test_results_are_not_written_to_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.inference.batch.folders.as_remote", lambda path: path)
    with pytest.raises(UserError, match="a folder of this machine"), results_folder(tmp_path, []):
        pass
