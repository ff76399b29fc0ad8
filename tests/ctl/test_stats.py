# SPDX-License-Identifier: GPL-2.0-only
"""What is reported of what was counted, and in which forms."""

import json
import os
import re
from pathlib import Path

import pytest

from kallsymsd.counters import costs, figures, kept
from kallsymsd.counters.costs import Stock
from kallsymsd.counters.figures import Figures
from kallsymsd.counters.kept import Kept
from kallsymsd.counters.marks import Mark
from kallsymsd.counters.table import TABLE, Counter
from kallsymsd.ctl import main, since, statsitems
from kallsymsd.ctl.command import CommandError
from kallsymsd.ctl.commands import stats
from kallsymsd.ctl.show import seconds_text
from kallsymsd.ctl.since import Span
from kallsymsd.ctl.statsitems import Report
from kallsymsd.protocol import notes
from kallsymsd.protocol.notes import Fallback
from tests.service.peer import Daemon

HOUR = 3600.0


def counted(**values: float) -> Figures:
    return figures.read(values)


SOME = figures.read(
    {
        "requests": 4,
        "seconds": 1.5,
        "cache_bytes": 7,
        "saved_seconds_cold": 2.5,
        "latencies": {"parse": {"microseconds": 60, "counts": [0, 0, 0, 2, 1]}},
    }
)
REPORT = Report(SOME, 100.0, running=True)
UNMEASURED = REPORT._replace(unknown=frozenset({Counter.SAVED_STOCK}))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    path = tmp_path / "cache" / "kallsymsd"
    path.mkdir(mode=0o700, parents=True)
    return path


# Forms.


def test_every_counter_is_in_every_form() -> None:
    values = json.loads(statsitems.as_json(REPORT))
    lines = dict(line.split("\t") for line in statsitems.as_tab(REPORT).splitlines())
    metrics = statsitems.as_prometheus(REPORT)
    for row in TABLE:
        key = row.counter.value
        assert values[key] == SOME.counters[key]
        assert float(lines[key]) == SOME.counters[key]
        assert f"# HELP {statsitems.metric_name(row)} {row.help}\n" in metrics


def test_json_has_percentiles_and_estimates() -> None:
    values = json.loads(statsitems.as_json(UNMEASURED))
    assert 3e-6 < values["p50_parse"] <= 4e-6 < values["p99_parse"] <= 6e-6
    assert (values["saved_seconds_cold"], values["saved_seconds_stock"]) == (2.5, None)
    assert (values["since"], values["running"]) == (100.0, True)


def test_what_is_not_known_has_no_line_for_programs() -> None:
    assert "saved_seconds_stock" not in statsitems.as_tab(UNMEASURED)
    assert "saved_seconds_cold\t2.5\n" in statsitems.as_tab(UNMEASURED)
    assert "saved_stock" not in statsitems.as_prometheus(UNMEASURED)
    assert "kallsymsd_saved_cold_seconds_total 2.5\n" in statsitems.as_prometheus(UNMEASURED)


def test_each_line_for_prometheus_follows_its_grammar() -> None:
    label = r'[a-z]+="[^"\\]*"'
    sample = re.compile(rf"([a-z_]+)(\{{{label}(,{label})*\}})? [0-9.e+-]+")
    types = {}
    for line in statsitems.as_prometheus(REPORT).splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in types
            types[name] = kind
        elif not line.startswith("# HELP "):
            match = sample.fullmatch(line)
            assert match, line
            family = re.sub(r"_(bucket|sum|count)$", "", match[1])
            assert types[match[1] if match[1] in types else family]
    assert set(types.values()) == {"gauge", "counter", "histogram"}


def test_a_large_count_has_all_its_digits_for_prometheus() -> None:
    figures = SOME._replace(counters={**SOME.counters, "bytes": 123_456_789_012_345})
    assert "kallsymsd_bytes_total 123456789012345\n" in statsitems.as_prometheus(
        REPORT._replace(figures=figures)
    )


