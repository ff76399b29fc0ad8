# SPDX-License-Identifier: GPL-2.0-only
"""Edits as developers make them, one after the other, each in the state that the last one left."""

from collections.abc import Callable
from pathlib import Path

from tests.kernel import sources
from tests.kernel.trees import ObjectTree

#: An edit: its name, and what it makes of the text of sources.EDITED.
Edit = tuple[str, Callable[[str], str]]


def _adding(text: str) -> Callable[[str], str]:
    return lambda before: before + text


_BODY = """{
	if (unlikely(jiffies == 12345)) pr_info("at %lu\\n", jiffies);
"""
_FUNCTION = """
static noinline int kallsymsd_static(int number) { return number * 3 + (int)jiffies; }
int kallsymsd_global(int number);
int kallsymsd_global(int number) { return kallsymsd_static(number) + 1; }
"""
_VARIABLES = """
static int kallsymsd_initialised = 5;
int kallsymsd_zero;
const int kallsymsd_constant[4] = { 1, 2, 3, 4 };
int *kallsymsd_variables(void);
int *kallsymsd_variables(void)
{
	static int inside;
	return ++inside & 1 ? &kallsymsd_initialised : &kallsymsd_zero;
}
"""
_EVERYTHING = """
#include <linux/percpu.h>
#include <linux/jump_label.h>
#include <linux/init.h>
#include <linux/export.h>
DEFINE_PER_CPU(int, kallsymsd_percpu);
DEFINE_STATIC_KEY_FALSE(kallsymsd_key);
int __weak kallsymsd_weak(int number);
int __weak kallsymsd_weak(int number)
{
	if (static_branch_unlikely(&kallsymsd_key))
		return kallsymsd_zero++;
	return number + this_cpu_read(kallsymsd_percpu);
}
static int __init kallsymsd_init(void) { return kallsymsd_weak(kallsymsd_zero) > 100; }
late_initcall(kallsymsd_init);
EXPORT_SYMBOL(kallsymsd_global);
EXPORT_SYMBOL_GPL(kallsymsd_weak);
"""
_SHIFT = """
char kallsymsd_shift[2200000] __attribute__((section(".data"))) = { 1 };
"""

EDITS: tuple[Edit, ...] = (
    ("nothing", lambda before: before),
    ("body", lambda before: before.replace("{\n", _BODY, 1)),
    ("function", _adding(_FUNCTION)),
    ("rename", lambda before: before.replace("kallsymsd_static", "kallsymsd_renamed")),
    ("variables", _adding(_VARIABLES)),
    ("everything", _adding(_EVERYTHING)),
    ("shift", _adding(_SHIFT)),
    ("back", lambda before: before.replace(_SHIFT, "").replace(_VARIABLES, _VARIABLES + "\n")),
)


def apply(source: Path, edit: Edit) -> None:
    """Edit the source tree; a file whose text stays the same gets a new time."""
    file = source / sources.EDITED
    file.write_text(edit[1](file.read_text()))


def reconfigure(tree: ObjectTree) -> None:
    """Switch something on that adds some hundred symbols."""
    with (tree.directory / ".config").open("a") as config:
        config.write("CONFIG_SYSVIPC=y\nCONFIG_POSIX_MQUEUE=y\nCONFIG_INOTIFY_USER=y\n")
    tree.make("olddefconfig")
