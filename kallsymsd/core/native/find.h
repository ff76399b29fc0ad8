/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding a text in megabytes of strings. */
#ifndef KALLSYMSD_FIND_H
#define KALLSYMSD_FIND_H

#include <stddef.h>
#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define FIND_BLOCK 64

/* Bit i says that at src + i stands text[0], text[1] behind it and text[last] (last is 1 or 2), i < FIND_BLOCK. */
static inline uint64_t find_mask(const uint8_t *src, const uint8_t *text, size_t last)
{
	uint64_t mask = 0;
#if defined(__SSE2__)
	const __m128i a = _mm_set1_epi8((char)text[0]), b = _mm_set1_epi8((char)text[1]);
	const __m128i c = _mm_set1_epi8((char)text[last]);

	for (int i = 0; i < FIND_BLOCK; i += 16) {
		__m128i x = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(src + i)), a);
		__m128i y = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(src + i + 1)), b);
		__m128i z = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(src + i + last)), c);

		x = _mm_and_si128(_mm_and_si128(x, y), z);
		mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(x) << i;
	}
#else
	for (int i = 0; i < FIND_BLOCK; i++)
		mask |= (uint64_t)((src[i] == text[0]) & (src[i + 1] == text[1]) & (src[i + last] == text[last])) << i;
#endif
	return mask;
}

/*
 * The offsets of all places in src[0..n) where text[0..size) may stand: its first three bytes do. Two bytes are
 * enough for size 2, the least. Returns how many, less than n.
 */
static inline size_t find_text(const uint8_t *src, size_t n, const uint8_t *text, size_t size, uint32_t *places)
{
	const size_t last = size > 2 ? 2 : 1;
	size_t count = 0, i;

	for (i = 0; i + FIND_BLOCK + last <= n; i += FIND_BLOCK)
		for (uint64_t mask = find_mask(src + i, text, last); mask; mask &= mask - 1)
			places[count++] = (uint32_t)(i + (size_t)__builtin_ctzll(mask));
	for (; i + last < n; i++)
		if (src[i] == text[0] && src[i + 1] == text[1] && src[i + last] == text[last])
			places[count++] = (uint32_t)i;
	return count;
}

#endif
