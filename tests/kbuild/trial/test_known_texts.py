# SPDX-License-Identifier: GPL-2.0-only
"""Normal forms: what changes no meaning changes nothing, whatever else is changed does."""

import random
import re
from collections.abc import Callable

import pytest

from kallsymsd.core.toolsource import c_text, digest, name_limit, of_source
from kallsymsd.kbuild.script import edit, scripttext
from kallsymsd.kbuild.script.scripttext import MAIN, parts
from tests.kbuild.trial.edits import edited

Source = Callable[..., bytes]
SCRIPT = "link-vmlinux.sh"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"int a;\n", b"int/* x */a ;// y\n"),
        (b"int a;", b"\n\n\tint\r\n a;"),
        (b"#define A 1\nint a;", b"#  define A \\\n 1 /* one */\nint a;"),
        (b'puts("/* \\" //");', b'puts ( "/* \\" //" ) ;'),
        (b"x = '\"';", b"x='\"';"),
        (b"a+++b;", b"a ++ + b;"),
        (b"#define f(x) (x)", b"# define\tf( x )(x)"),
    ],
)
def test_c_of_one_meaning(one: bytes, other: bytes) -> None:
    assert c_text(one) == c_text(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"int a;", b"inta;"),
        (b'puts("a b");', b'puts("a  b");'),
        (b'puts("a /* b */");', b'puts("a ");'),
        (b"x = a - -b;", b"x = a--b;"),
        (b"x = + +b;", b"x = ++b;"),
        (b"x = a & &b;", b"x = a && b;"),
        (b"#define A 1\n+ 2", b"#define A 1 + 2\n"),
        (b"#define A 1\n", b"# define A\n1"),
        (b"// int a;\nint b;", b"// int b;\nint a;"),
        (b"// \\\nint a;\nint b;", b"//\nint a;\nint b;"),
        (b"// \\ \t\nint a;\nint b;", b"//\nint a;\nint b;"),
        (b"#define f(x) (x)", b"#define f (x) (x)"),
        (b"#define f/**/(x) (x)", b"#define f(x) (x)"),
        (b"int a; #define A 1\nb", b"int a;\n#define A 1\nb"),
        (b"x = 'a';", b"x = 'b';"),
        (b"x = 1 .f;", b"x = 1.f;"),
    ],
)
def test_c_of_another_meaning(one: bytes, other: bytes) -> None:
    assert c_text(one) != c_text(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"f()\n{\n\techo\n}\nf\n", b"# of\nf()\n{\n\n  echo \n}\n\tf\n  # all"),
        (b"a && \\\n\tb", b"a && \\\n        b"),
    ],
)
def test_shell_of_one_meaning(one: bytes, other: bytes) -> None:
    assert parts(one) == parts(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"f()\n{\n\techo\n}\n", b"f()\n{\n\techo  x\n}\n"),
        (b"echo 'a  b'", b"echo 'a b'"),
        (b"a && \\\n\tb", b"a && \\\n\n\tb"),
        (b"a && \\\n\tb", b"a && \\\n# no\n\tb"),
        (b"a \\\n", b"a \\ \n"),
        (b"f()\n{\n:\n}\n", b"f()\n{\n:\n}\nf()\n{\n:\n}\n"),
        (b"f()\n{\n:\n}\ng\n", b"g\nf()\n{\n:\n}\n"),
        (b"f()\n{\n:\n}\n", b"g()\n{\n:\n}\n"),
        (b"echo a#b", b"echo a"),
    ],
)
def test_shell_of_another_meaning(one: bytes, other: bytes) -> None:
    assert parts(one) != parts(other)


def test_parts_have_all_that_a_script_has(source: Source) -> None:
    made = dict(parts(source("v6.11", SCRIPT)))
    assert {"vmlinux_link()", "gen_btf()", "kallsyms()", "mksysmap()", MAIN} <= made.keys()
    text = b"\n".join(made.values())
    lines = [line.strip() for line in source("v6.11", SCRIPT).splitlines()]
    assert all(line in text for line in lines if line and not line.startswith(b"#"))


@pytest.mark.parametrize("dialect", ["v6.1.y", "v6.11"])
def test_texts_of_releases_are_known(source: Source, dialect: str) -> None:
    found = of_source(source(dialect))
    assert found is not None
    assert found.name == dialect
    assert not edit.unknown_part(source(dialect, SCRIPT))


@pytest.mark.parametrize("dialect", ["v6.1.y", "v6.11"])
def test_any_edit_of_the_tool_makes_it_unknown_or_means_nothing(source: Source, dialect: str) -> None:
    text = source(dialect)
    chance = random.Random(dialect)
    for _ in range(300):
        other = edited(text, chance)
        found = of_source(other)
        is_known = _without_limit(other) == _without_limit(text) and name_limit(c_text(other)) is not None
        assert (found is not None) == is_known
        assert found is None or found.name_limit == name_limit(c_text(other))


def _without_limit(text: bytes) -> bytes:
    return re.sub(rb"# define KSYM_NAME_LEN [1-9]\d* \n", b"", c_text(text))


@pytest.mark.parametrize("dialect", ["v6.1.y", "v6.11"])
def test_any_edit_of_the_script_makes_it_unknown_or_means_nothing(source: Source, dialect: str) -> None:
    text = source(dialect, SCRIPT)
    chance = random.Random(dialect)
    for _ in range(300):
        other = edited(text, chance)
        assert bool(edit.unknown_part(other)) == (parts(other) != parts(text))


@pytest.mark.parametrize("dialect", ["v6.1.y", "v6.11"])
def test_each_part_of_the_script_counts(
    source: Source, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = source(dialect, SCRIPT)
    for name, _ in parts(text):
        rest = {each: digests for each, digests in scripttext.SCRIPT_PARTS.items() if each != name}
        monkeypatch.setattr(edit, "SCRIPT_PARTS", rest)
        assert edit.unknown_part(text) == name


@pytest.mark.parametrize(
    "define",
    [
        b"",
        b"#define KSYM_NAME_LEN\t\t0512\n",
        b"#define KSYM_NAME_LEN (512)\n",
        b"#define KSYM_NAME_LEN 512\n#define KSYM_NAME_LEN 512\n",
    ],
)
def test_a_limit_that_is_not_understood(source: Source, define: bytes) -> None:
    text, count = re.subn(rb"(?m)^#define KSYM_NAME_LEN.*\n", define, source("v6.11"))
    assert count == 1
    assert of_source(text) is None


def test_a_function_of_a_release_counts_once(source: Source) -> None:
    text = source("v6.11", SCRIPT)
    info = dict(parts(text))["info()"]
    assert edit.unknown_part(text + info + b"\n") == MAIN


def test_a_digest_is_of_each_field() -> None:
    assert digest(b"ab", b"c") != digest(b"a", b"bc") != digest(b"abc")
    assert len(digest()) == 32
