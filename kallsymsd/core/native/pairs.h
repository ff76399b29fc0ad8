/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The inner loops of the token optimisation, where it pays to choose instructions by hand.
 *
 * A stream is a run of strings of non-zero bytes, each followed by a zero. Pair counts are int32_t[65536] in
 * the order of the kernel's tool: the count of the pair (first, second) stands at first + 256 * second, so a
 * "row" is the 256 counts of the pairs with one second byte.
 */
#ifndef KALLSYMSD_PAIRS_H
#define KALLSYMSD_PAIRS_H

#include <stddef.h>
#include <stdint.h>

/* Room that a stream handed to pair_pass() needs: before it, so that the output never runs into input that
 * is still to be read, and zeroed behind it, so that whole blocks can be read and written. */
#define PAIR_GAP 128

/* What replacing a pair (a, b) by a code did to the neighbours, as the bytes stood before the pass. It is a
 * sum over the strings, so the stats of some strings can be added to or taken from those of others. */
struct pair_stats {
	uint32_t left[256];	/* matches whose left neighbour is x; 0 is the separator */
	uint32_t right[256];	/* matches whose right neighbour is x */
	uint32_t matches;
	uint32_t joined;	/* matches that directly follow another match */
};

/*
 * Replace every (a, b) in src[0..n) by code, greedily from the left, writing to dst; returns the new length.
 * a, b and code are not 0, src[-1] and src[n-1] are 0, src[n .. n + PAIR_GAP) is zeroed, and dst is at least
 * PAIR_GAP bytes before src, or elsewhere. dst[-1] and PAIR_GAP bytes behind the result are zeroed.
 * The stats are overwritten.
 */
size_t pair_pass(uint8_t *dst, const uint8_t *src, size_t n, uint8_t a, uint8_t b, uint8_t code,
		 struct pair_stats *stats);

/* Entries that pair_spell() may write behind what it fills. */
#define SPELL_GAP 8

/* What pair_spell() writes, and how far it is. Whoever calls it for the first time sets the last three to 0. */
struct spelled {
	uint32_t *marker;	/* offset in all output of every 2^marker_shift'th string */
	uint32_t *start;	/* offset in all input of every string; one more for the end, and room for SPELL_GAP */
	int marker_shift;
	size_t count;		/* strings so far */
	size_t taken;		/* bytes of input so far */
	size_t made;		/* bytes of output so far */
};

/*
 * The strings of src[0..n) with their length instead of the zero behind them, and every (a, b) as one zero byte:
 * for each string its length as ULEB128 in one or two bytes, then its codes. With a == 0 no pair is replaced.
 * src is readable, and out writable, for PAIR_GAP bytes behind the end; out has room for n bytes plus one for each
 * string. What is behind the end does not matter, so a run of strings may be given in several parts.
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
