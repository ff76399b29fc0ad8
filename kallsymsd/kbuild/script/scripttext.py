# SPDX-License-Identifier: GPL-2.0-only
"""Splits the text of scripts/link-vmlinux.sh into parts in normal form, and lists the known ones.

"python -m tests.kbuild.trial.texts TREE" prints the digests of a kernel's source. Add a text to the table
only after a review of what it does and a comparison of its results.
"""

import re

_FUNCTION = re.compile(rb"(\w+)[ \t]*\(\)[ \t]*(?:\{)?")

#: The name that parts() gives to the text outside all functions.
MAIN = "the text outside its functions"

#: Digests of the known texts of each part of scripts/link-vmlinux.sh, each with the first release seen to
#: have it. Stable releases combine parts of several.
SCRIPT_PARTS: dict[str, tuple[str, ...]] = {
    "is_enabled()": (
        "7f56ddf20d017fdd8cdc88542c88dbe6",  # 6.1.0
    ),
    "info()": (
        "19edd54676ed8538448f8a7b9ee674f9",  # 6.1.0
    ),
    "vmlinux_link()": (
        "01365e6681e6517dc1ba5d4a964111bd",  # 6.1.0
        "78c133202f5580ea1cd9a3bbdd54b6a5",  # 6.11
        "fbf3108c8c5aebfe366167b2ab9498f6",  # 6.13
        "99271db6d7a48bfd233aa2c2e2f6aae4",  # 6.15
        "3cc25065c13a1db4eddadb649df61f23",  # 6.18
        "18bbc0990a08d09d6eea246b28e33148",  # 6.19
    ),
    "gen_btf()": (
        "0580f39940982a099579286d542bbaeb",  # 6.1.0
        "121054d6bda38375583af4507c91151b",  # 6.1.79
        "171abac447be3042232b8a942ea3329f",  # 6.11
        "1538059547432d9c5640be598dea0b29",  # 6.12
    ),
    "kallsyms()": (
        "6c6a90d04cdfd175ec1e446601be98fe",  # 6.1.0
        "4d6310faa3d79d7984992bb5de306f2e",  # 6.2
        "544d805ee102aabcc927875fa1a05d5e",  # 6.11
        "36e9924eb2fc55e6304ba589d2195fc8",  # 6.12.117
        "7afe69fb1e0627e482aa4d9e3cf994db",  # 6.15
        "26d407ddcb8cc50c737986f1f96ed07b",  # 7.0
        "b14a4be458bcb35a333607619fdd0233",  # 7.3
    ),
    "kallsyms_step()": (
        "3837610bafa3ebec0ae9bc3c9517ebe1",  # 6.1.0
        "99b696374f2d80f405a7b0fd2f5bf791",  # 6.1.98
        "ae426dfaaedbd81c086d93e5c93a7896",  # 6.4
        "493a9ee43c587d11f76985f05f885afb",  # 6.6.63
    ),
    "mksysmap()": (
        "d5720ecc84697f639162bcda8f379133",  # 6.1.0
        "8edfc7696d61932b16c7dd3ab6b39f8c",  # 6.4
        "124df9f7df83ca7fccd5203f17547daa",  # 6.10
    ),
    "sorttable()": (
        "f0237c5dead294e90ee4e8aa632084be",  # 6.1.0
        "cc1ad8239859d62667f942eb3b833ada",  # 6.12.95
    ),
    "cleanup()": (
        "8473fffb579d5ec8e2d2cd6a1726bc8f",  # 6.1.0
        "9e18f43a46995c0763546fa1e150b99c",  # 6.12.95
    ),
    "the text outside its functions": (
        "eb8de3388265138d9e5bdba6c5777fbe",  # 6.1.0
        "ecebd0fd4b47317587e13899dcb3f2b8",  # 6.4
        "9818d7485a450e09effc6f900f41449d",  # 6.10
        "160bf4299d7ac5a8e8598a72e3569ca1",  # 6.11
        "01a376ec853acb35242874ad328a4a61",  # 6.12
        "4bd7e147749744e11bc0d79e24b76315",  # 6.12.117
        "9e3d05741da455698ec4ea7c7254ecca",  # 6.13
        "684a66c33c3aa62529ad254818b50634",  # 6.14
        "82405033c171a94c76bc789455eeb756",  # 6.15
        "b3df7b0ad6621290d6d9613fa267c7fd",  # 6.19
        "723904070045fb7356756b61470af748",  # 7.0
        "8064613c08d7a1f676a62c9a87a0f5c9",  # 7.3
    ),
    "sysmap_and_kallsyms()": (
        "a5bfe06d92d4edc863f7f4f9d1bba619",  # 6.11
    ),
    "kallsymso_changed()": (
        "6b626927269843090b4e6712ddca6beb",  # 6.12.117
    ),
}


def parts(text: bytes) -> list[tuple[str, bytes]]:
    """The functions of a shell script by name, as "name()", and last the text outside of them, as MAIN.

    Texts are in normal form: without indentation, empty lines and comment lines. A function that is defined
    twice is listed twice. Together, the parts contain everything in the script.
    """
    functions: list[tuple[str, bytes]] = []
    main: list[bytes] = []
    lines = _lines(text)
    at = 0
    while at < len(lines):
        found = _FUNCTION.fullmatch(lines[at])
        if found is None or b"}" not in lines[at:]:
            main.append(lines[at])
            at += 1
            continue
        end = lines.index(b"}", at) + 1
        functions.append((found[1].decode("ascii", "replace") + "()", b"\n".join(lines[at:end])))
        main.append(found[1] + b"()")  # where it is defined
        at = end
    return [*functions, (MAIN, b"\n".join(main))]


def _lines(text: bytes) -> list[bytes]:
    """The lines of code; blanks within them are kept, as they may be quoted."""
    lines: list[bytes] = []
    goes_on = False
    for line in text.split(b"\n"):
        bare = line.strip(b" \t")
        # After a backslash, even an empty line or a comment belongs to the line before.
        if goes_on or (bare and not bare.startswith(b"#")):
            lines.append(line.lstrip(b" \t") if bare.endswith(b"\\") else bare)
        goes_on = line.endswith(b"\\")
    return lines
