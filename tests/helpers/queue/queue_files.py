"""What several tests do with the queue's file."""
import contextlib
import os
import sqlite3

from helpers.queue.queue_contract import MISPLACED, accesses

from swiftahead.queues import open_queue


def in_child(function, *args) -> int:
    """Run it in a process that ends without closing anything; its exit status."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            function(*args)
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1]


def sql(path, *statements):
    """As another program would; leaves no -wal."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        return [db.execute(statement).fetchall() for statement in statements]


def fill(path):
    """A queue of some hundred records in several pages, closed."""
    queue = open_queue(f'sqlite:{path}')
    for number in range(10):
        queue.put([*accesses(100 * number, 100 * number + 100), MISPLACED])
    queue.close()


def patch(path, at, data):
    """Overwrite in place, in a process of its own: closing the file would free the locks of this one."""
    assert in_child(lambda: os.pwrite(os.open(path, os.O_RDWR), data, at)) == 0


def asides(path):
    return sorted(found for found in path.parent.glob('queue.db.*-*') if found.suffix != '.lock'
                  and not found.name.endswith(('-wal', '-shm', '-journal')))
