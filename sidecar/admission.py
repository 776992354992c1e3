"""Which captured misses are kept: all, or those of objects that were read before, not long ago.

The filter captures a miss before anybody here knows of it: one that is not kept has cost what a capture costs, and
spares room, and what would be evicted for it. To ask first would cost each miss a look into a table that all
workers share. What is fetched ahead, whole or to warm is not subject to it, nor is what replaces an entry.

Who reads along with a miss asks for no capture, and so is one read with it. What was read is remembered in memory
alone: after a start all are read for the first time once more.
"""
from collections.abc import Callable

from ..cache import Store
from ..cache.policies import ADMISSIONS, admits_all


class Admission:
    """
    :param rule: a name of `ADMISSIONS`
    :param is_here: whether there is an entry of this name
    :param execute: runs a blocking call
    """

    def __init__(self, rule: str, store: Store, is_here: Callable[[str], bool], execute: Callable):
        self._knows = ADMISSIONS[rule]()
        self._store = store
        self._is_here = is_here
        self._execute = execute

    def read(self, entry_name: str) -> None:
        """It was a hit."""
        self._knows(entry_name)

    def refuses(self, spool_name: str) -> bool:
        """Whether a spool file was of a miss that is not to be kept; then it is gone."""
        if self._knows is admits_all:
            return False
        meta = self._execute(self._store.spooled_meta, spool_name)
        # what cannot be read is left to those who say why
        if meta is None or meta.origin != 'read' or self._is_known(self._store.naming.entry(meta.name)):
            return False
        self._execute(self._store.discard, spool_name)
        return True

    def _is_known(self, entry_name):
        # asked first, since it is read, whatever else is so
        return self._knows(entry_name) or self._is_here(entry_name)
