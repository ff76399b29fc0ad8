/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding a text in megabytes of strings. */
#ifndef KALLSYMSD_FIND_H
#define KALLSYMSD_FIND_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pairs.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define FIND_BLOCK 64
#define FIND_INLINE static inline __attribute__((always_inline))

/* Bit i (i < FIND_BLOCK) is set if src + i has text[0], text[1] and, at offset last (1 or 2), text[last]. */
typedef uint64_t find_mask_function(const uint8_t *src, const uint8_t *text, size_t last);

FIND_INLINE size_t find_with(find_mask_function *find_mask, const uint8_t *src, size_t n, const uint8_t *text,
			     size_t last, uint32_t *places)
{
	size_t count = 0, i;

	for (i = 0; i + FIND_BLOCK + last <= n; i += FIND_BLOCK)
		for (uint64_t mask = find_mask(src + i, text, last); mask; mask &= mask - 1)
			places[count++] = (uint32_t)(i + (size_t)__builtin_ctzll(mask));
	for (; i + last < n; i++)
		if (src[i] == text[0] && src[i + 1] == text[1] && src[i + last] == text[last])
			places[count++] = (uint32_t)i;
	return count;
}

FIND_INLINE uint64_t find_mask_portable(const uint8_t *src, const uint8_t *text, size_t last)
{
	uint64_t mask = 0;

	for (int i = 0; i < FIND_BLOCK; i++)
		mask |= (uint64_t)((src[i] == text[0]) & (src[i + 1] == text[1]) & (src[i + last] == text[last])) << i;
	return mask;
}

static inline size_t find_portable(const uint8_t *src, size_t n, const uint8_t *text, size_t last, uint32_t *places)
{
	return find_with(find_mask_portable, src, n, text, last, places);
}

#if defined(__x86_64__)

#define FIND_AVX2 __attribute__((target("avx2,bmi")))

FIND_AVX2 FIND_INLINE uint64_t find_mask_avx2(const uint8_t *src, const uint8_t *text, size_t last)
{
	const __m256i a = _mm256_set1_epi8((char)text[0]), b = _mm256_set1_epi8((char)text[1]);
	const __m256i c = _mm256_set1_epi8((char)text[last]);
	uint64_t mask = 0;

	for (int i = 0; i < FIND_BLOCK; i += 32) {
		__m256i x = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(src + i)), a);
		__m256i y = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(src + i + 1)), b);
		__m256i z = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(src + i + last)), c);

		x = _mm256_and_si256(_mm256_and_si256(x, y), z);
		mask |= (uint64_t)(uint32_t)_mm256_movemask_epi8(x) << i;
	}
	return mask;
}

FIND_AVX2 static inline size_t find_avx2(const uint8_t *src, size_t n, const uint8_t *text, size_t last,
					 uint32_t *places)
{
	return find_with(find_mask_avx2, src, n, text, last, places);
}

FIND_INLINE uint64_t find_mask_sse2(const uint8_t *src, const uint8_t *text, size_t last)
{
	const __m128i a = _mm_set1_epi8((char)text[0]), b = _mm_set1_epi8((char)text[1]);
	const __m128i c = _mm_set1_epi8((char)text[last]);
	uint64_t mask = 0;

	for (int i = 0; i < FIND_BLOCK; i += 16) {
		__m128i x = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(src + i)), a);
		__m128i y = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(src + i + 1)), b);
		__m128i z = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(src + i + last)), c);

		x = _mm_and_si128(_mm_and_si128(x, y), z);
		mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(x) << i;
	}
	return mask;
}

static inline size_t find_sse2(const uint8_t *src, size_t n, const uint8_t *text, size_t last, uint32_t *places)
{
	return find_with(find_mask_sse2, src, n, text, last, places);
}

#endif

/*
 * Write to places the offsets in src[0..n) where text[0..size) may begin: those with its first three bytes,
 * or with both bytes if size is 2, the minimum. Returns their number, which is less than n.
 */
static inline size_t find_text(const uint8_t *src, size_t n, const uint8_t *text, size_t size, uint32_t *places)
{
	const size_t last = size > 2 ? 2 : 1;
#if defined(__x86_64__)
	const char *variant = pair_variant();

	if (strcmp(variant, "avx2") == 0)
		return find_avx2(src, n, text, last, places);
	if (strcmp(variant, "sse2") == 0)
		return find_sse2(src, n, text, last, places);
#endif
	return find_portable(src, n, text, last, places);
}

#endif
