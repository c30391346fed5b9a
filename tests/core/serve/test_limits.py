from __future__ import annotations

import pytest

from agegender_core.serve.limits import ByteBudget, Limits, RateLimit


def test_a_client_may_send_twice_the_rate_at_once_and_then_the_rate() -> None:
    now = 0.0
    limit = RateLimit(5.0, lambda: now)
    assert [limit.wait("10.0.0.1") for _ in range(10)] == [0.0] * 10
    assert limit.wait("10.0.0.1") == pytest.approx(0.2)
    assert limit.wait("10.0.0.2") == 0.0
    now = 0.2
    assert limit.wait("10.0.0.1") == 0.0
    assert limit.wait("10.0.0.1") > 0


def test_a_household_of_ipv6_is_one_client_and_a_mapped_address_that_of_ipv4() -> None:
    limit = RateLimit(0.5, lambda: 0.0)
    assert limit.wait("2001:db8::1") == 0.0
    assert limit.wait("2001:db8::2") > 0
    assert limit.wait("2001:db8:0:1::1") == 0.0
    assert limit.wait("::ffff:10.0.0.1") == 0.0
    assert limit.wait("::ffff:10.0.0.2") == 0.0


def test_no_rate_is_no_limit_and_clients_are_forgotten() -> None:
    assert all(RateLimit(0).wait("a") == 0 for _ in range(100))
    limit = RateLimit(1.0, lambda: 0.0)
    for number in range(10_000):
        limit.wait(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(limit._clients) == 4096


def test_a_budget_takes_what_fits() -> None:
    budget = ByteBudget(10)
    assert budget.take(6)
    assert not budget.take(5)
    budget.give_back(6)
    assert budget.take(10)


@pytest.mark.parametrize("wrong", [{"max_bytes": 0}, {"rate": -1}, {"queue": 0}, {"idle_seconds": float("nan")}])
def test_limits_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Limits(**wrong)  # type: ignore[arg-type]
