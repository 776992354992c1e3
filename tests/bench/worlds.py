"""Reads made of a trace: several readers of one sequence, a sequence that is followed badly, a listing of which
half is never read. Seeded, so that each run makes the same."""
from collections.abc import Sequence
from random import Random

from swiftahead.plan.accesslog import LogRead
from swiftahead.plan.listing import sizes

FEW, MANY = 0.1 / 3, 0.1


def interleaved(reads: Sequence[LogRead], clients: int = 4) -> list[LogRead]:
    """Each client reads the whole sequence, one read a second, and begins where another is a part of the way."""
    count = len(reads)
    return [reads[(number + client * count // clients) % count]._replace(at=number + client / clients,
                                                                         client=str(client))
            for number in range(count) for client in range(clients)]


def disturbed(reads: Sequence[LogRead], share: float, seed: int = 7) -> list[LogRead]:
    """That share of the reads is left out, as many are put in from elsewhere in the trace, and as many are swapped
    with the next; one read a second."""
    chance, left, made = Random(seed), list(reads), []
    number = 0
    while number < len(left):
        if chance.random() < share:
            number += 1
            continue
        if chance.random() < share:
            made.append(chance.choice(left))
        if chance.random() < share and number + 1 < len(left):
            made += left[number + 1], left[number]
            number += 2
            continue
        made.append(left[number])
        number += 1
    return [read._replace(at=float(at)) for at, read in enumerate(made)]


def mixed(count: int, clients: int = 6, gap: float = 0.4, seed: int = 5) -> list[tuple[float, str, str, int]]:
    """(seconds, client, object, bytes) of clients that go through sequences, some more often than others, read
    what everybody reads, and sometimes what nobody reads again."""
    chance, sizes = Random(seed), {}
    sequences = [[f'sequence-{one:02}/{number:02}' for number in range(chance.randrange(8, 25))]
                 for one in range(16)]
    left: dict[int, list[str]] = {client: [] for client in range(clients)}
    made = []
    for number in range(count):
        client = number % clients
        if not left[client]:
            left[client] = list(sequences[int(len(sequences) * chance.random() ** 2)])
        kind = chance.random()
        if kind < 0.75:
            name = left[client].pop(0)
        else:
            name = f'popular/{int(60 * chance.random() ** 3):02}' if kind < 0.93 else f'once/{number:05}'
        size = sizes.setdefault(name, min(400_000, int(chance.lognormvariate(10.3, 1.0))))
        made.append((number // clients * gap + client * gap / clients, str(client), name, size))
    return made


def listing(reads: Sequence[LogRead], seed: int = 1) -> dict[tuple, int]:
    """All names that are read, and as many that nobody reads, at random places in the order."""
    chance, found = Random(seed), sizes(reads)
    names, known = sorted(found), list(found.values())
    for number in range(len(names)):
        account, container, name = chance.choice(names)
        found[account, container, f'{name}~{number}'] = chance.choice(known)
    return found
