"""The syncer: keep containers in step with those of other clusters, by Swift's own container-sync protocol."""
