"""A trained model asked about frames that come live, and a camera as what they come from."""
