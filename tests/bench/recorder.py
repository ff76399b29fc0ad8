# SPDX-License-Identifier: GPL-2.0-only
"""Collects what the rounds measure."""

import statistics
from collections import defaultdict
from collections.abc import Iterable

from kallsymsd.protocol import wire
from tests.bench.tree import Request
from tests.measure import Sample


class Recorder:
    """Samples by the name of their row.

    programs  programs from start to end
    amounts   seconds or bytes, whichever the row's name says
    """

    def __init__(self, rows: Iterable[str]) -> None:
        """``rows`` of requests, in the order in which to show them; those that stay empty are left out."""
        self.programs: defaultdict[str, list[Sample]] = defaultdict(list)
        self._requests: dict[str, list[Request]] = {row: [] for row in rows}
        self.amounts: defaultdict[str, list[float]] = defaultdict(list)

    def request(self, row: str, request: Request, made: Iterable[int]) -> None:
        """Take a request that must have been answered in one of the ways ``made``.

        One during which the daemon wrote to its cache tells the cost of neither, and is left out; but for a
        cold one, which is written at once: there the two are told apart by the moment of the reply.
        """
        if request.how.made not in made:
            raise RuntimeError(f"{row}: {request.how.describe()}")
        if not request.stored or request.how.made == wire.COLD:
            self._requests[row].append(request)

    @property
    def requests(self) -> dict[str, list[Request]]:
        """The daemon's part of requests, by row."""
        return {row: requests for row, requests in self._requests.items() if requests}

    def cpu(self, row: str) -> float:
        """Median CPU seconds of a row of requests; NaN if there is none."""
        return median(request.cpu for request in self._requests[row])

    def program(self, row: str) -> Sample:
        """Median CPU and median wall time of a program."""
        runs = self.programs[row]
        return Sample(median(run.cpu for run in runs), median(run.wall for run in runs))


def median(values: Iterable[float]) -> float:
    """The median; NaN of nothing."""
    found = list(values)
    return statistics.median(found) if found else float("nan")
