"""Eviction: what leaves the cache, and what may come in."""
