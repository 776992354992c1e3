"""Rows that several records share, on their own: what they cost, and that none of their records is lost."""
import random
from dataclasses import replace

import pytest
from helpers.queue.queue_contract import ACCESS, ADMIT, Clock, accesses, leased, makes
from helpers.queue.queue_files import sql

from swiftahead.queues.records import decode_row, encode_row
from swiftahead.queues.sqlite.queue import ROW_LIMIT, SHARES


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'queue.db'


@pytest.fixture
def make(path):
    with makes(f'sqlite:{path}') as make:
        yield make


@pytest.fixture
def queue(make):
    return make()


def holds(path):
    return [held for held, in sql(path, 'SELECT holds FROM records ORDER BY id')[0]]


def test_the_reads_of_a_put_are_one_row(path, queue):
    queue.put([*accesses(0, 50), ADMIT, *accesses(50, 100)])
    assert holds(path) == [100, 1]
    assert leased(queue) == [*accesses(0, 100), ADMIT]


def test_no_row_has_more_than_so_many(path, queue):
    queue.put(accesses(0, 2 * ROW_LIMIT + 1))
    assert holds(path) == [ROW_LIMIT, ROW_LIMIT, 1]
    assert leased(queue, n=10_000) == accesses(0, 2 * ROW_LIMIT + 1)


def test_no_row_has_more_than_its_share_of_the_queue(path, make):
    queue = make(limit=10 * SHARES)
    queue.put(accesses(0, 10 * SHARES + 1))
    assert holds(path) == [10] * (SHARES - 1) + [1]
    assert queue.depth() == {'Access': 10 * SHARES - 9, 'dead': 0, 'dropped': 10}


def test_a_row_that_cannot_be_decoded_is_one_dead_letter_and_stops_nobody(path, queue):
    queue.put(accesses(0, 5))
    queue.put([ADMIT])
    sql(path, """UPDATE records SET body = '{"fields":["colour"],"rows":[["red"]]}' WHERE holds > 1""")
    assert leased(queue, n=6) == [ADMIT]
    letter, = queue.dead_letters(10)
    assert letter.kind == 'Access' and 'not a record of kind Access' in letter.why
    assert queue.depth() == {'Admit': 1, 'dead': 1, 'dropped': 0}


def test_a_row_that_cannot_be_decoded_is_dead_again_when_it_is_revived(path, queue):
    queue.put(accesses(0, 5))
    sql(path, 'UPDATE records SET body = 0')
    assert leased(queue) == []
    queue.revive([queue.dead_letters(1)[0].id])
    assert (leased(queue), queue.depth()) == ([], {'dead': 1, 'dropped': 0})


def test_a_row_that_cannot_be_decoded_is_dropped_as_others_are(path, make):
    queue = make(limit=100)
    queue.put(accesses(0, 5))
    sql(path, 'UPDATE records SET body = 0')
    queue.put(accesses(5, 105))
    assert queue.depth() == {'Access': 100, 'dead': 0, 'dropped': 5}
    assert leased(queue) == accesses(5, 105)


@pytest.mark.parametrize('text', ['', '[]', '{}', '{"fields":["at"],"rows":[[1]]}',
                                  '{"fields":["at"],"rows":[[1,2]]}'])
def test_a_text_that_is_no_row_is_refused(text):
    with pytest.raises(ValueError, match='not a record of kind Access'):
        decode_row('Access', text, 2)


def test_a_row_of_an_earlier_or_a_later_version_still_decodes():
    _, text = encode_row([ACCESS] * 2)
    assert decode_row('Access', text.replace('"outcome"', '"colour"'), 2) == [replace(ACCESS, outcome='')] * 2


# whatever a consumer does

def step(chance, clock, queue, ended):
    """Lease, and do one thing with what came, or die. `ended`: the records that were done or are dead letters."""
    items = queue.lease(chance.randrange(1, 30), 60, ['Access', 'Admit'])
    failed = chance.sample(items, chance.randrange(min(len(items), 3) + 1))
    match chance.choice(['done', 'retry', 'die']):
        case 'done':
            queue.dead(failed, 'broken')
            queue.done([item.id for item in items])
            ended.update(item.record for item in items)
        case 'retry':
            queue.retry([item.id for item in items], clock.now + chance.choice([0, 30]))
    clock.now += chance.choice([0, 40])


@pytest.mark.parametrize('seed', range(20))
def test_every_record_is_given_until_it_is_done_and_never_after(make, seed):
    clock, chance, ended = Clock(), random.Random(seed), set()
    queue, put = make(clock=clock), set()
    for number in range(0, 300, 10):
        records = [*accesses(number, number + chance.randrange(10)), replace(ADMIT, spool_name=str(number))]
        queue.put(records)
        put.update(records)
        step(chance, clock, queue, ended)
    clock.now += 60
    left = leased(queue)
    assert len(left) == len(set(left)) and set(left) == put - ended
    assert sum(queue.depth().get(kind, 0) for kind in ('Access', 'Admit')) == len(left) > 0
