# SPDX-License-Identifier: GPL-2.0-only
"""The ways by which the engine can come to an answer, and how often each was gone."""

from collections import Counter
from enum import StrEnum


class Path(StrEnum):
    """What led to an answer; some steps belong to several."""

    HIT_IN_MEMORY = "hit in memory"
    HIT_ON_DISK = "hit on disk"
    SAME_MAP = "same map, another form"
    ADDRESSES = "addresses only"
    STANDING = "incremental, token table stands"
    REORDERED = "incremental, tokens changed places"
    LATE = "incremental, other tokens from a later step on"
    FROM_START = "incremental, other tokens from the first step on"
    ALPHABET = "incremental, other bytes in the names"
    TOO_MUCH = "cold, too much changed"
    UNKNOWN = "cold, nothing known of the tree"
    LOADED = "state loaded from disk"
    DAMAGED = "stored entry found damaged"
    EMPTY = "map without symbols"
    BAD_INPUT = "bad input"


#: Steps and paths of all sequences of this run.
STEPS: Counter[str] = Counter()
TAKEN: Counter[Path] = Counter()
