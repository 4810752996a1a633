/* The plan: a feature file compiled for speed.
 *
 * Conditions. Every `where` (with its kind filter and the "operand is there" test of its aggregation) becomes one global condition; the
 * truth of all of them for one event is one 64-bit word, computed once per event whatever the number of entities. Each entity kind stores
 * the bits it needs, so a window is a range of events and a mask bit.
 *
 * Outcomes change events after the fact. A condition that reads an outcome column is *dynamic*: its parts that do not are evaluated once and kept
 * as atoms (two bits each: true, false; neither is unknown) beside the event in the primary entity. So an outcome can re-evaluate every dynamic
 * condition from what the primary keeps, and hands the new bits to the other entities of the event.
 *
 * Columns. What an entity kind must keep of an event is derived from its features, each column with the time it can still be asked for.
 * Columns that die much earlier than their event live in a second, shorter strip of the block (block.h), and columns whose values repeat together in
 * dictionaries. */
#ifndef TIDE_PLAN_H
#define TIDE_PLAN_H

#include "feature/settings.h"
#include "feature/spec.h"

#define TIDE_CONDS_MAX 64
#define TIDE_COLUMNS_MAX 48
#define TIDE_EDGES_MAX 64
#define TIDE_ATOMS_MAX 32     /* conditions beside outcome columns */
#define TIDE_RESIDUALS_MAX 8  /* fields compared with outcome columns */
#define TIDE_DYNENV (TIDE_DYN_COUNT + TIDE_ATOMS_MAX + TIDE_RESIDUALS_MAX) /* what dynexpr reads: env->dyn */
#define TIDE_NULL_NUM INT64_MIN /* a missing number or amount in a column */

/* What must be there for an event to satisfy a condition, besides its expression. */
enum tide_needs { TIDE_NEEDS_NOTHING, TIDE_NEEDS_FIELD, TIDE_NEEDS_AMOUNT, TIDE_NEEDS_REQUESTED, TIDE_NEEDS_ENTITY, TIDE_NEEDS_PLACE };

struct tide_cond {
  const struct tide_expr *expr;    /* kind filter and where; NULL: every event */
  const struct tide_expr *whole;   /* dynamic: expr, and that what it needs is there */
  const struct tide_expr *dynexpr; /* dynamic: the same over outcome columns, atoms and residual fields */
  uint8_t needs;                   /* enum tide_needs */
  uint32_t needs_ref;              /* field or entity */
  bool dynamic;
};

/* Conditions (bits) that need the same: that this byte of a tide_txn is not zero. */
struct tide_need { uint32_t at; uint64_t conds; };

enum tide_column_what {
  TIDE_COL_TIME, TIDE_COL_MASK, TIDE_COL_TAG,
  TIDE_COL_AMOUNT, TIDE_COL_REQUESTED, /* minor units of the counting currency */
  TIDE_COL_NUMBER,                     /* ref: field; int64 */
  TIDE_COL_CODE,                       /* ref: field; text code, or 0/1 + 1 of a bool */
  TIDE_COL_THING,                      /* ref: text field; equal exactly where the texts are, for distinct and changed; 0: missing */
  TIDE_COL_ENTITY,                     /* ref: entity; its code */
  TIDE_COL_LAT, TIDE_COL_LON,          /* scaled numbers as int64 */
  /* primary only */
  TIDE_COL_ID,                         /* hash of the identity */
  TIDE_COL_DYN,                        /* packed outcome columns, 16 bits */
  TIDE_COL_REASON,                     /* text code of the reason */
  TIDE_COL_ATOMS,                      /* two bits per atom */
  TIDE_COL_RESIDUAL,                   /* ref: index into plan->residual; 64 bits of the value */
  TIDE_COL_REF,                        /* ref: entity; where else the event is counted */
  TIDE_COL_RANK,                       /* ref: entity; how many events of the same time stand before it there */
  TIDE_COL_FP_LOW, TIDE_COL_FP_HIGH,   /* duplicates: amount and currency as sent, two halves: amounts differ, currencies do not */
  TIDE_COL_FP_MERCHANT,                /* duplicates: merchant, where TIDE_COL_THING of it cannot serve */
  TIDE_COL_EPOCH, TIDE_COL_SEQ, TIDE_COL_INDEX, /* position of the first answer */
  TIDE_COL_VERDICT, TIDE_COL_VERDICT2, TIDE_COL_SCORE, TIDE_COL_TRUTH /* the first answer */
};

