"""The client by which the syncer reads objects: whose conf it has."""
from types import SimpleNamespace

import pytest

from swiftahead.conf import SYNCER
from swiftahead.sidecar.syncer.client import conf_path


def settings_of(folder, **own):
    return SimpleNamespace(sidecar=SimpleNamespace(swift_dir=str(folder)), syncer=SYNCER.read(own, {}))


@pytest.mark.holds('S18')
def test_the_conf_that_is_named_is_taken_before_swifts_own(tmp_path):
    own = tmp_path / 'internal-client.conf'
    assert conf_path(settings_of(tmp_path)) is None
    own.write_text('')
    assert conf_path(settings_of(tmp_path)) == str(own)
    assert conf_path(settings_of(tmp_path, internal_client_conf_path='/a/b.conf')) == '/a/b.conf'
