"""GET and HEAD of one object: hit, validated hit, captured miss, or none of our business."""
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from swift.common.concurrency import spawn_n
from swift.common.request_helpers import (
    append_log_info,
    resolve_etag_is_at_header,
    resolve_ignore_range_header,
)
from swift.common.swob import Request, Response
from swift.proxy.controllers.base import get_container_info

from ..cache import Damaged, Entry, EntryMeta, NoRoom, Stamp, Store, Token, TokensUnreachable
from ..cache.rules import find, is_older, objects_headers, uncacheable_reason
from ..conf.naming import ObjectName
from ..queues import Access, Forget
from ..queues import Fill as FillRecord
from . import decide
from .authorize import is_allowed
from .backend import SOURCE, is_same_version, newest_version, rest_of_body
from .body import EntryBody
from .client import identify
from .decide import Action
from .fill import Fill, Follower

PREFETCHED = ('prefetch', 'warm')


@dataclass(frozen=True)
class Known:
    """What memcached knew of the object when the request came.

    :param reachable: False where memcached did not answer
    """
    token: Token | None
    reachable: bool

    @property
    def settled(self) -> Token | None:
        return self.token if self.token is not None and not self.token.pending else None


class Read:
    """One request. Everything of the filter that outlives it is in `runtime`."""

    def __init__(self, app, runtime, store: Store, req: Request, name: ObjectName, start_response):
        self._app = app
        self._runtime = runtime
        self._settings = runtime.settings
        self._store = store
        self._req = req
        self._env = req.environ
        self._name = name
        self._start_response = start_response
        self._is_miss = False

    def __call__(self):
        """Decide, then act: until the answer has begun, whatever goes wrong here is not the client's."""
        try:
            answer = self._plan()
        except Exception:  # noqa: BLE001 - a cache that is broken must not be a storage that is broken
            self._runtime.logger.exception('cache not used for %s', self._name.path)
            answer = partial(self._app, self._env, self._start_response)
        return answer()

    def _plan(self) -> Callable[[], Iterable[bytes]]:
        reason = decide.bypass_reason(self._env, getattr(self._app, 'deny_host_headers', ()))
        if reason:
            return partial(self._pass, f'fwd=bypass; detail={reason}')
        info = get_container_info(self._env, self._app, swift_source=SOURCE)
        reason = decide.bypass_container_reason(info)
        if reason:
            return partial(self._pass, f'fwd=bypass; detail={reason}')
        if not is_allowed(self._req, info['read_acl']):
            return partial(self._app, self._env, self._start_response)
        self._client = identify(self._req, self._store.naming)
        self._policy_index = int(info['storage_policy'])
        known = self._known()
        entry = self._entry()
        if entry is None:
            return self._miss(known, 'fwd=miss')
        return self._with_entry(entry, known)

    # the entry and what is known of it

    def _known(self) -> Known:
        if self._runtime.tokens is None:
            return Known(None, False)
        try:
            return Known(self._runtime.tokens.get(self._name), True)
        except TokensUnreachable:
            self._runtime.logger.increment('prefetch.tokens.unreachable')
            return Known(None, False)

    def _entry(self) -> Entry | None:
        try:
            return self._store.entry(self._name)
        except (Damaged, OSError) as error:
            self._damaged(error)
            return None

    def _damaged(self, error):
        self._runtime.logger.error('entry of %s not used: %s', self._name.path, error)
        self._runtime.logger.increment('prefetch.entries.damaged')
        self._forget(None)

    def _with_entry(self, entry, known):
        try:
            decision = decide.judge(entry.meta, entry.stamp, known.token, self._settings,
                                    self._policy_index, self._runtime.clock())
            if decision.action is Action.VALIDATE:
                decision = self._validate(entry, known, decision)
            if decision.action is Action.SERVE:
                return self._hit(entry, decision)
        except BaseException:
            entry.close()
            raise
        identity = entry.identity
        entry.close()
        if decision.reason != 'unvalidated':
            self._forget(identity)
        return self._miss(known, f'fwd=stale; detail={decision.reason}')

    def _validate(self, entry, known, decision):
        token = self._token_to_stamp(known)
        now = self._runtime.clock()
        status, timestamp, etag = newest_version(self._app, self._env)
        if is_same_version(entry.meta, timestamp, etag):
            if token is not None or self._settings.freshness == 'max-age':
                self._restamp(entry, Stamp(token.value if token else '', now))
            return replace(decision, action=Action.SERVE, reason='validated')
        # an error of the backend says nothing of the entry: it stays, and Swift words the answer
        reason = 'changed' if status == 200 or 400 <= status < 500 else 'unvalidated'
        return replace(decision, action=Action.MISS, reason=reason)

    def _token_to_stamp(self, known):
        """The token that the answer to a HEAD may be stamped with; it is read or set before that HEAD."""
        if not known.reachable or known.token is not None:
            return known.settled
        token = Token.new()
        try:
            self._runtime.tokens.set(self._name, token)
        except TokensUnreachable:
            return None
        return token

    def _restamp(self, entry, stamp):
        try:
            entry.restamp(stamp)
        except OSError as error:
            self._runtime.logger.warning('entry of %s cannot be stamped: %s', self._name.path, error)

    def _forget(self, identity):
        name = self._name
        self._runtime.recorder.add(Forget(name.account, name.container, object=name.object,
                                          identity=identity or '', at=self._runtime.clock()))

    # a hit

    def _hit(self, entry, decision):
        response = self._response(entry)
        # status and headers are settled here, by the engine that object servers use
        response.fix_conditional_response()
        if response.status_int == 412:
            # proxy-server words a failed precondition anew, and takes a quorum of replicas for it
            entry.close()
            return partial(self._pass, 'fwd=bypass; detail=precondition')
        now = self._runtime.clock()
        prefetched = entry.meta.origin in PREFETCHED
        self._note('prefetched' if prefetched else 'hit', entry.meta.body_length, now)
        if self._settings.cache_status:
            self._tell(response, entry, decision, now)
        self._touch(entry, now)
        if self._req.method == 'HEAD':
            entry.close()
        append_log_info(self._env, 'pf:hit')
        return partial(response, self._env, self._start_response)

    def _response(self, entry):
        headers = dict(entry.meta.headers)
        resolve_ignore_range_header(self._req, headers)
        rest = partial(rest_of_body, self._app, self._env, entry.meta)
        body = EntryBody(entry, rest, self._damaged) if self._req.method == 'GET' else None
        return Response(request=self._req, headers=headers, app_iter=body, conditional_response=True,
                        conditional_etag=resolve_etag_is_at_header(self._req, headers))

    def _tell(self, response, entry, decision, now):
        validated_at = entry.stamp.at if entry.stamp else entry.meta.fetched_at
        detail = f'; detail={decision.reason}' if decision.reason != 'fresh' else ''
        response.headers['Age'] = str(max(0, int(now - validated_at)))
        response.headers['Cache-Status'] = f'swiftahead; hit{detail}'
        if entry.meta.origin in PREFETCHED:
            response.headers['X-Object-Prefetched'] = 'True'

    def _touch(self, entry, now):
        try:
            entry.touch(now)
        except OSError as error:
            self._runtime.logger.debug('entry of %s cannot be touched: %s', self._name.path, error)

    def _note(self, outcome, length, now):
        """Leave an access record, unless the client wants none."""
        self._runtime.logger.increment(f'prefetch.{outcome}')
        if self._client.no_prefetch or self._req.method != 'GET':
            return
        name = self._name
        self._runtime.recorder.add(Access(name.account, name.container, name.object, self._client.name,
                                          now, length, outcome))

    # a miss

    def _miss(self, known, status):
        self._is_miss = True
        if not self._may_capture():
            return partial(self._pass, status)
        fill = self._runtime.fills.get(self._store.naming.entry(self._name))
        if fill is not None and self._may_join(fill, known):
            return partial(self._follow, fill, 'fwd=miss; collapsed')
        return partial(self._capture, known, status)

    def _may_capture(self):
        return (self._settings.capture and self._req.method == 'GET' and not self._client.no_prefetch
                and not any(key in self._env for key in decide.CONDITIONAL)
                and self._runtime.has_room(self._store))

    def _may_join(self, fill, known):
        """Only what was asked for after the last acknowledged write may be handed on."""
        token = known.settled
        return token is not None and fill.token is not None and token.value == fill.token.value

    def _capture(self, known, status):
        asked_at = self._runtime.clock()
        answer = []

        def keep_start(status_line, headers, exc_info=None):
            answer[:] = [status_line, headers, exc_info]

        body = self._app(self._env, keep_start)
        status_line, headers, exc_info = answer
        fill = self._fill(status_line, headers, body, known, asked_at)
        if fill is None:
            self._begin(status, status_line, headers, exc_info)
            return body
        spawn_n(self._run, fill, self._runtime.logger.thread_locals)
        return self._follow(fill, f'{status}; stored')

    def _run(self, fill, thread_locals):
        # Swift's loggers share these: what proxy-server logs of this answer keeps its transaction id
        self._runtime.logger.thread_locals = thread_locals
        fill.run()

    def _fill(self, status_line, headers, body, known, asked_at) -> Fill | None:
        """A fill of this answer; None where it is not to be kept, or cannot be."""
        try:
            if (not status_line.startswith('200 ')
                    or uncacheable_reason(headers, self._settings.max_object_size)
                    # from a replica that missed a write: Swift's answer, but not to be made to last
                    or known.token is not None and is_older(headers, known.token.timestamp)):
                return None
            return self._new_fill(status_line, headers, body, known, asked_at)
        except Exception as error:  # noqa: BLE001 - the answer is in hand: the client gets it in any case
            self._cannot_capture(error)
            return None

    def _new_fill(self, status_line, headers, body, known, asked_at):
        meta = EntryMeta(self._name, self._policy_index, objects_headers(headers),
                         int(find(headers, 'content-length') or 0), 'read', asked_at)
        token = known.settled
        stamp = Stamp(token.value, asked_at) if token else None
        entry_name = self._store.naming.entry(self._name)
        fill = Fill(self._store.writer(meta), status_line, headers, body, token, stamp,
                    partial(self._filled, entry_name))
        self._runtime.fills[entry_name] = fill
        return fill

    def _cannot_capture(self, error):
        self._runtime.logger.increment('prefetch.capture.failed')
        if not isinstance(error, NoRoom):
            self._runtime.logger.error('misses are not captured: %r', error)
            self._runtime.forget_store()

    def _filled(self, entry_name, fill):
        if self._runtime.fills.get(entry_name) is fill:
            del self._runtime.fills[entry_name]
        if fill.complete:
            self._runtime.recorder.add(FillRecord(fill.writer.name, self._runtime.clock()))
        elif fill.disk_error is not None:
            self._cannot_capture(fill.disk_error)

    def _follow(self, fill, status) -> Follower:
        self._begin(status, fill.status, fill.headers)
        return fill.follow(partial(rest_of_body, self._app, self._env, fill.writer.meta))

    # answers of the app's

    def _pass(self, status):
        return self._app(self._env, partial(self._begin, status))

    def _begin(self, status, status_line, headers, exc_info=None):
        """start_response for what Swift answered; `status` is what Cache-Status tells."""
        if self._is_miss and status_line[0] in '23':
            self._note('miss', int(find(headers, 'content-length') or 0), self._runtime.clock())
        # those who may not read learn nothing, not even that there is a cache
        if self._settings.cache_status and status_line[:3] not in ('401', '403'):
            headers = [*headers, ('Cache-Status', f'swiftahead; {status}')]
        append_log_info(self._env, 'pf:' + status.partition('=')[2].partition(';')[0])
        if exc_info:
            return self._start_response(status_line, headers, exc_info)
        return self._start_response(status_line, headers)
