"""Fills and their followers, with real files and real green threads."""
import errno
import os

import pytest
from helpers.common.builders import meta_for
from swift.common.concurrency import GreenPool, Queue, Timeout, sleep, spawn

from swiftahead.cache import Damaged, Store
from swiftahead.middleware.hit import EntryBody
from swiftahead.middleware.tee import BackendBroke, Tee

BODY = os.urandom(300_000)


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / 'cache')


class Backend:
    """A body that gives what it is told to, when it is told to; an exception is raised."""

    def __init__(self):
        self.queue = Queue()
        self.closed = False

    def __iter__(self):
        while (item := self.queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self):
        self.closed = True


class Ended(list):
    def __call__(self, tee):
        self.append(tee)


def no_rest(start, stop):
    raise AssertionError('the backend was asked again')
    yield


def make(store, backend, body=BODY, ended=None):
    return Tee(store.writer(meta_for(body)), '200 OK', [], backend, None,
                ended if ended is not None else Ended())


def pieces(body=BODY, size=50_000):
    return [body[start:start + size] for start in range(0, len(body), size)]


def test_a_follower_reads_along(store):
    backend, ended = Backend(), Ended()
    tee = make(store, backend, ended=ended)
    follower = tee.follow(no_rest, first=True)
    thread = spawn(tee.run)
    got, parts = b'', iter(follower)
    for piece in pieces():
        backend.queue.put(piece)
        got += next(parts)
    backend.queue.put(None)
    assert got + b''.join(parts) == BODY
    follower.close()
    thread.wait()
    assert ended == [tee] and tee.complete and backend.closed
    store.admit(tee.writer.name)


def test_an_empty_body_is_a_fill_too(store):
    tee = make(store, [], b'')
    follower = tee.follow(no_rest, first=True)
    spawn(tee.run)
    assert b''.join(follower) == b''
    sleep(0)
    assert tee.complete
    follower.close()


def test_a_client_that_hangs_up_harms_no_one(store):
    backend = Backend()
    tee = make(store, backend)
    leaver, stayer = tee.follow(no_rest, first=True), tee.follow(no_rest, first=True)
    spawn(tee.run)
    backend.queue.put(BODY[:1000])
    assert next(iter(leaver)) == BODY[:1000]
    leaver.close()
    for item in (BODY[1000:], None):
        backend.queue.put(item)
    assert b''.join(stayer) == BODY
    stayer.close()
    assert tee.complete


def test_the_fill_goes_on_when_every_client_has_gone(store):
    backend, ended = Backend(), Ended()
    tee = make(store, backend, ended=ended)
    follower = tee.follow(no_rest, first=True)
    thread = spawn(tee.run)
    follower.close()
    for item in (BODY, None):
        backend.queue.put(item)
    thread.wait()
    assert ended[0].complete
    store.admit(tee.writer.name)


def test_a_slow_client_does_not_slow_the_fill(store):
    tee = make(store, pieces())
    follower = tee.follow(no_rest, first=True)
    spawn(tee.run).wait()
    assert tee.complete
    assert b''.join(follower) == BODY
    follower.close()


def test_many_clients_read_one_fill(store):
    backend = Backend()
    tee = make(store, backend)
    pool = GreenPool()
    readers = [pool.spawn(lambda: b''.join(tee.follow(no_rest, first=True))) for _ in range(50)]
    spawn(tee.run)
    for item in [*pieces(), None]:
        backend.queue.put(item)
        sleep(0)
    assert all(reader.wait() == BODY for reader in readers)


@pytest.mark.parametrize('last', [OSError(errno.ECONNRESET, 'reset'), ValueError('else'), None],
                         ids=['reset', 'error', 'short'])