struct tide_column {
  uint8_t what;       /* enum tide_column_what */
  bool young;         /* lives in the shorter strip */
  bool narrowable;    /* fewer bytes in a narrow block than in a wide one */
  bool number;        /* signed and may be missing (TIDE_NULL_NUM); in a narrow block all ones are the missing */
  uint8_t dict;       /* index into kind->dict, TIDE_NO_DICT: a column by itself */
  uint8_t width[2];   /* bytes in a narrow [0] and a wide [1] block: 1, 2, 4 or 8 */
  uint16_t before[2]; /* bytes of the columns before it, per event of its strip; in a dictionary: in its entry */
  uint16_t image[2];  /* where its cell stands in the image of a row */
  uint32_t ref;
  int64_t keep_ms;    /* how far behind the watermark it can be asked for */
};

/* Columns that take few different values together, such as all that hangs on the device: a dictionary of the block (block.h). */
#define TIDE_DICTS_MAX 24
#define TIDE_DICT_COLUMNS_MAX 24
#define TIDE_NO_DICT 0xff
enum tide_family {
  TIDE_FAM_NONE, TIDE_FAM_SELF, TIDE_FAM_FIELD, TIDE_FAM_ENTITY, TIDE_FAM_PLACE, TIDE_FAM_OUTCOME, TIDE_FAM_RANK, TIDE_FAM_ANSWER, TIDE_FAM_SCORE
};
struct tide_dict {
  bool young;                            /* over the events of the shorter strip */
  uint8_t column_count;
  uint8_t column[TIDE_DICT_COLUMNS_MAX]; /* indexes into kind->column, all of the same strip */
  uint16_t row[2];                       /* bytes of an entry in a narrow and a wide block */
  uint16_t image[2];                     /* where its entry stands in the image of a row */
  uint8_t family;                        /* enum tide_family */
  uint32_t family_ref;                   /* the field or entity on which its columns hang */
};

/* What stands in a strip: a column outside of dictionaries, as an insertion needs it. */
struct tide_piece { uint16_t before, image; uint8_t width, column; bool young; };

/* The image of a row: its cells as a narrow or wide block has them, first those of the long strip, then those of the young one, then an entry for each
 * dictionary. Cells in the order in which they stand, each written as 8 bytes of which the next ones take what is not its own, so that writing asks for no
 * width; the conditions and, in a narrow block, the time are put in their places afterwards. What may not fit a narrow cell; what stands in strips. */
#define TIDE_IMAGE_MAX (TIDE_COLUMNS_MAX * 8)
struct tide_image_cell { uint16_t at; uint8_t origin; };
struct tide_image {
  struct tide_image_cell cell[2][TIDE_COLUMNS_MAX];
  uint8_t cell_count[2];
  struct { uint64_t limit; uint16_t at; uint8_t origin, width; } narrow[TIDE_COLUMNS_MAX]; /* what a narrow cell holds is below the limit; numbers first; but for the time */
  uint8_t narrow_count, number_count;
  struct tide_piece piece[2][TIDE_COLUMNS_MAX];
  uint8_t piece_count;
  uint16_t entry_bytes[2];                            /* of all its entries */
};

/* Conditions whose global number is `from` more, or `to` less, than their local bit; one of the two is 0. mask: the local bits. */
struct tide_run { uint64_t mask; uint8_t from, to; };

/* One distinct pair of window edges of a kind. Those of one delay stand together, from the youngest left edge to the oldest. */
struct tide_edge {
  int64_t delayed_ms, window_ms, hop_ms, inner_ms;
  int64_t back_ms;            /* the left edge, but for the hop, is so long before the event */
  int64_t keep_ms;            /* columns answer back to watermark - keep; a window that begins before is too late */
  uint32_t first_at, slot_count; /* kind->edge_slot[first_at ...]: the values over it */
  size_t border;              /* with a hop: its number among those of the plan */
};

/* Edges of one delay, [first, end), as a word as well; limit: of its right edge, where it is one. */
struct tide_delay { int64_t delayed_ms; uint64_t edges; uint8_t first, end, limit; };
#define TIDE_LIMITS_MAX (2 * TIDE_EDGES_MAX) /* a multiple of eight */

