"""Draws the figures of a report into its folder."""

from pathlib import Path

import numpy as np

from fer_models.statistics.calibration import reliability_bins
from tasks.config.layout import Layout
from tasks.drawing.figures import save_figure
from tasks.preparation.shards import list_shards
from tasks.report.contact_sheet import choose_segments, read_thumbnails
from tasks.report.input import ReportInput
from tasks.report.other_corpora import confusion_file, matrix_file
from tasks.report.plots.arms import ArmScores, plot_arms
from tasks.report.plots.calibration import plot_calibration
from tasks.report.plots.class_distribution import plot_class_distribution
from tasks.report.plots.confusion import plot_confusion
from tasks.report.plots.contact_sheet import plot_contact_sheet
from tasks.report.plots.corpus_matrix import MatrixCell, plot_corpus_matrix
from tasks.report.plots.differences import Difference, plot_differences
from tasks.report.plots.subjects import SubjectScores, plot_subjects
from tasks.storage.files import atomic_write
from tasks.study.comparison import HEADLINE, ArmResult
from tasks.study.other_corpora.matrix import matrices
from tasks.study.other_corpora.scores import Cell
from tasks.study.scoring import confusions, labels_of, probabilities_of, subject_uars

CONTACT_SHEET_FILE = "contact_sheet.jpg"


def draw_figures(source: ReportInput, folder: Path) -> None:
    """Draw all of them; those of an arm are named `<arm>_<figure>`."""
    settings = source.settings
    save_figure(plot_arms(_arm_scores(source), len(settings.corpus.emotions)), folder / "arms.png")
    if source.pairs:
        figure = plot_differences(_differences(source), source.null_band, settings.equivalence_margin)
        save_figure(figure, folder / "differences.png")
    index = source.index if source.num_folds == 1 else source.index.assign(side="tested once")
    save_figure(plot_class_distribution(index, settings.corpus.emotions), folder / "class_distribution.png")
    _draw_contact_sheet(source, folder / CONTACT_SHEET_FILE)
    _draw_others(source, folder)
    for result in source.results:
        _draw_arm(source, result, folder)
        for name in source.shown_figures(result):
            with atomic_write(folder / f"{result.arm.name}_{name}") as temporary:
                temporary.write_bytes((source.folders[result.arm.name] / name).read_bytes())


def _arm_scores(source: ReportInput) -> list[ArmScores]:
    return [
        ArmScores(
            result.arm.title,
            [seed.scores[HEADLINE] for seed in result.seeds],
            result.interval.estimate,
            result.interval.low,
            result.interval.high,
            result is source.best,
        )
        for result in source.results
    ]


def _differences(source: ReportInput) -> list[Difference]:
    """The pairs with the best arm first, each so turned that the higher score stands first."""
    best = source.best.arm.name
    titles = {result.arm.name: result.arm.title for result in source.results}
    rows = []
    for pair in sorted(source.pairs, key=lambda one: (best not in (one.first, one.second), -abs(one.difference))):
        sign = 1 if pair.difference >= 0 else -1
        first, second = (pair.first, pair.second)[::sign]
        low, high = sorted((sign * pair.interval_95.low, sign * pair.interval_95.high))
        rows.append(
            Difference(f"{titles[first]} over {titles[second]}", sign * pair.difference, low, high, pair.verdict)
        )
    return rows


def _draw_contact_sheet(source: ReportInput, path: Path) -> None:
    """Draw it where its shards are still there; else the one from before, if any, stays."""
    settings, prepared = source.settings, Layout.of(source.settings).prepared
    rows = choose_segments(source.index, settings.corpus.emotions, settings.seeds[0])
    there = list_shards(prepared)
    if there.issuperset(rows["sha256"]):
        save_figure(plot_contact_sheet(read_thumbnails(rows, prepared, settings.corpus.emotions)), path)


def _draw_others(source: ReportInput, folder: Path) -> None:
    """The matrix of each arm over all corpora, and its confusions on each other one."""
    record = source.others
    if record is None:
        return
    titles = {result.arm.name: result.arm.title for result in source.results}
    for matrix in matrices(source.settings, record):
        names = [row.name for row in matrix.rows]
        cells = [[_matrix_cell(cell) for cell in row.cells] for row in matrix.rows]
        figure = plot_corpus_matrix(names, matrix.columns, cells, f"{titles[matrix.arm]}: UAR of videos")
        save_figure(figure, folder / matrix_file(matrix.arm))
    for place, tested in enumerate(record.tested, start=1):
        for arm, title in titles.items():
            cell = record.cell(arm, tested.corpus)
            if cell and cell.confusion:
                runs = ", all runs" if sum(map(sum, cell.confusion)) > cell.num_videos else ""
                words = f"{title}, videos of {tested.name}{runs}"
                figure = plot_confusion(np.array(cell.confusion), cell.classes, words)
                save_figure(figure, folder / confusion_file(arm, place))


def _matrix_cell(cell: Cell | None) -> MatrixCell | None:
    if cell is None or cell.uar is None or cell.uar.low is None or cell.uar.high is None:
        return None
    return MatrixCell(cell.uar.estimate, cell.uar.low, cell.uar.high, len(cell.classes))


def _draw_arm(source: ReportInput, result: ArmResult, folder: Path) -> None:
    emotions = source.settings.corpus.emotions
    name, title = result.arm.name, result.arm.title
    runs = "" if len(result.seeds) == 1 else f" of {len(result.seeds)} seeds"
    for level in ("videos", "segments"):
        counts = np.sum([confusions(getattr(seed, level), emotions) for seed in result.seeds], axis=0)
        save_figure(
            plot_confusion(counts, emotions, f"{title}, {level}{runs}"), folder / f"{name}_confusion_{level}.png"
        )
    covered = [seed.videos[seed.videos["num_segments"] > 0] for seed in result.seeds]
    labels = np.concatenate([labels_of(videos, emotions) for videos in covered])
    curves = {}
    for how, prefix, metric in (
        ("as trained", "p_", "video_ece"),
        ("after temperature scaling", "scaled_", "video_ece_scaled"),
    ):
        probabilities = np.concatenate([probabilities_of(videos, emotions, prefix) for videos in covered])
        curves[how] = (reliability_bins(labels, probabilities), result.mean(metric))
    save_figure(plot_calibration(curves, f"{title}, videos"), folder / f"{name}_calibration.png")
    subjects = _subject_scores(source, result)
    save_figure(plot_subjects(subjects, title, len(emotions)), folder / f"{name}_subjects.png")


def _subject_scores(source: ReportInput, result: ArmResult) -> list[SubjectScores]:
    emotions = source.settings.corpus.emotions
    seeds = [subject_uars(seed.videos, emotions) for seed in result.seeds]
    others = [
        [subject_uars(seed.videos, emotions) for seed in other.seeds] for other in source.results if other is not result
    ]
    counts = result.seeds[0].videos["subject"].value_counts()
    return [
        SubjectScores(
            subject,
            int(counts[subject]),
            [uars[subject] for uars in seeds],
            [float(np.mean([uars[subject] for uars in arm])) for arm in others],
        )
        for subject in seeds[0]
    ]
