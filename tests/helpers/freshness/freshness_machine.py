"""The machine of the freshness tests: three workers on two nodes, one object, and whatever may go wrong between.

A scheduler of our own: each request is a green thread that stops where it is told to, before and after it meets
Swift or memcached and in the middle of a body, until a rule lets it go on. Time is the machine's.
"""
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
from greenlet import getcurrent
from helpers.common.builders import NOW
from helpers.filter.filtered import word
from helpers.freshness.links import LOST, REFUSED, Link, Memcached
from helpers.freshness.pools import MAX_AGE, NODES, Pool
from helpers.freshness.versions import REPLICAS, Content, Swift, state_told, timestamp_of
from swift.common.concurrency import Event, sleep, spawn
from swift.common.utils import close_if_possible

from swiftahead.cache import CacheError
from swiftahead.cache import entry as entry_module
from swiftahead.middleware.collapsing import CollapsedReads
from swiftahead.queues import Admit, Forget

# turns of the event loop after which all have done what they can
TURNS = 12
SERVERS = 2
EVERYWHERE = tuple(range(REPLICAS))
SMALL, LARGE = 10, 70_000


@dataclass
class Op:
    """One request. :param stops: the numbers of the places where it waits to be let go on"""
    proxy: int
    method: str
    stops: frozenset
    machine: 'Machine'
    time: int = 0
    replica: int = 0
    down: int | None = None
    reaches: tuple[int, ...] = EVERYWHERE
    content: Content = Content()
    began: tuple[int, float] = (0, 0.0)
    status: int = 0
    places: int = 0
    is_done: bool = False
    # tokens that are in a server because of this write: (server, token)
    landed: list = field(default_factory=list)

    def stop(self):
        self.places += 1
        if self.places in self.stops and not self.machine.is_free:
            # of its own: the request's thread and that of the collapsed read it began may both wait
            gate = Event()
            self.machine.waiting.append(gate)
            gate.wait()


