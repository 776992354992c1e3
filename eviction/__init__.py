"""Eviction: choose the entries to evict and the misses to keep, and link, count and unlink entries."""
