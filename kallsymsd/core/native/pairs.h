/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The inner loops of the token optimisation, where choosing instructions by hand pays most.
 *
 * A stream is a sequence of strings of non-zero bytes, each followed by a zero. Pair counts are
 * int32_t[65536] in the order of the kernel's own tool: the count of the pair (first, second) is at
 * first + 256 * second. A "row" is the 256 counts of the pairs with the same second byte.
 */
#ifndef KALLSYMSD_PAIRS_H
#define KALLSYMSD_PAIRS_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of memory that pair_pass() needs on both sides of a stream: before it, so that the output never
 * overwrites unread input, and zeroed after it, so that whole blocks can be read and written. */
#define PAIR_GAP 128

/* The neighbours of the pairs (a, b) that a pass replaced by a code, as they were before the pass. These are
 * sums over the strings, so the stats of some strings can be added to or subtracted from those of others. */
struct pair_stats {
	uint32_t left[256];	/* matches whose left neighbour is x; 0 is the separator */
	uint32_t right[256];	/* matches whose right neighbour is x */
	uint32_t matches;
	uint32_t joined;	/* matches that directly follow another match */
};

/*
 * Replace every (a, b) in src[0..n) by code, greedily from the left, and write the result to dst. Returns the
 * new length. a, b and code are not 0, src[-1] and src[n-1] are 0, src[n .. n + PAIR_GAP) is zeroed, and dst
 * is at least PAIR_GAP bytes before src, or elsewhere. pair_pass() zeroes dst[-1] and PAIR_GAP bytes after
 * the result, and overwrites the stats.
 */
size_t pair_pass(uint8_t *dst, const uint8_t *src, size_t n, uint8_t a, uint8_t b, uint8_t code,
		 struct pair_stats *stats);

/* Entries that pair_spell() may write beyond those that it fills. */
#define SPELL_GAP 8

/* What pair_spell() writes, and its progress. Before the first call, the caller sets the last three to 0. */
struct spelled {
	uint32_t *marker;	/* offset of every 2^marker_shift'th string in the whole output */
	uint32_t *start;	/* offset of every string in the whole input, and its end; plus SPELL_GAP */
	int marker_shift;
	size_t count;		/* strings so far */
	size_t taken;		/* bytes of input so far */
	size_t made;		/* bytes of output so far */
};

/*
 * Write each string of src[0..n) as its length (ULEB128 in one or two bytes), then its codes, with every pair
 * (a, b) replaced by a zero byte. With a == 0 no pair is replaced. PAIR_GAP bytes beyond the end of src must
 * be readable, and as many beyond the end of out writable; out has room for n bytes plus one for each string.
 * The bytes beyond the end of src do not matter, so a sequence of strings may be passed in several parts.
 */
void pair_spell(uint8_t *out, const uint8_t *src, size_t n, uint8_t a, uint8_t b, struct spelled *spelled);

/* Add weight for every two adjacent bytes of src[0..n), separators included. */
void pair_count(const uint8_t *src, size_t n, int32_t weight, int32_t *counts);

/* The largest of the 256 counts of a row. */
int32_t pair_row_max(const int32_t *row);

/* The instruction set chosen at load time: "avx2", "sse2" or "portable". */
const char *pair_variant(void);

/* Choose a variant by its name, for tests and benchmarks; returns 0 when this machine does not have it. */
int pair_choose(const char *variant);

#endif
