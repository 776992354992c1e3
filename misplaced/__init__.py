"""Misplaced objects, which lie in another policy than their container's: ask the servers, judge, search.

The filter, the operator's scan and the mover take from here which policy is home, and what may be moved."""
