"""The part that shows the figures of this node: the status page, the metrics and the report."""
