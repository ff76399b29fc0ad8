/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs of plain map lines, which are nearly all lines of nearly all maps. All other lines are left to the
 * parser, which can read any line.
 *
 * A plain line is "address type name" and a newline: 16 lower-case hex digits, a letter that no filter
 * examines, and a name without NUL that has less than 64 bytes and bounds no range. The text has at least 64
 * bytes from the start of the name on.
 */
#ifndef KALLSYMSD_LINES_H
#define KALLSYMSD_LINES_H

#include "text.h"

/* Bytes before a name: the address, a blank, the type, a blank. */
#define PLAIN_FRONT 19

/* The columns of a map's symbols (mapreader.pyx), and how far they are filled. */
struct columns {
	uint64_t *address;
	uint32_t *start;	/* where each string begins in strings; finally also the end of the last */
	uint32_t *place;	/* where each name begins in the text */
	uint8_t *strings;
	size_t count, used;	/* symbols and bytes of strings so far */
	size_t room, strings_room;
};

#if defined(__SSE2__)

/* All letters except a, A, n, N, u and U, each as the bit that its low six bits name. */
#define LETTERS_LEFT (0x3ffffffULL & ~(1ULL << ('A' - 'A') | 1ULL << ('N' - 'A') | 1ULL << ('U' - 'A')))
#define PLAIN_LETTERS (LETTERS_LEFT << ('A' & 63) | LETTERS_LEFT << ('a' & 63))

/* Lengths of _text, _stext and _etext, _sinittext and _einittext, __per_cpu_end, __per_cpu_start. */
#define RANGE_LENGTHS (1ULL << 5 | 1ULL << 6 | 1ULL << 10 | 1ULL << 13 | 1ULL << 15)

/* Take plain lines from line on. Returns the first line that is not plain, or for which there is no room. */
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
		/* One branch for all: half of the names begin with '_', most lengths are equally likely. */
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
