"""Forgetting: entries that are stale, deleted or purged leave, whatever their age."""
import os

from swift.common.concurrency import Semaphore

from ..cache import Damaged, Entry, Store
from ..cache.entry import rounded
from ..cache.reader import disk_bytes
from ..conf.names import ObjectName, to_bytes
from .evictor import Evictor, Tools
from .inventory import Inventory

FORGET_AT_A_TIME = 64


class Purge:
    """
    :param turn: whoever has it may change the folder
    """

    def __init__(self, store: Store, holdings: Inventory, evictor: Evictor, turn: Semaphore, tools: Tools):
        self._store = store
        self._holdings = holdings
        self._evictor = evictor
        self._turn = turn
        self._execute, self._count = tools.execute, tools.count

    def __call__(self, account: str, container: str, prefix: str, object: str, identity: str) -> int:
        """As `CacheManager.purge`."""
        naming = self._store.naming
        if object:
            names = [naming.entry(ObjectName(account, container, object))]
        else:
            names = self._names(naming.container(account, container))
        dropped = 0
        for begin in range(0, len(names), FORGET_AT_A_TIME):
            batch = names[begin:begin + FORGET_AT_A_TIME]
            with self._turn:
                dropped += self.drop(batch, identity or None, prefix)
        self._count('forgotten', dropped)
        return dropped

    def _names(self, container):
        """Of the container's entries: from the folder while the index does not know all."""
        if self._holdings.scan is not None:
            return self._execute(self._store.names_of, container)
        return self._execute(list, self._holdings.index.of_container(container))

    def drop(self, names: list[str], identity: str | None = None, prefix: str = '') -> int:
        """By who has the turn; of these the ones whose object begins so. Tells how many went."""
        found = self._execute(lambda: [self._unlink(name, identity, prefix) for name in names])
        for name, (_, is_gone, taken, error) in zip(names, found, strict=True):
            if is_gone or error:
                # where it cannot be looked at, what is known of it holds
                held = taken or self._holdings.size_of(name)
                self._evictor.unread.pop(name)
                self._holdings.gone(name, taken)
                if error:
                    self._evictor.cannot(self._holdings, (name, held), error)
        return sum(was_there for was_there, *_ in found)

    def _unlink(self, entry_name, identity, prefix):
        """In a thread: whether it was unlinked, whether it is not there, its bytes, and why it could not be."""
        path = self._store.layout.entry_path(entry_name)
        try:
            taken = rounded(disk_bytes(os.lstat(path)))
        except OSError:
            taken = 0
        try:
            if prefix and not _has_prefix(path, prefix):
                return False, False, taken, None
            dropped = self._store.drop(entry_name, identity)
        except OSError as error:
            return False, False, taken, error
        return dropped, dropped or not os.path.lexists(path), taken, None


def _has_prefix(path, prefix):
    try:
        entry = Entry.open(path)
    except (Damaged, OSError):
        return True
    if entry is None:
        return True
    with entry:
        return to_bytes(entry.meta.name.object).startswith(to_bytes(prefix))
