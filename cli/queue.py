"""``swiftahead queue``: look at the misplaced records and dead letters of this node, retry or drop them.

Looking changes nothing: an unreadable file is reported, not set aside.
"""
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from ..conf.arguments import whole
from ..queues import Misplaced, Queue, QueueError, StoredRecord, Waker, open_queue
from .main import Absent, CommandError
from .node import CONF, settings_with_cache

KIND = Misplaced.__name__
MISPLACED, DEAD = 'misplaced', 'dead'
PAGE = 1000


def add_parsers(commands) -> None:
    queue = commands.add_parser('queue', help='look at misplaced records and dead letters, retry or drop them')
    actions = queue.add_subparsers(metavar='ACTION', required=True)
    listed = _add(actions, 'list', show_list, 'what is there, oldest first')
    listed.add_argument('--limit', type=whole(1), default=100, metavar='N',
                        help='rows at most (default: %(default)s)')
    listed.add_argument('--after', type=whole(), default=0, metavar='ID', help='only records after this one')
    _add(actions, 'show', show_one, 'all of one record').add_argument('id', type=whole(1))
    for word, handler, text in (('retry', retry, 'have records tried at once'),
                                ('drop', drop, 'forget records; nothing is done to the objects')):
        which = _add(actions, word, handler, text).add_mutually_exclusive_group(required=True)
        which.add_argument('id', type=whole(1), nargs='*', default=[])
        which.add_argument('--all', action='store_true', help='all that are there')


def _add(actions, word, handler, text):
    parser = actions.add_parser(word, help=text)
    parser.add_argument('--queue', choices=(MISPLACED, DEAD), default=MISPLACED,
                        help='misplaced: records for the mover; dead: given up records of all kinds '
                             '(default: %(default)s)')
    parser.add_argument('--conf', default=CONF, help="the sidecar's conf (default: %(default)s)")
    parser.add_argument('--json', action='store_true', help='one JSON document on standard output')
    parser.set_defaults(run=handler)
    return parser


@contextmanager
def opened(conf: str, missing: type[CommandError] = Absent) -> Iterator[Queue]:
    """Open the queue that the sidecar's conf names.

    :param missing: the error for a queue that is not there yet
    :raises CommandError: where conf or queue cannot be read; where another user owns the queue, since the files
        beside it would become this user's
    """
    queue = open_queue(settings_with_cache(conf).sidecar.queue)
    try:
        if queue.is_missing():
            raise missing(f'{queue.path} is not there yet; start swiftahead-sidecar')
        _refuse_others(queue.path)
        yield queue
    except QueueError as error:
        raise CommandError(str(error)) from None
    finally:
        queue.close()


def _refuse_others(path):
    try:
        owner = path.stat().st_uid
    except OSError:
        return
    if owner != os.geteuid():
        raise CommandError(f'{path}: run this as the user that owns it, uid {owner}')


def show_list(args) -> int:
    with opened(args.conf) as queue:
        letters = _page(queue, args.queue, args.limit, args.after)
        there = _page(queue, args.queue, 1, letters[-1].id) if letters else []
    now = time.time()
    if args.json:
        print(json.dumps({'queue': args.queue, 'records': [as_json(one) for one in letters],
                          'more': bool(there)}))
        return 0
    for one in letters:
        print(as_line(one, now))
    print(f'more with --after {letters[-1].id}' if there else f'{len(letters)} listed')
    return 0


def show_one(args) -> int:
    """Print one record.

    :raises Absent: where the queue has no record of that id; the exit code is 1 then
    """
    with opened(args.conf) as queue:
        letter = _of(queue, args.queue, args.id)
    if letter is None:
        raise Absent(f'no record {args.id} in the queue {args.queue}')
    found = as_json(letter)
    if args.json:
        print(json.dumps(found))
    else:
        told = {**found.pop('record'), **found} if isinstance(found['record'], dict) else found
        for key, value in told.items():
            print(f'{key:<13} {value}')
    return 0


def retry(args) -> int:
    """Have records tried at once.

    :returns: 1 where an id names no record, else 0
    """
    return _change(args, 'to be tried', lambda queue, ids: (
        queue.revive(ids) if args.queue == DEAD else queue.retry(ids, 0)))


def drop(args) -> int:
    """Forget records; the objects stay as they are.

    :returns: 1 where an id names no record, else 0
    """
    return _change(args, 'dropped', lambda queue, ids: (
        queue.drop(ids) if args.queue == DEAD else queue.done(ids)))


def _change(args, word, change) -> int:
    with opened(args.conf) as queue:
        letters = list(_all(queue, args.queue) if args.all else _named(queue, args.queue, args.id))
        if letters:
            change(queue, [letter.id for letter in letters])
            waker = Waker(queue.path)
            waker.wake({letter.kind for letter in letters})
            waker.close()
    ids = [letter.id for letter in letters]
    missing = [number for number in args.id if number not in ids]
    if args.json:
        print(json.dumps({'queue': args.queue, 'changed': ids, 'missing': missing}))
    else:
        for number in missing:
            print(f'no record {number} in the queue {args.queue}')
        print(f'{len(ids)} {word}')
    return 1 if missing else 0


def _page(queue, name, n, after) -> list[StoredRecord]:
    return queue.dead_letters(n, after) if name == DEAD else queue.waiting(KIND, n, after)


def _all(queue, name) -> Iterator[StoredRecord]:
    page = _page(queue, name, PAGE, 0)
    while page:
        yield from page
        page = _page(queue, name, PAGE, page[-1].id)


def _named(queue, name, ids):
    return (letter for letter in (_of(queue, name, number) for number in dict.fromkeys(ids)) if letter)


def _of(queue, name, number) -> StoredRecord | None:
    # read as a page of that queue, so that no record of the other queue is found
    found = _page(queue, name, 1, number - 1)
    return found[0] if found and found[0].id == number else None


def as_json(letter: StoredRecord) -> dict:
    """Give the record's fields, its body decoded if possible."""
    found = {**vars(letter), 'record': _record(letter)}
    del found['body']
    return found


def _record(letter):
    try:
        return json.loads(letter.body)
    except ValueError:
        return letter.body


def as_line(letter: StoredRecord, now: float) -> str:
    """Write a line for the eye; names are quoted, so that none can break it."""
    record, told = _record(letter), ''
    if isinstance(record, dict):
        names = [str(record[key]) for key in ('account', 'container', 'object') if record.get(key)]
        told = '/' + quote('/'.join(names)) if names else json.dumps(record)
        if letter.kind == KIND:
            told = f'{record.get("op")} {told} policy {record.get("policy_index")} {record.get("timestamp")}'
    held = f', held back for {letter.due - now:.0f} s' if letter.due > now else ''
    why = f': {letter.why!r}' if letter.why else ''
    return (f'{letter.id}  {letter.kind}  {told or ascii(letter.body)}  '
            f'{max(now - letter.put_at, 0):.0f} s old, {letter.tries} tries{held}{why}')
