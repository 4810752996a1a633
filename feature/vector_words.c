/* The words of a small log (vector.h): a bit an event, for each condition and for each window.
 *
 * The conditions of an event stand side by side in its mask. To turn them, sixteen masks are taken apart into bytes, and one instruction gathers the same bit of
 * all; on machines without it, eight masks and a multiplication (Warren, Hacker's Delight, 7-3). The place of an edge is a number of events that are older, so a few events
 * are compared with four edges at a time. */
#include "feature/vector.h"

#if defined(__SSE2__) && TIDE_SMALL_EVENTS == 63 /* SAN=small tries the other way */
#define BY_16
#include <emmintrin.h>
#endif

/* ---- conditions ---- */

#ifdef BY_16

/* Byte `plane` of sixteen masks. */
static inline __m128i plane_of_2(const __m128i *at, unsigned plane) {
  __m128i a = _mm_loadu_si128(at), b = _mm_loadu_si128(at + 1), low = _mm_set1_epi16(0xff);
  return plane ? _mm_packus_epi16(_mm_srli_epi16(a, 8), _mm_srli_epi16(b, 8))
               : _mm_packus_epi16(_mm_and_si128(a, low), _mm_and_si128(b, low));
}

static inline __m128i byte_of_4(__m128i x, unsigned plane) {
  return _mm_and_si128(_mm_srl_epi32(x, _mm_cvtsi32_si128((int)(8 * plane))), _mm_set1_epi32(0xff));
}

/* One by one: a loop would take them through memory. */
static inline __m128i of_sixteen(__m128i a, __m128i b, __m128i c, __m128i d) {
  return _mm_packus_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
}

static inline __m128i plane_of_4(const __m128i *at, unsigned plane) {
  return of_sixteen(byte_of_4(_mm_loadu_si128(at), plane), byte_of_4(_mm_loadu_si128(at + 1), plane),
                    byte_of_4(_mm_loadu_si128(at + 2), plane), byte_of_4(_mm_loadu_si128(at + 3), plane));
}

/* The half of each of four masks that has the byte. */
static inline __m128i half_of_8(const __m128i *at, unsigned plane) {
  __m128i a = _mm_shuffle_epi32(_mm_loadu_si128(at), _MM_SHUFFLE(3, 1, 2, 0)),
          b = _mm_shuffle_epi32(_mm_loadu_si128(at + 1), _MM_SHUFFLE(3, 1, 2, 0));
  return byte_of_4(plane & 4 ? _mm_unpackhi_epi64(a, b) : _mm_unpacklo_epi64(a, b), plane & 3);
}

static inline __m128i plane_of_8(const __m128i *at, unsigned plane) {
  return of_sixteen(half_of_8(at, plane), half_of_8(at + 2, plane), half_of_8(at + 4, plane), half_of_8(at + 6, plane));
}

#define EACH_OF_8(X) X(7) X(6) X(5) X(4) X(3) X(2) X(1) X(0)
#define TURN(plane_of)                                                                                                                     \
  for (unsigned b = 0; 8 * b < look->kind->bit_count; b++) {                                                                               \
    uint64_t *word = &look->word[8 * b];                                                                                                   \
    __m128i x = plane_of(at, b);                                                                                                           \
    EACH_OF_8(FIRST)                                                                                                                       \
    for (unsigned i = 16; i < n; i += 16) {                                                                                                \
      x = plane_of(at + i / 16 * width, b);                                                                                                \
      EACH_OF_8(NEXT)                                                                                                                      \
    }                                                                                                                                      \
  }
#define FIRST(j)                                                                                                                           \
  word[j] = (uint64_t)_mm_movemask_epi8(x);                                                                                                \
  x = _mm_add_epi8(x, x);
#define NEXT(j)                                                                                                                            \
  word[j] |= (uint64_t)_mm_movemask_epi8(x) << i;                                                                                          \
  x = _mm_add_epi8(x, x);
/* Masks of one byte stand in place: what is left of sixteen is read together with what stands before it, a header at least. */
static inline void turn_bytes(struct tide_look *look, const uint8_t *mask) {
  _Static_assert(sizeof(struct tide_block) >= 16, "before the first mask");
  unsigned n = look->n, i = 0;
  uint64_t *word = look->word;
  if (n > 16) {
    for (unsigned j = 0; j < 8; j++) word[j] = 0;
    for (; i + 16 <= n; i += 16) {
      __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(mask + i));
      EACH_OF_8(NEXT)
    }
    if (i == n) return;
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(mask + n - 16));
    unsigned before = 16 - (n - i);
