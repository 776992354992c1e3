"""Misplaced objects, which lie in another policy than their container's: ask the servers, judge, search.

The filter, the operator's scan and the mover ask `StorageServers.container_facts` for the home policy, and
`Judge.refusal` whether a copy may be moved."""
