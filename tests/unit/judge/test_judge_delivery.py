"""`delivery`: one operation a second; number 20 is sent at 0.4 s. Those of the partition (200 to 213.4 s) arrive from 214 s on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest
from synthetic import MINUTE_0, Synthetic, healthy

from steady_state import observations as obs
from steady_state.verdict import Finding, Verdict


@dataclass(frozen=True)
class Arrivals:
    """What becomes of the arrival of one operation."""

    number: int
    times: tuple[float, ...]

    def __call__(self, line: obs.Observation) -> Iterable[obs.Observation]:
        if not (isinstance(line, obs.DeliveryLine) and line.number == self.number):
            return [line]
        return [line.model_copy(update={"t": MINUTE_0 + t}) for t in self.times]


def delivery(run: Synthetic, fault: str = "partition") -> Finding:
    return run.finding(fault, "delivery")


def test_every_operation_arrived_once_and_in_order() -> None:
    """45 were sent from 195 to 239.4 s. The partition ends at 212.1 s; the last one sent before that comes at 214.11 s."""
    finding = delivery(healthy())

    assert (finding.verdict, finding.n, finding.measured) == (Verdict.PASS, 45, 2.01)
    assert finding.because == "of 45 accepted operations (14 queued) 0 lost, 0 doubled, 0 out of order; the slowest took 2.01 s"


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ((), "1 lost, 0 doubled, 0 out of order"),
        ((214.05, 216.0), "0 lost, 1 doubled, 0 out of order"),
        ((214.2,), "0 lost, 0 doubled, 1 out of order"),
    ],
)
def test_lost_doubled_and_overtaken_operations_fail(times: tuple[float, ...], words: str) -> None:
    """Number 225, sent at 205.4 s. At 214.2 s number 226 is there already."""
    finding = delivery(healthy().with_change(Arrivals(225, times)).with_change(awaited(260.0)))

    assert finding.verdict is Verdict.FAIL
    assert words in finding.because
    assert finding.evidence[0].startswith("operation 225 of user-1: sent at 205.40 s, arrived")


@pytest.mark.parametrize(("arrival", "expected"), [(242.0, Verdict.PASS), (242.2, Verdict.FAIL)])
def test_an_operation_may_take_until_thirty_seconds_after_the_end_of_the_fault(arrival: float, expected: Verdict) -> None:
    """The partition ends at 212.1 s. The last operation before the heal is late; nothing comes after it."""
    run = healthy().with_change(Arrivals(231, (arrival,))).with_change(only_until(211.5)).with_change(awaited(260.0))

    assert delivery(run).verdict is expected


def test_an_operation_that_was_under_way_is_the_faults() -> None:
    """Number 219, sent at 199.4 s, 0.6 s before the partition, is lost: the partition answers for it, the flush before does not."""
    run = healthy().with_change(Arrivals(219, ())).with_change(awaited(260.0))

    assert (delivery(run).verdict, delivery(run, "cache_flush").verdict) == (Verdict.FAIL, Verdict.PASS)


def test_a_loss_counts_only_when_somebody_waited_long_enough() -> None:
    """The recording ends 7 s after the timeline, at 247 s: 4.9 s less than 30 s after an operation of 221.9 s or later."""
    run = healthy().with_change(Arrivals(255, ()))

    finding = delivery(run)

    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.because.startswith("not awaited for 30 s")


def test_a_device_that_did_not_listen_proves_nothing() -> None:
    assert delivery(healthy().with_silence("delivery", 220, 225)).verdict is Verdict.INCONCLUSIVE


def test_where_nothing_was_accepted_a_device_that_could_not_listen_is_named() -> None:
    """A device that never comes to listen sends nothing either."""
    run = healthy().without(lambda line: isinstance(line, obs.OperationLine | obs.DeliveryLine))

    assert delivery(run).because == "no operation was accepted in this window"
    deaf = delivery(run.with_silence("delivery", 0, 240))
    assert deaf.verdict is Verdict.INCONCLUSIVE
    assert deaf.because.startswith("no operation was accepted in this window (not seen throughout: delivery was silent for")


def test_a_target_without_sync_is_not_judged() -> None:
    run = healthy()
    run.plan = run.plan.model_copy(update={"sync_route": None})

    assert delivery(run).because == "the target description names no delivery"


def awaited(until: float) -> Callable[[obs.Observation], Iterable[obs.Observation]]:
    """The run goes on listening: signs of life of the delivery probe up to this instant, then the last line."""

    def change(line: obs.Observation) -> Iterable[obs.Observation]:
        if isinstance(line, obs.EndLine):
            beats = [obs.BeatLine(t=MINUTE_0 + t, probe="delivery", seen={"delivery": 5}) for t in range(243, int(until))]
            return [*beats, line.model_copy(update={"t": MINUTE_0 + until})]
        return [line]

    return change


def only_until(last: float) -> Callable[[obs.Observation], Iterable[obs.Observation]]:
    """No operation is sent after this instant."""

    def change(line: obs.Observation) -> Iterable[obs.Observation]:
        sent = isinstance(line, obs.OperationLine) and line.t > MINUTE_0 + last
        arrived = isinstance(line, obs.DeliveryLine) and line.number > 20 + last
        return [] if sent or arrived else [line]

    return change
