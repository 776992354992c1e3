"""What is asked of the other cluster for one row."""
from types import SimpleNamespace
from typing import Any

import pytest
from swift.common.utils import Timestamp

from swiftahead.sidecar.syncer.remote import Destination, Found
from swiftahead.sidecar.syncer.row import Sender, Sent

AT = Timestamp(1700000000)
ROW = {'name': 'o', 'created_at': AT.internal, 'size': 5, 'etag': 'e', 'deleted': 0, 'ROWID': 1}


class Holding:
    """Another cluster that has each object as it is asked for."""

    def __init__(self):
        self.asked = []

    def head(self, destination, name, timestamp, newest=True):
        self.asked.append((name, newest))
        return Found(timestamp, 'e', 5, {})


@pytest.mark.holds('S10')
def test_one_copy_that_is_as_new_is_enough():
    remote: Any = Holding()
    container: Any = SimpleNamespace(destination=Destination('http://h/v1/AUTH_a/c', 'realm', 'key', 'secret'))
    source: Any = None
    assert Sender(source, remote).send(container, ROW) == (Sent.IN_STEP, 0)
    assert remote.asked == [('o', False)]
