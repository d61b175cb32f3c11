/* SPDX-License-Identifier: Apache-2.0 */
#include "multi/base.h"

static const char digits36[] = "0123456789abcdefghijklmnopqrstuvwxyz";
static const char digits32[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char digits58[] =
    "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789-_";

/* Either a digit is a fixed number of bits, or the whole is one big number in
 * which every leading zero byte is a leading zero digit. */
struct alphabet {
    const char *digits;
    unsigned bits; /* a digit; 0: positional */
    unsigned radix;
};

static struct alphabet alphabet_of(enum base base)
{
    switch (base) {
    case BASE16:
        return (struct alphabet){digits36, 4, 16};
    case BASE32:
        return (struct alphabet){digits32, 5, 32};
    case BASE36:
        return (struct alphabet){digits36, 0, 36};
    case BASE58:
        return (struct alphabet){digits58, 0, 58};
    case BASE64URL:
        return (struct alphabet){digits64, 6, 64};
    }
    assert(false); /* no base of the enum */
    return (struct alphabet){0};
}

static bool digit_value(const struct alphabet *a, uint8_t c, unsigned *value)
{
    const char *at;

    /* spec: multiformats/multibase/tests/case_insensitivity.csv */
    if (a->radix <= 36 && c >= 'A' && c <= 'Z')
        c = (uint8_t)(c + 'a' - 'A');
    at = c != 0 ? strchr(a->digits, c) : NULL;
    if (at == NULL || (unsigned)(at - a->digits) >= a->radix)
        return false;
    *value = (unsigned)(at - a->digits);
    return true;
}

size_t base_text_max(enum base base, size_t n)
{
    struct alphabet a = alphabet_of(base);

    /* log 256 / log 58 = 1.366, log 256 / log 36 = 1.548 */
    return 2 + (a.bits > 0       ? (n * 8 + a.bits - 1) / a.bits
                : base == BASE58 ? n * 1366 / 1000 + 1
                                 : n * 1548 / 1000 + 1);
}

static size_t encode_bits(const struct alphabet *a, struct span in, char *out)
{
    unsigned pending = 0, bits = 0;
    size_t n = 0;

    for (size_t i = 0; i < in.len; i++) {
        pending = (pending << 8 | in.data[i]) & 0xffff;
        bits += 8;
        while (bits >= a->bits) {
            bits -= a->bits;
            out[n++] = a->digits[(pending >> bits) & (a->radix - 1)];
        }
    }
    if (bits > 0)
        out[n++] = a->digits[(pending << (a->bits - bits)) & (a->radix - 1)];
    return n;
}

static enum err decode_bits(const struct alphabet *a, struct span text,
                            uint8_t *out, size_t max, size_t *n)
{
    unsigned pending = 0, bits = 0, value;

    *n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!digit_value(a, text.data[i], &value))
            return ERR_INVAL;
        pending = (pending << a->bits | value) & 0xffff;
        bits += a->bits;
        if (bits < 8)
            continue;
        if (*n == max)
            return ERR_LIMIT;
        bits -= 8;
        out[(*n)++] = (uint8_t)(pending >> bits);
    }
    /* One text for one value: what is left must be padding, and zero. */
    if (bits >= a->bits || (pending & ((1u << bits) - 1)) != 0)
        return ERR_INVAL;
    return OK;
}

/* Positional numbers are turned limb by limb, not digit by digit: several
 * digits of the text, or four bytes, at once. */
enum {
    LIMB_DIGITS = 5, /* 58^5 < 2^30 */
    LIMBS_MAX = BASE_POSITIONAL_MAX * 2 / LIMB_DIGITS + 2,
    BYTE_LIMBS_MAX = BASE_POSITIONAL_MAX / 4 + 2,
};

/* |limbs|, least significant first and each below |base|, becomes
 * limbs * |factor| + |add|.  |base| * |factor| must fit 64 bits. */
static size_t shift_in(uint32_t *limbs, size_t len, uint64_t base,
                       uint64_t factor, uint64_t add)
{
    for (size_t i = 0; i < len; i++) {
        add += limbs[i] * factor;
        limbs[i] = (uint32_t)(add % base);
        add /= base;
    }
    for (; add > 0; add /= base)
        limbs[len++] = (uint32_t)(add % base);
    return len;
}

static uint64_t power(uint64_t base, size_t exponent)
{
    uint64_t p = 1;

    while (exponent-- > 0)
        p *= base;
    return p;
}

/* How many of |left| are taken next so that the rest are whole limbs. */
static size_t first_step(size_t left, size_t step)
{
    return left % step ? left % step : step;
}

