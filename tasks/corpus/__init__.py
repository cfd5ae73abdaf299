"""Which videos there are, whom they show and how they are labelled: the manifest, adapters and the drawn sample."""
