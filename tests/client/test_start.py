# SPDX-License-Identifier: GPL-2.0-only
"""The client starts light, and in every way that it may be started."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import kallsyms_client
import kallsymsd
from tests.client.conftest import MAP, Kallsyms, Run
from tests.client.fakes import Peer, fake_daemon
from tests.reference import tool

TEXT, BINARY = b"text\n", b"binary"
PLAIN = tool.run("v6.11", ["all-symbols"], MAP).stdout

#: What a run that the daemon answers may import beyond what the interpreter itself does.
ALLOWED = {
    "_socket",
    "errno",
    "fcntl",
    "kallsyms_client",
    "kallsymsd.protocol.asking",
    "kallsyms_client.detect",
    "kallsyms_client.filearguments",
    "kallsymsd.protocol",
    "kallsymsd.protocol.frames",
    "kallsymsd.protocol.messages",
    "kallsymsd.protocol.places",
    "kallsymsd.protocol.private",
    "kallsyms_client.main",
    "kallsyms_client.options",
    "kallsyms_client.output",
    "kallsyms_client.destinations",
    "kallsymsd.protocol.received",
    "kallsymsd.protocol.regular",
    "kallsyms_client.failures",
    "kallsyms_client.session",
    "kallsyms_client.signals",
    "kallsymsd.protocol.users",
    "kallsyms_client.machine",
    "kallsymsd.protocol.wire",
    "kallsymsd",
    "kallsymsd.core",
    "kallsymsd.core.dialects",
}


@pytest.fixture
def site_packages(tmp_path: Path) -> Path:
    """Both packages side by side, as pip installs them."""
    directory = tmp_path / "site-packages"
    directory.mkdir()
    for package in (kallsyms_client, kallsymsd):
        (directory / package.__name__).symlink_to(package.__path__[0])
    return directory


def test_a_run_that_the_daemon_answers_imports_next_to_nothing(
    kallsyms: Kallsyms, site_packages: Path, socket_path: Path, tmp_path: Path
) -> None:
    def behave(peer: Peer) -> None:
        peer.greet()
        peer.reply(TEXT, BINARY)

    # As a hooked build asks: the dialect is named, the target is to be found out.
    kallsyms.write("include/config/auto.conf", b"CONFIG_64BIT=y\n")
    start = tmp_path / "start.py"
    start.write_text(
        f"import sys\nsys.path.insert(0, {str(site_packages)!r})\n"
        "from kallsyms_client.main import main\nstatus = main()\n"
        "sys.stderr.write('\\n'.join(sys.modules))\nsys.exit(status)\n"
    )
    with fake_daemon(socket_path, behave), (kallsyms.here / "out.S").open("wb") as out:
        done = subprocess.run(
            [sys.executable, "-I", "-S", start, "--dialect=v6.11", "--all-symbols", "in.map"],
            cwd=kallsyms.here,
            env={"KALLSYMSD_SOCKET": str(socket_path)},
            stdout=out,
            stderr=subprocess.PIPE,
            check=True,
        )
    assert (kallsyms.here / "out.S").read_bytes() == TEXT
    assert (kallsyms.here / "out.bin").read_bytes() == BINARY
    bare = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import sys; sys.stderr.write('\\n'.join(sys.modules))"],
        stderr=subprocess.PIPE,
        check=True,
    )
    assert set(done.stderr.decode().split()) - set(bare.stderr.decode().split()) <= ALLOWED


def test_isolated_it_computes_too(kallsyms: Kallsyms, site_packages: Path) -> None:
    for path in ("kallsyms_client/__main__.py", "kallsyms_client"):
        done = subprocess.run(
            [sys.executable, "-I", "-S", site_packages / path, "--dialect=v6.11", "--all-symbols", "in.map"],
            cwd=kallsyms.here,
            env=kallsyms.environment,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, PLAIN, b"")


def test_the_program_calls_itself_kallsyms_however_it_is_started(
    kallsyms: Kallsyms, site_packages: Path
) -> None:
    for path in ("kallsyms_client/__main__.py", "kallsyms_client"):
        done = subprocess.run(
            [sys.executable, "-I", "-S", site_packages / path, "--dialect=v6.11", "--nope"],
            env=kallsyms.environment,
            capture_output=True,
            check=False,
        )
        assert done.stderr.startswith(b"kallsyms: unrecognized option '--nope'\n")
    assert kallsyms("--dialect=v6.11", "--nope").err.startswith(b"kallsyms: unrecognized option")


def test_without_the_library_it_says_so_in_one_line(kallsyms: Kallsyms, site_packages: Path) -> None:
    (site_packages / "kallsymsd").unlink()
    (site_packages / "kallsymsd").mkdir()
    (site_packages / "kallsymsd" / "__init__.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-I", "-S", site_packages / "kallsyms_client" / "__main__.py", "in.map"],
        env=kallsyms.environment,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"kallsyms: ")
    assert b"kallsymsd" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_without_the_native_module_it_says_so_in_one_line(kallsyms: Kallsyms, site_packages: Path) -> None:
    whole = (site_packages / "kallsymsd").resolve()
    (site_packages / "kallsymsd").unlink()
    (site_packages / "kallsymsd").mkdir()
    for path in whole.rglob("*.py"):
        copy = site_packages / "kallsymsd" / path.relative_to(whole)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            site_packages / "kallsyms_client" / "__main__.py",
            "--dialect=v6.11",
            "in.map",
        ],
        cwd=kallsyms.here,
        env=kallsyms.environment,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"kallsyms: ")
    assert b"; install kallsymsd for this Python" in done.stderr
    assert done.stderr.count(b"\n") == 1


def _python(kallsyms: Kallsyms, program: str, *wrapper: str) -> Run:
    done = subprocess.run(
        [*wrapper, sys.executable, "-c", program, "--dialect=v6.11", "--all-symbols", "in.map"],
        cwd=kallsyms.here,
        env=kallsyms.environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_as_it_ends_the_kernels_tool(kallsyms: Kallsyms, number: signal.Signals) -> None:
    fifo = kallsyms.here / "fifo"
    os.mkfifo(fifo)
    command = [sys.executable, "-m", "kallsyms_client", "--dialect=v6.11", str(fifo)]
    with (
        subprocess.Popen(
            command, env=kallsyms.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
        fifo.open("wb"),
    ):  # open() returns when the program has the map open
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (-number, b"", b"")


# While an object is finalized, Python can raise no exception: what it makes of SIGINT is lost there.
INTERRUPTED = """
import os, signal
from kallsyms_client import main, session
class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
run = session.run
def interrupted(*arguments):
    Last()
    run(*arguments)
session.run = interrupted
os._exit(main.main())
"""


def test_no_interrupt_is_lost(kallsyms: Kallsyms) -> None:
    run = _python(kallsyms, INTERRUPTED)
    assert (run.status, run.out, run.err) == (-signal.SIGINT, b"", b"")


def test_an_interrupt_that_is_ignored_stays_so(kallsyms: Kallsyms) -> None:
    run = _python(kallsyms, INTERRUPTED, "sh", "-c", 'trap "" INT; exec "$@"', "sh")
    assert (run.status, run.out, run.err) == (0, PLAIN, b"")
