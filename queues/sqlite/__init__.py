"""The queue in one SQLite file in WAL mode.

Every proxy worker puts; the sidecar's processes lease and finish, each its own kinds; the operator's command
puts, retries, revives, drops and looks.

After a crash of a process or the machine each transaction is there whole or not at all. A Misplaced record is
there once `put()` returned (synchronous=FULL); of the other records the last moments may be lost after a power
cut (NORMAL). A row whose consumer died is leased again when its lease runs out, and so is one whose consumer is
too slow: handling a record twice must do no harm. A file that cannot be used is set aside and a new one begins
(`file.py`).

Rows: the Access records of a put share rows, which costs a fraction of a row for each; a row holds at most
ROW_LIMIT records, and at most 1 / SHARES of `limit`. It is leased, given back, finished and dropped as a whole.
A record of it that cannot be handled is copied to the dead letters, and the consumer goes on with the others. A
consumer that dies before it finished the row gets all of its records again. A row that cannot be decoded is one
dead letter.

Bound: at most `limit` prefetch records. Rows beyond it are dropped, oldest first and counted: Access before
Admit, Admit before Forget, Forget before Warm; Misplaced never. An account has at most 1 / SHARES of `limit` as
Warm and Forget records, of which its own oldest are dropped: it cannot push out those of another account.

Clock: a lease or a wait for a retry holds while the clock is within its length of when it began, before or
after. Set back by less, it holds at most twice as long; set back by more, it is over at once.
"""
from .queue import SqliteQueue

__all__ = ['SqliteQueue']
