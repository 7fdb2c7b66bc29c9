"""Bent and broken lines at the socket of the real service. `FUZZ_LINES=100000 FUZZ_SEED=...` throws more, or others."""

import os

from compare import wait_until_equal
from service import Service
from socket_fuzz import kinds, throw
from talk import Talk, place

LINES = int(os.environ.get("FUZZ_LINES", "2000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))


def test_whatever_is_sent_each_line_has_its_answer_and_the_state_is_the_servers(service: Service) -> None:
    service.session.play("Radio")
    service.session.play("Silence", tone=0, sink="headset")
    with Talk(place(service.session)) as talk:
        answers = throw(talk, LINES, SEED)
    assert answers.total() == LINES
    assert all(answers[kind] > LINES / 100 for kind in kinds()), answers
    wait_until_equal(service)
