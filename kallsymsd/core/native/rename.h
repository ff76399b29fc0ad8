/* SPDX-License-Identifier: GPL-2.0-only */
/* Renumbering codes. Usually two or three tokens have changed places, and all others stay the same. */
#ifndef KALLSYMSD_RENAME_H
#define KALLSYMSD_RENAME_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pairs.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define RENAME_BLOCK 256
/* Up to this many codes with a new number, searching for each costs less than looking all up in the table. */
#define RENAME_FEW 8

static inline void rename_by_table(uint8_t *data, size_t n, const uint8_t *to)
{
	for (size_t i = 0; i < n; i++)
		data[i] = to[data[i]];
}

static inline void rename_by_search(uint8_t *data, size_t n, const uint8_t *to)
{
	uint8_t from[256], old[RENAME_BLOCK];
	size_t count = 0, i, k;

	for (i = 0; i < 256; i++)
		if (to[i] != i)
			from[count++] = (uint8_t)i;
	for (; count <= RENAME_FEW && n >= RENAME_BLOCK; n -= RENAME_BLOCK, data += RENAME_BLOCK) {
		memcpy(old, data, RENAME_BLOCK);
		for (k = 0; k < count; k++) {
			const uint8_t code = from[k], change = (uint8_t)(code ^ to[code]);

			for (i = 0; i < RENAME_BLOCK; i++)
				data[i] ^= old[i] == code ? change : 0;
		}
	}
	rename_by_table(data, n, to);
}

#if defined(__x86_64__)

/* Sixteen codes with the same high half at a time; groups in which no code has a new number are skipped. */
__attribute__((target("avx2"))) static void rename_by_halves(uint8_t *data, size_t n, const uint8_t *to)
{
	const __m256i high = _mm256_set1_epi8(0x70);
	__m256i half[16], change[16];
	size_t count = 0;

	for (int i = 0; i < 256; i += 16) {
		uint8_t changes[16], any = 0;

		for (int k = 0; k < 16; k++)
			any |= changes[k] = (uint8_t)((i + k) ^ to[i + k]);
		if (any) {
			half[count] = _mm256_set1_epi8((char)i);
			change[count++] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)changes));
		}
	}
	for (; n >= 128; n -= 128, data += 128) {
		__m256i *block = (__m256i *)data;
		const __m256i a = _mm256_loadu_si256(block), b = _mm256_loadu_si256(block + 1);
		const __m256i c = _mm256_loadu_si256(block + 2), d = _mm256_loadu_si256(block + 3);
		__m256i to_a = a, to_b = b, to_c = c, to_d = d;

		/* Codes with another high half become 0x80 or more, for which the shuffle gives 0. */
#define RENAMED(x) \
	_mm256_shuffle_epi8(change[k], _mm256_adds_epu8(_mm256_xor_si256(x, half[k]), high))
		for (size_t k = 0; k < count; k++) {
			to_a = _mm256_xor_si256(to_a, RENAMED(a));
			to_b = _mm256_xor_si256(to_b, RENAMED(b));
			to_c = _mm256_xor_si256(to_c, RENAMED(c));
			to_d = _mm256_xor_si256(to_d, RENAMED(d));
		}
#undef RENAMED
		_mm256_storeu_si256(block, to_a);
		_mm256_storeu_si256(block + 1, to_b);
		_mm256_storeu_si256(block + 2, to_c);
		_mm256_storeu_si256(block + 3, to_d);
	}
	rename_by_table(data, n, to);
}

#endif

/* data[i] = to[data[i]] for n bytes. */
static inline void rename_codes(uint8_t *data, size_t n, const uint8_t *to)
{
	size_t same = 0;

	while (same < 256 && to[same] == same)
		same++;
	if (same == 256)
		return;
#if defined(__x86_64__)
	if (strcmp(pair_variant(), "avx2") == 0) {
		rename_by_halves(data, n, to);
		return;
	}
#endif
	rename_by_search(data, n, to);
}

#endif
