"""Which subject stands on which side: folds, splits and the index; leaks and drift."""
