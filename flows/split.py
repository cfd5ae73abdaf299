"""Flow `fer-split`: ledger -> side of every video -> index."""

from prefect import flow

from flows.parameters import AS_CONFIGURED, NO_OVERRIDES, Overrides, Preset, run_name, settings_of
from tasks.config.layout import Layout
from tasks.corpus.subject_names import say_look_alikes
from tasks.dataset.index import build_index
from tasks.dataset.splits import SIDES, fold_names, update_split
from tasks.preparation.in_use import using_shards
from tasks.preparation.ledger import read_ledger
from tasks.progress import say


@flow(name="fer-split", flow_run_name=run_name("split"), validate_parameters=False)
def split(preset: Preset = AS_CONFIGURED, config: str = "", overrides: Overrides = NO_OVERRIDES) -> dict[str, int]:
    """Give every new video a side and write the index; returns the number of segments a side, over all folds.

    Args:
        preset: Settings to start from; `as configured`: what the configuration file names, else `corrected`.
        config: Path of a YAML file with settings that differ from the preset's, as workers see it; may be empty.
        overrides: Single settings by dotted key, e.g. {"split.protocol": "kfold"}.
    """
    settings = settings_of(preset, config, overrides)
    layout = Layout.of(settings)
    ledger = read_ledger(layout.ledger, settings.corpus.emotions)
    with using_shards(settings, "split"):
        sides = update_split(ledger, settings.corpus.emotions, settings.split, layout.split)
        say_look_alikes(sides)
        counts = build_index(ledger, sides, layout.prepared, layout.index)
    names = fold_names(sides)
    for fold, rows in counts.groupby("fold"):
        where = "Split" if len(names) == 1 else f"Fold {names[fold]}"
        of_fold = rows.set_index("side").loc[list(SIDES)].itertuples()
        listed = (f"{side.Index} {side.people} people, {side.segments} segments" for side in of_fold)
        say(f"{where}: {', '.join(listed)}.")
    return counts.groupby("side")["segments"].sum().astype(int).to_dict()