def test_metrics_are_named_with_their_unit_and_sums_end_in_total() -> None:
    names = {row.counter.value: statsitems.metric_name(row) for row in TABLE}
    assert names["requests"] == "kallsymsd_requests_total"
    assert names["bytes"] == "kallsymsd_bytes_total"
    assert names["seconds"] == "kallsymsd_seconds_total"
    assert names["cache_bytes"] == "kallsymsd_cache_bytes"
    assert names["cache_limit"] == "kallsymsd_cache_limit_bytes"
    assert names["cache_entries"] == "kallsymsd_cache_entries"
    assert all(names[row.counter].endswith("_total") != row.gauge for row in TABLE)


def test_buckets_add_up_to_the_count() -> None:
    lines = [line for line in statsitems.as_prometheus(REPORT).splitlines() if 'stage="parse"' in line]
    counts = [int(line.split()[1]) for line in lines if "_bucket" in line]
    assert counts == sorted(counts)
    assert counts[-1] == 3
    assert 'kallsymsd_stage_duration_seconds_count{stage="parse"} 3' in lines
    assert 'kallsymsd_stage_duration_seconds_sum{stage="parse"} 6e-05' in lines


# Since.


def timeline() -> Kept:
    """Builds at 1, 5 and 9 o'clock, of 10 requests each, that took half an hour."""
    marks = [
        Mark(0.0, 1 * HOUR, is_build=True, figures=counted(requests=0)),
        Mark(1.5 * HOUR, 5 * HOUR, is_build=True, figures=counted(requests=10)),
        Mark(5.5 * HOUR, 9 * HOUR, is_build=True, figures=counted(requests=20)),
    ]
    return Kept(counted(requests=30), marks, last_request=9.5 * HOUR)


@pytest.mark.parametrize(
    ("when", "requests", "begin"),
    [
        ("zero", 30, 0),
        ("build", 10, 9 * HOUR),
        ("1s", 0, 10 * HOUR - 1),
        ("30m", 0, 9.5 * HOUR),
        ("40m", 10, 9 * HOUR),  # in the middle of a build: all of it
        ("2h", 10, 8 * HOUR),
        ("4h", 10, 6 * HOUR),
        ("5h", 20, 5 * HOUR),
        ("7h", 20, 3 * HOUR),
        ("1d", 30, 0),
    ],
)
def test_since_leaves_nothing_out(when: str, requests: int, begin: float) -> None:
    span = since.since(timeline(), when, 10 * HOUR)
    assert (span.figures.counters["requests"], span.begin) == (requests, begin)


def test_since_a_date() -> None:
    span = since.since(timeline(), "1970-01-01T08:00+00:00", 10 * HOUR)
    assert (span.figures.counters["requests"], span.begin) == (10, 8 * HOUR)


def test_since_goes_back_to_zero_and_no_further() -> None:
    span = since.since(Kept(counted(requests=3), [], last_request=900.0, zero=800.0), "1w", 1000.0)
    assert (span.figures.counters["requests"], span.begin) == (3, 800.0)


@pytest.mark.parametrize("when", ["", "yesterday", "5", "5y", "-3h", "9999999999d", "2026-13-01"])
def test_another_word_is_refused_with_those_there_are(when: str) -> None:
    with pytest.raises(CommandError, match="must be build, zero"):
        since.since(timeline(), when, 10 * HOUR)


# Estimates.


@pytest.mark.parametrize(
    ("counters", "measured", "unknown"),
    [
        ({}, False, {"saved_seconds_cold", "saved_seconds_stock"}),
        ({"cold_symbols": 1}, True, set()),
        ({"saved_seconds_cold": 1.0}, True, set()),  # earned before zero was set
        ({"cold_symbols": 1, "saved_seconds_stock": 1.0}, False, set()),  # earned before the file was lost
    ],
)
def test_what_was_never_measured_is_unknown(
    tmp_path: Path, counters: dict[str, float], unknown: set[str], *, measured: bool
) -> None:
    if measured:
        costs.save(tmp_path, Stock(1, 1.0, 0.0, 0.0))
    made = stats.made_of(Span(counted(**counters), 0.0), tmp_path, running=False)
    assert made.unknown == unknown


