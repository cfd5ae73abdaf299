"""The corpora that have adapters of their own, and what is to be known of each."""

from tasks.config.registries import ADAPTERS, load_module
from tasks.corpus.adapters.about import About


def known_corpora() -> dict[str, About]:
    """What is to be known of each corpus, by its adapter; adapters of layouts that are nobody's own are left out."""
    modules = {name: load_module(ADAPTERS, name) for name in ADAPTERS}
    return {name: module.ABOUT for name, module in modules.items() if hasattr(module, "ABOUT")}
