"""Mutants of the token protocol, each of which the freshness tests must find."""
from dataclasses import replace
from functools import partial

from swiftahead.cache import Stamp
from swiftahead.cache.headers import version_of
from swiftahead.freshness import ProcessTokens, Token, TokenReading
from swiftahead.middleware import decide, get, miss
from swiftahead.middleware.writes import Write


def no_final_token(patch):
    patch.setattr(ProcessTokens, 'settle', lambda self, name, announced, token: None)


def pending_ignored(patch):
    patch.setattr(decide, '_distrust', partial(_with_blind, decide._distrust))
    patch.setattr(TokenReading, 'settled', property(lambda self: self.token))


def _with_blind(distrust, meta, stamp, token):
    return distrust(meta, stamp, token and replace(token, pending=False))


def stamped_without_check(patch):
    patch.setattr(miss, 'is_older', lambda headers, timestamp: False)


def stamped_without_timestamp(patch):
    patch.setattr(miss, 'stamp_of', lambda exchange, known, meta: Stamp(known.settled.value, meta.fetched_at)
                  if known.settled else None)


def old_reads_joined(patch):
    patch.setattr(miss, 'may_join', lambda *_: True)
    patch.setattr(miss, 'is_outdated', lambda *_: False)


def token_read_after_the_answer(patch):
    inner = miss.stamp_of
    patch.setattr(miss, 'stamp_of', lambda exchange, known, meta: inner(
        exchange, exchange.runtime.tokens.take(exchange.runtime.tokens.ask(exchange.name)), meta))


def token_to_stamp_read_after_the_head(patch):
    inner = get.restamp

    def restamp(exchange, entry, stamp):
        found = exchange.runtime.tokens.take(exchange.runtime.tokens.ask(exchange.name)).token
        inner(exchange, entry, replace(stamp, token=found.value) if found else stamp)
    patch.setattr(get, 'restamp', restamp)


def versions_not_compared(patch):
    patch.setattr(get, 'version_of', lambda headers: AnyVersion())


class AnyVersion:
    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0


def only_etags_compared(patch):
    inner = get.newest_version

    def newest_version(*asked):
        status, version = inner(*asked)
        return status, ('', version[1])
    patch.setattr(get, 'newest_version', newest_version)
    patch.setattr(get, 'version_of', lambda headers: ('', version_of(headers)[1]))


def delete_of_nothing_not_taken(patch):
    patch.setattr(Write, '_took_effect', lambda self, req: self._status.startswith('2'))


def superseded_put_taken(patch):
    patch.setattr(Write, '_took_effect', lambda self, req: self._status[0] == '2')


def set_back_by_an_older_write(patch):
    patch.setattr(ProcessTokens, 'settle', lambda self, name, announced, token: self.set(name, token))


def timestamp_kept_by_an_older_write(patch):
    def settle(self, name, announced, token):
        found = self.take(self.ask(name)).token
        times = [each.timestamp for each in (found, token) if each is not None and each.timestamp]
        self.set(name, Token.new(timestamp=max(times, default='')))
    patch.setattr(ProcessTokens, 'settle', settle)


def age_not_looked_at(patch):
    patch.setattr(decide, '_by_age', lambda *_: decide.Decision(decide.Action.SERVE, 'fresh'))


def expiry_not_looked_at(patch):
    patch.setattr(decide, 'is_expired', lambda meta, now: False)