def test_when_the_backend_breaks_off_the_client_fails_as_without_us(store, last):
    backend, ended = Backend(), Ended()
    tee = make(store, backend, ended=ended)
    follower = tee.follow(no_rest, first=True)
    spawn(tee.run)
    for item in (BODY[:70_000], last):
        backend.queue.put(item)
    got = []
    with pytest.raises(BackendBroke):
        got.extend(follower)
    assert b''.join(got) == BODY[:70_000]
    follower.close()
    assert not ended[0].complete and list(store.spool_files()) == []


def test_a_backend_that_sends_too_much_is_not_kept(store):
    tee = make(store, [BODY, b'x'])
    follower = tee.follow(no_rest, first=True)
    spawn(tee.run)
    with pytest.raises(BackendBroke):
        b''.join(follower)
        tee.wait()
    follower.close()
    assert not tee.complete and list(store.spool_files()) == []


def test_when_the_disk_fails_each_client_goes_on_from_the_backend(store):
    backend, ended = Backend(), Ended()
    tee = make(store, backend, ended=ended)

    def rest(start, stop):
        yield BODY[start:stop]

    follower = tee.follow(rest)
    spawn(tee.run)
    backend.queue.put(BODY[:70_000])
    parts = iter(follower)
    got = next(parts)
    write = tee.writer.write

    def full(data):
        write(data[:10])
        raise OSError(errno.ENOSPC, 'full')

    tee.writer.write = full
    backend.queue.put(BODY[70_000:])
    assert got + b''.join(parts) == BODY
    follower.close()
    assert not tee.complete and tee.disk_error is not None
    assert backend.closed and list(store.spool_files()) == []


def test_a_disk_that_is_read_only_by_now_leaves_nobody_waiting(store):
    backend, ended = Backend(), Ended()
    tee = make(store, backend, ended=ended)

    def rest(start, stop):
        yield BODY[start:stop]

    follower = tee.follow(rest)
    thread = spawn(tee.run)

    def read_only(*_):
        raise OSError(errno.EROFS, 'read-only')

    tee.writer.write = read_only
    path, tee.writer.path = tee.writer.path, store.layout.objects / '00'
    backend.queue.put(BODY)
    with Timeout(20):
        assert b''.join(follower) == BODY
        thread.wait()
    follower.close()
    assert ended == [tee]
    path.unlink()


def test_a_spool_that_cannot_be_read_is_replaced_by_the_backend(store):
    tee = make(store, pieces())

    def rest(start, stop):
        yield BODY[start:stop]

    follower = tee.follow(rest)
    spawn(tee.run).wait()

    def broken(start, stop):
        raise OSError(errno.EIO, 'broken')

    tee.writer.read = broken
    assert b''.join(follower) == BODY
    follower.close()


def linked_body(store, rest, damage):
    name = make(store, [BODY])
    name.run()
    linked = store.admit(name.writer.name)
    path = store.layout.entry(linked.entry_name)
    if damage is not None:
        with open(path, 'r+b') as file:
            file.seek(4096 + damage)
            file.write(b'\0\1\2\3')
    noted = []
    return EntryBody(store.entry(meta_for(BODY).name), rest, noted.append), noted


def test_a_bad_block_is_never_sent_the_rest_comes_from_the_backend(store):
    asked = []

    def rest(start, stop):
        asked.append((start, stop))
        yield BODY[start:stop]

    body, noted = linked_body(store, rest, damage=150_000)
    assert b''.join(body) == BODY
    assert asked == [(131072, len(BODY))]
    assert isinstance(noted[0], Damaged)


def test_a_range_before_the_bad_block_needs_no_backend(store):
    body, noted = linked_body(store, no_rest, damage=150_000)
    assert b''.join(body.app_iter_range(10, 65_000)) == BODY[10:65_000]
    assert noted == []


def test_several_ranges(store):
    body, _ = linked_body(store, no_rest, damage=None)
    text = b''.join(body.app_iter_ranges([(0, 5), (100_000, 100_005)], b'text/plain', b'B', len(BODY)))
    assert text.count(b'--B') == 3
    assert BODY[:5] in text and BODY[100_000:100_005] in text
