"""Corpora from films and the internet: nobody is named, and official lists put clips into folds."""
