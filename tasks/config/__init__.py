"""What a study is asked to be: settings, presets, and the digests and paths that follow from them."""
