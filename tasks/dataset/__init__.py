"""Which subject stands in which subset: folds, splits and the index; leaks and drift."""
