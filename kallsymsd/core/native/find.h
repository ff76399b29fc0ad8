/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding byte pairs in megabytes of strings. */
#ifndef KALLSYMSD_FIND_H
#define KALLSYMSD_FIND_H

#include <stddef.h>
#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define FIND_BLOCK 64

/* Bit i says that src[i] == a and src[i + 1] == b, i < FIND_BLOCK. */
static inline uint64_t find_mask(const uint8_t *src, uint8_t a, uint8_t b)
{
	uint64_t mask = 0;
#if defined(__SSE2__)
	const __m128i first = _mm_set1_epi8((char)a), second = _mm_set1_epi8((char)b);

	for (int i = 0; i < FIND_BLOCK; i += 16) {
		__m128i x = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(src + i)), first);
		__m128i y = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(src + i + 1)), second);

		mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_and_si128(x, y)) << i;
	}
#else
	for (int i = 0; i < FIND_BLOCK; i++)
		mask |= (uint64_t)((src[i] == a) & (src[i + 1] == b)) << i;
#endif
	return mask;
}

/* The offsets of all places in src[0..n) where a stands with b behind it; returns how many, less than n. */
static inline size_t find_pair(const uint8_t *src, size_t n, uint8_t a, uint8_t b, uint32_t *places)
{
	size_t count = 0, i;

	for (i = 0; i + FIND_BLOCK < n; i += FIND_BLOCK)
		for (uint64_t mask = find_mask(src + i, a, b); mask; mask &= mask - 1)
			places[count++] = (uint32_t)(i + (size_t)__builtin_ctzll(mask));
	for (; i + 1 < n; i++)
		if (src[i] == a && src[i + 1] == b)
			places[count++] = (uint32_t)i;
	return count;
}

#endif
