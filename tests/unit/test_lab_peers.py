"""Groups of labs: folders with specs and realms confs. No program runs."""
import json
import shutil
import threading

import pytest

from swiftahead.lab import Lab, LabError
from swiftahead.lab.peers import find_peers, join
from swiftahead.lab.spec import LabLayout, LabSpec


def put_together(folder, *peers, cluster='', port=10001):
    """Do to a folder what `Lab.up` does, but start nothing; the lab's name."""
    for path in (LabLayout(folder).run, LabLayout(folder).etc):
        path.mkdir(parents=True, exist_ok=True)
    return join(folder, LabSpec(ports={'proxy1': port}), cluster, peers).cluster


def known(folder):
    return {spec.cluster for spec in find_peers(folder).values()}


def realms(folder):
    return (LabLayout(folder).etc / 'container-sync-realms.conf').read_text()


@pytest.fixture
def trio(tmp_path):
    """Folders of three labs, each a peer of the one before."""
    folders = [tmp_path / name for name in 'abc']
    put_together(folders[0])
    put_together(folders[1], folders[0])
    put_together(folders[2], folders[1])
    return folders


def test_a_lab_alone_is_cluster_lab(tmp_path):
    assert put_together(tmp_path / 'a') == 'lab'
    assert realms(tmp_path / 'a').endswith('[lab]\nkey = changeme\ncluster_lab = http://127.0.0.1:10001/v1/\n')


def test_peers_of_peers_are_peers(trio):
    assert [known(folder) for folder in trio] == [{'lab2', 'lab3'}, {'lab', 'lab3'}, {'lab', 'lab2'}]


def test_a_lab_that_is_put_up_again_keeps_name_and_peers(trio):
    assert put_together(trio[1], port=10002) == 'lab2'
    assert all('cluster_lab2 = http://127.0.0.1:10002/v1/' in realms(folder) for folder in trio)
    assert known(trio[0]) == {'lab2', 'lab3'}


def test_a_lab_gets_another_name_by_hand(trio):
    assert put_together(trio[0], cluster='west') == 'west'
    assert known(trio[2]) == {'west', 'lab2'}
    assert put_together(trio[0]) == 'west'


def test_a_lab_that_was_alone_gets_the_next_free_name(trio, tmp_path):
    assert put_together(tmp_path / 'd') == 'lab'
    assert put_together(tmp_path / 'd', trio[1]) == 'lab4'


def test_a_lab_whose_folder_is_gone_is_left_out(trio):
    shutil.rmtree(trio[1])
    put_together(trio[0])
    assert known(trio[0]) == {'lab3'}
    assert 'lab2' not in realms(trio[2])


def test_a_spec_that_cannot_be_read_is_left_out(trio):
    LabLayout(trio[1]).spec.write_text('{')
    assert known(trio[0]) == {'lab3'}


def test_another_lab_in_the_folder_of_a_peer_is_none(trio):
    shutil.rmtree(trio[1])
    put_together(trio[1])
    assert known(trio[1]) == set()
    put_together(trio[0])
    assert known(trio[0]) == {'lab3'}


def test_a_spec_from_before_there_were_peers_is_read(tmp_path):
    put_together(tmp_path / 'a')
    spec = LabLayout(tmp_path / 'a').spec
    fields = json.loads(spec.read_text())
    del fields['cluster'], fields['peers']
    spec.write_text(json.dumps(fields))
    assert put_together(tmp_path / 'b', tmp_path / 'a') == 'lab2'


def test_labs_that_are_put_up_at_once_all_know_each_other(tmp_path):
    put_together(tmp_path / 'first')
    folders = [tmp_path / str(number) for number in range(8)]
    threads = [threading.Thread(target=put_together, args=(folder, tmp_path / 'first')) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = {'lab', *(f'lab{number}' for number in range(2, 10))}
    assert known(tmp_path / 'first') == names - {'lab'}
    assert all(len(known(folder)) == 8 for folder in folders)


def test_two_peers_of_one_name_are_told(tmp_path):
    put_together(tmp_path / 'a')
    put_together(tmp_path / 'b')
    with pytest.raises(LabError, match='/a and .*/b would both be cluster lab; .* with another --cluster'):
        put_together(tmp_path / 'c', tmp_path / 'a', tmp_path / 'b')
    assert known(tmp_path / 'a') == set()


def test_a_name_that_a_peer_has_is_told(trio, tmp_path):
    with pytest.raises(LabError, match='/b and .*/d would both be cluster LAB2'):
        put_together(tmp_path / 'd', trio[0], cluster='LAB2')


def test_a_peer_that_is_no_lab_is_told(tmp_path):
    with pytest.raises(LabError, match='there is no lab in .*nothing; put one up with'):
        put_together(tmp_path / 'a', tmp_path / 'nothing')


def test_a_peer_that_cannot_be_written_is_told(tmp_path):
    put_together(tmp_path / 'a')
    shutil.rmtree(LabLayout(tmp_path / 'a').run)
    with pytest.raises(LabError, match='/a cannot be told of its peers'):
        put_together(tmp_path / 'b', tmp_path / 'a')


@pytest.mark.parametrize('options, told', [
    ({'cluster': 'north east'}, "cluster 'north east': a name consists of letters, digits"),
    ({'peers': ['.']}, 'cannot be a peer of itself'),
    ({'peers': '.'}, 'cannot be a peer of itself'),
])
def test_arguments_that_make_no_sense_are_told(tmp_path, monkeypatch, options, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LabError, match=told):
        Lab(tmp_path, **options)
