/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs of plain map lines: nearly all lines of nearly all maps. What is not plain is left to the parser, which can do
 * any line.
 *
 * A plain line is "address type name" and a newline: 16 lower-case hex digits, a letter that no filter asks for,
 * and a name of less than 64 bytes that bounds no range, no NUL in it. 64 bytes from the name on are in the text.
 */
#ifndef KALLSYMSD_LINES_H
#define KALLSYMSD_LINES_H

#include "text.h"

/* Before a name: the address, a blank, the type, a blank. */
#define PLAIN_FRONT 19

/* The columns of symbols (mapreader.pyx), and how far they are filled. */
struct columns {
	uint64_t *address;
	uint32_t *start;	/* where each string begins in strings; written behind the last one, too, by who is done */
	uint32_t *place;	/* where each name begins in the text */
	uint8_t *strings;
	size_t count, used;	/* symbols, and bytes of strings */
	size_t room, strings_room;
};

#if defined(__SSE2__)

/* Letters but a, A, n, N, u and U, each at its low six bits. */
#define LETTERS_LEFT (0x3ffffffULL & ~(1ULL << ('A' - 'A') | 1ULL << ('N' - 'A') | 1ULL << ('U' - 'A')))
#define PLAIN_LETTERS (LETTERS_LEFT << ('A' & 63) | LETTERS_LEFT << ('a' & 63))

/* Lengths of _text, _stext and _etext, _sinittext and _einittext, __per_cpu_end, __per_cpu_start. */
#define RANGE_LENGTHS (1ULL << 5 | 1ULL << 6 | 1ULL << 10 | 1ULL << 13 | 1ULL << 15)

/* Take plain lines from line on, for as long as there are any; returns the first that is none or does not fit. */
static inline const uint8_t *plain_lines(struct columns *to, const uint8_t *text, const uint8_t *line,
					 const uint8_t *end)
{
	uint8_t *const first = to->strings, *const last = first + to->strings_room - 2 * TEXT_BLOCK;
	uint8_t *out = first + to->used;
	size_t count = to->count, most = to->room;
	const __m128i newline = _mm_set1_epi8('\n'), zero = _mm_setzero_si128();

	while (end - line >= PLAIN_FRONT + TEXT_BLOCK && count < most && out <= last) {
		const uint8_t *name = line + PLAIN_FRONT;
		const __m128i *from = (const __m128i *)name;
		const __m128i a = _mm_loadu_si128(from), b = _mm_loadu_si128(from + 1);
		const __m128i c = _mm_loadu_si128(from + 2), d = _mm_loadu_si128(from + 3);
		const __m128i least = _mm_min_epu8(_mm_min_epu8(a, b), _mm_min_epu8(c, d));
		uint64_t ends = text_mask(_mm_cmpeq_epi8(a, newline), 0) | text_mask(_mm_cmpeq_epi8(b, newline), 16) |
				text_mask(_mm_cmpeq_epi8(c, newline), 32) | text_mask(_mm_cmpeq_epi8(d, newline), 48);
		uint8_t kind = line[17];
		uint64_t address;
		unsigned length;

		if (!plain_hex16(line, &address) || line[16] != ' ' || line[18] != ' ' || kind >> 6 != 1 ||
		    !(PLAIN_LETTERS >> (kind & 63) & 1) || ends == 0 ||
		    _mm_movemask_epi8(_mm_cmpeq_epi8(least, zero)) != 0)
			break;
		length = (unsigned)__builtin_ctzll(ends);
		/* One branch for all: half of the names begin with '_', and most lengths are as likely as others. */
		if ((name[0] == '_') & ((line[PLAIN_FRONT - 1 + length] | 0x10) == 't') & (RANGE_LENGTHS >> length))
			break;
		to->address[count] = address;
		to->start[count] = (uint32_t)(out - first);
		to->place[count] = (uint32_t)(name - text);
		count++;
		*out++ = kind;
		_mm_storeu_si128((__m128i *)out, a);
		_mm_storeu_si128((__m128i *)out + 1, b);
		_mm_storeu_si128((__m128i *)out + 2, c);
		_mm_storeu_si128((__m128i *)out + 3, d);
		out[length] = 0;
		out += length + 1;
		line = name + length + 1;
	}
	to->count = count;
	to->used = (size_t)(out - first);
	return line;
}

#else

static inline const uint8_t *plain_lines(struct columns *to, const uint8_t *text, const uint8_t *line,
					 const uint8_t *end)
{
	(void)to, (void)text, (void)end;
	return line;
}

#endif

#endif
