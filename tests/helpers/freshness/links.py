"""Workers' ways to memcacheds that forget, fail, hang and are split, for the freshness tests."""
from types import SimpleNamespace

from greenlet import getcurrent

from swiftahead.freshness import Token, TokensUnreachable

# what a worker's link may be, besides a server's number; by one that is LOST what is set arrives, unconfirmed
REFUSED, LOST = 'refused', 'lost'


class Memcached:
    def __init__(self):
        self.token: Token | None = None


class Link:
    """One worker's way to its memcached: the interface of a TokenRing."""
    client = None

    def __init__(self, machine, proxy: int):
        self._machine = machine
        self._proxy = proxy

    def _server(self):
        state = self._machine.links[self._proxy]
        if state in (REFUSED, LOST):
            raise TokensUnreachable(state)
        return self._machine.servers[state]

    def _stop(self):
        op = self._machine.running.get(getcurrent())
        if op is not None:
            op.stop()
        return op

    def ask(self, name):
        """As of now."""
        self._stop()
        try:
            found = self._server().token
        except TokensUnreachable as error:
            return SimpleNamespace(take=lambda error=error: _raise(error))
        return SimpleNamespace(take=lambda: found)

    def get(self, name):
        return self.ask(name).take()

    def set(self, name, token):
        self._set(token, self._stop())

    def _set(self, token, op):
        state = self._machine.links[self._proxy]
        server = self._machine.servers[0] if state == LOST else self._server()
        server.token = token
        if op is not None:
            op.landed.append((server, token))
        if state == LOST:
            raise TokensUnreachable('it is set, but who set it never hears of that')

    def announce(self, name, token):
        self._set(token, self._stop())
        return token

    def replace(self, name, announced, token):
        op = self._stop()
        if self._server().token != announced:
            return False
        self._set(token, op)
        return True

    def end(self, name):
        token = self._server().token
        if token is not None and not token.pending:
            self._set(Token.new(timestamp=token.timestamp), None)

    def ensure(self, name):
        token = self.get(name)
        if token is None:
            token = Token.new()
            self.set(name, token)
        return token


def _raise(error):
    raise error
