import os

import pytest
from helpers.common.builders import NAME, link, meta_for, spool

from swiftahead.cache import CacheError, Damaged, Store, Unavailable
from swiftahead.conf.names import KEY_BYTES, Naming, ObjectName


@pytest.fixture
def store(tmp_path):
    store = Store.create(tmp_path / 'cache')
    yield store
    assert list(store.check()) == []


def test_the_folder_is_closed_to_others(store):
    for path in (store.layout.cache_dir, store.layout.objects, store.layout.spool):
        assert path.stat().st_mode & 0o777 == 0o700
    assert store.layout.key.stat().st_mode & 0o777 == 0o600


def test_one_process_at_a_time_may_link_and_unlink(store):
    first = store.lock()
    with pytest.raises(Unavailable, match='another sidecar'):
        store.lock()
    first.close()
    store.lock().close()


def test_the_key_survives_a_second_start(store):
    assert Store.create(store.layout.cache_dir).naming.entry(NAME) == store.naming.entry(NAME)


def test_two_folders_name_the_same_object_differently(store, tmp_path):
    assert Store.create(tmp_path / 'other').naming.entry(NAME) != store.naming.entry(NAME)


def test_no_folder_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match='No such file'):
        Store.open(tmp_path / 'none')


def test_a_folder_that_others_may_read_is_refused(store):
    store.layout.cache_dir.chmod(0o755)
    with pytest.raises(Unavailable, match='0700'):
        Store.open(store.layout.cache_dir)


def test_a_key_cut_short_is_refused(store):
    store.layout.key.write_bytes(b'short')
    with pytest.raises(Unavailable, match='key'):
        Store.open(store.layout.cache_dir)


def test_admitting_links_and_empties_the_spool(store):
    linked = link(store, b'abc')
    assert [item.entry_name for item in store.linked()] == [linked.entry_name]
    assert list(store.spool_files()) == []
    assert linked.disk_bytes == store.layout.entry(linked.entry_name).stat().st_blocks * 512


def test_a_body_that_is_not_the_etags_is_refused(store):
    writer = store.writer(meta_for(b'abc'))
    writer.write(b'abd')
    writer.finish()
    writer.close()
    with pytest.raises(Damaged, match='MD5'):
        store.admit(writer.name)
    assert list(store.linked()) == list(store.spool_files()) == []


def test_a_spool_file_that_is_gone_is_refused(store):
    with pytest.raises(Damaged, match='gone'):
        store.admit('nothing')


def test_a_spool_name_leads_nowhere_else(store, tmp_path):
    (tmp_path / 'victim').write_bytes(b'x')
    with pytest.raises(Damaged):
        store.admit('../../../victim')
    assert (tmp_path / 'victim').exists()


def test_a_newer_version_replaces(store):
    link(store, b'old')
    link(store, b'new', timestamp='1800000000.00000')
    with store.entry(NAME) as entry:
        assert b''.join(entry.blocks(0, 3)) == b'new'


def test_an_older_version_does_not_replace(store):
    link(store, b'new', timestamp='1800000000.00000')
    with pytest.raises(CacheError, match='newer'):
        link(store, b'old')
    with store.entry(NAME) as entry:
        assert b''.join(entry.blocks(0, 3)) == b'new'


def test_an_offset_makes_a_version_newer(store):
    link(store, b'old')
    link(store, b'new', timestamp='1799999999.00000_0000000000000003')
    with store.entry(NAME) as entry:
        assert b''.join(entry.blocks(0, 3)) == b'new'


def test_dropping_by_identity_spares_what_came_later(store):
    link(store, b'old')
    with store.entry(NAME) as entry:
        identity = entry.identity
    linked = link(store, b'new', timestamp='1800000000.00000')
    assert not store.drop(linked.entry_name, identity)
    assert store.entry(NAME) is not None
    with store.entry(NAME) as entry:
        assert store.drop(linked.entry_name, entry.identity)
    assert store.entry(NAME) is None


def test_old_spool_files_are_swept(store):
    old, new = spool(store, b'old'), spool(store, b'new')
    os.utime(store.layout.spool / old, (1000, 1000))
    assert store.sweep_spool(before=2000) == 1
    assert [item.entry_name for item in store.spool_files()] == [new]


def test_check_finds_and_mends(store):
    good = link(store, b'good')
    bad = store.layout.entry(link(store, b'bad!', name=ObjectName('a', 'c', 'bad')).entry_name)
    bad.write_bytes(bad.read_bytes()[:-1] + b'?')
    assert [entry for entry, _ in store.check()] == [bad.name]
    assert [entry for entry, _ in store.check(fix=True)] == [bad.name]
    assert [item.entry_name for item in store.linked()] == [good.entry_name]


def test_names_tell_nothing_and_do_not_collide():
    naming = Naming(bytes(KEY_BYTES))
    names = [ObjectName(*parts) for parts in [
        ('a', 'b', 'c'), ('a', 'b', 'c/'), ('a', 'b', '/c'), ('a', 'b/c', 'd'), ('a', 'b', 'c/d'),
        ('a', 'b', 'C'), ('a', 'b', '%63'), ('a', 'b', 'c?'), ('a', 'b', 'é'), ('a', 'b', 'e\u0301'),
        ('a', 'b', '\udce9'), ('a', 'b', '..'), ('a', 'b', 'x' * 1024), ('a', 'b', 'x\ny')]]
    entries = {naming.entry(name) for name in names}
    assert len(entries) == len(names)
    assert all(len(entry) == 48 and set(entry) <= set('0123456789abcdef') for entry in entries)


def test_entries_of_one_container_begin_alike():
    naming = Naming(bytes(KEY_BYTES))
    container = naming.container('a', 'b')
    assert naming.entry(ObjectName('a', 'b', 'x')).startswith(container)
    assert not naming.entry(ObjectName('a', 'c', 'x')).startswith(container)
