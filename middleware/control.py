"""Answer POST /v1/A/C?prefetch=warm and ?prefetch=forget, the control requests of clients that may write to the
container.

A request for the same with an object or another method is refused and never passed on: Swift would take a POST to
an object for one that removes its metadata, and would obey a DELETE. Such a request with another value of the
parameter goes on to Swift, which ignores the parameter.
"""
from urllib.parse import parse_qsl, quote

from swift.common.constraints import MAX_OBJECT_NAME_LENGTH, check_utf8
from swift.common.request_helpers import is_user_meta
from swift.common.swob import HTTPAccepted, HTTPBadRequest, HTTPServiceUnavailable, Request, wsgi_to_str
from swift.proxy.controllers.base import get_container_info
from swift.proxy.controllers.container import ContainerController

from ..conf.names import LARGEST_LIMIT, NODE_HEADER, PARAMETER, TAKES, ObjectName, to_bytes
from ..queues import Forget, QueueError, Warm
from .authorize import is_allowed
from .runtime import Runtime
from .subrequests import SOURCE

REMOVES_META = 'x-remove-container-'
# characters of a value that an answer quotes
SHOWN = 40


def is_control(req: Request) -> bool:
    return PARAMETER in req.environ.get('QUERY_STRING', '') and PARAMETER in req.params


def is_misdirected(req: Request, obj: str | None) -> bool:
    """Tell whether a control request names an object or has another method than POST."""
    return (bool(obj) or req.method != 'POST') and req.params[PARAMETER] in TAKES


def refuse(req: Request, start_response):
    """Refuse a misdirected request, whatever the client's rights."""
    asked = f'{PARAMETER}={req.params[PARAMETER]}'
    return _answer(req, HTTPBadRequest, f'a request with {asked} must be a POST to a container, '
                   f'/v1/ACCOUNT/CONTAINER?{asked}: nothing was done')(req.environ, start_response)


def control(req: Request, start_response, app, runtime: Runtime, account: str, container: str):
    """Answer 202 once the record is in the queue. Swift answers where the client may not write
    or there is no container."""
    info = get_container_info(req.environ, app, swift_source=SOURCE)
    if not 200 <= (info.get('status') or 0) < 300 or not is_allowed(req, info['write_acl']):
        return app(req.environ, start_response)
    kind, text = _take(req, runtime, account, container)
    answer = _answer(req, kind, text)
    answer.headers[NODE_HEADER] = runtime.node
    return answer(req.environ, start_response)


def _answer(req, kind, text):
    return kind(request=req, body=text + '\n', content_type='text/plain')


def _take(req, runtime: Runtime, account, container):
    """Put the record into the queue; return kind and text of the answer."""
    if runtime.store() is None:
        return HTTPServiceUnavailable, f'{runtime.node} has no cache folder: is its sidecar running?'
    try:
        _check_headers(req.headers)
        params = _params(req.environ['QUERY_STRING'])
        record = _record(params, account, container, (req.remote_user or '').partition(',')[0], runtime.clock())
        runtime.recorder.put(record)
    except ValueError as error:
        return HTTPBadRequest, str(error)
    except QueueError as error:
        runtime.logger.error('control request not taken: %s', error)
        return HTTPServiceUnavailable, f'the queue of {runtime.node} takes no records'
    runtime.count('controls', reason=params[PARAMETER])
    return HTTPAccepted, (f'{params[PARAMETER]} request for {_shown(container)} taken by {runtime.node}; '
                          f'{_tell_others(runtime, record)}')


def _tell_others(runtime: Runtime, record: Warm | Forget) -> str:
    """End the token of one object, which all nodes see; tell how other nodes treat the request."""
    if isinstance(record, Warm):
        return 'other nodes fetch nothing'
    if not record.object:
        return 'other nodes keep what they have'
    if runtime.settings.freshness == 'validate' and not runtime.why_validated:
        return 'other nodes validate their copies at each read'
    if runtime.tokens.end(ObjectName(record.account, record.container, record.object)):
        return 'other nodes validate their copies at the next read'
    why = 'memcached did not answer, so that ' if runtime.tokens.told is not None else ''
    return f'{why}other nodes may answer with their copies for up to {runtime.settings.max_age:g} s'


def _check_headers(headers):
    """Refuse headers that a POST to a container would store, and a control request would lose.

    :raises ValueError: for such a header
    """
    for key in headers:
        name = key.lower()
        if (is_user_meta('container', name) or name.startswith(REMOVES_META)
                or name in ContainerController.pass_through_headers):
            raise ValueError(f'{_shown(key)}: send what is to be stored with the container in a POST of its own')


def _params(query: str) -> dict[str, str]:
    """Read the query's parameters, each there once and none empty.

    :raises ValueError: naming the rule that the query breaks
    """
    pairs = [(wsgi_to_str(key), wsgi_to_str(value))
             for key, value in parse_qsl(query, keep_blank_values=True, encoding='latin-1')]
    params = dict(pairs)
    if len(params) < len(pairs):
        raise ValueError('each parameter may be there only once')
    for key, value in params.items():
        if not check_utf8(value):
            raise ValueError(f'{_shown(key)}={_shown(value)}: must be UTF-8, neither empty nor with a zero byte')
    return params


def _record(params, account, container, requested_by, now) -> Warm | Forget:
    """Make the record that the parameters ask for.

    :raises ValueError: naming the rule that they break
    """
    action = params[PARAMETER]
    if action not in TAKES:
        raise ValueError(f'{PARAMETER}={_shown(action)}: must be warm or forget')
    for key in params.keys() - {PARAMETER}:
        if key not in TAKES[action]:
            raise ValueError(f'{_shown(key)}: {PARAMETER}={action} takes {" and ".join(TAKES[action])} alone')
    if action == 'warm':
        return Warm(account, container, params.get('prefix', ''), _limit(params), requested_by, now)
    return Forget(account, container, params.get('prefix', ''), _name(params), at=now)


def _limit(params) -> int:
    """Read the limit on the objects to warm; 0: none.

    :raises ValueError: naming the rule that it breaks
    """
    text = params.get('limit')
    if text is None:
        return 0
    # no text longer than the largest limit is read: Python refuses very long numbers in words of its own
    digits = text if text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_LIMIT)) else '0'
    if not 1 <= int(digits) <= LARGEST_LIMIT:
        raise ValueError(f'limit={_shown(text)}: must be a whole number of objects, from 1 to {LARGEST_LIMIT}')
    return int(digits)


def _name(params) -> str:
    name = params.get('name', '')
    if name and 'prefix' in params:
        raise ValueError('name and prefix exclude each other: give one of them')
    if len(to_bytes(name)) > MAX_OBJECT_NAME_LENGTH:
        raise ValueError(f'name={_shown(name)}: must have at most {MAX_OBJECT_NAME_LENGTH} bytes')
    return name


def _shown(text):
    """Quote a client's text as part of one line."""
    return quote(text[:SHOWN], errors='surrogateescape') + ('...' if len(text) > SHOWN else '')
