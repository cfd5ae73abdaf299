"""Files of a data root, in a folder or an object store: whole or not there. Knows nothing of videos."""
