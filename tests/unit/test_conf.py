import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from swift.proxy.server import parse_per_policy_config

from swiftahead.conf import FILTER, MOVER, PREFETCHER, SIDECAR, STATUS, SYNCER, ConfError
from swiftahead.conf.casts import size
from swiftahead.conf.pipelines import filters, options, pipeline
from swiftahead.eviction.admission import ADMISSIONS
from swiftahead.eviction.policies import POLICIES
from swiftahead.sidecar.settings import check_client, read_settings

KEYS = {'cache_dir': '/var/cache/x', 'queue': 'sqlite:/var/cache/x/queue.db'}
ETC = Path(__file__).parents[2] / 'etc'


@pytest.mark.parametrize('text, value', [
    ('0', 0), ('1048576', 2**20), ('64 KiB', 2**16), ('2GiB', 2**31), ('1.5 MiB', 3 * 2**19), ('10 MB', 10**7),
    ('7 B', 7)])
def test_sizes(text, value):
    assert size(text) == value


@pytest.mark.parametrize('text', ['', 'much', '-1', '1 XiB', '1 GiB or so', 'GiB', '1e3'])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match='must be a size'):
        size(text)


def test_the_two_keys_are_enough():
    assert FILTER.read(KEYS).freshness == 'coherent'
    assert SIDECAR.read(KEYS).cache_size == 100 * 2**30


def test_values_that_were_read_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        FILTER.read(KEYS).max_age = 1.0


@pytest.mark.parametrize('key, value', [
    ('freshness', 'sometimes'), ('max_age', 'long'), ('max_age', '-1'), ('max_age', 'nan'), ('max_age', 'inf'),
    ('capture', 'perhaps'), ('fetch_whole', 'big'), ('spool_size', '-1'), ('cache_dir', 'relative'),
    ('queue', 'redis://x'), ('fetch_wait', '61'), ('detect_rate', 'often'), ('max_agee', '1')])
def test_a_wrong_filter_option_names_section_key_and_value(key, value):
    with pytest.raises(ConfError) as caught:
        FILTER.read({**KEYS, key: value})
    message = str(caught.value)
    assert '[filter:prefetch]' in message and key in message and value in message


@pytest.mark.parametrize('key, section', [
    ('max_object_size', 'prefetcher'), ('free_space', 'sidecar'), ('reclaim_age', 'mover')])
def test_what_the_sidecars_conf_says_is_refused_in_the_filters(key, section):
    rule = f'{key} = 5: no such option here: it is said in [{section}] of the sidecar\'s conf'
    with pytest.raises(ConfError, match=re.escape(rule)):
        FILTER.read({**KEYS, key: '5'})


@pytest.mark.parametrize('table, key', [
    (FILTER, 'buffer_records'), (FILTER, 'flush_interval'), (FILTER, 'detect_memory'),
    (PREFETCHER, 'poll_interval'), (PREFETCHER, 'queue_limit'), (MOVER, 'hand_over')])
def test_options_that_are_gone_are_refused(table, key):
    with pytest.raises(ConfError, match=f'{key} = 1: no such option'):
        table.read({**(KEYS if table is FILTER else {}), key: '1'})


@pytest.mark.parametrize('key', sorted(KEYS))
def test_a_missing_key_is_said(key):
    with pytest.raises(ConfError, match=f'{key} is missing'):
        FILTER.read({other: value for other, value in KEYS.items() if other != key})


def test_what_stands_in_default_belongs_to_others_too():
    assert FILTER.read(KEYS, {'bind_port': '8080', 'swift_dir': '/elsewhere'}).swift_dir == '/elsewhere'


def test_swifts_own_options_are_let_through():
    FILTER.read({**KEYS, 'log_level': 'DEBUG', 'set log_name': 'x', 'statsd_host': 'h', '__name__': 'prefetch',
                 'memcache_max_connections': '4'})


def write(tmp_path, text):
    path = tmp_path / 'sidecar.conf'
    path.write_text(text)
    return str(path)


MINIMAL = """
[sidecar]
cache_dir = /var/cache/x
queue = sqlite:/var/cache/x/queue.db
"""


def test_the_two_keys_and_the_pipeline_are_enough(tmp_path):
    path = write(tmp_path, MINIMAL + '[pipeline:main]\n'
                 'pipeline = catch_errors proxy-logging cache proxy-server\n')
    found = pipeline(read_settings(path).client)
    assert [one.entry_point_name for one in filters(found)] == ['catch_errors', 'proxy_logging', 'memcache']
    assert found.app_context.entry_point_name == 'proxy' and 'cache_dir' not in options(found.app_context)


