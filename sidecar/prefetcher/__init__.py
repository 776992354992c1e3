"""The part that fills the cache: learns from reads, fetches ahead, admits, purges and warms."""
