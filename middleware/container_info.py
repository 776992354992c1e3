"""What Swift knows of the container: where Swift keeps it, or by Swift's own function.

The filter has a question for memcached anyway, the object's token. Where the container's info has to be
looked up there too, both are asked in one go, and the answer is left where Swift's function would leave
it. Nothing here may be changed by who reads it: Swift uses the same dicts for the rest of the transaction.
"""
from swift.common.utils import cache_from_env
from swift.proxy.controllers.base import get_cache_key, get_container_info

from ..conf.names import ObjectName
from ..freshness.memcache_client import MemcacheAnswer, MemcacheClient
from ..freshness.memcache_connection import MemcacheError
from .subrequests import SOURCE

INFOCACHE = 'swift.infocache'


def key_to_ask(env: dict, app, client: MemcacheClient | None, name: ObjectName) -> str | None:
    """The key to ask memcached for; None where Swift has the info already, or would ask elsewhere."""
    key = get_cache_key(name.account, name.container)
    if key in env.get(INFOCACHE, ()) or getattr(app, 'container_existence_skip_cache', 0):
        return None
    return key if client is not None and client.has_servers_of(cache_from_env(env, True)) else None


def container_info(env: dict, app, name: ObjectName, answer: MemcacheAnswer | None = None) -> dict:
    """As `get_container_info` has it, but for numbers, which may still be texts.

    :param answer: of memcached, to the question for `key_to_ask`
    """
    key = get_cache_key(name.account, name.container)
    info = env.get(INFOCACHE, {}).get(key)
    if not info and answer is not None:
        info = _taken(answer)
        if info:
            env.setdefault(INFOCACHE, {})[key] = info
    # Swift's ring has more patience, and other servers; and there is the container itself
    return info or get_container_info(env, app, swift_source=SOURCE)


def look_up(env: dict, app, client: MemcacheClient | None, name: ObjectName) -> dict:
    """As `container_info`, with memcached asked by us where Swift would ask it: the answer serves both."""
    key = key_to_ask(env, app, client, name)
    answer = client.ask(key)[0] if client is not None and key is not None else None
    return container_info(env, app, name, answer)


def _taken(answer):
    try:
        found = answer.take()
    except MemcacheError:
        return None
    return found if isinstance(found, dict) and 'status' in found else None
