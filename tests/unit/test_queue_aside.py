"""Files that cannot be used: set aside by one, left behind by all. F10, F11."""
import contextlib
import os

import pytest
from helpers.common.builders import ListLogger
from helpers.queue.queue_contract import ACCESS, ADMIT, MISPLACED, Clock, leased, makes
from helpers.queue.queue_files import asides, fill, in_child, patch, sql

from swiftahead.queues import QueueError, open_queue
from swiftahead.queues.sqlite.file import KEPT, PAUSE


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'queue.db'


@pytest.fixture
def logger():
    return ListLogger()


@pytest.fixture
def make(path, logger):
    with makes(f'sqlite:{path}', logger=logger) as make:
        yield make


def until_it_works(queue):
    """Put and lease; the call that finds damage fails, and there are three that may: all that is leased."""
    for _ in range(3):
        with contextlib.suppress(QueueError):
            queue.put([ADMIT])
            return leased(queue, n=10_000)
    queue.put([ADMIT])
    return leased(queue, n=10_000)


def zero_pages(path):
    size = path.stat().st_size
    patch(path, 4096, bytes(size - 4096))


def one_page_of_noise(path):
    for page in range(1, path.stat().st_size // 4096):
        patch(path, 4096 * page + 8, b'\xff' * 200)


def other_tables(path):
    sql(path, 'DROP TRIGGER row_comes', 'DROP INDEX by_due', 'ALTER TABLE records DROP COLUMN due')


DAMAGES = {
    'not a database': lambda path: path.write_bytes(b'not a database' * 10_000),
    'zeros': lambda path: path.write_bytes(bytes(10_000)),
    'pages of zeros': zero_pages,
    'pages of noise': one_page_of_noise,
    'cut in half': lambda path: os.truncate(path, path.stat().st_size // 2),
    'cut in mid-page': lambda path: os.truncate(path, 5000),
    'cut in the header': lambda path: os.truncate(path, 50),
    'tables of somebody else': lambda path: sql(path, 'PRAGMA user_version = 0'),
    'a table less': lambda path: sql(path, 'DROP TABLE dead'),
    'a column less': lambda path: sql(path, 'DROP INDEX by_account', 'ALTER TABLE records RENAME account TO x'),
    'rows that nobody counts': lambda path: sql(path, 'DROP TRIGGER row_goes'),
    'version -1': lambda path: sql(path, 'PRAGMA user_version = -1'),
}


@pytest.mark.holds('F10')
@pytest.mark.parametrize('damage', DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_queue_is_set_aside(path, make, logger, damage):
    fill(path)
    damage(path)
    content = path.read_bytes()
    queue = make()
    assert ADMIT in until_it_works(queue)
    aside, = asides(path)
    assert aside.name.startswith('queue.db.damaged-')
    assert aside.read_bytes() == content
    assert len(logger.said) == 1 and str(aside) in logger.said[0]


@pytest.mark.holds('F10')
def test_queue_from_the_future_is_set_aside(path, make, logger):
    fill(path)
    sql(path, 'PRAGMA user_version = 99')
    queue = make(clock=Clock())
    queue.put([ADMIT])
    assert leased(queue) == [ADMIT]
    aside, = asides(path)
    assert aside.name == 'queue.db.version-99-1800000000'
    assert sql(aside, 'PRAGMA user_version', 'SELECT sum(holds) FROM records') == [[(99,)], [(1010,)]]
    assert 'of version 99' in logger.said[0] and len(logger.said) == 1


def test_a_queue_of_an_earlier_version_is_set_aside(path, make, logger):
    sql(path, 'CREATE TABLE records (id INTEGER PRIMARY KEY)', 'PRAGMA user_version = 1')
    make(clock=Clock()).put([ADMIT])
    assert [aside.name for aside in asides(path)] == ['queue.db.version-1-1800000000']
    assert len(logger.said) == 1 and 'of version 1, this program knows 2' in logger.said[0]


def test_an_empty_file_is_a_new_queue(path, make, logger):
    path.touch()
    queue = make()
    queue.put([ADMIT])
    assert (leased(queue), logger.said, asides(path)) == ([ADMIT], [], [])


def test_more_tables_are_no_damage(path, make, logger):
    fill(path)
    sql(path, 'CREATE TABLE notes (text)')
    make().put([ADMIT])
    assert logger.said == []


@pytest.mark.holds('F10')
def test_a_header_with_any_byte_changed_does_not_stop_the_queue(tmp_path):
    """But the two that stand for formats which SQLite may not write, or not read: it calls neither damage."""
    fill(tmp_path / 'whole.db')
    whole = (tmp_path / 'whole.db').read_bytes()
    for at in set(range(100)) - {18, 47}:
        path = tmp_path / f'{at}' / 'queue.db'
        path.parent.mkdir()
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1:])
        queue = open_queue(f'sqlite:{path}', logger=ListLogger())
        assert ADMIT in until_it_works(queue), at
        queue.close()


def test_damage_that_is_found_after_opening_is_set_aside_and_left_by_all(path, make, logger):
    fill(path)
    first, second = make(), make()
    first.put([ADMIT])
    second.lease(1, 60)
    zero_pages(path)
    with pytest.raises(QueueError, match='malformed'):
        make().lease(10_000, 60)
    first.put([ADMIT])
    assert leased(second) == [ADMIT]
    assert len(asides(path)) == len(logger.said) == 1


def test_who_has_the_old_file_open_follows_to_the_new_one(path, make, logger):
    running = make()
    running.put([ACCESS])
    sql(path, 'PRAGMA user_version = 99')
    fresh = make()
    fresh.put([ADMIT])
    running.put([MISPLACED])
    assert leased(fresh) == [ADMIT, MISPLACED]
    running.close()
    fresh.put([ADMIT])
    assert leased(make()) == [ADMIT]
    assert len(logger.said) == 1


def test_closing_the_old_file_takes_nothing_from_the_new_one(path, make):
    """SQLite's last one out removes the -wal, by its name."""
    idle = make()
    idle.put([ACCESS])
    sql(path, 'PRAGMA user_version = 99')
    make().put([MISPLACED])
    idle.close()
    assert leased(make(), seconds=0) == [MISPLACED]
    assert in_child(lambda: sql(path, 'INSERT INTO records (kind, body, put_at) VALUES ("x", "", 0)')) == 0
    assert make().depth()['Misplaced'] == make().depth()['x'] == 1


def test_what_is_put_into_a_file_while_it_is_moved_away_is_an_error(path, make):
    class Moving(list):
        def __iter__(self):
            if path.exists():
                path.rename(f'{path}-moved')
            return super().__iter__()

    queue = make()
    queue.put([ADMIT])
    with pytest.raises(QueueError, match='moved away'):
        queue.put(Moving([MISPLACED]))
    queue.put([MISPLACED])
    assert leased(queue) == [MISPLACED]


def test_ids_of_a_file_that_was_set_aside_do_not_come_again(path, make):
    queue = make()
    queue.put([ACCESS] * 10)
    old = [item.id for item in queue.lease(10, 60)]
    sql(path, 'PRAGMA user_version = 99')
    make().put([MISPLACED] * 10)
    queue.done(old)
    assert len(leased(queue)) == 10


def test_reading_sets_nothing_aside(path, make, logger):
    path.write_bytes(b'not a database' * 100)
    for name, *args in (('depth',), ('oldest',), ('dead_letters', 1), ('waiting', 'Misplaced', 1), ('revive', [1]),
                        ('drop', [1])):
        with pytest.raises(QueueError, match='not a database'):
            getattr(make(), name)(*args)
    assert (asides(path), logger.said) == ([], [])


def test_reading_begins_no_file(path, make):
    assert make().depth() == {'dead': 0, 'dropped': 0}
    assert make().dead_letters(10) == []
    assert list(path.parent.iterdir()) == []


def test_one_file_is_set_aside_in_a_while(path, make, logger):
    """Two versions that run together, or a disk that damages all it gets, make neither a flood nor a heap."""
    clock = Clock()
    queue = make(clock=clock)
    for _ in range(KEPT + 3):
        for _ in range(3):
            sql(path, 'PRAGMA user_version = 99')
            queue.close()
            with contextlib.suppress(QueueError):
                queue.put([ADMIT])
            clock.now += PAUSE / 3
    assert len(logger.said) == KEPT + 3
    assert len(asides(path)) == KEPT
    assert max(asides(path)).name == f'queue.db.version-99-{int(clock.now - PAUSE)}'


