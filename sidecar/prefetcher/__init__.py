"""The part that fills the cache: it learns from reads, fetches ahead, admits, purges and warms."""
