"""The part that tells: the status page, the metrics and the report."""