def test_what_the_pipeline_says_is_kept(tmp_path):
    settings = read_settings(write(tmp_path, MINIMAL + (
        '[pipeline:main]\npipeline = cache proxy-server\n[app:proxy-server]\nuse = egg:swift#proxy\n'
        'node_timeout = 99\n')))
    assert options(pipeline(settings.client).app_context)['node_timeout'] == '99'


PROXY = '[app:proxy-server]\nuse = egg:swift#proxy\n'


def test_the_clients_policies_may_have_options_of_their_own(tmp_path):
    path = write(tmp_path, f'{MINIMAL}{PROXY}[proxy-server:policy:0]\nsorting_method = affinity\n')
    context = pipeline(read_settings(path).client).app_context
    # what proxy-server's own factory does
    assert parse_per_policy_config(options(context))['0']['sorting_method'] == 'affinity'


def test_values_are_interpolated_as_swift_does_it(tmp_path):
    text = '[DEFAULT]\nroot = /srv/%(disk)s\ndisk = ssd\n[sidecar]\ncache_dir = %(root)s/cache\n'
    settings = read_settings(write(tmp_path, f'{text}queue = sqlite:%(here)s/q.db\nswift_dir = %(root)s/etc\n'))
    assert settings.sidecar.cache_dir == '/srv/ssd/cache'
    assert settings.sidecar.queue == f'sqlite:{tmp_path}/q.db'
    assert options(pipeline(settings.client).app_context)['swift_dir'] == '/srv/ssd/etc'


def test_what_is_included_is_found_though_the_daemon_has_gone_elsewhere(tmp_path, monkeypatch):
    (tmp_path / 'other.ini').write_text('[app:base]\nuse = egg:swift#proxy\nnode_timeout = 99\n')
    write(tmp_path, f'{MINIMAL}[app:proxy-server]\nuse = config:other.ini#base\n')
    monkeypatch.chdir(tmp_path)
    settings = read_settings('sidecar.conf')
    monkeypatch.chdir('/')
    assert options(pipeline(settings.client).app_context)['node_timeout'] == '99'


@pytest.mark.parametrize('line, said', [
    ('cache_size = %(none)s', 'Bad value substitution'), ('cache_dir = /x', "option 'cache_dir' in section"),
    ('Cache_Size = 1', 'Cache_Size = 1: no such option')])
def test_what_swift_would_not_read_is_refused(tmp_path, line, said):
    with pytest.raises(ConfError, match=said):
        read_settings(write(tmp_path, f'{MINIMAL}{line}\n'))


@pytest.mark.parametrize('section', [
    'use = other\n[filter:other]\nuse = egg:swift#slo', 'use = config:other.ini#slo',
    'paste.filter_factory = swift.common.middleware.slo:filter_factory',
    'use = call:swift.common.middleware.slo:filter_factory',
    'use = egg:swift#healthcheck\nfilter-with = other\n[filter:other]\nuse = egg:swift#slo'])
def test_a_filter_that_acts_refuses_the_start_whatever_way_its_section_goes(tmp_path, section):
    (tmp_path / 'other.ini').write_text('[filter:slo]\nuse = egg:swift#slo\n')
    text = f'{MINIMAL}[pipeline:main]\npipeline = mine proxy-server\n[filter:mine]\n{section}\n'
    settings = read_settings(write(tmp_path, text))
    with pytest.raises(ConfError, match='must not have swift.common.middleware.slo, which acts on what passes'):
        check_client(settings)


def test_a_pipeline_that_cannot_be_loaded_refuses_the_start(tmp_path):
    text = f'{MINIMAL}[pipeline:main]\npipeline = mine proxy-server\n[filter:mine]\nuse = egg:no-such-egg#mine\n'
    settings = read_settings(write(tmp_path, text))
    with pytest.raises(ConfError, match=r'\[pipeline:main\] cannot be loaded: .*no-such-egg'):
        check_client(settings)


