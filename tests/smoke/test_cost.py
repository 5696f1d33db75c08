"""The estimate: what it adds up, and what it says it does not know."""

import pytest
from cost import estimate, lines, total


def test_an_hour_of_a_worker_costs_its_list_price():
    [instance, *_] = estimate("c5.large", 45)
    assert instance.dollars == pytest.approx(0.085)


def test_a_longer_run_costs_more():
    assert total(estimate("c5.large", 60)) > total(estimate("c5.large", 20))


def test_a_second_trail_is_two_dollars_for_100_000_events():
    [trail] = [item for item in estimate("c5.large", 20) if "CloudTrail" in item.what]
    assert trail.dollars == pytest.approx(0.10)


def test_five_alarms_for_a_month_are_half_a_dollar():
    [alarms] = [item for item in estimate("c5.large", 20) if "5 alarms" in item.what]
    assert alarms.dollars * 730 / 0.5 == pytest.approx(0.50)


def test_the_alarms_of_the_monitoring_cost_by_the_metrics_that_they_read():
    [alarms] = [item for item in estimate("c5.large", 15) if "alarms on" in item.what]
    assert alarms.dollars * 730 == pytest.approx(4.00)


def test_an_unknown_price_is_shown_as_unknown():
    items = estimate("x99.large", 20)
    assert items[0].dollars is None and total(items) > 0
    text = "\n".join(lines(items))
    assert "unknown  EC2 x99.large" in text and text.endswith("together, and what is unknown")


def test_an_image_with_two_volumes_is_a_second_worker():
    one, two = estimate("c5.large", 20), estimate("c5.large", 20, two_volumes=True)
    assert sum("c5.large" in item.what for item in one) == 1
    assert sum("c5.large" in item.what for item in two) == 2


def test_the_lines_name_date_and_region_and_add_up():
    text = list(lines(estimate("c5.large", 20)))
    assert "us-east-1" in text[0] and "20" in text[0]
    assert text[-1].endswith("together")
