"""F2: whatever system call fails, and however, the client gets Swift's answer; one count, one line; and when
the disk works again, so does the cache."""
import errno
import os
from random import Random

import pytest
from helpers.common.builders import NAME, NOW, FakeTokens, link, spool
from helpers.common.faults import ERRORS, PATH, FaultPlan, no_fd_left
from helpers.filter.filtered import Proxy, seen, word
from swift.common.concurrency import spawn

from swiftahead.cache import Stamp, Store
from swiftahead.freshness import Token
from swiftahead.queues import Admit
from swiftahead.sidecar.status.report import write

BODY = Random(2).randbytes(400_000)
SMALL = BODY[:500]
TOKEN = Token('t' * 32, timestamp='1799999998.00000')


class Scene:
    """A proxy whose system calls can be made to fail, and the state that each request begins with."""

    def __init__(self, folder, monkeypatch):
        self.store = Store.create(folder / 'cache')
        self.plan = FaultPlan(folder / 'cache', monkeypatch)
        self.proxy = Proxy(folder / 'cache', folder / 'queue.db', freshness='coherent', tokens=FakeTokens(TOKEN))
        self.proxy.runtime.clock = lambda: NOW + 100

    def put(self, body, stamped_at=None):
        """An object, and with `stamped_at` an entry of it that is due to be touched."""
        self.plan.mend()
        for path in (*self.store.layout.objects.glob('*/*'), *self.store.layout.spool.iterdir()):
            path.unlink()
        self.proxy.swift.put(PATH, body)
        if stamped_at is not None:
            linked = link(self.store, body, Stamp(TOKEN.value, stamped_at))
            os.utime(self.store.layout.entry(linked.entry_name), (NOW - 1000, NOW - 1000))
        self.proxy.look_again()
        # the look at the folder has tests of its own
        assert self.proxy.runtime.store() is not None
        self.proxy.clear()


SCENES = {
    'hit': (BODY, NOW, {}),
    'small hit': (SMALL, NOW, {}),
    'range': (BODY, NOW, {'Range': 'bytes=70000-300000'}),
    'head': (BODY, NOW, {'method': 'HEAD'}),
    'restamp': (BODY, NOW - 1000, {}),
    'capture': (BODY, None, {}),
    'small capture': (SMALL, None, {}),
    'delete': (BODY, NOW, {'method': 'DELETE'}),
}


@pytest.fixture
def scene(tmp_path, monkeypatch):
    scene = Scene(tmp_path, monkeypatch)
    yield scene
    scene.plan.mend()
    scene.proxy.close()


def calls_of(scene, begin, act):
    """Which system calls that takes, and how many of each."""
    begin()
    scene.plan.fail('none', 0, 0)
    act()
    scene.proxy.settle()
    assert scene.proxy.log.errors == []
    return [(call, number + 1) for call, count in scene.plan.seen.items() for number in range(count)]


@pytest.mark.holds('F2')
@pytest.mark.parametrize('name', SCENES)
def test_each_call_of_a_request_fails_in_each_way(scene, name):
    body, stamped_at, asked = SCENES[name]
    proxy = scene.proxy
    scene.put(body, stamped_at)
    plain, usual = seen(proxy.plain(**asked)), word(proxy.request(**asked))
    for call, number in calls_of(scene, lambda: scene.put(body, stamped_at), lambda: proxy.request(**asked)):
        for code in ERRORS:
            scene.put(body, stamped_at)
            scene.plan.fail(call, number, code)
            with no_fd_left(proxy.folder):
                assert seen(proxy.request(**asked)) == plain
                proxy.settle()
            assert scene.plan.failed, 'the call was not made'
            told = int(not is_nobodys_business(call, number, asked))
            assert len(proxy.errors) == len(proxy.log.errors) == told, (call, number, code)
            assert_recovers(scene, asked, plain, usual)


def is_nobodys_business(call, number, asked):
    """close() fails when all has been sent; a DELETE that does not see whether there is an entry leaves it to its
    token."""
    return call == 'close' or (asked.get('method'), call, number) == ('DELETE', 'stat', 1)


def assert_recovers(scene, asked, plain, usual):
    """What comes next is as it always was, as soon as the disk is looked at again."""
    proxy = scene.proxy
    scene.plan.mend()
    proxy.look_again()
    proxy.log.errors.clear()
    resp = proxy.request(**asked)
    proxy.settle()
    assert (seen(resp), proxy.log.errors) == (plain, [])
    # what was damaged was not dropped, since there is no sidecar here
    assert word(resp) in (usual, 'hit', 'hit; detail=validated')


@pytest.mark.holds('F2')
def test_the_calls_are_those_that_the_filter_makes(scene):
    """What fails nowhere is tested nowhere."""
    found = set()
    for body, stamped_at, asked in SCENES.values():
        found |= {call for call, _ in calls_of(scene, lambda b=body, s=stamped_at: scene.put(b, s),
                                               lambda a=asked: scene.proxy.request(**a))}
    assert found >= {'open', 'close', 'pread', 'pwrite', 'ftruncate', 'fstat', 'stat', 'utime', 'scandir',
                     'statvfs'}


def both(proxy):
    """Two clients at the same time, of which the second one reads along."""
    readers = [spawn(proxy.request) for _ in range(2)]
    return [reader.wait() for reader in readers]


