/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Streaming replacement of one byte pair; see pairs.h.
 *
 * The kernel's own tool walks 160,000 strings for each of about 190 tokens, and recounts all pairs of every
 * string that it changes. Three things make the same result about twenty times cheaper:
 *
 *  - The strings are one flat stream, compared 64 positions at a time. A 64-bit mask says where the pair is,
 *    so a block without a match (the usual case) costs two compares and a copy.
 *  - A match needs only two histogram increments. 256 sums per token then correct the pair counts.
 *  - The copy moves the stream PAIR_GAP bytes towards lower addresses. So a whole block can be written at
 *    once without destroying input, and the stream stays in the same cache lines.
 */
#include "pairs.h"
#include "spell.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* How far ahead of the current block a stream is fetched. A processor's own prefetch stops at the end of a
 * page, and no cache holds streams of tens of megabytes. A prefetch beyond the end does nothing. */
#define AHEAD 8192

typedef size_t pass_function(uint8_t *, const uint8_t *, size_t, uint8_t, uint8_t, uint8_t, struct pair_stats *);
typedef void spell_function(uint8_t *, const uint8_t *, size_t, uint8_t, uint8_t, struct spelled *);
typedef int32_t row_max_function(const int32_t *);

INLINE size_t pass_with(mask_function *match_mask, uint8_t *dst, const uint8_t *src, size_t n, uint8_t a, uint8_t b,
			uint8_t code, struct pair_stats *stats)
{
	uint8_t *out = dst;
	uint32_t matches = 0, joined = 0;
	size_t taken = 0;		/* bytes of this block that a match in the previous one took: 0 or 1 */
	size_t after_match = (size_t)-1; /* position after the last match */
	size_t length, i;

	memset(stats, 0, sizeof(*stats));
	for (i = 0; i < n; i += BLOCK) {
		const uint8_t *block = src + i;
		uint64_t mask = match_mask(block, a, b);
		size_t from = taken;

		__builtin_prefetch(block + AHEAD);
		for (; mask; mask &= mask - 1) {
			size_t at = (size_t)__builtin_ctzll(mask);

			if (at < from) /* a == b: overlaps the previous match */
				continue;
			memcpy(out, block + from, BLOCK);
			out += at - from;
			*out++ = code;
			matches++;
			joined += i + at == after_match;
			stats->left[*(block + at - 1)]++;
			stats->right[block[at + 2]]++;
			from = at + 2;
			after_match = i + from;
		}
		memcpy(out, block + from, BLOCK);
		taken = from > BLOCK;
		out += BLOCK + taken - from;
	}
	/* The last block extends beyond n into zeros, which no match can include. */
	length = (size_t)(out - dst) - (i - n);
	memset(dst + length, 0, PAIR_GAP);
	dst[-1] = 0;
	stats->matches = matches;
	stats->joined = joined;
	return length;
}

INLINE int32_t row_max_with(const int32_t *row)
{
	int32_t best = row[0];

	for (int i = 1; i < 256; i++)
		best = row[i] > best ? row[i] : best;
	return best;
}

/* Portable: eight bytes at a time in a word. A byte of differs is zero where both bytes of the pair match. */
INLINE uint64_t mask_portable(const uint8_t *src, uint8_t a, uint8_t b)
{
	const uint64_t low = 0x7f7f7f7f7f7f7f7fULL, ones = 0x0101010101010101ULL;
	uint64_t mask = 0;

	for (int i = 0; i < BLOCK; i += 8) {
		uint64_t first, second, differs, equal;

		memcpy(&first, src + i, 8);
		memcpy(&second, src + i + 1, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		first = __builtin_bswap64(first);
		second = __builtin_bswap64(second);
#endif
		differs = (first ^ (ones * a)) | (second ^ (ones * b));
		equal = ~(((differs & low) + low) | differs | low) >> 7; /* 1 in each zero byte, exactly */
		mask |= ((equal * 0x0102040810204080ULL) >> 56) << i; /* gather the eight bits */
	}
	return mask;
}

INLINE uint64_t byte_mask_portable(const uint8_t *src, uint8_t a)
{
	uint64_t mask = 0;

	for (int i = 0; i < BLOCK; i++)
		mask |= (uint64_t)(src[i] == a) << i;
	return mask;
}

static size_t pass_portable(uint8_t *dst, const uint8_t *src, size_t n, uint8_t a, uint8_t b, uint8_t code,
			    struct pair_stats *stats)
{
	return pass_with(mask_portable, dst, src, n, a, b, code, stats);
}

static void spell_portable(uint8_t *out, const uint8_t *src, size_t n, uint8_t a, uint8_t b, struct spelled *spelled)
{
	spell_with(mask_portable, byte_mask_portable, out, src, n, a, b, spelled);
}

static int32_t row_max_portable(const int32_t *row)
{
	return row_max_with(row);
}

#if defined(__x86_64__)

INLINE uint64_t mask_sse2(const uint8_t *src, uint8_t a, uint8_t b)
{
	const __m128i first = _mm_set1_epi8((char)a), second = _mm_set1_epi8((char)b);
	uint64_t mask = 0;

	for (int i = 0; i < BLOCK; i += 16) {
		__m128i x = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(src + i)), first);
		__m128i y = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(src + i + 1)), second);

		mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_and_si128(x, y)) << i;
	}
	return mask;
}

