"""Control requests: POST /v1/A/C?prefetch=warm and ?prefetch=forget, by who may write to the container."""
from swift.common.swob import HTTPAccepted, HTTPBadRequest, HTTPServiceUnavailable, Request, wsgi_to_str
from swift.proxy.controllers.base import get_container_info

from ..queues import Forget, QueueError, Record, Warm
from .authorize import is_allowed
from .backend import SOURCE

PARAMETER = 'prefetch'


def is_control(req: Request) -> bool:
    return (req.method == 'POST' and PARAMETER in req.environ.get('QUERY_STRING', '')
            and PARAMETER in req.params)


def control(req: Request, start_response, app, runtime, account: str, container: str):
    """202 once the record is in the queue. What is not allowed, and no container, is Swift's to answer."""
    info = get_container_info(req.environ, app, swift_source=SOURCE)
    if not 200 <= (info.get('status') or 0) < 300 or not is_allowed(req, info['write_acl']):
        return app(req.environ, start_response)

    def answer(kind, text):
        return kind(request=req, body=text + '\n', content_type='text/plain')(req.environ, start_response)

    params = {key: wsgi_to_str(value) for key, value in req.params.items()}
    requested_by = (req.remote_user or '').partition(',')[0]
    try:
        runtime.recorder.put(_record(params, account, container, requested_by, runtime.clock()))
    except ValueError as error:
        return answer(HTTPBadRequest, str(error))
    except QueueError as error:
        runtime.logger.error('control request not taken: %s', error)
        return answer(HTTPServiceUnavailable, 'the queue of the prefetch filter takes no records')
    runtime.count('controls', reason=params[PARAMETER])
    return answer(HTTPAccepted, f'{params[PARAMETER]} request taken')


def _record(params, account, container, requested_by, now) -> Record:
    """:raises ValueError: with what to send instead"""
    if params[PARAMETER] == 'warm':
        limit = params.get('limit', '0')
        if not limit.isdigit():
            raise ValueError(f'limit={limit}: must be a whole number of objects')
        return Warm(account, container, params.get('prefix', ''), int(limit), requested_by, now)
    if params[PARAMETER] == 'forget':
        return Forget(account, container, params.get('prefix', ''), params.get('name', ''), at=now)
    raise ValueError(f'{PARAMETER}={params[PARAMETER]}: must be warm or forget')