/* An edge of windows in a big log, and what is carried of the events before it (running.h): counts by kind->post_bit[first_count .. count_end), sums by
 * the same of post_pair. */
struct tide_post { uint16_t first_count, count_end, first_sum, sum_end; };
#define TIDE_POSTS_MAX (2 * TIDE_EDGES_MAX)

/* A distinct group: for each value of a column the latest event that satisfies a bit carries the latest bit. */
struct tide_distinct { uint8_t column, bit, latest, origin; }; /* origin: of the column */

/* A sum that large entities cache per block: a bit and a number column. */
struct tide_pair { uint8_t bit, column; };
#define TIDE_PAIRS_MAX 32

/* A cell of a tile (tile.h): events with a bit, or the sum or sum of squares of a pair. Cell 0 is the tile's number. */
enum tide_tile_what { TIDE_TILE_NUMBER, TIDE_TILE_COUNT, TIDE_TILE_SUM, TIDE_TILE_SQUARES };
struct tide_tile_cell { uint8_t what, of; };
#define TIDE_TILE_CELLS 18
#define TIDE_TILES_MAX 1024 /* a window reads at most that many; where it would be more, rows are kept */

/* How to compute one slot. The steps of a feature differ in slot, edge and tiles only and stand behind each other, from the shortest window to the
 * longest, so that each goes on from the one before. */
struct tide_step {
  uint32_t slot;
  uint16_t windows;    /* in the first step of a feature: how many it has; 0 in the others */
  uint8_t agg;         /* enum tide_agg */
  uint8_t bit;         /* local bit of the main condition */
  uint8_t bit2;        /* RATE: the denominator; STREAK: the walk */
  uint8_t latest;      /* DISTINCT: its latest bit */
  uint8_t column;      /* operand's column index in the kind, 0xff none; FACT: its number in the kind */
  uint8_t column2;     /* DISTANCE, SPEED: longitude */
  uint8_t pair;        /* SUM, MEAN, STDDEV, MIN, MAX: index into kind->pair */
  uint8_t edge;        /* index into kind->edge, 0xff without window */
  uint8_t tile_count;  /* where it begins before the rows: cells of a tile, 0 none; all 0: it never does */
  uint8_t tile_count2, tile_sum, tile_squares;
  bool with_current;
  bool money;
  bool carried;        /* COUNT, RATE, DISTINCT, SUM, MEAN, STDDEV: a big log carries what its window holds (running.h) */
  struct { uint16_t from, to; } posts_count, posts_count2, posts_sum; /* where: events with its bit (DISTINCT: the latest bit), with bit2, its sum */
  uint32_t cap;
  uint32_t group;
  uint32_t operand_field; /* field or entity of the operand, for the current event's value */
  uint8_t of;             /* enum tide_operand */
  uint64_t seed;          /* of this journal: keys the hashes of estimates */
  double scale;           /* divisor to major units or field decimals */
  int64_t inner_ms;
};

/* What differs between the steps of a feature, in few bytes: where the value of which window goes; and of a count its word: a local bit or, where the current event
 * counts, TIDE_CONDS_MAX and the number of its line. */
struct tide_spot { uint16_t slot; uint8_t edge, word; };

/* A word of a small log that is no condition's (vector.h): a condition or a latest bit, and the current event where it counts. */
struct tide_line {
  uint8_t bit;         /* local: COUNT: the condition; DISTINCT: the latest bit */
  uint8_t cond;        /* the global condition that the current event must satisfy */
  uint16_t step;       /* DISTINCT: one of its steps, for group and operand */
};
#define TIDE_LINES_MAX TIDE_CONDS_MAX /* one for each local bit */

struct tide_slots { uint32_t first, count; }; /* consecutive ones */