@pytest.mark.holds('F2')
def test_each_call_fails_while_another_reads_along(scene):
    proxy = scene.proxy
    scene.put(BODY)
    assert [word(resp) for resp in both(proxy)] == ['fwd=miss; stored', 'fwd=miss; collapsed']
    plain = seen(proxy.plain())
    for call, number in calls_of(scene, lambda: scene.put(BODY), lambda: both(proxy)):
        scene.put(BODY)
        scene.plan.fail(call, number, errno.EIO)
        with no_fd_left(proxy.folder):
            assert [seen(resp) for resp in both(proxy)] == [plain, plain]
            proxy.settle()
        assert scene.plan.failed
        # one line for what does not work, reading or writing; each that meets it counts
        told = {line.partition(':')[0] for line in proxy.log.errors}
        assert len(told) == len(proxy.log.errors) <= len(proxy.errors) <= 2
        assert told or is_nobodys_business(call, number, {})


@pytest.mark.holds('F2')
@pytest.mark.parametrize('call', ['stat', 'open', 'fstat'])
def test_opening_the_folder_fails_in_each_way(scene, call):
    proxy = scene.proxy
    for code in ERRORS:
        scene.put(BODY, NOW)
        plain = seen(proxy.plain())
        proxy.runtime.forget_store()
        proxy.look_again()
        scene.plan.fail(call, 1, code)
        for _ in range(5):
            assert seen(proxy.request()) == plain
            proxy.runtime._look_at = 0.0
        # the queue is on the same disk, and says so when it is written meanwhile
        said = [line for line in proxy.log.errors if not line.startswith('the queue')]
        assert len(said) == 1 and proxy.errors.count('errors.folder') == 5
        assert_recovers(scene, {}, plain, 'hit')


@pytest.mark.holds('F2')
@pytest.mark.parametrize('call', ['open', 'fstat', 'close'])
def test_a_report_that_cannot_be_read_changes_no_setting(scene, call):
    scene.put(BODY, NOW)
    write(scene.store.layout.report, {'max_object_size': 1})
    scene.proxy.look_again()
    assert scene.proxy.runtime.store() is not None and scene.proxy.runtime.settings.max_object_size == 1
    for code in ERRORS:
        scene.proxy.look_again()
        scene.plan.fail(call, 1, code)
        assert scene.proxy.runtime.store() is not None
        assert scene.plan.failed and scene.proxy.runtime.settings.max_object_size == 1


@pytest.mark.holds('F2')
def test_a_bad_place_on_the_disk_is_forgotten_other_troubles_are_not_the_entrys(scene):
    for code, forgotten in ((errno.EIO, True), (errno.EMFILE, False), (errno.ESTALE, False)):
        scene.put(BODY, NOW)
        scene.proxy.records(Admit)
        scene.plan.fail('pread', 1, code)
        scene.proxy.request()
        found = [type(record).__name__ for record in scene.proxy.records(object)]
        assert ('Forget' in found) is forgotten


@pytest.mark.holds('F2')
def test_a_disk_that_fails_is_let_be_for_a_moment(scene):
    scene.put(BODY, NOW)
    scene.plan.fail('open', 1, errno.ESTALE)
    for _ in range(100):
        assert scene.proxy.request().body == BODY
    assert scene.plan.failed == 1 and len(scene.proxy.log.errors) == 1


@pytest.mark.holds('F2')
def test_a_disk_that_takes_nothing_still_gives_what_it_has(scene):
    """A full disk must not cost the hits."""
    proxy = scene.proxy
    scene.put(BODY, NOW)
    proxy.swift.put(PATH + '2', BODY)
    scene.plan.fail('ftruncate', 1, errno.ENOSPC)
    for _ in range(10):
        assert word(proxy.request(path=PATH + '2')) == 'fwd=miss'
        assert word(proxy.request()) == 'hit'
    assert scene.plan.failed == 1 and len(proxy.log.errors) == 1


@pytest.mark.holds('F2')
def test_a_read_only_disk_says_so_once_not_for_each_hit(scene):
    scene.put(BODY, NOW)
    scene.plan.fail('utime', 1, errno.EROFS)
    for _ in range(20):
        assert word(scene.proxy.request()) == 'hit'
    assert len(scene.proxy.log.errors) == 1 and scene.proxy.errors == ['errors.stamp'] * 20


# what admits and evicts, in the sidecar

@pytest.mark.holds('F2')
@pytest.mark.parametrize('call', ['open', 'fstat', 'pread', 'rename', 'unlink'])
def test_admitting_fails_in_each_way_and_leaves_the_old_entry_or_the_new(scene, call):
    new = BODY[::-1]
    for number in (1, 2, 3):
        for code in ERRORS:
            scene.put(BODY, NOW)
            name = spool(scene.store, new, timestamp='1800000000.00000')
            scene.plan.fail(call, number, code)
            try:
                scene.store.admit(name)
            except OSError as error:
                assert error.errno == code
            scene.plan.mend()
            with Store.open(scene.proxy.folder).entry(NAME) as entry:
                assert b''.join(entry.blocks(0, len(BODY))) in (BODY, new)
            assert list(scene.store.check()) == []