#define LAST(j)                                                                                                                            \
  word[j] |= (uint64_t)_mm_movemask_epi8(x) >> before << i;                                                                                \
  x = _mm_add_epi8(x, x);
    EACH_OF_8(LAST)
    return;
  }
  __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(mask + n - 16));
  unsigned before = 16 - n;
#define ONLY(j)                                                                                                                            \
  word[j] = (uint64_t)_mm_movemask_epi8(x) >> before;                                                                                      \
  x = _mm_add_epi8(x, x);
  EACH_OF_8(ONLY)
}

/* Larger ones are copied, to have sixteen of them. */
static __attribute__((noinline)) void turn_larger(struct tide_look *look, const void *column, unsigned width) {
  __m128i at[(TIDE_SMALL_EVENTS + 1) / 16 * 8];
  unsigned n = look->n;
  for (unsigned i = 0; i < width; i++)
    at[(n - 1) / 16 * width + i] = _mm_setzero_si128(); /* the last sixteen, of which there may be fewer */
  memcpy(at, column, (size_t)n * width);
  switch (width) {
    case 2: TURN(plane_of_2) break;
    case 4: TURN(plane_of_4) break;
    default: TURN(plane_of_8) break;
  }
}

/* Makes look->word from the column of masks. */
static inline void turn(struct tide_look *look, const void *column, unsigned width) {
  if (TIDE_LIKELY(width == 1)) turn_bytes(look, column);
  else turn_larger(look, column, width);
}

#else

#define LOW_BITS UINT64_C(0x0101010101010101)
#define GATHER UINT64_C(0x0102040810204080)
#define EIGHTS ((TIDE_SMALL_EVENTS + 7) / 8)

/* bytes[b][i / 8] has byte b of mask i in its byte i % 8. */
#define TAKE_APART(type, width)                                                                                                            \
  {                                                                                                                                        \
    const type *mask = column;                                                                                                             \
    for (unsigned c = 0; 8 * c < n; c++) {                                                                                                 \
      uint64_t byte[width] = {0};                                                                                                          \
      for (unsigned i = 8 * c, shift = 0; i < n && shift < 64; i++, shift += 8) {                                                          \
        uint64_t x = mask[i];                                                                                                              \
        for (unsigned b = 0; b < width; b++) byte[b] |= ((x >> (8 * b)) & 0xff) << shift;                                                  \
      }                                                                                                                                    \
      for (unsigned b = 0; b < width; b++) bytes[b][c] = byte[b];                                                                          \
    }                                                                                                                                      \
  }

static inline uint64_t gather(uint64_t eight, unsigned bit) { return (((eight >> bit) & LOW_BITS) * GATHER) >> 56; }
#define EACH_OF_8(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)

/* Makes look->word from the column of masks. */
static void turn(struct tide_look *look, const void *column, unsigned width) {
  uint64_t bytes[8][EIGHTS];
  unsigned n = look->n;
  switch (width) {
    case 1:
      bytes[0][(n - 1) / 8] = 0;
      memcpy(bytes[0], column, n); /* blocks are little-endian, like what they are saved as */
      break;
    case 2: TAKE_APART(uint16_t, 2) break;
    case 4: TAKE_APART(uint32_t, 4) break;
    default: TAKE_APART(uint64_t, 8) break;
  }
  for (unsigned b = 0; 8 * b < look->kind->bit_count; b++) {
    uint64_t *word = &look->word[8 * b], eight = bytes[b][0];
#define FIRST(j) word[j] = gather(eight, j);
#define NEXT(j) word[j] |= gather(eight, j) << shift;
    EACH_OF_8(FIRST)
    for (unsigned c = 1, shift = 8; 8 * c < n; c++, shift += 8) {
      eight = bytes[b][c];
      EACH_OF_8(NEXT)
    }
  }
}
#endif

/* ---- windows ---- */

static uint64_t below(unsigned n) { return (UINT64_C(1) << n) - 1; }

/* A limit is the first time of a narrow block that is behind an edge. */
static inline void find_limits(const struct tide_look *look, int64_t base_ms, uint32_t since_ms, uint32_t *limit) {
  const struct tide_kind *kind = look->kind;
#ifdef BY_16
  const __m128i sign = _mm_set1_epi32(INT32_MIN), since = _mm_set1_epi32((int)since_ms); /* signed comparison does for unsigned numbers */
  for (unsigned l = 0; l < kind->limit_count; l += 4) {
    __m128i back = _mm_loadu_si128((const __m128i *)(const void *)(kind->limit_back_ms + l));
    __m128i before = _mm_cmpgt_epi32(_mm_xor_si128(since, sign), _mm_xor_si128(back, sign));
    _mm_store_si128((__m128i *)(void *)(limit + l), _mm_and_si128(_mm_sub_epi32(since, back), before));
  }
#else
  for (unsigned l = 0; l < kind->limit_count; l++) limit[l] = since_ms > kind->limit_back_ms[l] ? since_ms - kind->limit_back_ms[l] : 0;
#endif
  for (unsigned h = 0; TIDE_UNLIKELY(h < kind->hop_count); h++) {
    int64_t left_ms = tide_look_left_ms(look, &kind->edge[kind->hop[h]]) + 1 - base_ms;
    limit[kind->hop[h]] = left_ms > 0 ? (uint32_t)left_ms : 0;
  }
}

