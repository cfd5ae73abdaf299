"""Every video of a corpus becomes one shard and one outcome in the ledger."""
