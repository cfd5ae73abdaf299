"""The runs of a study on other corpora: tested, and held against the study's own test people."""