@pytest.mark.parametrize('text, said', [
    ('', r'no \[sidecar\] section'),
    ('[sidecar]\n', 'cache_dir is missing'),
    (MINIMAL + 'cache_siez = 1\n', 'cache_siez = 1: no such option'),
    (MINIMAL + 'low_water = 99\n', 'low_water = 99: must not be above high_water'),
    (MINIMAL + '[prefetcher]\nthreshold = 2\n', r'\[prefetcher\] threshold = 2: must be a number'),
    (MINIMAL + '[status]\nbind_ip = localhost\n', r'\[status\] bind_ip = localhost: must be an IP address'),
    (MINIMAL + '[status]\nbind_ip = 0.0.0.0\n', r'bind_ip = 0.0.0.0: must be a loopback address'),
    (MINIMAL + '[status]\nbind_ip = ::\n', r'bind_ip = ::: must be a loopback address'),
    (MINIMAL + '[status]\nbind_port = 65536\n', r'bind_port = 65536: must be a whole number'),
    (MINIMAL + 'eviction = mru\n', r'\[sidecar\] eviction = mru: must be one of lru, lfu, gdsf, s3fifo'),
    (MINIMAL + 'admit = some\n', r'\[sidecar\] admit = some: must be one of all, second_hit'),
    (MINIMAL + '[pipeline:main]\npipeline = cache\n', 'must end with proxy-server'),
    ('rubbish', 'no section headers')])
def test_a_wrong_sidecar_conf_is_said(tmp_path, text, said):
    with pytest.raises(ConfError, match=said):
        read_settings(write(tmp_path, text))


def test_nothing_is_synced_unless_a_conf_says_so(tmp_path):
    syncer = read_settings(write(tmp_path, MINIMAL)).syncer
    assert (syncer.enabled, syncer.sync_proxy, syncer.allowed_sync_hosts) == (False, (), ('127.0.0.1',))


def test_lists_of_the_syncer_are_split_at_their_commas(tmp_path):
    lines = 'allowed_sync_hosts = A.example, ,b,::1\nsync_proxy = http://10.1.1.1:8888 ,https://p.example,\n'
    syncer = read_settings(write(tmp_path, f'{MINIMAL}[syncer]\n{lines}')).syncer
    assert syncer.allowed_sync_hosts == ('a.example', 'b', '::1')
    assert syncer.sync_proxy == ('http://10.1.1.1:8888', 'https://p.example')


@pytest.mark.parametrize('line', [
    'sync_proxy = 10.1.1.1:8888', 'sync_proxy = ftp://host', 'sync_proxy = http://a:1,http://', 'ca_file = ca.pem',
    'sync_proxy = http://host:port', 'internal_client_conf_path = internal-client.conf', 'bind_ip = localhost',
    'bind_port = 0', 'interval = 0', 'conn_timeout = 0', 'response_timeout = nan', 'request_tries = 0',
    'sync_row_concurrency = 0', 'devices = node', 'devises = /srv/node'])
def test_a_wrong_option_of_the_syncer_names_section_key_and_value(tmp_path, line):
    with pytest.raises(ConfError, match=re.escape(f'[syncer] {line}: ')):
        read_settings(write(tmp_path, f'{MINIMAL}[syncer]\n{line}\n'))


def test_a_section_of_upstreams_container_sync_is_understood(tmp_path):
    upstreams = 'log_name = sync\nlog_level = INFO\ndb_preallocation = off\ninterval = 300.0\nrequest_tries = 3\n'
    assert read_settings(write(tmp_path, f'{MINIMAL}[syncer]\n{upstreams}')).syncer.interval == 300


@pytest.mark.parametrize('key', ['swift_dir', 'user', 'nice_priority'])
def test_options_of_the_whole_sidecar_are_refused_for_the_syncer(tmp_path, key):
    with pytest.raises(ConfError, match=f'{key} = 5: no such option here: it is said in .sidecar.'):
        read_settings(write(tmp_path, f'{MINIMAL}[syncer]\n{key} = 5\n'))


ALONE = '[sidecar]\n[syncer]\nenabled = on\n'


def test_a_conf_for_the_syncer_alone_needs_neither_cache_nor_queue(tmp_path):
    settings = read_settings(write(tmp_path, ALONE))
    assert (settings.has_cache, settings.sidecar.cache_dir, settings.sidecar.queue) == (False, '', '')
    assert [settings.prefetcher.enabled, settings.mover.enabled, settings.status.enabled] == [False, False, True]
    check_client(settings)


def test_beside_a_cache_the_syncer_turns_nothing_off(tmp_path):
    settings = read_settings(write(tmp_path, MINIMAL + '[syncer]\nenabled = on\n'))
    assert settings.has_cache and settings.prefetcher.enabled and settings.mover.enabled


