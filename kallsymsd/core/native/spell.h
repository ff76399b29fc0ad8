/* SPDX-License-Identifier: GPL-2.0-only */
/* From codes to names: see pair_spell(). pairs.c compiles this for each instruction set. */
#ifndef KALLSYMSD_SPELL_H
#define KALLSYMSD_SPELL_H

#include <string.h>

#include "pairs.h"

#define BLOCK 64
#define INLINE static inline __attribute__((always_inline))

/* Find matches with one instruction set: bit i (i < BLOCK) is set if src[i] == a and src[i + 1] == b. */
typedef uint64_t mask_function(const uint8_t *src, uint8_t a, uint8_t b);

/* The same for a single byte. */
typedef uint64_t byte_mask_function(const uint8_t *src, uint8_t a);

/*
 * The names have the bytes of the codes, shifted by one, except that each length takes the place of the zero
 * of the string before it. So everything is copied in blocks, and the ends of the strings are recorded on the
 * way: a fixed number for each block, because their number cannot be predicted. Then the lengths are written,
 * some strings at a time.
 */
#define SPELL_PART (64 * BLOCK)	/* codes at a time; the nearest cache holds them */
#define ENDS_AT_ONCE 6		/* few blocks have more; at most SPELL_GAP */

INLINE void spell_with(mask_function *match_mask, byte_mask_function *byte_mask, uint8_t *to, const uint8_t *src,
		       size_t n, uint8_t a, uint8_t b, struct spelled *spelled)
{
	const size_t marker_mask = ((size_t)1 << spelled->marker_shift) - 1;
	uint32_t *const start = spelled->start;
	const uint32_t before = (uint32_t)spelled->taken;
	uint8_t *string = to, *out = to + 1; /* where the length of the string goes; room for one byte */
	uint32_t begin = before;	     /* where the string begins in all input */
	uint32_t pairs[SPELL_PART / 2 + 1];  /* where they are in all input, and one beyond all strings */
	size_t count = spelled->count, ended = count, shorter = 0, taken = 0, i = 0;

	while (i < n) {
		const size_t stop = n - i < SPELL_PART ? n : i + SPELL_PART;
		size_t found = 0, pair = 0;

		for (; i < stop; i += BLOCK) {
			const uint8_t *block = src + i;
			const uint32_t at_block = before + (uint32_t)i;
			uint64_t inside = n - i < BLOCK ? ((uint64_t)1 << (n - i)) - 1 : ~(uint64_t)0;
			uint64_t ends = byte_mask(block, 0) & inside, mask = a ? match_mask(block, a, b) & inside : 0;
			uint32_t *end = start + ended + 1;
			size_t from = taken;

			ended += (size_t)__builtin_popcountll(ends);
			for (int k = 0; k < ENDS_AT_ONCE; k++, ends &= ends - 1)
				*end++ = at_block + 1 + (uint32_t)__builtin_ctzll(ends | (uint64_t)1 << 63);
			for (; ends; ends &= ends - 1)
				*end++ = at_block + 1 + (uint32_t)__builtin_ctzll(ends);
			for (; mask; mask &= mask - 1) {
				size_t at = (size_t)__builtin_ctzll(mask);

				if (at < from) /* a == b: overlaps the previous pair */
					continue;
				memcpy(out, block + from, BLOCK);
				out += at - from;
				*out++ = 0;
				from = at + 2;
				pairs[found++] = at_block + (uint32_t)at;
			}
			taken = from > BLOCK;
			memcpy(out, block + from, BLOCK);
			out += BLOCK + taken - from;
		}
		pairs[found] = UINT32_MAX;
		for (; count < ended; count++) {
			const uint32_t end = start[count + 1];
			size_t length;

			for (; pairs[pair] < end; pair++)
				shorter++;
			length = end - begin - 1 - shorter;
			begin = end;
			shorter = 0;
			if (!(count & marker_mask))
				spelled->marker[count >> spelled->marker_shift] = (uint32_t)(spelled->made + (size_t)(string - to));
			if (length > 127) {
				memmove(string + 2, string + 1, (size_t)(out - string) - 1);
				out++;
				*string++ = (uint8_t)(length & 127) | 128;
				*string = (uint8_t)(length >> 7);
			} else {
				*string = (uint8_t)length;
			}
			string += length + 1;
		}
		shorter = found - pair; /* pairs of the string that has not ended yet */
	}
	start[0] = 0;
	spelled->count = count;
	spelled->taken += n;
	spelled->made += (size_t)(string - to);
}

#endif
