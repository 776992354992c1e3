"""Looking for an object where Swift does not look: through the app, in other policies. Nothing here changes
anything."""
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from swift.common.storage_policy import POLICIES
from swift.common.swob import Request
from swift.common.utils import drain_and_close
from swift.common.wsgi import make_pre_authed_request

from ..conf.names import ObjectName
from ..misplaced.servers import ABSENT, POLICY, copy_of, newest_first
from ..misplaced.verdict import Copy
from .subrequests import ALLOW_RESERVED, SOURCE


@dataclass(frozen=True)
class Question:
    """One name that was answered 404.

    :param app: proxy-server's, which has the rings
    :param env: of the request, read only
    :param policy_index: where it was looked for
    """
    app: Any
    env: dict
    name: ObjectName
    policy_index: int


def copies(question: Question) -> tuple[list[Copy], bool]:
    """What the other policies have, newest first; and whether all of them told."""
    found, statuses = [], []
    for policy in POLICIES:
        if int(policy) != question.policy_index:
            status, headers = head(question, int(policy))
            statuses.append(status)
            if 200 <= status < 300:
                found.append(copy_of(int(policy), headers))
    known = all(status == ABSENT or 200 <= status < 300 for status in statuses)
    return newest_first(found), known


def head(question: Question, policy_index: int) -> tuple[int, dict]:
    """The newest copy that the policy has. proxy-server may answer 200 where a server has a newer tombstone: of
    that, `asking.replicas` tells."""
    req: Request = make_pre_authed_request(
        question.env, 'HEAD', quote(f'/v1{question.name.path}'), agent='%(orig)s', swift_source=SOURCE,
        headers={'X-Newest': 'true', POLICY: str(policy_index)})
    req.environ['QUERY_STRING'] = ''
    if 'HTTP_X_BACKEND_ALLOW_RESERVED_NAMES' in question.env:
        req.headers[ALLOW_RESERVED] = question.env['HTTP_X_BACKEND_ALLOW_RESERVED_NAMES']
    resp = req.get_response(question.app)
    drain_and_close(resp)
    return resp.status_int, resp.headers
