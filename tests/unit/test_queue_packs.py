"""Packs, on their own: what they cost, that they are as good as rows, and files of two generations of programs."""
import hashlib
import random
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from helpers import ListLogger
from queue_contract import ACCESS, ADMIT, ALL_KINDS, Clock, accesses, leased
from queue_files import sql

from swiftahead.queues import SqliteQueue, decode, encode, packs, schema
from swiftahead.queues.records import decode_many, encode_many


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'queue.db'


@pytest.fixture
def make(path):
    made = []

    def make(path=path, **options):
        made.append(SqliteQueue(f'sqlite:{path}', **options))
        return made[-1]

    yield make
    for queue in made:
        queue.close()


@pytest.fixture
def queue(make):
    return make()


def count(path, table):
    return sql(path, f'SELECT count(*) FROM {table}')[0][0][0]


def test_the_reads_of_a_put_are_one_row(path, queue):
    queue.put([*accesses(0, 50), ADMIT, *accesses(50, 100)])
    assert (count(path, 'packs'), count(path, 'records')) == (1, 1)
    assert leased(queue) == [*accesses(0, 100), ADMIT]


def test_no_row_has_more_than_so_many(path, queue):
    queue.put(accesses(0, 2 * packs.MOST + 1))
    assert count(path, 'packs') == 3
    assert leased(queue, n=10_000) == accesses(0, 2 * packs.MOST + 1)


def test_what_is_leased_and_done_together_is_never_taken_apart(path, queue):
    queue.put(accesses(0, 50))
    items = queue.lease(50, 60)
    assert count(path, 'records') == 0
    queue.done([item.id for item in items])
    assert (count(path, 'packs'), queue.depth()) == (0, {'dead': 0, 'dropped': 0})


def test_what_cannot_be_decoded_is_one_dead_letter_and_stops_nobody(path, queue):
    queue.put(accesses(0, 5))
    queue.put([ADMIT])
    sql(path, """UPDATE packs SET body = '{"fields":["colour"],"rows":[["red"]]}'""")
    assert leased(queue, n=6) == [ADMIT]
    letter, = queue.dead_letters(10)
    assert letter.kind == 'Access' and 'not a record of kind Access' in letter.why
    assert queue.depth() == {'Admit': 1, 'dead': 1, 'dropped': 0}


def test_what_cannot_be_decoded_is_dropped_as_a_whole(path, make):
    queue = make(limit=10)
    queue.put(accesses(0, 10))
    sql(path, 'UPDATE packs SET body = 0')
    queue.put(accesses(10, 12))
    assert queue.depth() == {'Access': 2, 'dead': 0, 'dropped': 10}


@pytest.mark.parametrize('text', ['', '[]', '{}', '{"fields":["at"],"rows":[[1]]}',
                                  '{"fields":["at"],"rows":[[1,2]]}'])
def test_what_is_no_pack_is_refused(text):
    with pytest.raises(ValueError, match='not a record of kind Access'):
        decode_many('Access', text)


def test_a_pack_of_an_earlier_or_a_later_version_still_decodes():
    text = encode_many([ACCESS])
    assert decode_many('Access', text.replace('"outcome"', '"colour"')) == [replace(ACCESS, outcome='')]


# as good as rows

def twins(tmp_path, clock):
    """A queue that gets records as they come, and one that has each of them in a row."""
    queues = [SqliteQueue(f'sqlite:{tmp_path}/{name}.db', clock=clock) for name in ('packs', 'rows')]

    def put(records):
        queues[0].put(records)
        for record in records:
            queues[1].put([record])
    return queues, put


def step(chance, clock, queue, held):
    """One call, of those that a consumer makes. `held`: what the queue has leased, by record."""
    what = chance.choice(['lease', 'lease', 'done', 'retry', 'dead', 'revive', 'wait'])
    if what == 'lease':
        items = queue.lease(chance.randrange(1, 30), 60, ['Access', 'Admit'])
        held.update((item.record, item.id) for item in items)
        return [(item.record, item.tries) for item in items]
    first, some = chance.randrange(10), chance.randrange(1, 20)
    ids = list(held.values())[first:first + some]
    if what == 'retry':
        queue.retry(ids, clock.now + chance.choice([0, 30]))
    elif what in ('done', 'dead'):
        getattr(queue, what)(ids, *(['broken'] if what == 'dead' else []))
    elif what == 'revive':
        queue.revive([letter.id for letter in queue.dead_letters(some)])
    else:
        clock.now += 40
    return what, queue.depth(), queue.oldest(), [letter.body for letter in queue.dead_letters(1000)]


@pytest.mark.parametrize('seed', range(20))
def test_packs_are_as_good_as_rows(tmp_path, seed):
    clock, chance = Clock(), random.Random(seed)
    queues, put = twins(tmp_path, clock)
    held: tuple[dict, dict] = ({}, {})
    for number in range(0, 300, 10):
        put([*accesses(number, number + chance.randrange(10)), replace(ADMIT, spool_name=str(number))])
        again, now = chance.random(), clock.now
        seen = []
        for queue, mine in zip(queues, held, strict=True):
            clock.now = now
            seen.append(step(random.Random(again), clock, queue, mine))
        assert seen[0] == seen[1]
    for queue in queues:
        queue.close()


# generations

def begin_as_before(path):
    """A file as the first programs of this version made it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute('PRAGMA journal_mode = WAL')
        for statement in schema.SCHEMA:
            db.execute(statement)
        db.execute("INSERT INTO sqlite_sequence VALUES ('records', 4096)")
        db.execute(f'PRAGMA user_version = {schema.VERSION}')


def put_as_before(path, records):
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executemany('INSERT INTO records (kind, body, put_at) VALUES (?, ?, 0)', map(encode, records))


def test_the_tables_that_earlier_programs_look_for_are_as_they_were():
    """Another hash: they would take the file for a damaged one, and set it aside."""
    text = '\n'.join(schema.SCHEMA)
    assert (schema.VERSION, hashlib.sha256(text.encode()).hexdigest()[:16]) == (1, 'a5aa77fa83adae57')


def test_a_file_of_before_is_used_as_it_is(path, make):
    begin_as_before(path)
    put_as_before(path, accesses(0, 3))
    queue = make(logger=(logger := ListLogger()))
    queue.put(accesses(3, 9))
    put_as_before(path, accesses(9, 10))
    assert queue.depth() == {'Access': 10, 'dead': 0, 'dropped': 0}
    assert leased(queue, kinds=ALL_KINDS) == accesses(0, 10)
    assert (count(path, 'packs'), logger.said) == (1, [])


def test_programs_of_before_find_in_the_file_what_they_look_for(path, queue):
    """And none of what they bound, drop or lease stands in a row that they cannot read."""
    queue.put([*accesses(0, 5), ADMIT])
    with closing(sqlite3.connect(path)) as db:
        assert schema._expected(schema.SCHEMA) <= schema._tables(db)
        assert [decode(*row) for row in db.execute('SELECT kind, body FROM records')] == [ADMIT]
        assert db.execute("SELECT sum(value) FROM counters WHERE name IN ('Access', 'Admit')").fetchone() == (1,)


def test_reads_of_both_generations_are_bounded_together_oldest_first(path, make):
    queue = make(limit=10)
    queue.put(accesses(0, 4))
    put_as_before(path, accesses(4, 8))
    queue.put(accesses(8, 16))
    assert queue.depth() == {'Access': 10, 'dead': 0, 'dropped': 6}
    assert leased(queue) == accesses(6, 16)