def test_what_is_measured_later_changes_nothing_of_what_was_saved(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = counted(symbols=4000, seconds=3.0, cold_symbols=1000, cold_seconds=2.0, saved_seconds_stock=5.0)
    kept.save(cache, Kept(done, []))
    for tool in (1.0, 100.0):
        costs.save(cache, Stock(1000, tool, 0.0, 0.0))
        assert main.main(["stats", "--json"]) == 0
        values = json.loads(capsys.readouterr().out)
        assert (values["saved_seconds_cold"], values["saved_seconds_stock"]) == (0, 5.0)


def test_measured_costs_are_kept(tmp_path: Path) -> None:
    stock = Stock(1000, 3.0, 2.0, 1.0)
    costs.save(tmp_path, stock)
    assert costs.load(tmp_path) == stock


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"symbols": 0, "tool": 1, "assembly": 1, "ours": 1}', "[" * 4000, '"x"']
)
def test_costs_that_make_no_sense_are_none(tmp_path: Path, content: str) -> None:
    (tmp_path / costs.FILENAME).write_text(content)
    assert costs.load(tmp_path) is None


# The command.


def test_zero_shows_what_was_counted_and_begins_again(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m").write_bytes(b"ffff T a")
    with daemon.peer() as peer:
        peer.build(tmp_path / "m")
        peer.reply()
    for requests in (1, 0):
        assert main.main(["stats", "--json", "--zero"]) == 0
        assert json.loads(capsys.readouterr().out)["requests"] == requests


def test_zero_works_without_a_daemon(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = SOME._replace(counters={**SOME.counters, "cache_bytes": 1 << 20})
    kept.save(cache, Kept(some, [], last_request=50.0))
    for requests in (4, 0):
        assert main.main(["stats", "--format", "tab", "--zero"]) == 0
        out = capsys.readouterr().out
        assert f"requests\t{requests}\n" in out
        assert f"cache_bytes\t{1 << 20}\n" in out  # the cache has not become smaller
    after = kept.load(cache)
    assert after is not None
    assert after.zero > 0


def test_programs_get_numbers_and_nothing_on_standard_error(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept.save(cache, Kept(SOME, []))
    for form in ("json", "tab", "prometheus"):
        assert main.main(["stats", "--format", form]) == 0
        captured = capsys.readouterr()
        assert captured.out
        assert captured.err == ""


def test_the_cache_directory_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other").mkdir(mode=0o700)
    kept.save(tmp_path / "other", Kept(SOME, []))
    assert main.main(["--cache-dir", str(tmp_path / "other"), "stats", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["requests"] == 4


def test_what_clients_noted_is_counted_too(
    daemon: Daemon, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert daemon.thread.is_alive()
    cache.chmod(0o700)
    notes.count(os.fsencode(cache), "absent", 0.0)
    notes.count(os.fsencode(cache), "silent", 0.4)
    for option, fallbacks in (("--since=1m", 2), ("--since=zero", 2), ("--zero", 2), ("--since=zero", 0)):
        assert main.main(["stats", "--json", option]) == 0
        values = json.loads(capsys.readouterr().out)
        assert values["fallbacks"] == fallbacks
        assert values["fallback_silent"] == fallbacks / 2
        assert values["fallback_seconds"] == 0.2 * fallbacks


def test_what_clients_noted_earlier_is_left_out() -> None:
    span = Span(counted(fallbacks=5), begin=1000.0)
    noted = [Fallback("absent", 0.0, when, (0, 0)) for when in (999, 1000, 1001)]
    assert stats.with_notes(span, noted).figures.counters["fallbacks"] == 7


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.000001, "1 us"),
        (0.001, "1.00 ms"),
        (0.097, "97.0 ms"),
        (0.1, "100 ms"),
        (0.9994, "999 ms"),
        (0.000412, "412 us"),
        (0.0123, "12.3 ms"),
        (0.9999, "1.0 s"),
        (75.04, "75.0 s"),
        (600, "10 min"),
        (3 * 3600, "3 h"),
        (3 * 86400, "3 days"),
    ],
)
def test_times_are_shown_with_the_unit_that_suits_them(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_counters_that_others_may_have_written_are_none(cache: Path) -> None:
    kept.save(cache, Kept(SOME, []))
    assert kept.load(cache) is not None
    cache.chmod(0o777)
    assert kept.load(cache) is None
