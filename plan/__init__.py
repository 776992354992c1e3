"""The simulator behind ``swiftahead plan``: logs replayed through the caches that an operator could buy."""
