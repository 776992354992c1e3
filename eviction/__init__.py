"""Eviction: which entries leave the cache, and which may come in."""
