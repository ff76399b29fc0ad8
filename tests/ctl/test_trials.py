# SPDX-License-Identifier: GPL-2.0-only
"""What explain, list and status tell of trials."""

import json
import os
from pathlib import Path

import pytest

from kallsymsd.ctl import main, trials
from kallsymsd.kbuild.hook.registry import Registry
from kallsymsd.kbuild.trial import verdicts
from kallsymsd.kbuild.trial.verdicts import BEGUN, DIFFERENT, LINK, MAP, SAME, TOOL, Verdict


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An object tree in which four things were tried; one more was elsewhere, one by an older version."""
    tree = tmp_path / "tree"
    tree.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    place = verdicts.place({b"XDG_CACHE_HOME": bytes(tmp_path / "cache")})
    here = str(tree)
    for number, verdict in enumerate(
        (
            Verdict(TOOL, SAME, dialect="v6.11", subject="scripts/kallsyms, text 0123", tree=here),
            Verdict(TOOL, BEGUN, dialect="v6.10", tree=here),
            Verdict(MAP, DIFFERENT, reason="line 3 is 'a', ours is 'b'", subject="GNU nm 2.99", tree=here),
            Verdict(LINK, DIFFERENT, reason="vmlinux differs\x1b[2J", tree=here),
            Verdict(LINK, SAME, tree="/elsewhere"),
            Verdict(LINK, DIFFERENT, reason="old", tree=here, version="0.0.0"),
        )
    ):
        verdict.time = 1000 + number
        assert verdicts.keep(place, f"{number:032x}", verdict)
    return tree


def test_explain_tells_what_was_tried_in_a_tree(
    tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main.main(["explain", str(tree)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for text in (
        "scripts/kallsyms (scripts/kallsyms, text 0123): trusted as dialect v6.11, a trial gave",
        "scripts/kallsyms: on trial",
        "nm and mksysmap (GNU nm 2.99): rejected by a trial, line 3 is 'a', ours is 'b'; builds use nm",
        "one link: rejected by a trial, vmlinux differs\\x1b[2J; builds use the kernel's own links",
    ):
        assert text in said
    assert "old" not in said
    monkeypatch.chdir(tree)
    main.main(["explain"])
    assert "on trial" in capsys.readouterr().out
    monkeypatch.chdir(tree.parent)
    main.main(["explain"])
    assert "trial" not in capsys.readouterr().out


def test_list_tells_what_is_refused(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    Registry(tmp_path / "data" / "kallsymsd").add(tree)
    main.main(["list"])
    out = capsys.readouterr().out
    assert "nm and mksysmap (GNU nm 2.99): rejected by a trial, line 3" in out
    assert "one link: rejected by a trial, vmlinux differs" in out
    assert "trusted" not in out
    main.main(["list", "--json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert "ours is 'b'" in row["remark"]


@pytest.mark.usefixtures("daemon", "tree")
def test_status_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["status"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "scripts/kallsyms 1 trusted, 0 rejected, 1 on trial" in lines
    assert "nm and mksysmap 0 trusted, 1 rejected" in lines
    assert "one link 1 trusted, 1 rejected" in lines
    assert sum(line.startswith("rejected ") for line in lines) == 2


def test_nothing_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    assert trials.read() == []
    assert not (tmp_path / "none").exists()
    assert trials.rows([]) == []
    for home in ("", "relative"):
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", home)
        assert trials.read(Path()) in ([], trials.read(Path(os.curdir)))
