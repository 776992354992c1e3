"""The conf files of a lab."""
import os
import pwd
from collections.abc import Iterable

from ..conf.files import write_whole
from .spec import HOST, REALM, SERVERS, LabError, LabLayout, LabSpec

Sections = dict[str, dict]

PIPELINE = ('catch_errors gatekeeper healthcheck proxy-logging cache listing_formats container_sync bulk '
            'tempurl ratelimit s3api tempauth staticweb copy container-quotas account-quotas slo dlo '
            'versioned_writes symlink proxy-logging proxy-server')
CLIENT_PIPELINE = 'catch_errors proxy-logging cache proxy-server'
# the users that upstream's functional tests expect
USERS = {
    'user_admin_admin': 'admin .admin .reseller_admin',
    'user_test_tester': 'testing .admin',
    'user_test_tester2': 'testing2 .admin',
    'user_test_tester3': 'testing3',
    'user_test2_tester2': 'testing2 .admin',
    'user_test5_tester5': 'testing5 service',
}
FILTER_OPTIONS = {
    's3api': {'s3_acl': 'yes', 'check_bucket_owner': 'yes', 'cors_preflight_allow_origin': '*'},
    'tempauth': {'reseller_prefix': 'AUTH, SERVICE', 'SERVICE_require_group': 'service', **USERS},
    'slo': {'allow_async_delete': 'true'},
    'versioned_writes': {'allow_versioned_writes': 'true', 'allow_object_versioning': 'true'},
}
DAEMONS = {
    'account': ('account-auditor', 'account-reaper', 'account-replicator'),
    'container': ('container-auditor', 'container-replicator', 'container-sharder', 'container-sync',
                  'container-updater'),
    'object': ('object-auditor', 'object-reconstructor', 'object-replicator', 'object-updater'),
}
# on a busy machine Swift's half seconds would be over before a healthy server has answered
PATIENT = {'node_timeout': '20', 'conn_timeout': '5'}
# one for the whole cluster, each with a pipeline of its own
CLUSTER_DAEMONS = ('container-reconciler', 'object-expirer')


def user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise LabError(f'Swift needs a user name, and user id {os.geteuid()} has none; add one to '
                       '/etc/passwd, or run the lab as another user') from None


def write_confs(spec: LabSpec, layout: LabLayout) -> None:
    etc = layout.etc
    _write(etc / 'swift.conf', _swift(spec))
    _write(etc / 'memcache.conf', {'memcache': {'memcache_servers': memcached(spec)}})
    for number, name in enumerate(spec.proxy_names, 1):
        _write(layout.server_conf('proxy', number), _proxy(spec, layout, spec.ports[name]))
    for number in spec.node_numbers:
        for server in SERVERS:
            _write(layout.server_conf(server, number), _server(spec, layout, server, number))
        _write(layout.syncer_conf(number), _syncer(spec, layout, number))
    _write(_internal_client(layout), _client(spec, layout, 'catch_errors proxy-logging cache symlink '
                                                               'proxy-server'))
    for name in CLUSTER_DAEMONS:
        own = {name: {'interval': '1', 'internal_client_conf_path': str(etc / f'{name}.conf')}}
        _write(etc / f'{name}.conf', {**_client(spec, layout, CLIENT_PIPELINE), **own})
    _write(etc / 'swiftahead-sidecar.conf', _sidecar(spec, layout))
    (etc / 'rsyncd.conf').write_text(_rsync(spec, layout))


def write_realms(specs: Iterable[LabSpec], layout: LabLayout) -> None:
    """Write the realms conf of one lab. :param specs: of all labs in the realm"""
    clusters = {f'cluster_{spec.cluster}': f'http://{HOST}:{spec.ports["proxy1"]}/v1/' for spec in specs}
    # 0: programs look at the file for each request, so that they know of a peer at once
    _write(layout.etc / 'container-sync-realms.conf',
           {'DEFAULT': {'mtime_check_interval': '0'}, REALM: {'key': 'changeme', **clusters}})


def memcached(spec: LabSpec) -> str:
    return f'{HOST}:{spec.ports["memcached"]}'


def _swift(spec):
    sections: Sections = {'swift-hash': {'swift_hash_path_prefix': 'lab', 'swift_hash_path_suffix': 'lab'}}
    for index, name in enumerate(spec.policies):
        section = {'name': name, 'policy_type': 'replication'}
        if spec.is_ec(name):
            section = {'name': name, 'policy_type': 'erasure_coding', 'ec_type': 'liberasurecode_rs_vand',
                       'ec_num_data_fragments': '2', 'ec_num_parity_fragments': '1'}
        sections[f'storage-policy:{index}'] = section | ({} if index else {'default': 'yes'})
    return sections


def _defaults(layout, **more):
    return {'swift_dir': layout.etc, 'user': user(), 'log_level': 'INFO', **more}


