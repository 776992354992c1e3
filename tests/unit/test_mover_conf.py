"""The mover's conf: what it may say, and the pipeline of the mover's client."""
import pytest
from helpers.mover.moving import (  # noqa: F401 - fixtures
    LEFT_OPEN,
    collected,
    make_cluster,
    misplaced,
    part_maker,
)
from swift.container.reconciler import ContainerReconciler

from swiftahead.conf import ConfError
from swiftahead.sidecar import main, program
from swiftahead.sidecar.settings import read_settings

pytestmark = LEFT_OPEN
MINIMAL = '[sidecar]\ncache_dir = /c\nqueue = sqlite:/q\n'


@pytest.fixture
def conf(tmp_path):
    """A file by its text after what there has to be."""
    def conf(text):
        (tmp_path / 'sidecar.conf').write_text(MINIMAL + text)
        return str(tmp_path / 'sidecar.conf')
    return conf


@pytest.mark.parametrize('use', [
    'encryption', 'keymaster', 'kms_keymaster', 'gatekeeper', 'slo', 'dlo', 'symlink', 'versioned_writes', 'copy',
    'staticweb', 'bulk', 's3api', 'container_quotas'])
@pytest.mark.parametrize('name', ['', 'whatever'])
def test_a_filter_that_acts_on_objects_refuses_the_start(conf, name, use):
    """R19: by its own name, without a section, or by another."""
    name, section = (name, f'[filter:{name}]\nuse = egg:swift#{use}\n') if name else (use, '')
    path = conf(f'[pipeline:main]\npipeline = catch_errors cache {name} proxy-server\n{section}')
    with pytest.raises(ConfError) as refused:
        read_settings(path)
    assert str(refused.value).startswith(
        f'[pipeline:main] pipeline = ... {name} ...: must not have egg:swift#{use}, ')


def test_what_refuses_the_start_names_the_file(conf, capsys, monkeypatch):
    """R19, R24"""
    monkeypatch.setattr(program, 'run_daemon', lambda *args, **options: pytest.fail('it was started'))
    path = conf('[pipeline:main]\npipeline = slo proxy-server\n')
    assert main([path]) == 1
    assert capsys.readouterr().err.startswith(f'swiftahead-sidecar: {path}: [pipeline:main] pipeline = ... slo')


def test_the_read_ahead_filter_itself_refuses_the_start(conf):
    """R19: what it answers may be from the cache."""
    path = conf('[pipeline:main]\npipeline = prefetch proxy-server\n'
                '[filter:prefetch]\nuse = egg:swiftahead#prefetch\n')
    with pytest.raises(ConfError, match='must not have egg:swiftahead#prefetch'):
        read_settings(path)


@pytest.mark.parametrize('pipeline', ['catch_errors proxy-logging cache proxy-server', 'healthcheck proxy-server',
                                      'proxy-server', 'cache mine proxy-server'])
def test_filters_that_leave_objects_as_they_are_may_be_there(conf, pipeline):
    """R19: somebody's own, too."""
    assert read_settings(conf(f'[pipeline:main]\npipeline = {pipeline}\n[filter:mine]\nuse = egg:mine#m\n'))


def test_the_movers_client_has_these_filters_and_no_others(cluster, make_part):
    """R19: not those either that Swift adds to a proxy's pipeline."""
    app = make_part()._mover._swift.app
    assert [type(filter).__name__ for filter in app._pipeline] == [
        'CatchErrorMiddleware', 'ProxyLoggingMiddleware', 'MemcacheMiddleware', 'Application']


def test_the_movers_requests_are_told_from_the_proxys_in_the_log(cluster, make_part):
    """R26: by a name that ends with -ic, as with upstream's daemons."""
    app = make_part()._mover._swift.app
    assert app.logger.server == app._pipeline[1].access_logger.server == 'swiftahead-mover-ic'


# options


@pytest.mark.parametrize('option', ['interval', 'reclaim_age', 'ring_check_interval', 'request_tries', 'processes',
                                    'process'])
def test_options_have_upstreams_names_and_defaults(conf, option):
    """R24"""
    upstream = ContainerReconciler({}, swift=object())
    ours = getattr(read_settings(conf('')).mover, option)
    assert ours == (3 if option == 'request_tries' else getattr(upstream, option))


@pytest.mark.parametrize('line, rule', [
    ('concurrency = 0', 'concurrency'), ('concurrency = -1', 'concurrency'), ('concurrency = many', 'concurrency'),
    ('processes = -1', 'processes'), ('processes = 2\nprocess = 2', 'process'),
    ('processes = 1\nprocess = 3', 'process'), ('process = -1', 'process'), ('request_tries = 0', 'request_tries'),
    ('interval = soon', 'interval'), ('interval = 0', 'interval'), ('reclaim_age = -5', 'reclaim_age'),
    ('retry_backoff = 0', 'retry_backoff'), ('bytes_per_second = fast', 'bytes_per_second'),
    ('dry_run = perhaps', 'dry_run'), ('swift_queue = 7', 'swift_queue'),
    ('swift_queue = on', 'swift_queue'), ('hand_over = on', 'hand_over'), ('procesess = 4', 'procesess')])
def test_a_bad_value_refuses_the_start(conf, line, rule):
    """R24: the message names section, option, value and rule."""
    with pytest.raises(ConfError, match=rf'\[mover\] {rule}'):
        read_settings(conf(f'[mover]\n{line}\n'))


@pytest.mark.parametrize('number, count', [(0, 0), (0, 1), (1, 2), (99, 100)])
def test_a_process_that_is_one_of_them_may_start(conf, number, count):
    """R24"""
    mover = read_settings(conf(f'[mover]\nprocesses = {count}\nprocess = {number}\n')).mover
    assert (mover.process, mover.processes) == (number, count)
