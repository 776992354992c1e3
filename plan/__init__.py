"""Simulate for ``swiftahead plan``: replay logs through the caches that an operator could buy."""