/* How many of the events, of which there are some, are before the limit. No branch asks a time. */
static inline unsigned place_of(const uint32_t *time, unsigned n, uint32_t limit) {
  unsigned half = 1u << (31 - __builtin_clz(n)),
           place = (n - half) & -(unsigned)(time[half - 1] < limit); /* the first or the last so many */
  while (half >>= 1) place += half & -(unsigned)(time[place + half - 1] < limit);
  return place + (time[place] < limit);
}

/* in[l]: the events that are not before the limit, and the current one. */
static inline void find_many(const uint32_t *time, unsigned n, const uint32_t *limit, unsigned limits, uint64_t *in) {
  for (unsigned l = 0; l < limits; l++) in[l] = (below(n) & UINT64_MAX << place_of(time, n, limit[l])) | TIDE_CURRENT;
}

#ifdef BY_16
/* The same of at most sixteen events: of each eight limits a bit at a time. */
static inline void find_few(const uint32_t *time, unsigned n, const uint32_t *limit, unsigned limits, uint64_t *in) {
  const __m128i sign = _mm_set1_epi32(INT32_MIN), zero = _mm_setzero_si128();
  for (unsigned l = 0; l < limits; l += 8, in += 8) {
    __m128i low = _mm_xor_si128(_mm_load_si128((const __m128i *)(const void *)(limit + l)), sign);
    __m128i high = _mm_xor_si128(_mm_load_si128((const __m128i *)(const void *)(limit + l + 4)), sign);
    __m128i bit = _mm_set1_epi16(1), bits = zero;
    for (unsigned i = 0; i < n; i++, bit = _mm_add_epi16(bit, bit)) {
      __m128i at = _mm_xor_si128(_mm_shuffle_epi32(_mm_cvtsi32_si128((int)time[i]), 0), sign);
      __m128i before = _mm_packs_epi32(_mm_cmpgt_epi32(low, at), _mm_cmpgt_epi32(high, at));
      bits = _mm_or_si128(bits, _mm_andnot_si128(before, bit));
    }
    __m128i four = _mm_unpacklo_epi16(bits, zero), more = _mm_unpackhi_epi16(bits, zero); /* and TIDE_CURRENT, which is the sign */
    _mm_store_si128((__m128i *)(void *)(in + 0), _mm_unpacklo_epi32(four, sign));
    _mm_store_si128((__m128i *)(void *)(in + 2), _mm_unpackhi_epi32(four, sign));
    _mm_store_si128((__m128i *)(void *)(in + 4), _mm_unpacklo_epi32(more, sign));
    _mm_store_si128((__m128i *)(void *)(in + 6), _mm_unpackhi_epi32(more, sign));
  }
}
#endif

static inline const uint32_t *times_of(const struct tide_kind *kind, const struct tide_block *block) {
  return (const uint32_t *)(const void *)((const char *)(block + 1) + (size_t)block->cap * kind->time_before[0]);
}

/* Since when a time is behind the event, in a narrow block; false: 32 bits do not hold that, or the block is wide. */
static inline bool since_base(const struct tide_look *look, const struct tide_block *block, uint32_t *ret_ms) {
  int64_t since_ms = look->txn->time_ms + 1 - tide_block_base_ms(block);
  if (TIDE_UNLIKELY(tide_block_wide(block) || since_ms > UINT32_MAX)) return false;
  *ret_ms = since_ms > 0 ? (uint32_t)since_ms : 0;
  return true;
}

