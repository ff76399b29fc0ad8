# SPDX-License-Identifier: GPL-2.0-only
"""The history of scripts/kallsyms: the form of v6.1, and what each later kernel changed in it."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Form:
    """How the tool of one range of kernels behaves."""

    name: str
    fscanf: bool
    """Lines are read with fscanf, later with getline."""
    drops_by_name: bool
    """The tool itself drops undefined and debugging symbols, and names that mksysmap drops later on."""
    drops_seqs_of_names: bool
    """The names it drops include that of its own table kallsyms_seqs_of_names."""
    has_seqs: bool
    address_first: bool
    """The address column and its base come first, and the name order stands before the tokens."""
    has_base_relative: bool
    """--base-relative exists; without it the tool prints absolute addresses."""
    has_percpu: bool
    """--absolute-percpu exists."""
    lto_cut: bytes | None
    """With --lto-clang, names are ordered by what stands before this text."""
    has_pc_relative: bool
    """--pc-relative exists, relative_base does not, and there is no preamble."""
    keeps_start_stop: bool
    empty_is_legal: bool
    comments_offsets: bool
    comments_names_and_seqs: bool
    prints_sizes: bool
    writes_bin: bool
    """The input is an ELF file (elf.py); names, token table and name order go to a .bin as bytes."""
    marker_distance: int

    @property
    def options(self) -> tuple[str, ...]:
        """Long options in the order of the tool's own table."""
        known = {
            "all-symbols": True,
            "absolute-percpu": self.has_percpu,
            "base-relative": self.has_base_relative,
            "lto-clang": self.lto_cut is not None,
            "pc-relative": self.has_pc_relative,
        }
        return tuple(option for option, exists in known.items() if exists)


V6_1 = Form(
    name="v6.1",
    fscanf=True,
    drops_by_name=True,
    drops_seqs_of_names=False,
    has_seqs=False,
    address_first=True,
    has_base_relative=True,
    has_percpu=True,
    lto_cut=None,
    has_pc_relative=False,
    keeps_start_stop=False,
    empty_is_legal=False,
    comments_offsets=False,
    comments_names_and_seqs=False,
    prints_sizes=False,
    writes_bin=False,
    marker_distance=256,
)
# The stable branch took the new table of v6.3 and the later cut of v6.5.
V6_1_Y = replace(V6_1, name="v6.1.y", has_seqs=True, drops_seqs_of_names=True, lto_cut=b".llvm.")
V6_2 = replace(V6_1, name="v6.2", has_seqs=True, lto_cut=b".")
V6_3 = replace(V6_2, name="v6.3", drops_seqs_of_names=True)
V6_4 = replace(V6_3, name="v6.4", address_first=False, drops_by_name=False, comments_offsets=True)
V6_5 = replace(V6_4, name="v6.5", fscanf=False, lto_cut=b".llvm.")
V6_6 = replace(V6_5, name="v6.6")
MAIL_2024 = replace(V6_6, name="mail-2024", has_base_relative=False)
V6_10 = replace(V6_6, name="v6.10", keeps_start_stop=True)
V6_11 = replace(
    V6_10,
    name="v6.11",
    has_base_relative=False,
    lto_cut=None,
    empty_is_legal=True,
    comments_names_and_seqs=True,
)
V6_15 = replace(V6_11, name="v6.15", has_percpu=False)
V7_0 = replace(V6_15, name="v7.0", has_pc_relative=True)
V7_3 = replace(V7_0, name="v7.3", prints_sizes=True)
V7_4 = replace(V7_3, name="v7.4", writes_bin=True, comments_names_and_seqs=False)
V7_4_MARKERS16 = replace(V7_4, name="v7.4-markers16", marker_distance=16)

FORMS = {
    form.name: form
    for form in (
        V6_1,
        V6_1_Y,
        V6_2,
        V6_3,
        V6_4,
        V6_5,
        V6_6,
        MAIL_2024,
        V6_10,
        V6_11,
        V6_15,
        V7_0,
        V7_3,
        V7_4,
        V7_4_MARKERS16,
    )
}
