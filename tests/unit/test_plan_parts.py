"""Listings, and samples of long traces."""
import gzip
from dataclasses import replace

import pytest

from swiftahead.plan.accesslog import LogRead
from swiftahead.plan.listing import Listing, sizes
from swiftahead.plan.replay import Counts
from swiftahead.plan.sample import PartLearner, TracePart, estimate, parts_of
from swiftahead.plan.traces import LogError, Trace

TRACE = Trace('t.csv', is_log=False, reads=[
    LogRead(0, '', '', '', 'a', 10), LogRead(1, '', '', '', 'b,c', 30), LogRead(2, '', '', '', 'd', 90)])
LOG = Trace('access.log', [LogRead(0, '', 'AUTH_a', 'c', 'x/y', 10)], is_log=True)


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / 'names'
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)
    return write


# listings

def names(path, trace=TRACE):
    return {key[2]: size for key, size in Listing(path).of([trace])[0].items()}


@pytest.mark.parametrize('pack', [bytes, gzip.compress])
def test_a_listing_has_a_name_in_each_line(write, pack):
    found = names(write(pack(b'b,c\r\na\n\nnever\n')))
    assert list(found) == ['b,c', 'a', 'never'] and (found['b,c'], found['a']) == (30, 10)


def test_unknown_sizes_are_spread_as_those_of_what_was_read(write):
    found = names(write('a\n' + ''.join(f'never{number}\n' for number in range(300))))
    assert all(70 < list(found.values()).count(size) < 130 for size in (10, 30, 90))


def test_a_listing_may_tell_sizes(write):
    assert names(write('bytes,object\n5,a\n7,"never, read"\n')) == {'a': 10, 'never, read': 7}


def test_in_a_listing_for_logs_names_are_whole_paths(write):
    path = write('AUTH_a/c/x/y\n/v1/AUTH_a/c/z\nAUTH_a/c\n')
    assert Listing(path).of([LOG]) == [{('AUTH_a', 'c', 'x/y'): 10, ('AUTH_a', 'c', 'z'): 10}]


def test_in_a_listing_for_s3_a_bucket_stands_where_it_is_read_as_one(write):
    """Of its account the log tells nothing."""
    reads = [LogRead(0, '', '', 'bucket', 'x/y', 10), LogRead(0, '', 'AUTH_a', 'c', 'z', 20)]
    log = Trace('access.log', reads, True)
    path = write('bucket/x/y\n/bucket/more\nAUTH_a/c/z\nother/c/z\nbucket\nbucket/\n')
    assert Listing(path).of([log])[0].keys() == {
        ('', 'bucket', 'x/y'), ('', 'bucket', 'more'), ('AUTH_a', 'c', 'z')}


@pytest.mark.parametrize('text, rule', [
    ('', 'no names in it'), ('object,bytes\n', 'no names in it'),
    *((f'object,bytes\nb,1\n{line}\n', 'line 3 does not fit the header')
      for line in ('a,1,2', 'a', 'a,x', 'a,-1'))])
def test_a_listing_that_is_of_no_use(write, text, rule):
    with pytest.raises(LogError, match=f'names: .*{rule}'):
        Listing(write(text))


@pytest.mark.parametrize('trace, how', [(TRACE, 'they must be as in the trace'),
                                        (LOG, 'they must be account/container/object')])
def test_a_listing_of_something_else_is_told(write, trace, how):
    with pytest.raises(LogError, match=f'none of its names was read; .*{how}'):
        Listing(write('other\n')).of([trace])


def test_a_listing_may_be_of_one_trace_alone(write):
    assert Listing(write('a\n')).of([LOG, TRACE]) == [None, {('', '', 'a'): 10}]


def test_a_listing_that_is_not_there(tmp_path):
    with pytest.raises(LogError, match='none: No such file'):
        Listing(str(tmp_path / 'none'))


# samples

def reads(clients, each):
    return [LogRead(number, f'client{number % clients}', '', '', f'o{number % 7}', 10) for number in
            range(clients * each)]


def chosen(part, trace):
    return [read for read, is_in in zip(trace, part.flags, strict=True) if is_in]


def test_a_part_and_its_half_have_as_many_reads_as_wanted():
    part, half = parts_of(reads(2000, 5), 3000)
    assert part.share == pytest.approx(0.2, abs=0.03) and half.share == pytest.approx(0.1, abs=0.03)
    assert all(in_part for in_part, in_half in zip(part.flags, half.flags, strict=True) if in_half)


def test_a_part_has_all_reads_of_some_clients():
    trace = reads(100, 5)
    clients = {read.client for read in chosen(parts_of(trace, 150)[0], trace)}
    assert len(chosen(parts_of(trace, 150)[0], trace)) == 5 * len(clients)


def test_the_clients_of_a_part_are_not_the_first_ones():
    trace = reads(1000, 2)
    numbers = [int(read.client[6:]) for read in chosen(parts_of(trace, 600)[0], trace)]
    assert 0.4 < len([number for number in numbers if number >= 500]) / len(numbers) < 0.6


def test_of_one_client_with_all_the_reads_whole_runs_are_taken():
    trace = reads(1, 4000)
    flags = parts_of(trace, 3000, run=10)[0].flags
    assert 0.4 < sum(flags) / 4000 < 0.6
    assert all(len(set(flags[begin:begin + 10])) == 1 for begin in range(0, 4000, 10))


def test_of_few_reads_by_one_client_there_is_a_part_too():
    part, half = parts_of(reads(1, 2000), 1000)
    assert 0.2 < part.share < 0.5 and 0.05 < half.share < 0.3


class Told:
    """A learner that keeps what it was told."""

    def __init__(self):
        self.reads = []

    def observe(self, read):
        self.reads.append(read)
        return [read]


def test_a_parts_learner_is_told_the_same_reads_in_each_pass():
    told = Told()
    learner = PartLearner(told, TracePart(bytearray((0, 1, 1, 0))))
    assert [learner.observe(number) for number in range(8)] == [[], [1], [2], [], [], [5], [6], []]
    assert told.reads == [1, 2, 5, 6]


PLAIN = Counts(requests=1000, hits=500, bytes=1000, hit_bytes=500, backend_gets=500)
PARTS = [TracePart(bytearray((1, 0, 0, 0))), TracePart(bytearray((1, *([0] * 7))))]


def test_what_a_part_gains_is_multiplied():
    found, _ = estimate(PLAIN, [replace(PLAIN, hits=550, prefetched=60, used=50, backend_gets=510)] * 2, PARTS)
    assert found == replace(PLAIN, hits=700, prefetched=240, used=200, backend_gets=540)


def test_the_error_is_what_doubling_changed_for_each_doubling_to_come():
    one, other = replace(PLAIN, hits=550, hit_bytes=550, prefetched_bytes=50), replace(PLAIN, hits=520)
    _, off = estimate(PLAIN, [one, other], PARTS)
    assert off == pytest.approx(((200 - 160) / 1000 * 2, 200 / 1000 * 2, 2.0))


def test_an_estimate_is_not_above_all():
    found, _ = estimate(PLAIN, [replace(PLAIN, hits=900, hit_bytes=900)] * 2, PARTS)
    assert (found.hits, found.hit_bytes) == (1000, 1000)


def test_from_no_reads_nothing_is_told():
    assert estimate(PLAIN, [PLAIN, PLAIN], [TracePart(bytearray(4))] * 2) == (PLAIN, (1, 1, 1))


def test_an_object_counts_at_its_largest():
    reads = [LogRead(at, '', '', '', 'x', size) for at, size in enumerate((5, 9, 7))]
    assert sizes(reads) == {('', '', 'x'): 9}
