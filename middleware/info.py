"""What Swift knows of the container, by Swift's own function, which looks into memcached for it.

The filter has a question for memcached too, the object's token. Both are sent before either answer is
waited for; Swift's function then finds its answer where it would have asked.
"""
from swift.common.utils import cache_from_env
from swift.proxy.controllers.base import get_cache_key, get_container_info

from ..cache.line import LineError
from ..cache.lines import Answer, Lines
from ..conf.naming import ObjectName
from .backend import SOURCE

CACHE = 'swift.cache'


class AskedCache:
    """Stands for Swift's cache while one question is open that was sent already."""

    def __init__(self, cache, key: str, answer: Answer):
        self._cache = cache
        self._key = key
        self._answer = answer

    def get(self, key, *args, **more):
        if key == self._key:
            try:
                found = self._answer.take()
            except LineError:
                found = None
            if found:
                return found
        # Swift's ring has more patience, and other servers
        return self._cache.get(key, *args, **more)

    def __getattr__(self, name):
        return getattr(self._cache, name)


def key_to_ask(env: dict, lines: Lines | None, name: ObjectName) -> str | None:
    """The key of the container's info; None where Swift has it already, or asks other servers for it."""
    key = get_cache_key(name.account, name.container)
    if key in env.get('swift.infocache', ()):
        return None
    return key if lines is not None and lines.has_servers_of(cache_from_env(env, True)) else None


def container_info(env: dict, app, key: str, answer: Answer) -> dict:
    """Swift's `get_container_info`.

    :param answer: of memcached, to the question for `key`
    """
    cache = env[CACHE]
    env[CACHE] = AskedCache(cache, key, answer)
    try:
        return get_container_info(env, app, swift_source=SOURCE)
    finally:
        env[CACHE] = cache