/* The digits of |limbs|, most significant first, without leading zeros. */
static size_t write_digits(const struct alphabet *a, const uint32_t *limbs,
                           size_t len, char *out)
{
    char digits[LIMBS_MAX * LIMB_DIGITS];
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        uint32_t limb = limbs[i];

        for (size_t j = 0; j < LIMB_DIGITS; j++, limb /= a->radix)
            digits[n++] = a->digits[limb % a->radix];
    }
    while (n > 0 && digits[n - 1] == a->digits[0])
        n--;
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

static size_t encode_number(const struct alphabet *a, struct span in, char *out)
{
    uint64_t base = power(a->radix, LIMB_DIGITS);
    uint32_t limbs[LIMBS_MAX];
    size_t zeros = 0, len = 0, step;

    assert(in.len <= BASE_POSITIONAL_MAX);
    while (zeros < in.len && in.data[zeros] == 0)
        zeros++;
    for (size_t i = zeros; i < in.len; i += step) {
        uint64_t word = 0;

        step = first_step(in.len - i, 4);
        for (size_t j = 0; j < step; j++)
            word = word << 8 | in.data[i + j];
        len = shift_in(limbs, len, base, UINT64_C(1) << (8 * step), word);
    }
    memset(out, a->digits[0], zeros);
    return zeros + write_digits(a, limbs, len, out + zeros);
}

/* The bytes of |limbs|, least significant first, without leading zeros. */
static size_t read_bytes(const uint32_t *limbs, size_t len, uint8_t *out)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        for (unsigned shift = 0; shift < 32; shift += 8)
            out[n++] = (uint8_t)(limbs[i] >> shift);
    while (n > 0 && out[n - 1] == 0)
        n--;
    return n;
}

static enum err decode_number(const struct alphabet *a, struct span text,
                              uint8_t *out, size_t max, size_t *n)
{
    uint8_t number[BYTE_LIMBS_MAX * 4];
    uint32_t limbs[BYTE_LIMBS_MAX];
    size_t zeros = 0, len = 0, step;
    unsigned value;

    while (zeros < text.len && text.data[zeros] == (uint8_t)a->digits[0])
        zeros++;
    for (size_t i = zeros; i < text.len; i += step) {
        uint64_t word = 0;

        step = first_step(text.len - i, LIMB_DIGITS);
        for (size_t j = 0; j < step; j++) {
            if (!digit_value(a, text.data[i + j], &value))
                return ERR_INVAL;
            word = word * a->radix + value;
        }
        len = shift_in(limbs, len, UINT64_C(1) << 32, power(a->radix, step),
                       word);
        if (len > BASE_POSITIONAL_MAX / 4)
            return ERR_LIMIT;
    }
    len = read_bytes(limbs, len, number);
    if (zeros > max || len > max - zeros)
        return ERR_LIMIT;
    *n = zeros + len;
    memset(out, 0, zeros);
    for (size_t i = 0; i < len; i++)
        out[zeros + i] = number[len - 1 - i];
    return OK;
}

size_t base_encode(enum base base, struct span in, char *out, size_t max)
{
    struct alphabet a = alphabet_of(base);
    size_t n;

    assert(max + 1 >= base_text_max(base, in.len)); /* without the prefix */
    n = a.bits > 0 ? encode_bits(&a, in, out) : encode_number(&a, in, out);
    out[n] = '\0';
    return n;
}

size_t multibase_encode(enum base base, struct span in, char *out, size_t max)
{
    assert(max > 0);
    out[0] = (char)base;
    return 1 + base_encode(base, in, out + 1, max - 1);
}

enum err base_decode(enum base base, struct span text, uint8_t *out, size_t max,
                     size_t *n)
{
    struct alphabet a = alphabet_of(base);

    return a.bits > 0 ? decode_bits(&a, text, out, max, n)
                      : decode_number(&a, text, out, max, n);
}

enum err multibase_decode(struct span text, uint8_t *out, size_t max, size_t *n)
{
    uint8_t prefix;

    if (!span_u8(&text, &prefix))
        return ERR_INVAL;
    if (prefix == 'F' || prefix == 'B' || prefix == 'K')
        prefix = (uint8_t)(prefix + 'a' - 'A');
    switch (prefix) {
    case BASE16:
    case BASE32:
    case BASE36:
    case BASE58:
    case BASE64URL:
        return base_decode((enum base)prefix, text, out, max, n);
    default:
        return ERR_INVAL;
    }
}
