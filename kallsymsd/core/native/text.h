/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading map lines. They are short, so a call or a loop of unknown length would cost more than the rest of
 * the work. So a block of fixed size is read, and the excess is masked out. x86-64 always has SSE2; elsewhere
 * words are used.
 */
#ifndef KALLSYMSD_TEXT_H
#define KALLSYMSD_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Bytes that may be read at a line; the caller says how many there are. */
#define TEXT_BLOCK 64

/* Eight bytes as a number, the most significant byte first. */
static inline uint64_t load_be64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	value = __builtin_bswap64(value);
#endif
	return value;
}

/* A number as four bytes, the most significant byte first. */
static inline void store_be32(uint8_t *at, uint32_t value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	value = __builtin_bswap32(value);
#endif
	memcpy(at, &value, sizeof(value));
}

/* isspace() in the C locale. */
static inline int is_space(uint8_t byte)
{
	return byte == ' ' || (uint8_t)(byte - '\t') < 5;
}

static const char HEX_DIGITS[] = "0123456789abcdef";

/* 16 plus the value of a hex digit of either case, 0 for any other byte. */
static const uint8_t hex_digit[256] = {
	['0'] = 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
	['A'] = 26, 27, 28, 29, 30, 31,
	['a'] = 26, 27, 28, 29, 30, 31,
};

/* Decode 8 lower-case hex digits; 0 for anything else. */
static inline int plain_hex8(const uint8_t *digits, uint64_t *value)
{
	const uint64_t low = 0x0f0f0f0f0f0f0f0fULL, ones = 0x0101010101010101ULL;
	uint64_t text = load_be64(digits);
	/* '0'..'9' are 0x30..0x39, 'a'..'f' are 0x61..0x66; if the way back differs, it was no digit. */
	uint64_t nibbles = (text & low) + (text >> 6 & ones) * 9;
	uint64_t letters = (nibbles + ones * 6) >> 4 & ones;

	if ((nibbles & ~low) != 0 || nibbles + ones * 0x30 + letters * 0x27 != text)
		return 0;
	nibbles = (nibbles >> 4 | nibbles) & 0x00ff00ff00ff00ffULL;
	nibbles = (nibbles >> 8 | nibbles) & 0x0000ffff0000ffffULL;
	*value = (nibbles >> 16 | nibbles) & 0xffffffffULL;
	return 1;
}

/* The same for 16 digits. */
static inline int plain_hex16(const uint8_t *digits, uint64_t *value)
{
#if defined(__SSE2__)
	const __m128i text = _mm_loadu_si128((const __m128i *)digits);
	const __m128i digit = _mm_sub_epi8(text, _mm_set1_epi8('0')), letter = _mm_sub_epi8(text, _mm_set1_epi8('a'));
	const __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
	const __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
	__m128i nibbles, bytes;

	if (_mm_movemask_epi8(_mm_or_si128(is_digit, is_letter)) != 0xffff)
		return 0;
	nibbles = _mm_or_si128(_mm_and_si128(is_digit, digit),
			       _mm_and_si128(is_letter, _mm_add_epi8(letter, _mm_set1_epi8(10))));
	/* In each 16 bits, the low byte is the one that comes first in the text. */
	bytes = _mm_or_si128(_mm_slli_epi16(nibbles, 4), _mm_srli_epi16(nibbles, 8));
	bytes = _mm_and_si128(bytes, _mm_set1_epi16(0xff));
	*value = __builtin_bswap64((uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(bytes, bytes)));
	return 1;
#else
	uint64_t high, low;

	if (!plain_hex8(digits, &high) || !plain_hex8(digits + 8, &low))
		return 0;
	*value = high << 32 | low;
	return 1;
#endif
}

/* Decode 8 or 16 lower-case hex digits; 0 for anything else. */
static inline int plain_hex(const uint8_t *digits, size_t width, uint64_t *value)
{
	return width == 16 ? plain_hex16(digits, value) : plain_hex8(digits, value);
}

#if defined(__SSE2__)
static inline uint64_t text_mask(__m128i block, int at)
{
	return (uint64_t)(uint32_t)_mm_movemask_epi8(block) << at;
}
#endif

/* The first newline from at on, or end. */
static inline const uint8_t *line_end(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *found;

#if defined(__SSE2__)
	for (; end - at >= TEXT_BLOCK; at += TEXT_BLOCK) {
		uint64_t mask = 0;

		for (int i = 0; i < TEXT_BLOCK; i += 16)
			mask |= text_mask(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(at + i)),
							 _mm_set1_epi8('\n')), i);
		if (mask)
			return at + __builtin_ctzll(mask);
	}
#endif
	found = memchr(at, '\n', (size_t)(end - at));
	return found ? found : end;
}

/* Whether a and b agree in size bytes. Of both, room bytes may be read; room is at least size. */
static inline int same_text(const uint8_t *a, const uint8_t *b, size_t size, size_t room)
{
#if defined(__SSE2__)
	if (size - 1 < TEXT_BLOCK && room >= TEXT_BLOCK) {
		uint64_t equal = 0;

		for (int i = 0; i < TEXT_BLOCK; i += 16)
			equal |= text_mask(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(a + i)),
							  _mm_loadu_si128((const __m128i *)(b + i))), i);
		return ~equal << (TEXT_BLOCK - size) == 0;
	}
#else
	(void)room;
#endif
	return memcmp(a, b, size) == 0;
}

#endif