class Machine:
    """:param mode: the filters' freshness"""

    def __init__(self, pool: Pool, mode: str = 'coherent'):
        self.pool, self.mode = pool, mode
        self.now, self.step, self.time = NOW, 0, 10
        self.name = next(pool.names)
        self.swift = Swift(self._op, self.moment)
        self.servers = [Memcached() for _ in range(SERVERS)]
        self.links: list = [0] * len(NODES)
        # steps in which each link was another before
        self.changed = [0] * len(NODES)
        self.ops: list[Op] = []
        self.running: dict = {}
        self.waiting: list[Event] = []
        self.acked: list[tuple[int, Op]] = []
        self.records: list[tuple[str, Admit | Forget]] = []
        self.errors: list[Exception] = []
        self.is_free = False
        self.hits = self.trusted = self.joined = 0
        for number, proxy in enumerate(pool.proxies):
            self._prepare(number, proxy, mode)
        self._patched = pytest.MonkeyPatch()
        self._patched.setattr(entry_module, 'uptime', lambda: self.now)

    def _prepare(self, number, proxy, mode):
        runtime = proxy.runtime
        runtime.settings = replace(runtime.settings, freshness=mode)
        proxy.app.app = self.swift
        runtime.clock = lambda: self.now
        runtime.tokens.ring = Link(self, number) if mode == 'coherent' else None
        # by a clock that stands: what lingers does so until a rule ends it
        runtime.collapsed_reads = CollapsedReads(lambda: 0.0)
        runtime.recorder.add = lambda record: self._record(NODES[number], record)

    def _record(self, node, record):
        if isinstance(record, Admit | Forget):
            self.records.append((node, record))

    def _op(self, agent):
        return self.ops[int(agent)]

    def moment(self):
        return self.step, self.now

    # what rules do

    def begin(self, proxy, method, stops=(), behind=0, **more) -> Op:
        """:param behind: how far the clock of the writer's proxy is, in writes"""
        self.step += 1
        self.time += 10
        op = Op(proxy, method, frozenset(stops), self, self.time - 10 * behind - behind, **more)
        op.began = self.moment()
        self.ops.append(op)
        self.running[spawn(self._run, op, len(self.ops) - 1)] = op
        self.settle()
        return op

    def _run(self, op, number):
        try:
            (self._read if op.method in ('GET', 'HEAD') else self._write)(op, number)
        except Exception as error:  # noqa: BLE001 - raised where the machine was told to go on
            self.errors.append(error)
        finally:
            op.is_done = True
            self.running.pop(getcurrent(), None)

    def _request(self, op, number, **headers):
        # the thread is known from its first step on
        self.running[getcurrent()] = op
        return self.pool.proxies[op.proxy].begin(op.method, '/v1' + self.name.path,
                                                 User_Agent=str(number), **headers)

    def go_on(self, number=0):
        self.step += 1
        self.waiting.pop(number % len(self.waiting)).send()
        self.settle()

    def settle(self):
        self._turn()
        if self.errors:
            raise self.errors.pop()

    def _turn(self):
        for _ in range(TURNS):
            sleep(0)

    def finish(self):
        """All that was begun ends, also where something of it failed."""
        self.is_free = True
        for _ in range(100):
            if not (self.running or self.waiting):
                break
            if self.waiting:
                self.step += 1
                self.waiting.pop(0).send()
            self._turn()
        self.is_free = False
        assert not (self.running or self.waiting)
        self.settle()

    def link(self, proxy, state):
        self.step += 1
        self.links[proxy] = state
        self.changed[proxy] = self.step

    def flush(self, server):
        self.servers[server].token = None

    def purge(self, proxy) -> bool:
        """As far as other nodes hear of it."""
        self.step += 1
        return self.pool.proxies[proxy].runtime.tokens.end(self.name)

    def land(self):
        """Nobody joins any more what has ended."""
        for proxy in self.pool.proxies:
            proxy.runtime.collapsed_reads.close()

    def handle(self, number=0):
        """The sidecar does what one record asks of it."""
        self.step += 1
        node, record = self.records.pop(number % len(self.records))
        store = self.pool.stores[node]
        if isinstance(record, Admit):
            with suppress(CacheError, FileNotFoundError):
                store.admit(record.spool_name)
        else:
            store.drop(store.naming.entry(self.name), record.identity or None)

    def cache(self, proxy=0, replica=0):
        """Read, and have the sidecar admit what was captured."""
        self.begin(proxy, 'GET', replica=replica)
        self.land()
        self.handle_all()

    def handle_all(self):
        while self.records:
            self.handle()

    # writes

    def _write(self, op, number):
        resp = self._request(op, number, X_Timestamp=timestamp_of(op.time))
        b''.join(resp.app_iter)
        op.status = resp.status_int
        is_effective = op.status // 100 == 2 and (op.method, op.status) != ('PUT', 202)
        if is_effective or (op.method, op.status) == ('DELETE', 404):
            self.step += 1
            self.acked.append((self.step, op))

    # reads

    def required(self, op) -> tuple[int, int]:
        """The version that a hit of this request may not be older than, and the step of its acknowledgement."""
        if self.mode == 'max-age':
            return 0, 0
        found = [(write.time, step) for step, write in self.acked if self._is_known(op, write)]
        return max((time for time, _ in found), default=0), max((step for _, step in found), default=0)

    def newest_told(self, op) -> int:
        """The last write of which memcached tells now; what is older is not to be kept."""
        link = self.links[op.proxy]
        if self.mode != 'coherent' or link in (REFUSED, LOST):
            return 0
        server = self.servers[link]
        return max((write.time for _, write in self.acked for landed, token in write.landed
                    if landed is server and server.token == token and not token.pending), default=0)

    def _is_known(self, op, write):
        """Whether the filter promises this reader that write."""
        link = self.links[op.proxy]
        if self.mode == 'validate' or link in (REFUSED, LOST):
            return True
        server = self.servers[link]
        return any(landed is server and (not token.pending or server.token == token)
                   for landed, token in write.landed)

    def _read(self, op, number):
        (required, acked_at), newest_told = self.required(op), self.newest_told(op)
        resp = self._request(op, number)
        op.status, told = resp.status_int, word(resp) or ''
        is_whole = self.changed[op.proxy] <= op.began[0]
        op.stop()
        body, headers = b''.join(resp.app_iter), resp.headers
        close_if_possible(resp.app_iter)
        is_hit, is_joined = told.startswith('hit'), told.endswith('collapsed')
        if op.status != 200 or op.method == 'HEAD':
            return
        state = state_told(body, headers)
        if is_hit or is_joined:
            self._check(op, state, headers, required if is_whole else 0, acked_at if is_joined else None)
        assert not (is_whole and told.endswith('stored') and state.time < newest_told), f'{state} is kept'
        self.hits += is_hit
        self.trusted += told == 'hit'
        self.joined += is_joined

    def _check(self, op, state, headers, required, acked_at):
        """:param acked_at: of an answer that was read along: what Swift could answer itself since then is right"""
        since = op.began[1] - MAX_AGE
        assert self.swift.was_held(state, at=since), f'{state} is older than max_age'
        could_be_asked = acked_at is not None and self.swift.was_held(state, step=acked_at)
        assert state.time >= required or could_be_asked, f'{state} is older than {required}'
        delete_at = headers.get('X-Delete-At')
        assert delete_at is None or int(delete_at) > op.began[1], 'risen after its X-Delete-At'

    # the end

    def end(self, check=True):
        try:
            self.finish()
            if check:
                self._check_end()
        finally:
            self._patched.undo()
            self.land()
            for store in self.pool.stores.values():
                store.drop(store.naming.entry(self.name))

    def _check_end(self):
        """Once all is well again, what is written is cached and trusted after a few reads."""
        self.links = [0] * len(NODES)
        self.swift.repair()
        for proxy in self.pool.proxies:
            proxy.runtime.captured.clear()
        assert self.ask(0, 'PUT').status == 201
        for proxy in range(len(NODES)):
            before = self.trusted
            for _ in range(3):
                self.land()
                assert self.ask(proxy, 'GET').status == 200
                self.handle_all()
            if self.mode == 'coherent':
                assert self.trusted > before, 'never trusted again'

    def ask(self, proxy, method, **more) -> Op:
        op = self.begin(proxy, method, **more)
        self.finish()
        return op
