import os

import pytest
from helpers.common.builders import NAME, NOW, link, meta_for, spool

from swiftahead.cache import Damaged, Entry, NoRoom, Stamp, Store
from swiftahead.cache.entry import BLOCK, PAGE
from swiftahead.conf.names import ObjectName

BODIES = [b'', b'x', b'a' * BLOCK, os.urandom(BLOCK + 1), os.urandom(5 * BLOCK + 17)]


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / 'cache')


def read(entry, start=0, stop=None):
    return b''.join(entry.blocks(start, entry.meta.body_length if stop is None else stop))


@pytest.mark.parametrize('body', BODIES, ids=len)
def test_what_was_written_is_read(store, body):
    link(store, body)
    with store.entry(NAME) as entry:
        assert read(entry) == body
        assert entry.meta == meta_for(body)


def test_the_body_begins_at_a_page(store):
    writer = store.writer(meta_for(b'abc'))
    assert writer.body_offset % PAGE == 0
    writer.abort()
    writer.close()


@pytest.mark.parametrize('start, stop', [(0, 1), (BLOCK - 1, BLOCK + 1), (BLOCK, 2 * BLOCK), (7, 7),
                                         (3 * BLOCK + 5, 5 * BLOCK + 17), (5 * BLOCK + 16, 5 * BLOCK + 17)])
def test_parts_are_read(store, start, stop):
    body = BODIES[-1]
    link(store, body)
    with store.entry(NAME) as entry:
        assert read(entry, start, stop) == body[start:stop]


def test_writing_in_odd_pieces_gives_the_same_file(store):
    body = BODIES[-1]
    whole, pieces = store.writer(meta_for(body)), store.writer(meta_for(body))
    whole.write(body)
    for start in range(0, len(body), 7919):
        pieces.write(body[start:start + 7919])
    for writer in (whole, pieces):
        writer.finish()
        writer.close()
    assert whole.path.read_bytes() == pieces.path.read_bytes()


def test_bytes_can_be_read_while_the_rest_is_awaited(store):
    writer = store.writer(meta_for(b'abcdef'))
    writer.write(b'abc')
    assert writer.read(1, 6) == b'bc'
    writer.abort()
    assert writer.read(0, 2) == b'ab'
    writer.close()


def test_a_header_with_something_missing_is_damaged_and_with_something_more_is_read(store, monkeypatch):
    from swiftahead.cache import writer
    encode = writer.encode_meta
    monkeypatch.setattr(writer, 'encode_meta', lambda meta: encode(meta)[:-1] + b',"colour":"red"}')
    link(store, b'abc')
    with store.entry(NAME) as entry:
        assert entry.meta == meta_for(b'abc')
    monkeypatch.setattr(writer, 'encode_meta', lambda meta: encode(meta).replace(b'"origin"', b'"else"'))
    with pytest.raises(Damaged, match='another kind'):
        link(store, b'abc', timestamp='1800000000.00000')


def test_no_entry_is_none(store):
    assert store.entry(NAME) is None


def test_another_objects_entry_is_not_given_out(store):
    link(store, b'secret')
    other = ObjectName('AUTH_test', 'c', 'other')
    os.rename(store.layout.entry(store.naming.entry(NAME)), store.layout.entry(store.naming.entry(other)))
    with pytest.raises(Damaged, match='another object'):
        store.entry(other)


