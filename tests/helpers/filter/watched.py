"""A program: what the filter touches in the cache folder, and whether `swift.authorize` had allowed it by then.

``python watched.py FOLDER`` asks for one object in every state of the cache, in every way, as everybody, and
prints what came of each as JSON. It is a program of its own since an audit hook stays for the life of its process.
"""
import json
import os
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

# of these Python's audit hooks are told nothing; os.path.exists comes to os.stat
UNAUDITED = ('stat', 'lstat', 'fstat', 'access', 'statvfs', 'readlink', 'read', 'pread', 'preadv')
_readlink = os.readlink


class FolderWatch:
    """Notes the paths below a folder that anything is done with, as (what, path in the folder), while it is on."""

    def __init__(self, folder: str):
        self._folder = folder
        self.noted: list[tuple[str, str]] = []
        self.on = False

    def begin(self) -> None:
        """To be called before anything else has got hold of what is wrapped here."""
        for name in UNAUDITED:
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        sys.addaudithook(self.note)

    def _wrapped(self, name, call):
        def told(*args, **more):
            self.note(f'os.{name}', args)
            return call(*args, **more)
        return told

    def note(self, event: str, args: tuple) -> None:
        if self.on:
            for path in self._paths(event, args):
                if f'{path}/'.startswith(f'{self._folder}/'):
                    self.noted.append((event, os.path.relpath(path, self._folder)))

    def _paths(self, event, args) -> Iterator[str]:
        # a second one is where something is renamed or linked to
        yield from (os.fsdecode(arg) for arg in args[:2] if isinstance(arg, str | bytes | os.PathLike))
        if args and isinstance(args[0], int) and event.startswith(('os.', 'fcntl.', 'mmap.')):
            yield _target(args[0])


def _target(descriptor):
    try:
        return _readlink(f'/proc/self/fd/{descriptor}')
    except OSError:
        return ''


FOLDER = Path(sys.argv[1])
WATCH = FolderWatch(str(FOLDER / 'cache'))
WATCH.begin()

from helpers.common.builders import NAME, container_info, infocache  # noqa: E402
from helpers.filter.filtered import Backend, Proxy, word  # noqa: E402 - the hook comes first
from swift.common.middleware.tempauth import TempAuth  # noqa: E402
from swift.common.swob import Request  # noqa: E402
from swift.common.utils import close_if_possible  # noqa: E402
from swift.proxy.controllers.base import get_cache_key, headers_to_account_info  # noqa: E402

from swiftahead.cache import Store  # noqa: E402
from swiftahead.conf.names import ObjectName  # noqa: E402
from swiftahead.queues import Access, Admit  # noqa: E402

STATES = ('cold', 'warm', 'being fetched')
# REMOTE_USER as tempauth leaves it, and Referer
READERS = {
    'owner': ('test,test:tester,AUTH_test', ''),
    'by acl': ('test2,test2:tester2', ''),
    'by referrer': ('', 'http://www.example.com/'),
    'anonymous': ('', ''),
    'stranger': ('test3,test3:tester3', ''),
    'bad referrer': ('', 'http://bad.example.com/')}
ASKS = {'GET': {}, 'HEAD': {}, 'GET range': {'Range': 'bytes=5-9'}, 'GET ranges': {'Range': 'bytes=0-1,4-5'},
        'GET condition': {'If-None-Match': '"x"'}, 'HEAD condition': {'If-Match': '*'},
        'GET no-prefetch': {'X-No-Prefetch': 'true'},
        'DELETE': {}, 'PUT': {'Content-Length': '0'}, 'POST': {'X-Object-Meta-A': 'b'}}
INFO = container_info(**{'x-container-read': 'test2:tester2,.r:.example.com,.r:-bad.example.com'})


def name_of(state: str) -> ObjectName:
    return ObjectName(NAME.account, NAME.container, state.replace(' ', '-'))


class Swift(Backend):
    """Authorises as proxy-server does: where it denied, again with the container's ACL."""

    def _denied(self, env):
        req = Request(env)
        denied = env['swift.authorize'](req)
        if denied is not None:
            req.acl = INFO['read_acl'] if req.method in ('GET', 'HEAD') else INFO['write_acl']
            denied = env['swift.authorize'](req)
        return denied and denied.status_int


class Case:
    """One object, asked for through a filter that has just begun."""

    def __init__(self, state: str, asked: str, reader: str):
        self.told = {'state': state, 'asked': asked, 'reader': reader}
        self._name = name_of(state)
        self._method = asked.partition(' ')[0]
        self._headers = ASKS[asked]
        self._user, self._referer = READERS[reader]
        self._noted_before: int | None = None
        self._auth = TempAuth(None, {})

    def run(self, proxy: Proxy) -> dict:
        WATCH.noted, WATCH.on = [], True
        try:
            resp = self.ask(proxy)
        finally:
            WATCH.on = False
        before = WATCH.noted[:self._noted_before]
        return {**self.told, 'allowed': self._noted_before is not None, 'status': resp.status_int,
                'said': word(resp), 'before': before, 'after': WATCH.noted[len(before):],
                'learned': len(proxy.records(Access))}

    def ask(self, proxy):
        env = {'REQUEST_METHOD': self._method, 'REMOTE_USER': self._user, 'REMOTE_ADDR': '10.0.0.1',
               'swift.authorize': self._authorize,
               'swift.infocache': {**infocache(INFO), get_cache_key(NAME.account): headers_to_account_info({})}}
        req = Request.blank('/v1' + self._name.path, environ=env,
                            headers={**self._headers, 'Referer': self._referer})
        resp = req.get_response(proxy.app)
        body = resp.app_iter
        assert body is not None
        list(body)
        close_if_possible(body)
        return resp

    def _authorize(self, req):
        denied = self._auth.authorize(req)
        if denied is None and self._noted_before is None:
            self._noted_before = len(WATCH.noted)
        return denied


def make_proxy() -> Proxy:
    swift = Swift()
    for state in STATES:
        swift.put('/v1' + name_of(state).path, b'x' * 100_000)
    return Proxy(FOLDER / 'cache', FOLDER / 'queue.db', swift, fetch_wait='0.01')


def warm(store: Store) -> None:
    proxy = make_proxy()
    Case('warm', 'GET', 'owner').ask(proxy)
    for fill in proxy.records(Admit):
        store.admit(fill.spool_name)
    proxy.close()


def main() -> None:
    store, told = Store.create(FOLDER / 'cache'), []
    warm(store)
    with store.fetching(name_of('being fetched')):
        for case in product(STATES, ASKS, READERS):
            proxy = make_proxy()
            told.append(Case(*case).run(proxy))
            proxy.close()
    json.dump(told, sys.stdout)


if __name__ == '__main__':
    main()
