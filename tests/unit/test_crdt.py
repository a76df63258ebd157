"""The replicated data types: order of stamps, adds that a remove has not seen, the last writer."""

from hypothesis import given
from hypothesis import strategies as st

from sandbox.services.crdt import Element, HybridClock, Register, Stamp

NODES = st.sampled_from(["sync-service-7d9f-abcde", "sync-service-7d9f-fghij"])
STAMPS = st.builds(Stamp, st.integers(0, 2**42), st.integers(0, 99_999), NODES)
TAGS = st.frozensets(st.sampled_from("abcdef"))
ELEMENTS = st.builds(Element, TAGS, TAGS)
REGISTERS = st.builds(lambda stamp: Register(stamp, (stamp.counter, 0, stamp.node)), STAMPS)


@given(STAMPS, STAMPS)
def test_the_text_of_a_stamp_sorts_like_the_stamp(first: Stamp, second: Stamp) -> None:
    assert Stamp.parse(str(first)) == first
    assert (str(first) < str(second)) == (first < second)


@given(st.lists(st.tuples(st.integers(0, 50), st.lists(STAMPS, max_size=2)), min_size=1))
def test_a_clock_only_grows_and_is_later_than_what_it_saw(ticks: list[tuple[int, list[Stamp]]]) -> None:
    walls = iter([0, *(wall_ms for wall_ms, _ in ticks)])
    clock = HybridClock("here", lambda: next(walls))
    last = clock.now()
    for _, seen in ticks:
        stamp = clock.now(seen)
        assert stamp > last
        assert all((stamp.wall_ms, stamp.counter) > (other.wall_ms, other.counter) for other in seen)
        last = stamp


def test_a_clock_follows_the_wall_and_counts_within_a_millisecond() -> None:
    clock = HybridClock("here", lambda: 7)
    assert [str(clock.now()) for _ in range(2)] == ["0000000000007-00000-here", "0000000000007-00001-here"]


def test_a_remove_takes_away_what_it_has_seen_only() -> None:
    phone = Element().add("1")
    television = phone.remove()
    phone = phone.add("2")
    assert not television.present
    assert phone.merge(television).present
    assert not phone.merge(television).remove().present


@given(ELEMENTS, ELEMENTS, ELEMENTS)
def test_elements_merge_in_any_order_and_any_number_of_times(one: Element, two: Element, three: Element) -> None:
    assert one.merge(two) == two.merge(one)
    assert one.merge(two.merge(three)) == one.merge(two).merge(three)
    assert one.merge(one) == one


@given(ELEMENTS)
def test_add_then_remove(element: Element) -> None:
    assert element.add("new").present
    assert not element.add("new").remove().present


@given(REGISTERS, REGISTERS, REGISTERS)
def test_registers_merge_in_any_order_and_any_number_of_times(one: Register, two: Register, three: Register) -> None:
    assert one.merge(two) == two.merge(one)
    assert one.merge(two.merge(three)) == one.merge(two).merge(three)
    assert one.merge(one) == one
    assert one.merge(two).stamp == max(one.stamp, two.stamp)
