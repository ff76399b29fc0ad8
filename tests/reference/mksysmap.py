# SPDX-License-Identifier: GPL-2.0-only
"""scripts/mksysmap of the releases for which nobody packages it, as input for sed.

Kernel commits: c4802044a0a7 (v6.4), and mailed to linux-kbuild: __pi_ and doubled prefixes (v6.7), thunks by
pattern (v6.9), MODULE_INFO (v6.18), MODULE_DEVICE_TABLE (v6.18).
"""

_V6_1 = r"""
/ [aNUw] /d
/ \$/d
/ \.L/d
/ __crc_/d
/ __kstrtab_/d
/ __kstrtabns_/d
/ L0$/d
"""
_V6_4 = (
    _V6_1
    + r"""
/ __efistub_/d
/ __kvm_nvhe_\$/d
/ __kvm_nvhe_\.L/d
/ __kcfi_typeid_/d
/_from_arm$/d
/_from_thumb$/d
/_veneer$/d
/ _SDA_BASE_$/d
/ _SDA2_BASE_$/d
/\.long_branch\./d
/\.plt_branch\./d
"""
)
_LISTED_THUNKS = r"""
/ __AArch64ADRPThunk_/d
/ __ARMV5PILongThunk_/d
/ __ARMV7PILongThunk_/d
/ __ThumbV7PILongThunk_/d
/ __LA25Thunk_/d
/ __microLA25Thunk_/d
"""
_V6_9 = (
    _V6_4
    + r"""
/ __pi_\$/d
/ __pi_\.L/d
/ __kvm_nvhe___kcfi_typeid_/d
/ __pi___kcfi_typeid_/d
/ __[[:alnum:]]*Thunk_/d
"""
)
_V6_18 = _V6_9 + "/ __mod_device_table__/d\n"
_V7_0 = _V6_18 + "/ __UNIQUE_ID_modinfo_[0-9]*$/d\n"

#: Dialect to its script, which is that of the newest release with that dialect.
SCRIPTS = {
    "v6.1": _V6_1,
    "v6.1.y": _V6_1,
    "v6.2": _V6_1,
    "v6.3": _V6_1,
    "v6.4": _V6_4 + _LISTED_THUNKS,
    "v6.5": _V6_4 + _LISTED_THUNKS,
    "v6.6": _V6_9,
    "mail-2024": _V6_9,
    "v6.10": _V6_9,
    "v6.11": _V6_9,
    "v6.15": _V7_0 + "/ __UNIQUE_ID_modinfo[0-9]*$/d\n",
    "v7.0": _V7_0,
    "v7.3": _V7_0,
    "v7.4": _V7_0,
    "v7.4-markers16": _V7_0,
}
