# SPDX-License-Identifier: GPL-2.0-only
"""Digests of texts that are known in full (kallsyms_client.kbuild.normal), by what they say."""

#: Of scripts/kallsyms.c without its definition of KSYM_NAME_LEN: the dialect.
TOOLS = {
    "5a381066733bdecb765150356f21a536": "v6.1.y",  # 6.1
    "b9947a8789d192294128fd7123ee3c08": "v6.11",  # 6.12
    "9652f5cf0557cd2f51d309703459381b": "v7.3",  # 7.3
}

#: Of the parts of scripts/link-vmlinux.sh that can be linked once.
SCRIPT_PARTS: dict[str, tuple[str, ...]] = {
    "is_enabled()": (
        "7f56ddf20d017fdd8cdc88542c88dbe6",  # 6.1, 6.12, 7.3
    ),
    "info()": (
        "19edd54676ed8538448f8a7b9ee674f9",  # 6.1, 6.12, 7.3
    ),
    "vmlinux_link()": (
        "01365e6681e6517dc1ba5d4a964111bd",  # 6.1
        "78c133202f5580ea1cd9a3bbdd54b6a5",  # 6.12
        "18bbc0990a08d09d6eea246b28e33148",  # 7.3
    ),
    "gen_btf()": (
        "121054d6bda38375583af4507c91151b",  # 6.1
        "1538059547432d9c5640be598dea0b29",  # 6.12
    ),
    "kallsyms()": (
        "4d6310faa3d79d7984992bb5de306f2e",  # 6.1
        "36e9924eb2fc55e6304ba589d2195fc8",  # 6.12
        "b14a4be458bcb35a333607619fdd0233",  # 7.3
    ),
    "kallsyms_step()": (
        "99b696374f2d80f405a7b0fd2f5bf791",  # 6.1
    ),
    "mksysmap()": (
        "d5720ecc84697f639162bcda8f379133",  # 6.1
        "124df9f7df83ca7fccd5203f17547daa",  # 6.12, 7.3
    ),
    "sorttable()": (
        "f0237c5dead294e90ee4e8aa632084be",  # 6.1
        "cc1ad8239859d62667f942eb3b833ada",  # 6.12, 7.3
    ),
    "cleanup()": (
        "8473fffb579d5ec8e2d2cd6a1726bc8f",  # 6.1
        "9e18f43a46995c0763546fa1e150b99c",  # 6.12, 7.3
    ),
    "the text outside its functions": (
        "eb8de3388265138d9e5bdba6c5777fbe",  # 6.1
        "4bd7e147749744e11bc0d79e24b76315",  # 6.12
        "8064613c08d7a1f676a62c9a87a0f5c9",  # 7.3
    ),
    "kallsymso_changed()": (
        "6b626927269843090b4e6712ddca6beb",  # 6.12, 7.3
    ),
    "sysmap_and_kallsyms()": (
        "a5bfe06d92d4edc863f7f4f9d1bba619",  # 6.12, 7.3
    ),
}
