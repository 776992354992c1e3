"""A Swift that keeps every version of one object, with replicas that may lag behind each other.

A write reaches the replicas it is told to; a read is answered by any one; X-Newest by the newest of those that
answer. (Swift's own X-Newest goes by the time of the data alone: of replicas that differ in a POST it may take
either.) Times of writes are whole numbers, the object's versions are pairs of them: of its data, of its metadata.
"""
from hashlib import md5
from typing import NamedTuple

from swift.common.swob import Request, Response
from swift.common.utils import Timestamp

REPLICAS = 3
QUORUM = 2
BEGAN = 1_700_000_000


def timestamp_of(number: int) -> str:
    return Timestamp(BEGAN + number).internal


def number_of(timestamp) -> int:
    return int(float(timestamp)) - BEGAN


class State(NamedTuple):
    """What a replica holds. :param data: time of the last PUT or DELETE, 0 for none"""
    data: int = 0
    is_deleted: bool = True
    meta: int = 0

    @property
    def time(self) -> int:
        return max(self.data, self.meta)

    def merged(self, other: 'State') -> 'State':
        """As replication does it."""
        newer = max(self, other)
        if newer.is_deleted:
            return State(newer.data)
        return State(newer.data, False, max(self.meta, other.meta, newer.data))


class Content(NamedTuple):
    """What a PUT or POST brought. :param delete_at: seconds since the epoch"""
    length: int = 10
    delete_at: int | None = None


class Held(NamedTuple):
    """:param until: step and time at which a replica held it last"""
    state: State
    until: tuple[int, float]


class Body:
    """Given in two pieces, with a stop between."""

    def __init__(self, data: bytes, stop):
        self._data = data
        self._stop = stop

    def __iter__(self):
        half = len(self._data) // 2
        yield self._data[:half]
        self._stop()
        yield self._data[half:]

    def close(self):
        pass


class Swift:
    """
    :param plan: who asks, by the request's User-Agent: has `stop()`, `replica`, `down` and `reaches`
    :param moment: the step and the time
    """

    def __init__(self, plan, moment):
        self._plan = plan
        self._moment = moment
        self.replicas = [State()] * REPLICAS
        self.contents: dict[int, Content] = {}
        self.held: list[Held] = []
        self.asked: list[str] = []

    def __call__(self, env, start_response):
        req = Request(env)
        plan = self._plan(env['HTTP_USER_AGENT'])
        self.asked.append(req.method)
        plan.stop()
        resp = self._read(req, plan) if req.method in ('GET', 'HEAD') else self._write(req, plan)
        plan.stop()
        return resp(env, start_response)

    def was_held(self, state: State, step: int = 0, at: float = 0.0) -> bool:
        """Whether a replica held it at that step and time, or later."""
        return state in self.replicas or any(
            held.state == state and held.until[0] >= step and held.until[1] >= at for held in self.held)

    def become(self, number: int, state: State) -> None:
        self.held.append(Held(self.replicas[number], self._moment()))
        self.replicas[number] = state

    def repair(self) -> None:
        newest = State()
        for state in self.replicas:
            newest = newest.merged(state)
        for number in range(REPLICAS):
            self.become(number, newest)

    # reads

    def _read(self, req, plan):
        if req.headers.get('X-Newest') == 'true':
            answering = [state for number, state in enumerate(self.replicas) if number != plan.down]
            state = max(answering, key=lambda state: (state.time, state.data))
        else:
            state = self.replicas[plan.replica]
        return self._answer(state, plan)

    def _answer(self, state, plan):
        delete_at = self.contents[state.meta].delete_at if not state.is_deleted else None
        if state.is_deleted or (delete_at is not None and delete_at <= self._moment()[1]):
            return Response(status=404)
        body = body_of(state, self.contents)
        headers = {'Etag': md5(body).hexdigest(), 'X-Timestamp': timestamp_of(state.time),
                   'X-Backend-Timestamp': timestamp_of(state.time), 'Content-Length': str(len(body)),
                   'X-Object-Meta-Version': f'{state.data} {state.meta}', 'Content-Type': 'text/plain'}
        if delete_at is not None:
            headers['X-Delete-At'] = str(delete_at)
        return Response(app_iter=Body(body, plan.stop), headers=headers, conditional_response=True)

    # writes

    def _write(self, req, plan):
        time = number_of(req.headers['X-Timestamp'])
        self.contents[time] = plan.content
        found = [self.replicas[number] for number in plan.reaches]
        if req.method == 'PUT' and any(time <= state.data for state in found):
            # found before a byte of the body was sent: no replica has it
            return Response(status=202)
        statuses = [self._apply(req.method, number, time) for number in plan.reaches]
        for status in (2, 4):
            agreeing = [found for found in statuses if found // 100 == status]
            if len(agreeing) >= QUORUM:
                return Response(status=max(agreeing))
        return Response(status=503)

    def _apply(self, method, number, time):
        state = self.replicas[number]
        if method == 'PUT':
            self.become(number, State(time, False, max(time, state.meta)))
            return 201
        if time <= state.time:
            return 409
        if method == 'POST':
            if not state.is_deleted:
                self.become(number, state._replace(meta=time))
            return 404 if state.is_deleted else 202
        self.become(number, State(time))
        return 404 if state.is_deleted else 204


def body_of(state: State, contents: dict[int, Content]) -> bytes:
    """Bytes that tell the time of their PUT."""
    return f'{state.data:010}'.encode() * (contents[state.data].length // 10)


def state_told(body: bytes, headers) -> State:
    """The version that an answer is of. :raises AssertionError: where body and headers are of several"""
    data, meta = map(int, headers['X-Object-Meta-Version'].split())
    assert {body[start:start + 10] for start in range(0, len(body), 10)} == {f'{data:010}'.encode()}
    assert headers['Etag'].strip('"') == md5(body).hexdigest()
    state = State(data, False, meta)
    assert headers['X-Backend-Timestamp'] == timestamp_of(state.time)
    return state
