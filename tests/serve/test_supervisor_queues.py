"""Who accepts from which queue: always somebody, and its own worker if that is there."""

from __future__ import annotations

import random

from vivace.serve._queues import Change, Queues


def started(count: int) -> Queues:
    queues = Queues()
    for worker in range(1, count + 1):
        assert queues.hire(worker) is None
        queues.add(worker, worker)
    queues.up(*range(1, count + 1))
    return queues


def test_each_gets_its_own():
    queues = Queues()
    for worker in (1, 2):
        queues.hire(worker)
        queues.add(worker, worker)
    assert queues.up(1, 2) == [Change("accept", 1, 1), Change("accept", 2, 2)]


def test_a_neighbour_takes_over_while_one_is_down():
    queues = started(3)
    assert queues.down(2) == [Change("accept", 2, 1)]
    assert queues.of(1) == [1, 2]
    assert queues.up(2) == [Change("accept", 2, 2), Change("release", 2, 1)]
    assert queues.of(1) == [1]


def test_who_has_least_takes_over():
    queues = started(3)
    queues.down(2)
    assert queues.down(1) == [Change("accept", 1, 3), Change("accept", 2, 3)]


def test_all_down_and_one_back():
    queues = started(2)
    queues.down(1)
    queues.down(2)
    assert queues.up(2) == [Change("accept", 1, 2), Change("accept", 2, 2)]
    assert queues.up(1) == [Change("accept", 1, 1), Change("release", 1, 2)]


def test_the_queue_of_a_dismissed_worker_stays_with_the_others_and_is_given_again():
    queues = started(2)
    assert queues.dismiss(2) == [Change("accept", 2, 1)]
    assert queues.hire(3) == 2
    assert queues.up(3) == [Change("accept", 2, 3), Change("release", 2, 1)]


def test_whatever_happens_each_queue_has_one_taker():
    chance = random.Random(20)
    for _ in range(200):
        queues, up, down, last = started(3), {1, 2, 3}, set(), 3
        in_use = {1, 2, 3}
        for _ in range(30):
            action = chance.choice(("up", "down", "hire", "dismiss"))
            if action == "up" and down:
                worker = chance.choice(sorted(down))
                down.discard(worker)
                up.add(worker)
                queues.up(worker)
            elif action == "down" and up:
                worker = chance.choice(sorted(up))
                up.discard(worker)
                down.add(worker)
                queues.down(worker)
            elif action == "hire":
                last += 1
                if queues.hire(last) is None:
                    queues.add(last, last)
                down.add(last)
            elif action == "dismiss" and len(up) + len(down) > 1:
                worker = chance.choice(sorted(up | down))
                up.discard(worker)
                down.discard(worker)
                queues.dismiss(worker)
            taken = sorted(queue for worker in up for queue in queues.of(worker))
            assert len(taken) == len(set(taken))
            # Once somebody has accepted from a queue, there are connections in it.
            in_use.update(taken)
            if up:
                assert in_use == set(taken)
            assert all(not queues.of(worker) for worker in down)
