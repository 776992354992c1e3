"""What lies in another policy than its container's: the servers that know of it, asked one by one, and the rule by
which it may be brought home. For whoever looks: the filter after a read in vain, and the operator's scan."""
