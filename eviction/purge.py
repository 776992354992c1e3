"""Purging: remove entries that are outdated, deleted or asked away, whatever their age."""
import os

from swift.common.concurrency import Semaphore

from ..cache import Damaged, Entry, Store
from ..conf.names import ObjectName, to_bytes
from .evictor import Evictor, Tools
from .inventory import Inventory

PURGE_AT_A_TIME = 64


class Purge:
    """Removes one object's entry, or the entries of a container.

    :param turn: its holder alone may change the folder
    """

    def __init__(self, store: Store, inventory: Inventory, evictor: Evictor, turn: Semaphore, tools: Tools):
        self._store = store
        self._inventory = inventory
        self._evictor = evictor
        self._turn = turn
        self._execute, self._count = tools.execute, tools.count

    def __call__(self, account: str, container: str, prefix: str, object: str, identity: str) -> int:
        """Do as `CacheManager.purge` says."""
        naming = self._store.naming
        if object:
            names = [naming.entry(ObjectName(account, container, object))]
        else:
            names = self._names(naming.container(account, container))
        dropped = 0
        for begin in range(0, len(names), PURGE_AT_A_TIME):
            with self._turn:
                dropped += self.drop(names[begin:begin + PURGE_AT_A_TIME], identity or None, prefix)
        self._count('forgotten', dropped)
        return dropped

    def _names(self, container):
        """Give the names of the container's entries: from the folders until the inventory is whole."""
        source = self._inventory.of_container if self._inventory.is_whole else self._store.names_of
        return self._execute(source, container)

    def drop(self, names: list[str], identity: str | None = None, prefix: str = '') -> int:
        """Unlink the named entries whose object begins with `prefix`, and tell how many went.

        Only the holder of the turn calls it.
        """
        found = self._execute(lambda: [self._unlink(name, identity, prefix) for name in names])
        for name, (_, is_gone, error) in zip(names, found, strict=True):
            if is_gone or error:
                self._evictor.unread.pop(name)
            if error:
                self._evictor.cannot(name, error)
            elif is_gone:
                self._inventory.gone(name)
        return sum(was_there for was_there, *_ in found)

    def _unlink(self, entry_name, identity, prefix):
        """Tell whether the entry was unlinked, whether there is none now, and why it could not be unlinked."""
        path = self._store.layout.entry_path(entry_name)
        try:
            if prefix and not _has_prefix(path, prefix):
                return False, False, None
            dropped = self._store.drop(entry_name, identity)
        except OSError as error:
            return False, False, error
        return dropped, dropped or not os.path.lexists(path), None


def _has_prefix(path, prefix):
    """Tell whether the entry's object begins with `prefix`; True where the entry cannot be read."""
    try:
        entry = Entry.open(path)
    except (Damaged, OSError):
        return True
    if entry is None:
        return True
    with entry:
        return to_bytes(entry.meta.name.object).startswith(to_bytes(prefix))
