"""docs/SCALE.md says what tests/template/scale.py computes, and PROOFS.md quotes AWS's sentence for each limit."""

import re

import pytest
import scale
import scale_limits
import scale_model
from cloudformation import REPOSITORY

PAGE = scale.PAGE.read_text(encoding="utf-8")
PROOFS = (REPOSITORY / "docs/PROOFS.md").read_text(encoding="utf-8")


def test_the_page_is_what_is_computed():
    assert scale.written(PAGE) == PAGE
    assert [name for _, name, _ in scale.BLOCK.findall(PAGE)] == list(scale.TABLES)


@pytest.mark.parametrize(("file", "good", "bad", "table"), [
    ("template.yaml", "  MemorySize:\n    Type: Number\n    Default: 256", "  MemorySize:\n    Type: Number\n    Default: 512", "million"),
    ("template.yaml", "  ThrottlingRateLimit:\n    Type: Number\n    Default: 20", "  ThrottlingRateLimit:\n    Type: Number\n    Default: 30", "saturation"),
    ("template.yaml", "      Timeout: 240", "      Timeout: 120", "sweeps"),
    ("template.yaml", "    Default: rate(5 minutes)\n    Description: >-\n      When EventBridge runs the sweep",
     "    Default: rate(10 minutes)\n    Description: >-\n      When EventBridge runs the sweep", "months"),
    ("template.yaml", "up to 8 region names", "up to 9 region names", "fleets"),
    ("shared/src/ops/sweep_workers/region.rs", "const AT_ONCE: usize = 8;", "const AT_ONCE: usize = 4;", "sweeps"),
    ("shared/src/aws/watch/mod.rs", "from_secs(15)", "from_secs(20)", "saturation"),
    ("tests/src/simulation/rounds/mod.rs", '200, "DescribeInstances, StartInstances"', '200, "DescribeInstances+StartInstances"', "million"),
    ("tests/src/simulation/rounds/mod.rs", '200, "DescribeInstances, 5 GetMetricStatistics"', '200, "DescribeInstances, 4 GetMetricStatistics"', "million"),
    ("tests/template/scale_recorded.jsonl", '"cpu_s":7.49', '"cpu_s":9.99', "months"),
    ("docs/PERFORMANCE.md", "| get-instance-details | 1 | 1 |", "| get-instance-details | 1 | 1 | 9.9 | 9.99 |", "duration"),
])
def test_a_changed_number_makes_the_page_old(file, good, bad, table, monkeypatch):
    original = scale_model.source

    def source(path):
        text = original(path)
        assert path != file or good in text
        return text.replace(good, bad, 1) if path == file else text

    monkeypatch.setattr(scale_model, "source", source)
    assert scale.TABLES[table]() not in PAGE


def test_a_changed_limit_or_price_makes_the_page_old(monkeypatch):
    monkeypatch.setitem(scale_limits.LIMITS, "CreateTags", scale_limits.Limit((200, 20), "", scale_limits.EC2))
    assert scale.buckets() not in PAGE and scale.fleets() not in PAGE
    price = scale_limits.PRICES["requests of a REST API"]
    monkeypatch.setitem(scale_limits.PRICES, "requests of a REST API", price._replace(dollars=1.0))
    assert scale.million() not in PAGE and scale.prices() not in PAGE


@pytest.mark.parametrize("name", scale_limits.LIMITS)
def test_awss_sentence_is_quoted_and_has_the_numbers(name):
    limit = scale_limits.LIMITS[name]
    assert re.search(rf'"{re.escape(limit.sentence)}" \(\[[^]]+\]\({re.escape(limit.page)}\)\)', PROOFS)
    said = [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", limit.sentence)]
    assert all(number in said for number in limit.numbers)


def test_the_simulation_has_the_same_limits():
    text = (REPOSITORY / "tests/src/simulation/limits.rs").read_text(encoding="utf-8")

    def rows(name):
        table = re.search(rf"const {name}: \[Limit; \d+\] = \[(.*?)\];", text, re.DOTALL)[1]
        return {action: (int(size.replace("_", "")), int(each)) for action, size, each in re.findall(r'\("(\w+)", ([\d_]+), (\d+)\)', table.replace("10_000)", "10000)"))}

    numbers = {name: limit.numbers for name, limit in scale_limits.LIMITS.items()}
    requests = rows("REQUESTS")
    assert requests.pop("GetMetricStatistics") == numbers["GetMetricStatistics a second"] * 2
    assert requests.pop("PutEvents") == numbers["PutEvents a second in us-east-1"] * 2
    assert requests == {name: numbers[name] for name in requests} and len(requests) == 6
    assert rows("INSTANCES") == {name: numbers[f"instances of {name}"] for name in rows("INSTANCES")} and len(rows("INSTANCES")) == 4
    assert set(rows("UNFILTERED").values()) == {numbers["reads without both"]}
    assert re.search(r"const READS: \(u64, u64\) = \((\d+), (\d+)\);", text).groups() == tuple(map(str, numbers["reads with a filter or pages"]))
