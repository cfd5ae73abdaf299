"""Adapters: one corpus layout each, turned into the same records.

An adapter is a function `read(corpus: CorpusSettings) -> list[SourceVideo]`; `tasks.config.registries` names them. What
only its corpus has to be told is a setting of its class `Options`.
"""