def _pipeline(spec, layout, pipeline):
    """Make [pipeline:main], its filters and a proxy."""
    sections: Sections = {'pipeline:main': {'pipeline': pipeline}}
    sections['app:proxy-server'] = {
        'use': 'egg:swift#proxy', 'allow_account_management': 'true', 'account_autocreate': 'true',
        **PATIENT,
        # a write is answered when all replicas have it, unless a server is down
        'post_quorum_timeout': '20',
        # a server that was stopped and started again is soon asked again
        'error_suppression_interval': '5'}
    own = {'cache': {'memcache_servers': memcached(spec)},
           'container_sync': {'current': f'//{REALM}/{spec.cluster}'},
           'prefetch': {'cache_dir': layout.cache, 'queue': f'sqlite:{layout.queue}', **spec.filter_conf}}
    for name in dict.fromkeys(pipeline.split()[:-1]):
        egg = {'cache': 'swift#memcache', 'prefetch': 'swiftahead#prefetch'}.get(
            name, f'swift#{name.replace("-", "_")}')
        sections[f'filter:{name}'] = {'use': f'egg:{egg}', **FILTER_OPTIONS.get(name, {}),
                                      **own.get(name, {})}
    return sections


def _proxy(spec, layout, port):
    pipeline = PIPELINE
    if spec.filter:
        pipeline = pipeline.replace(' proxy-server', ' prefetch proxy-server')
    return {'DEFAULT': _defaults(layout, bind_ip=HOST, bind_port=port, workers=spec.workers,
                                user=spec.user or user()),
            **_pipeline(spec, layout, pipeline)}


def _client(spec, layout, pipeline):
    return {'DEFAULT': _defaults(layout, recon_cache_path=layout.run),
            **_pipeline(spec, layout, pipeline)}


def _sidecar(spec, layout):
    sections = {
        'DEFAULT': {'swift_dir': layout.etc, 'log_level': 'INFO'},
        'sidecar': {'cache_dir': layout.cache, 'queue': f'sqlite:{layout.queue}', 'user': spec.user or user(),
                    'swift_dir': layout.etc, 'cache_size': '1 GiB'},
        'status': {'bind_port': spec.ports['status']},
        **_pipeline(spec, layout, CLIENT_PIPELINE)}
    for section, options in spec.sidecar_conf.items():
        sections[section] = {**sections.get(section, {}), **options}
    return sections


def _syncer(spec, layout, number):
    """Make the conf of the syncer beside the container server `number`."""
    return {
        'DEFAULT': {'swift_dir': layout.etc, 'log_level': 'INFO'},
        'sidecar': {'user': user(), 'swift_dir': layout.etc},
        'syncer': {'enabled': 'on', 'devices': layout.node(number), 'mount_check': 'off', 'bind_ip': HOST,
                   'bind_port': spec.ports[f'container{number}'], 'interval': '1',
                   'internal_client_conf_path': _internal_client(layout)},
        'status': {'enabled': 'off'}}


def _internal_client(layout):
    return layout.etc / 'internal-client.conf'


def _server(spec, layout, server, number):
    name = f'{server}-server'
    has_latency = server == 'object' and spec.latency_ms > 0
    rsync = f'rsync://{HOST}:{spec.ports["rsync"]}/{server}{{replication_port}}'
    sections = {
        'DEFAULT': _defaults(layout, bind_ip=HOST, bind_port=spec.ports[f'{server}{number}'], workers=0,
                             devices=layout.node(number), mount_check='false', disable_fallocate='true',
                             fallocate_reserve='0', recon_cache_path=layout.recon(number), **PATIENT),
        'pipeline:main': {'pipeline': f'healthcheck recon {"latency " if has_latency else ""}{name}'},
        f'app:{name}': {'use': f'egg:swift#{server}'},
        'filter:healthcheck': {'use': 'egg:swift#healthcheck'},
        'filter:recon': {'use': 'egg:swift#recon'},
        'filter:latency': {'use': 'egg:swiftahead#latency', 'latency_ms': spec.latency_ms},
        **{daemon: {} for daemon in DAEMONS[server]}}
    sections[f'{server}-replicator'] = {'rsync_module': rsync}
    if server == 'object':
        # a write is answered when its container lists it
        sections['app:object-server']['container_update_timeout'] = '20'
    if server == 'container':
        sections['app:container-server']['allow_versions'] = 'on'
        for daemon in ('container-sync', 'container-sharder'):
            sections[daemon] = {'internal_client_conf_path': _internal_client(layout)}
        sections['container-sync']['interval'] = '1'
    return sections


def _rsync(spec, layout):
    lines = [f'address = {HOST}', f'port = {spec.ports["rsync"]}', 'use chroot = no',
             f'log file = {layout.logs / "rsync.log"}']
    if os.geteuid() == 0:
        lines += ['uid = root', 'gid = root']
    for number in spec.node_numbers:
        for server in SERVERS:
            module = f'{server}{spec.ports[f"{server}{number}"]}'
            lines += [f'[{module}]', f'path = {layout.node(number)}', 'read only = false',
                      'max connections = 25', f'lock file = {layout.run / module}.lock']
    return '\n'.join(lines) + '\n'


def _write(path, sections):
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = (f'[{section}]\n' + ''.join(f'{key} = {value}\n' for key, value in options.items())
              for section, options in sections.items())
    # whole, since a running peer may read it
    write_whole(path, ['\n'.join(blocks).encode()], '.new', mode=0o666)