@pytest.mark.parametrize('text, missing', [
    (ALONE + '[prefetcher]\nenabled = on\n', 'cache_dir'), (ALONE + '[mover]\nenabled = on\n', 'cache_dir'),
    ('[sidecar]\n[syncer]\nenabled = off\n', 'cache_dir'), ('[DEFAULT]\nenabled = on\n' + ALONE, 'cache_dir'),
    ('[sidecar]\ncache_dir = /c\n[syncer]\nenabled = on\n', 'queue'),
    ('[sidecar]\nqueue = sqlite:/q\n[syncer]\nenabled = on\n', 'cache_dir')])
def test_a_conf_for_more_than_the_syncer_needs_cache_and_queue(tmp_path, text, missing):
    with pytest.raises(ConfError, match=rf'^\[sidecar\] {missing} is missing'):
        read_settings(write(tmp_path, text))


def test_a_cache_in_default_is_one_too(tmp_path):
    keys = ''.join(f'{key} = {value}\n' for key, value in KEYS.items())
    assert read_settings(write(tmp_path, f'[DEFAULT]\n{keys}{ALONE}')).mover.enabled


@pytest.mark.parametrize('lines', ['bind_ip = 127.9.9.9', 'bind_ip = ::1', 'bind_ip = 0.0.0.0\nallow_remote = on'])
def test_the_status_app_may_listen_there(tmp_path, lines):
    assert read_settings(write(tmp_path, MINIMAL + f'[status]\n{lines}\n')).status.bind_ip in lines


@pytest.mark.parametrize('key, known', [('eviction', POLICIES), ('admit', ADMISSIONS)])
def test_what_goes_first_and_what_is_kept_may_be_whatever_the_cache_knows(tmp_path, key, known):
    for name in known:
        settings = read_settings(write(tmp_path, MINIMAL + f'{key} = {name}\n'))
        assert getattr(settings.sidecar, key) == name


def test_a_folder_of_confs_is_one_conf(tmp_path):
    (tmp_path / '1.conf').write_text(MINIMAL)
    (tmp_path / '2.conf').write_text('[sidecar]\ncache_size = 5 GiB\n')
    assert read_settings(str(tmp_path)).sidecar.cache_size == 5 * 2**30


def test_hidden_files_of_a_folder_are_no_conf(tmp_path):
    (tmp_path / '1.conf').write_text(MINIMAL)
    (tmp_path / '.2.conf').write_text('[sidecar]\ncache_size = 5 GiB\n')
    assert read_settings(str(tmp_path)).sidecar.cache_size == 100 * 2**30


def test_the_user_is_the_proxys(tmp_path):
    (tmp_path / 'proxy-server.conf').write_text(f'[DEFAULT]\nuser = nobody\n{PROXY}')
    assert read_settings(write(tmp_path, MINIMAL + f'swift_dir = {tmp_path}\n')).user == 'nobody'


def sample(file, section):
    """{option: (default, comment)} of a section of a sample, whose options are all commented out."""
    found, here, comment = {}, None, []
    for line in (ETC / file).read_text().splitlines():
        if line.startswith('['):
            here, comment = line.strip('[]'), []
        elif here == section and (option := re.match(r'# (\w+) =\s?(.*)', line)):
            found[option.group(1)] = option.group(2), ' '.join(comment)
            comment = []
        elif line.startswith('#'):
            comment.append(line.lstrip('# '))
        else:
            comment = []
    return found


@pytest.mark.parametrize('table, file', [
    (FILTER, 'proxy-server.conf-sample'), (SIDECAR, 'swiftahead-sidecar.conf-sample'),
    (PREFETCHER, 'swiftahead-sidecar.conf-sample'), (MOVER, 'swiftahead-sidecar.conf-sample'),
    (SYNCER, 'swiftahead-sidecar.conf-sample'), (STATUS, 'swiftahead-sidecar.conf-sample')],
    ids=lambda value: getattr(value, 'section', ''))
def test_the_sample_says_what_the_table_says(table, file):
    found = sample(file, table.section)
    for option in table.options:
        if option.name in KEYS:
            continue
        value, comment = found.pop(option.name)
        assert value == (option.default or '')
        assert option.meaning.split(';')[0].split(':')[0][:40].lower() in comment.lower(), option.name
    assert not found