struct tide_kind {
  uint32_t entity;
  bool primary, has_first, has_code, has_dynamic;
  bool single;                         /* keeps nothing but time and conditions that do not change: a single event needs no block */
  bool warming_marks;                  /* values of windows that begin before history are marked: the usual policy */
  bool full;                           /* more columns or edges than there is room for: refused */
  uint8_t bit_count;                   /* conditions and latest bits */
  uint8_t cond_count;
  uint8_t cond[TIDE_CONDS_MAX];        /* local bit -> global condition */
  struct tide_run run[TIDE_CONDS_MAX]; /* the same, as runs of conditions that stand side by side in both */
  uint8_t run_count;
  uint64_t dynamic_bits;               /* local bits of dynamic conditions */
  uint64_t score_bit;                  /* global bit of the plain kind filter, for first seen */
  struct tide_distinct distinct[16];
  uint8_t distinct_count;
  struct tide_pair pair[TIDE_PAIRS_MAX];
  uint8_t pair_count;
  struct tide_column column[TIDE_COLUMNS_MAX];
  uint8_t column_count;
  uint8_t origin[TIDE_COLUMNS_MAX];    /* by column: its place among the values of an event; of the mask TIDE_NO_ORIGIN */
  uint8_t col_of[32];                  /* column index by enum tide_column_what for those that occur once; 0xff none */
  uint8_t ref_col[TIDE_ENTITIES_MAX];  /* primary: column of the reference to an entity */
  uint8_t rank_col[TIDE_ENTITIES_MAX]; /* and of the event's rank there */
  uint8_t fact[TIDE_FIELDS_MAX];       /* facts that features read: the field of each number */
  uint8_t fact_count;
  uint8_t fp_merchant_col;             /* and of what tells merchants apart in duplicates */
  struct tide_dict dict[TIDE_DICTS_MAX];
  uint8_t dict_count, distinct_dicts;  /* of all; the first of them up to the last that a distinct group looks into */
  bool has_young;
  uint16_t row[2], young_row[2];       /* bytes per event in each strip, narrow and wide, without dictionaries */
  uint16_t time_before[2], mask_before[2]; /* time and conditions, which every kind has in its long strip and everybody asks for */
  uint8_t mask_width;
  struct tide_image image;
  int64_t span_ms;                     /* longest reach: values are defined back to watermark - span - grace */
  int64_t keep_ms;                     /* events are kept back to watermark - keep (>= span + grace) */
  int64_t young_ms;                    /* the young strip back to watermark - young */
  struct tide_edge edge[TIDE_EDGES_MAX];
  uint8_t edge_count;
  uint32_t limit_back_ms[TIDE_LIMITS_MAX]; /* how long before the event: each left edge but for the hop, then right edges of delays; at most UINT32_MAX */
  uint8_t limit_count;
  uint8_t hop[TIDE_EDGES_MAX], hop_count;  /* the edges that go back to a border */
  struct tide_delay delay[TIDE_EDGES_MAX];
  uint8_t delay_count, delayed_at;     /* from delayed_at on they end before the event */
  struct tide_step *step;
  uint32_t step_count;                 /* counts first, then distinct counts, those with a cap last, then others with windows that count the current event, sums and means
                                        * of numbers that take four bytes, others, those without windows */
  uint32_t distinct_at, capped_at, other_at, sum_at, plain_at, windowless_at; /* where in step[] these begin */
  uint32_t least_cap;                  /* no window of fewer events, the current one among them, has more values than some cap allows */
  struct tide_post post[TIDE_POSTS_MAX]; /* of the left edge of each edge, then of the right edge of each delay */
  uint8_t post_count;
  uint8_t *post_bit, *post_pair;       /* local bits, indexes into pair */
  uint16_t post_counts, post_sums;
  struct tide_spot *spot;              /* of each step */
  struct tide_line line[TIDE_LINES_MAX];
  uint8_t line_count, distinct_line;   /* the lines from distinct_line on are distinct counts */
  uint64_t distinct_edges;             /* edges over which there are distinct counts */
  uint16_t *edge_slot;                 /* slots of the steps that have a window, by edge */
  uint8_t oldest[TIDE_EDGES_MAX];      /* edges from the one that may reach back longest */
  int64_t reach_ms[TIDE_EDGES_MAX];    /* how far those may reach back, in this order */
  int64_t spare_ms;                    /* no edge is late of an event that is not so long behind the watermark */
  struct tide_slots *slots;            /* all its slots; the last has none */
  const struct tide_step *windowless, *last; /* those without windows, from windowless_at on */
  int64_t tile_ms;                     /* events older than raw_ms become tiles of this length; 0: rows are kept to the end */
  int64_t raw_ms;
  struct tide_tile_cell tile[TIDE_TILE_CELLS];
  uint8_t tile_cells;
  const char *tile_why;                /* where tile_ms is 0: the reason, in words */
  uint64_t max_entities;
  int64_t forget_ms;
};