INLINE uint64_t byte_mask_sse2(const uint8_t *src, uint8_t a)
{
	uint64_t mask = 0;

	for (int i = 0; i < BLOCK; i += 16) {
		__m128i x = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(src + i)), _mm_set1_epi8((char)a));

		mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(x) << i;
	}
	return mask;
}

static size_t pass_sse2(uint8_t *dst, const uint8_t *src, size_t n, uint8_t a, uint8_t b, uint8_t code,
			struct pair_stats *stats)
{
	return pass_with(mask_sse2, dst, src, n, a, b, code, stats);
}

static void spell_sse2(uint8_t *out, const uint8_t *src, size_t n, uint8_t a, uint8_t b, struct spelled *spelled)
{
	spell_with(mask_sse2, byte_mask_sse2, out, src, n, a, b, spelled);
}

#define AVX2 __attribute__((target("avx2,bmi,popcnt")))

AVX2 INLINE uint64_t mask_avx2(const uint8_t *src, uint8_t a, uint8_t b)
{
	const __m256i first = _mm256_set1_epi8((char)a), second = _mm256_set1_epi8((char)b);
	uint64_t mask = 0;

	for (int i = 0; i < BLOCK; i += 32) {
		__m256i x = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(src + i)), first);
		__m256i y = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(src + i + 1)), second);

		mask |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_and_si256(x, y)) << i;
	}
	return mask;
}

AVX2 INLINE uint64_t byte_mask_avx2(const uint8_t *src, uint8_t a)
{
	uint64_t mask = 0;

	for (int i = 0; i < BLOCK; i += 32) {
		__m256i x = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(src + i)), _mm256_set1_epi8((char)a));

		mask |= (uint64_t)(uint32_t)_mm256_movemask_epi8(x) << i;
	}
	return mask;
}

AVX2 static size_t pass_avx2(uint8_t *dst, const uint8_t *src, size_t n, uint8_t a, uint8_t b, uint8_t code,
			     struct pair_stats *stats)
{
	return pass_with(mask_avx2, dst, src, n, a, b, code, stats);
}

AVX2 static void spell_avx2(uint8_t *out, const uint8_t *src, size_t n, uint8_t a, uint8_t b, struct spelled *spelled)
{
	spell_with(mask_avx2, byte_mask_avx2, out, src, n, a, b, spelled);
}

AVX2 static int32_t row_max_avx2(const int32_t *row)
{
	return row_max_with(row);
}

static int have_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt");
}

#endif

static int always(void)
{
	return 1;
}

static const struct variant {
	const char *name;
	int (*available)(void);
	pass_function *pass;
	spell_function *spell;
	row_max_function *row_max;
} variants[] = {
#if defined(__x86_64__)
	{ "avx2", have_avx2, pass_avx2, spell_avx2, row_max_avx2 },
	{ "sse2", always, pass_sse2, spell_sse2, row_max_portable },
#endif
	{ "portable", always, pass_portable, spell_portable, row_max_portable },
};

static const struct variant *chosen = &variants[sizeof(variants) / sizeof(variants[0]) - 1];

__attribute__((constructor)) static void choose_best(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
#endif
	chosen = variants;
	while (!chosen->available())
		chosen++;
}

int pair_choose(const char *name)
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		if (strcmp(variants[i].name, name) == 0 && variants[i].available()) {
			chosen = &variants[i];
			return 1;
		}
	}
	return 0;
}

const char *pair_variant(void)
{
	return chosen->name;
}

size_t pair_pass(uint8_t *dst, const uint8_t *src, size_t n, uint8_t a, uint8_t b, uint8_t code,
		 struct pair_stats *stats)
{
	return chosen->pass(dst, src, n, a, b, code, stats);
}

void pair_spell(uint8_t *out, const uint8_t *src, size_t n, uint8_t a, uint8_t b, struct spelled *spelled)
{
	chosen->spell(out, src, n, a, b, spelled);
}

int32_t pair_row_max(const int32_t *row)
{
	return chosen->row_max(row);
}

void pair_count(const uint8_t *src, size_t n, int32_t weight, int32_t *counts)
{
	for (size_t i = 0; i + 1 < n; i++)
		counts[src[i] | (size_t)src[i + 1] << 8] += weight;
}
