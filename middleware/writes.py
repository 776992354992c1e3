"""Pass on writes, and end the life of cached versions by the token protocol."""
from swift.common.swob import HTTPException, Request

from ..conf.names import ObjectName
from ..freshness import Token
from .authorize import is_allowed
from .runtime import Runtime
from .subrequests import look_up


class Write:
    """One PUT, POST or DELETE of an object.

    It sets a pending token before the request goes down, and another when its outcome is known, before the
    client hears of it. A write that is refused sets none.
    """

    def __init__(self, app, runtime: Runtime, name: ObjectName):
        self._app = app
        self._runtime = runtime
        self._name = name
        self._status = ''

    def __call__(self, req: Request, start_response):
        try:
            timestamp = req.ensure_x_timestamp().internal
        except HTTPException:
            # the app refuses a request with a bad timestamp
            return self._app(req.environ, start_response)
        if not self._is_allowed(req):
            return self._app(req.environ, start_response)
        return self._write(req, start_response, timestamp)

    def _is_allowed(self, req):
        try:
            tokens = self._runtime.tokens.ring
            info = look_up(req.environ, self._app, tokens and tokens.client, self._name)
            return is_allowed(req, info.get('write_acl'), info.get('sync_key'))
        except Exception:  # noqa: BLE001 - the app meets it too, and words the answer
            self._runtime.logger.exception('tokens are set as if the write to %s were allowed', self._name.quoted)
            return True

    def _write(self, req, start_response, timestamp):
        self._runtime.count('writes')
        announced = self._runtime.tokens.announce(self._name)
        self._runtime.collapsed_reads.part(self._name)
        final = Token.new()

        def note_status(status, headers, exc_info=None):
            self._status = status
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        try:
            body = self._app(req.environ, note_status)
            if self._took_effect(req):
                final = Token.new(timestamp=timestamp)
            return body
        finally:
            # the client has not heard of the outcome yet, so nobody can expect it of a cache
            is_told = self._runtime.tokens.settle(self._name, announced, final)
            self._runtime.collapsed_reads.part(self._name)
            if self._runtime.detector is not None:
                self._runtime.detector.written(self._name)
            if final.timestamp and (req.method == 'DELETE' or not is_told):
                self._forget()

    def _took_effect(self, req):
        if req.method == 'PUT' and self._status.startswith('202'):
            # a newer write has superseded this one: its timestamp would vouch for a version that is replaced
            return False
        return self._status.startswith('2') or (req.method == 'DELETE' and self._status.startswith('404'))

    def _forget(self):
        """Have the entry purged: a deleted object should not lie on the SSD until eviction finds it, nor a
        replaced one be read on this node where memcached did not learn of the write."""
        store = self._runtime.store()
        try:
            if store is not None and store.has(self._name):
                self._runtime.forget(self._name)
        except OSError:
            return
