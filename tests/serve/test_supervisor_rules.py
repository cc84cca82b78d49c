"""When workers are replaced, and how long is waited: decisions, without any process."""

from __future__ import annotations

import socket
import time

import pytest

from vivace.serve import Config
from vivace.serve._channel import Channel, Message
from vivace.serve._recycling import Recycling, resident_memory
from vivace.serve._supervisor import delay_after_deaths, seconds_to_end

MEBI = 1 << 20


class TestRecycling:
    def test_memory(self):
        recycling = Recycling(100 * MEBI, None, now=0.0)
        assert recycling.reason(now=1, rss=100 * MEBI, requests=0) is None
        assert recycling.reason(now=2, rss=150 * MEBI, requests=0) == (
            "Memory of 150 MiB is more than the limit of 100 MiB"
        )

    def test_age(self):
        recycling = Recycling(None, 60.0, now=1000.0, jitter=1.0)
        assert recycling.reason(now=1059, rss=0, requests=0) is None
        assert recycling.reason(now=1060, rss=0, requests=0) == "Maximum age reached"

    def test_ages_differ_by_a_tenth_at_most(self):
        ends = [Recycling(None, 100.0, now=0.0)._ends_at for _ in range(50)]
        assert len(set(ends)) > 1
        assert all(100 <= end <= 110 for end in ends)

    def test_waits_for_a_moment_without_requests_but_not_for_ever(self):
        recycling = Recycling(None, 60.0, now=0.0, jitter=1.0)
        assert recycling.reason(now=60, rss=0, requests=1) is None
        assert recycling.reason(now=89, rss=0, requests=1) is None
        assert recycling.reason(now=90, rss=0, requests=1) is not None

    def test_memory_that_has_been_too_much_stays_too_much(self):
        recycling = Recycling(MEBI, None, now=0.0)
        assert recycling.reason(now=1, rss=2 * MEBI, requests=1) is None
        assert recycling.reason(now=2, rss=0, requests=0) is not None

    def test_resident_memory(self):
        assert 5 * MEBI < resident_memory() < 10_000 * MEBI


def test_delays():
    assert [delay_after_deaths(deaths) for deaths in (0, 1, 2, 3, 4)] == [0, 0, 0.5, 1, 2]
    assert delay_after_deaths(50) == 30


@pytest.mark.parametrize(
    ("requests", "application", "seconds"),
    [(30, 20, 60), (0, 5, 15), (None, 30, None), (30, None, 70), (1, None, 16)],
)
def test_time_to_end(requests, application, seconds):
    config = Config(
        "module:app",
        log_config=None,
        timeout_graceful_shutdown=requests,
        timeout_shutdown=application,
    )
    assert seconds_to_end(config) == seconds


class TestChannel:
    @pytest.fixture
    def ends(self):
        one, other = Channel.pair()
        yield one, other
        one.close()
        other.close()

    def test_messages_keep_their_borders(self, ends):
        one, other = ends
        one.send(Message("ready"))
        one.send(Message("retiring", text="old"))
        assert other.receive() == Message("ready")
        assert other.receive() == Message("retiring", text="old")
        with pytest.raises(BlockingIOError):
            other.receive()

    def test_sockets(self, ends):
        one, other = ends
        with socket.create_server(("127.0.0.1", 0)) as server:
            one.send(Message("accept", 3, shared=True, fds=[server.fileno()]))
            message = other.receive()
            assert (message.word, message.queue, message.shared) == ("accept", 3, True)
            with socket.socket(fileno=message.fds[0]) as copy:
                assert copy.getsockname() == server.getsockname()
                assert not copy.get_inheritable()

    def test_the_end_of_the_other_side(self, ends):
        one, other = ends
        one.send(Message("ready"))
        one.close()
        assert other.receive() == Message("ready")
        assert other.receive() is None
        other.send(Message("ping"))

    def test_what_is_sent_after_closing_is_lost(self):
        """Two workers end at once: one's sockets go to the other, before its keeper knows."""
        ours, theirs = Channel.pair()
        with socket.socket() as sock:
            ours.close()
            ours.send(Message("accept", 1, fds=(sock.fileno(),)))
            ours.send(Message("release", 1))
            assert theirs.receive() is None
        theirs.close()


def test_the_clock_of_recycling_is_the_one_that_servers_use():
    assert (
        Recycling(None, 1.0, now=time.monotonic()).reason(now=time.monotonic(), rss=0, requests=0)
        is None
    )
