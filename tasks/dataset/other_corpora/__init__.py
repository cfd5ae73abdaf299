"""Other corpora that a study is tested on: opened, held against its own. Nothing is written to their data roots."""
