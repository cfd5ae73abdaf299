"""Flow `fer-split`: ledger -> subset of every video -> index."""

from prefect import flow

from flows.parameters import AS_CONFIGURED, NO_OVERRIDES, Overrides, Preset, run_name, settings_of
from tasks.config.layout import Layout
from tasks.corpus.manifest import read_manifest
from tasks.corpus.scope import with_corpus
from tasks.corpus.subject_names import echo_look_alikes
from tasks.dataset.index import build_index
from tasks.dataset.official import official_of_subjects
from tasks.dataset.splits import SUBSETS, fold_names, update_split
from tasks.preparation.in_use import using_shards
from tasks.preparation.ledger import read_ledger
from tasks.progress import echo


@flow(name="fer-split", flow_run_name=run_name("split"), validate_parameters=False)
def split(preset: Preset = AS_CONFIGURED, config: str = "", overrides: Overrides = NO_OVERRIDES) -> dict[str, int]:
    """Give every new video a subset and write the index; returns the number of segments a subset, over all folds.

    Args:
        preset: Settings to start from; `as configured`: what the configuration file names, else `corrected`.
        config: Path of a YAML file with settings that differ from the preset's, as workers see it; may be empty.
        overrides: Single settings by dotted key, e.g. {"split.protocol": "kfold"}.
    """
    settings = settings_of(preset, config, overrides)
    layout = Layout.of(settings)
    ledger = with_corpus(read_ledger(layout.ledger, settings.corpus.emotions), settings.corpus)
    official = None
    if settings.split.protocol == "official":
        official = official_of_subjects(read_manifest(layout.manifest), settings.corpus.adapter)
    with using_shards(settings, "split"):
        subsets = update_split(ledger, settings.corpus.emotions, settings.split, layout.split, official)
        echo_look_alikes(subsets)
        counts = build_index(ledger, subsets, layout.prepared, layout.index, settings.prepare.windows)
    names = fold_names(subsets)
    for fold, rows in counts.groupby("fold"):
        where = "Split" if len(names) == 1 else f"Fold {names[fold]}"
        of_fold = rows.set_index("side").loc[list(SUBSETS)].itertuples()
        listed = (f"{subset.Index} {_people(subset.subjects)}, {subset.segments} segments" for subset in of_fold)
        echo(f"{where}: {', '.join(listed)}.")
    return counts.groupby("side")["segments"].sum().astype(int).to_dict()


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} people"