@pytest.mark.parametrize('size', [3, 4096])
def test_a_changed_byte_is_never_given_out(store, size):
    """Every byte that means something: fixed part, JSON, body, table."""
    body = os.urandom(size)
    path = store.layout.entry(link(store, body).entry_name)
    whole = path.read_bytes()
    meaning = [at for at in range(len(whole)) if at < 64 or whole[at] or at >= PAGE]
    for at in meaning[::max(1, len(meaning) // 300)]:
        broken = bytearray(whole)
        broken[at] ^= 0x40
        path.write_bytes(broken)
        try:
            with Entry.open(path, NAME) as entry:
                assert read(entry) == body, f'byte {at}'
                assert entry.meta == meta_for(body), f'byte {at}'
        except Damaged:
            pass


def test_a_damaged_block_comes_after_the_good_ones(store):
    body = BODIES[-1]
    path = store.layout.entry(link(store, body).entry_name)
    with open(path, 'r+b') as file:
        file.seek(-(len(body) - 2 * BLOCK) - 8 * 6, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    got = []
    with store.entry(NAME) as entry, pytest.raises(Damaged, match='block 2'):
        got.extend(entry.blocks(0, len(body)))
    assert b''.join(got) == body[:2 * BLOCK]


@pytest.mark.parametrize('length', [0, 1, 63, 64, 4095, 4096, 5000])
def test_a_file_cut_short_is_damaged(store, length):
    path = store.layout.entry(link(store, os.urandom(9000)).entry_name)
    os.truncate(path, length)
    with pytest.raises(Damaged):
        store.entry(NAME)


def test_a_file_with_something_added_is_damaged(store):
    path = store.layout.entry(link(store, b'abc').entry_name)
    with open(path, 'ab') as file:
        file.write(b'x')
    with pytest.raises(Damaged):
        store.entry(NAME)


@pytest.mark.parametrize('make', [os.mkfifo, os.mkdir, lambda path: os.symlink('/etc/hostname', path)])
def test_what_is_no_file_is_damaged(store, make):
    make(store.layout.entry(store.naming.entry(NAME)))
    with pytest.raises(Damaged):
        store.entry(NAME)


def test_a_stamp_is_read_back_from_the_file(store):
    link(store, b'abc')
    with store.entry(NAME) as entry:
        assert entry.stamp is None
        entry.restamp(Stamp('ab' * 16, NOW))
    with store.entry(NAME) as entry:
        assert entry.stamp == Stamp('ab' * 16, NOW)


def test_a_torn_stamp_is_no_stamp(store):
    path = store.layout.entry(link(store, b'abc', Stamp('ab' * 16, NOW)).entry_name)
    with open(path, 'r+b') as file:
        file.seek(64 + 10)
        file.write(b'\0\0\0\0')
    with store.entry(NAME) as entry:
        assert entry.stamp is None


def test_a_stamp_of_another_entry_does_not_count(store):
    stamped = store.layout.entry(link(store, b'abc', Stamp('ab' * 16, NOW)).entry_name).read_bytes()
    path = store.layout.entry(link(store, b'abd').entry_name)
    with open(path, 'r+b') as file:
        file.seek(64)
        file.write(stamped[64:128])
    with store.entry(NAME) as entry:
        assert entry.stamp is None


def test_headers_that_do_not_fit_are_refused(store):
    with pytest.raises(NoRoom):
        store.writer(meta_for(b'', X_Object_Meta_A='x' * 70_000))
    assert store.spool_bytes() == 0


def test_headers_of_several_pages_fit(store):
    link(store, b'abc', X_Object_Meta_A='x' * 30_000)
    with store.entry(NAME) as entry:
        assert read(entry) == b'abc'


def test_more_than_was_announced_is_refused(store):
    writer = store.writer(meta_for(b'abc'))
    with pytest.raises(NoRoom):
        writer.write(b'abcd')
    writer.abort()
    writer.close()


def test_less_than_was_announced_is_removed(store):
    writer = store.writer(meta_for(b'abc'))
    writer.write(b'ab')
    with pytest.raises(NoRoom):
        writer.finish()
    writer.close()
    assert list(store.spool_files()) == []


def test_an_evicted_entry_that_is_being_read_stays_readable(store):
    body = BODIES[-1]
    linked = link(store, body)
    with store.entry(NAME) as entry:
        assert store.drop(linked.entry_name)
        assert read(entry) == body


def test_a_hit_is_noted_in_the_files_time_once_a_minute(store):
    path = store.layout.entry(link(store, b'abc').entry_name)
    os.utime(path, (NOW, NOW))
    with store.entry(NAME) as entry:
        entry.touch(NOW + 30)
    assert path.stat().st_mtime == NOW
    with store.entry(NAME) as entry:
        entry.touch(NOW + 61)
    assert path.stat().st_mtime == NOW + 61


def test_every_prefix_of_the_writes_is_absent_or_exact(store):
    """F1: cut the writes of a fill off anywhere; what is there is no entry, or the entry."""
    body = os.urandom(2 * BLOCK + 100)
    name = spool(store, body)
    whole = (store.layout.spool / name).read_bytes()
    header = len(whole) - len(body) - 8 * 3
    states = [bytes(header) + whole[header:at] for at in range(header, len(whole), 4001)]
    states.append(bytes(header) + whole[header:])
    path = store.layout.spool / 'state'
    for state in states:
        path.write_bytes(state)
        with pytest.raises(Damaged):
            Entry.open(path)
    path.write_bytes(whole)
    with Entry.open(path) as entry:
        assert read(entry) == body