/* What columns hold of an event, each worked out once however many kinds keep it: what there is one of under its enum tide_column_what, behind them what
 * belongs to a field or an entity (plan->origin). */
#define TIDE_ORIGINS_REF 32
#define TIDE_ORIGINS_NUMBER (TIDE_NO_ORIGIN - 2 * TIDE_ENTITIES_MAX) /* by entity: its number, where the primary refers to it */
#define TIDE_ORIGINS_RANK (TIDE_NO_ORIGIN - TIDE_ENTITIES_MAX)       /* and the event's rank there */
#define TIDE_NO_ORIGIN 0xff
struct tide_origin { uint8_t what; uint32_t ref; }; /* as of a column */

struct tide_plan {
  const struct tide_spec *spec; /* borrowed */
  struct tide_settings settings;
  struct tide_arena arena;
  struct tide_cond cond[TIDE_CONDS_MAX];
  uint32_t cond_count;
  uint64_t cond_dynamic;        /* global bits of dynamic conditions */
  uint32_t score_cond;          /* global condition of the plain kind filter */
  const struct tide_expr **atom; /* conditions evaluated once per event */
  uint32_t atom_count;
  uint32_t atom_calculates;     /* atoms (bits) that can be null because a result is empty */
  const struct tide_program *coming;  /* conditions of an event as it comes in, then its atoms */
  uint32_t atom_root;                 /* from this root on: in the word of the conditions where they fit */
  const struct tide_program *changed; /* dynamic conditions from env->dyn alone */
  struct tide_need *need;
  uint32_t need_count;
  uint64_t needs_amount, needs_requested; /* conditions that need these */
  struct tide_value pending[TIDE_DYN_COUNT]; /* outcome columns of an event without outcome; the amount is its own */
  uint32_t *residual;           /* fields whose value dynamic conditions read */
  uint32_t residual_count;
  uint32_t *thing;              /* fields of which some kind keeps a THING */
  uint32_t thing_count;
  struct tide_origin *origin;   /* what the rows of an event are made of besides: its place is TIDE_ORIGINS_REF more */
  uint32_t origin_count;
  bool reads_reason;
  bool keeps_facts;              /* some kind has some */
  bool mends_tiles;              /* outcomes can change events that stand in tiles */
  int64_t outcome_ms;            /* outcomes find events newer than watermark - this (ruling 26) */
  uint32_t border_count;         /* edges with a hop */
  struct tide_value *nothing;    /* by slot: its value where no event is in the window or stands before */
  struct tide_value *absent, *refused; /* by slot, all alike: the key is missing; there is no room for the entity */
  struct tide_kind kind[TIDE_ENTITIES_MAX]; /* by spec->entity index */
};

/* Compiles. The plan borrows spec. Errors: CONFIG with the feature concerned when a bound is exceeded. */
enum tide_err tide_plan_new(const struct tide_spec *spec, const struct tide_settings *settings, struct tide_plan **ret, struct tide_error *error)
    TIDE_WARN_UNUSED;
void tide_plan_free(struct tide_plan *plan);

/* Orders the edges and steps of a kind and lists what is written where: spot, line, edge_slot. */
void tide_plan_order(struct tide_plan *plan, struct tide_kind *kind);

/* Orders the columns of a kind: strips by age, dictionaries, widths, offsets. */
void tide_plan_layout(struct tide_plan *plan, struct tide_kind *kind);

/* Compiles the conditions (conditions.c). */
void tide_plan_conditions(struct tide_plan *plan);

/* Decides whether old events of a kind become tiles (README.md, "Tiles"): tile_ms, raw_ms, its cells and those of its steps. */
void tide_plan_tiles(struct tide_plan *plan, struct tide_kind *kind);

/* Local mask of a kind from the global word. */
static inline uint64_t tide_kind_mask(const struct tide_kind *kind, uint64_t conds) {
  uint64_t mask = 0;
  for (unsigned r = 0; r < kind->run_count; r++) mask |= (conds >> kind->run[r].from << kind->run[r].to) & kind->run[r].mask;
  return mask;
}

#endif
