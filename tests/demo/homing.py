"""The second act: a split brain leaves an object in the wrong policy, a read finds it, the mover moves it home."""
import time
from pathlib import Path

from swiftahead.lab import Lab
from swiftahead.lab.brain import Brain

from .screen import Screen

CONTAINER, NAME = 'holiday', 'photo'
BODY = b'taken while the cluster was split'
HOME, ELSEWHERE = 'gold', 'silver'
# the object is at home within seconds; on a machine with much else to do, later
PATIENCE = 60.0
STEP = 0.05


def act(folder: Path, screen: Screen) -> list[str]:
    """:returns: what was promised and did not hold; nothing if all did"""
    screen.say('Second act: a misplaced object')
    screen.stage('starting a cluster of four nodes and two storage policies')(0)
    with Lab(folder) as lab, Brain(lab, CONTAINER) as brain:
        split(brain, screen)
        return bring_home(brain, screen)


def split(brain: Brain, screen: Screen) -> None:
    screen.stage('splitting it in halves')(0)
    with brain.only('right'):
        brain.put_container(HOME)
    with brain.only('left'):
        brain.put_container(ELSEWHERE)
        brain.put_object(NAME, BODY)
    screen.stage('letting the halves meet again')(0)
    brain.meet()
    # proxies remember a container's policy for a minute
    brain.forget()
    screen.say(f'  the halves made one container, each with a policy of its own; {HOME} is the elder and stays')
    screen.say(f'  the object: {where(brain)}')


def bring_home(brain: Brain, screen: Screen) -> list[str]:
    begin = time.monotonic()
    status = brain.get_object(NAME).status
    screen.say(f'  GET: {status}, though the object is there; the filter looks where Swift does not')
    if status != 404:
        return [f'the misplaced object was answered {status}, not 404']
    answer = brain.get_object(NAME)
    while answer.status != 200 and time.monotonic() - begin < PATIENCE:
        time.sleep(STEP)
        answer = brain.get_object(NAME)
    if answer.status != 200 or answer.body != BODY:
        return [f'the misplaced object is not at home after {time.monotonic() - begin:.0f} s']
    seconds = time.monotonic() - begin
    # the copy is there before its source goes
    while ELSEWHERE in data(brain) and time.monotonic() - begin < PATIENCE:
        time.sleep(STEP)
    screen.say(f'  GET: 200, {seconds:.1f} s later; the object: {where(brain)}')
    return [] if list(data(brain)) == [HOME] else [f'the object that was moved: {where(brain)}']


def data(brain: Brain) -> dict[str, int]:
    """Policy -> on how many nodes there is the object itself, and not a tombstone."""
    found = {policy: sum(any(name.endswith('.data') for name in names) for names in files.values())
             for policy, files in brain.everywhere(NAME).items()}
    return {policy: nodes for policy, nodes in found.items() if nodes}


def where(brain: Brain) -> str:
    return ', '.join(f'on {nodes} nodes in {policy}' for policy, nodes in data(brain).items()) or 'nowhere'
