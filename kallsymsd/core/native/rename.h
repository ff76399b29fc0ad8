/* SPDX-License-Identifier: GPL-2.0-only */
/* Giving other numbers to codes. */
#ifndef KALLSYMSD_RENAME_H
#define KALLSYMSD_RENAME_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RENAME_BLOCK 256
/* Looking for each code that has another number costs less than the table up to so many of them. */
#define RENAME_FEW 8

/* data[i] = to[data[i]] for n bytes. Most often two or three tokens have changed places and all else stands. */
static inline void rename_codes(uint8_t *data, size_t n, const uint8_t *to)
{
	uint8_t from[256], old[RENAME_BLOCK];
	size_t count = 0, i, k;

	for (i = 0; i < 256; i++)
		if (to[i] != i)
			from[count++] = (uint8_t)i;
	if (count == 0)
		return;
	for (; count <= RENAME_FEW && n >= RENAME_BLOCK; n -= RENAME_BLOCK, data += RENAME_BLOCK) {
		memcpy(old, data, RENAME_BLOCK);
		for (k = 0; k < count; k++) {
			const uint8_t code = from[k], change = (uint8_t)(code ^ to[code]);

			for (i = 0; i < RENAME_BLOCK; i++)
				data[i] ^= old[i] == code ? change : 0;
		}
	}
	for (i = 0; i < n; i++)
		data[i] = to[data[i]];
}

#endif