static inline __attribute__((always_inline)) void windows_narrow(struct tide_look *look, const struct tide_block *block,
                                                                 uint32_t since_ms) {
  const struct tide_kind *kind = look->kind;
  const uint32_t *time = times_of(kind, block);
  _Alignas(16) uint32_t limit[TIDE_LIMITS_MAX];
  find_limits(look, tide_block_base_ms(block), since_ms, limit);
#ifdef BY_16
  if (look->n <= 16) find_few(time, look->n, limit, kind->limit_count, look->in);
  else
#endif
    find_many(time, look->n, limit, kind->limit_count, look->in);
  look->ends = UINT64_MAX;
  for (unsigned d = look->now.i == look->n ? kind->delayed_at : 0; d < kind->delay_count; d++) {
    const struct tide_delay *delay = &kind->delay[d];
    uint64_t behind = delay->delayed_ms ? look->in[delay->limit] & ~TIDE_CURRENT : UINT64_MAX << look->now.i & ~TIDE_CURRENT;
    for (unsigned e = delay->first; e < delay->end; e++) look->in[e] &= ~behind;
    if (behind & below(look->n)) look->ends &= ~delay->edges;
  }
}

/* Any block, and an event so long after its base that 32 bits do not hold it. */
static __attribute__((noinline)) void windows_wide(struct tide_look *look, const struct tide_block *block) {
  const struct tide_kind *kind = look->kind;
  look->ends = 0;
  for (unsigned e = 0; e < kind->edge_count; e++) {
    const struct tide_edge *edge = &kind->edge[e];
    unsigned to = edge->delayed_ms ? tide_block_after(kind, block, look->txn->time_ms - edge->delayed_ms) : look->now.i;
    look->in[e] = (below(to) & (UINT64_MAX << tide_block_after(kind, block, tide_look_left_ms(look, edge)))) | TIDE_CURRENT;
    look->ends |= (uint64_t)(to == look->n) << e;
  }
}

void tide_small_nothing(struct tide_look *look) {
  look->n = 0;
  look->now = (struct tide_at){0, 0};
  look->ends = UINT64_MAX;
  for (unsigned e = 0; e < look->kind->edge_count; e++) look->in[e] = TIDE_CURRENT;
  memset(look->word, 0, look->kind->bit_count * sizeof look->word[0]);
}

void tide_small_words(struct tide_look *look) {
  const struct tide_kind *kind = look->kind;
  const struct tide_block *block = look->view.one.block;
  unsigned column = kind->col_of[TIDE_COL_MASK];
  look->n = block->n;
  int64_t now_ms = look->txn->time_ms + look->txn->lead_ms;
  look->now = (struct tide_at){0, look->view.one.last_ms <= now_ms ? look->n : tide_block_after(kind, block, now_ms)};
  turn(look, tide_block_column(kind, block, column), kind->column[column].width[tide_block_wide(block)]);
  uint32_t since_ms;
  if (since_base(look, block, &since_ms)) windows_narrow(look, block, since_ms);
  else windows_wide(look, block);
  for (uint64_t late = look->late; late; late &= late - 1)
    look->in[__builtin_ctzll(late)] = TIDE_CURRENT; /* nobody asks for what columns cannot tell */
}

bool tide_block_places(struct tide_look *look) {
  const struct tide_kind *kind = look->kind;
  const struct tide_block *block = look->view.one.block;
  _Alignas(16) uint32_t limit[TIDE_LIMITS_MAX];
  uint32_t since_ms;
  if (!since_base(look, block, &since_ms)) return false;
  const uint32_t *time = times_of(kind, block);
  unsigned n = block->n;
  find_limits(look, tide_block_base_ms(block), since_ms, limit);
#define PLACE(place) ((place) < n ? (struct tide_at){0, place} : (struct tide_at){1, 0})
  for (unsigned d = 0; d < kind->delay_count; d++) {
    const struct tide_delay *delay = &kind->delay[d];
    struct tide_at to = delay->delayed_ms ? PLACE(place_of(time, n, limit[delay->limit])) : look->now;
    for (unsigned e = delay->first; e < delay->end; e++) {
      look->from[e] = PLACE(place_of(time, n, limit[e]));
      look->to[e] = to;
    }
  }
#undef PLACE
  return true;
}

/* A place as one of a piece of n events that begins there. */
static inline unsigned inside(unsigned i, unsigned first, unsigned n) { return i <= first ? 0 : i - first < n ? i - first : n; }

void tide_piece_words(struct tide_look *look, unsigned first, unsigned n, bool newest) {
  const struct tide_kind *kind = look->kind;
  const struct tide_block *block = look->view.one.block;
  look->n = n;
  turn(look, tide_block_mask_at(kind, block, first), kind->mask_width);
  for (unsigned e = 0; e < kind->edge_count; e++) {
    unsigned from = look->from[e].chunk ? n : inside(look->from[e].i, first, n),
             to = look->to[e].chunk ? n : inside(look->to[e].i, first, n);
    look->in[e] = (below(to) & UINT64_MAX << from) | (uint64_t)newest << TIDE_SMALL_EVENTS;
  }
}
