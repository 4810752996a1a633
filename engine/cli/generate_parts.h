/* The generator's inner parts; generate.h is the outside.
 *
 *   generate_world.c   cities, kinds of shop, merchants, cards: everything that stands still
 *   generate_queue.c   what is pending, by time
 *   generate_life.c    what customers do: purchases, answers, reversals, refunds, increments, trips
 *   generate_fraud.c   what thieves do: five kinds of campaign
 *   generate_lists.c   what analysts write on lists
 *   generate_profiles.c  what the issuer knows of its customers
 *   generate_write.c   a record as a JSON line or CSV row, or as one of the malformed sorts
 *   generate.c         options, the clock, what goes wrong on the way (duplicates, disorder), output
 *
 * The invariant: all decisions come from four random streams in order of simulated time: `world` before the first event, `life` for
 * what happens, `noise` for what goes wrong on the way, `lists` for what analysts block. So options of the third kind and lists change no purchase. */
#ifndef TIDE_GENERATE_PARTS_H
#define TIDE_GENERATE_PARTS_H

#include "adapter/text_out.h"
#include "base/buf.h"
#include "cli/generate.h"
#include "cli/generate_rng.h"

#define GEN_SECOND INT64_C(1000)
#define GEN_MINUTE INT64_C(60000)
#define GEN_HOUR INT64_C(3600000)
#define GEN_DAY INT64_C(86400000)
#define GEN_NONE UINT32_MAX
#define GEN_PPM(pct) (uint32_t)((pct)*10000) /* of constants in percent */

struct tide_gen_city { int32_t lat_e4, lon_e4; char country[3]; char currency[4]; uint32_t weight; };
extern const struct tide_gen_city tide_gen_city[];
extern const uint32_t tide_gen_city_count, tide_gen_city_home_count; /* customers live in the first ones */

enum tide_gen_trade { GEN_SHOP, GEN_FUEL, GEN_HOTEL, GEN_CASH };
struct tide_gen_mcc { char code[5]; uint8_t trade; bool online; uint32_t weight, median_minor; int32_t spread_q16; };
extern const struct tide_gen_mcc tide_gen_mcc[];

struct tide_gen_currency { char code[4]; uint8_t exponent; int64_t rate_e6; }; /* rate: EUR per unit, in millionths */
extern const struct tide_gen_currency tide_gen_currency[8];

struct tide_gen_merchant {
  uint16_t price_q8;
  uint8_t mcc, city, terminals, skimmer; /* skimmer: campaign index + 1 that copies cards at terminal 0 here, or 0 */
  int16_t lat_e4, lon_e4; /* from the city's middle */
};

struct tide_gen_id { uint64_t rrn; uint32_t stan, acquirer; };

#define GEN_FAVOURITES 5
struct tide_gen_card {
  uint32_t favourite[GEN_FAVOURITES]; /* merchants */
  uint16_t spend_q8;    /* income: multiplies prices */
  uint8_t activity;     /* relative, of 256 */
  uint8_t rhythm, online_q8, home;
  uint8_t generation;   /* replaced so many times: another number */
  uint8_t devices, mobile_q8;
  uint8_t trip_city;    /* while trip_until is ahead */
  bool busting;         /* in a bust-out: not a victim of anything else */
  uint16_t month;       /* of `spent` */
  int64_t trip_until, last_ms;
  int64_t spent, limit; /* minor units in the month */
  struct tide_gen_id last_id; /* rrn 0: none */
  int64_t last_amount;
  uint32_t last_merchant;
};

enum tide_gen_type { GEN_AUTH, GEN_ADVICE, GEN_REFUND, GEN_LOGIN, GEN_CARD_ADD, GEN_OUTCOME, GEN_LABEL, GEN_RATE, GEN_LIST, GEN_PROFILE };
enum tide_gen_list { GEN_LIST_BLOCKED_CARDS, GEN_LIST_BLOCKED_IPS, GEN_LIST_TRUSTED_MERCHANTS };
enum tide_gen_entry { GEN_CHIP, GEN_CONTACTLESS, GEN_SWIPE, GEN_ECOM, GEN_MOTO };
enum tide_gen_extent { GEN_NO_EXTENT, GEN_PARTIAL, GEN_FULL };

struct tide_gen_record {
  uint8_t type, entry, currency, terminal;
  uint8_t reversed, refunded; /* enum tide_gen_extent */
  uint8_t list;               /* LIST: enum tide_gen_list; PROFILE: index into tide_gen_segment */
  bool remove;                /* LIST: the entry is taken off */
  bool label_fraud, disputed, has_amount_now, fraud;
  char response[3];           /* "" when there is none */
  int64_t time;
  struct tide_gen_id id, original, advice_of; /* rrn 0: none */
  uint64_t pan, device;       /* device 0: none */
  uint32_t par, account;      /* card index + 1, 0: none */
  uint32_t merchant;          /* GEN_NONE: none */
  uint64_t ip, email;         /* 0: none */
  int64_t amount, amount_now, rate_e6;
  int64_t expires;            /* LIST: 0: never; PROFILE: when the account was opened */
};

/* Sorts of malformed lines. JSON and CSV know most of them; see generate_write.c. */
#define GEN_FLAWS 14

/* A purchase that is going to happen. */
struct tide_gen_plan {
  uint32_t card, merchant;  /* merchant GEN_NONE: the customer chooses */
  uint8_t entry, generation, terminal, tries;
  bool fraud, fixed_entry;
  int64_t amount;           /* 0: by the merchant's prices */
  uint64_t pan, device, ip, email; /* pan: a number that no customer has */
  struct tide_gen_id original;   /* incremental */
  uint8_t currency;
};

enum tide_gen_action { GEN_EMIT, GEN_BUY, GEN_CAMPAIGN, GEN_REPLACE_CARD, GEN_LINE };
struct tide_gen_node {
  uint8_t action;
  bool delayed;             /* EMIT: nothing more may go wrong with it */
  uint32_t ref;             /* CAMPAIGN: index; REPLACE_CARD: card */
  union {
    struct tide_gen_record record;
    struct tide_gen_plan plan;
    struct { char *text; uint32_t len; } line;
  };
};

/* Pending nodes by (time, order of arrival). Nodes stay where they are; keys move. */
struct tide_gen_queue {
  struct { int64_t time; uint64_t tie; uint32_t slot; } *key;
  uint32_t count, cap;
  struct tide_gen_node *node;
  uint32_t node_count, node_cap;
  uint32_t *free;
  uint32_t free_count;
  uint64_t ties;
};
void tide_gen_queue_put(struct tide_gen_queue *queue, int64_t time, const struct tide_gen_node *node);
bool tide_gen_queue_next(const struct tide_gen_queue *queue, int64_t *ret_time);
struct tide_gen_node tide_gen_queue_take(struct tide_gen_queue *queue);
void tide_gen_queue_release(struct tide_gen_queue *queue);

enum tide_gen_fraud { GEN_TESTING, GEN_SPREE, GEN_SKIMMING, GEN_TAKEOVER, GEN_BUST_OUT, GEN_FRAUDS };
struct tide_gen_campaign {
  uint8_t kind;
  bool running;
  uint32_t step, steps, card, merchant[3], base, generation;
  uint64_t bin;
  uint64_t device[2], ip[3], email;
  int64_t amount, end;
};
#define GEN_CAMPAIGNS 200 /* one byte names one in a merchant */
#define GEN_RECENT 64

struct gen {
  struct tide_generate_options opt;
  struct tide_gen_rng world, life, noise, lists;
  struct tide_gen_merchant *merchant;
  uint32_t merchant_count, online_count; /* online ones first */
  uint32_t city_count, home_count, *city_first; /* city c: merchants [city_first[c], city_first[c + 1]) */
  struct tide_gen_card *card;
  uint32_t card_count;
  struct tide_gen_queue queue;
  struct tide_gen_campaign campaign[GEN_CAMPAIGNS];
  uint64_t planned[GEN_FRAUDS];
  struct { uint32_t card; int64_t time; } recent[GEN_RECENT]; /* purchases with the card present: whom a pickpocket follows */
  uint32_t recent_count;
  uint64_t id_count;
  int64_t now, next_rates;
  int64_t rate_e6[8];
  uint32_t share_ppm_out_of_order, share_ppm_late, share_ppm_duplicates, share_ppm_reused, share_ppm_hot, share_ppm_bad;
  uint64_t reuse_owed, hot_owed;
  bool hot_due;
  struct tide_generate_counts counts;
  struct tide_buf line;
  struct tide_text_out *out;
  struct tide_error *error;
  enum tide_err err;        /* the first error of the output; everything after it is void */
};

/* generate_world.c */
void tide_gen_world_build(struct gen *g);
uint64_t tide_gen_pan(const struct gen *g, uint32_t card, uint8_t generation);
/* The card that bears this number now, or GEN_NONE. bin is an index, account the seven digits behind it. */
uint64_t tide_gen_pan_of(uint32_t bin, uint32_t account);
uint32_t tide_gen_card_of(const struct gen *g, uint32_t bin, uint32_t account);
#define GEN_BINS 24
#define GEN_ACCOUNTS 10000000u
struct tide_gen_id tide_gen_id_next(struct gen *g, int64_t time, uint32_t merchant);
uint32_t tide_gen_par(uint32_t card);     /* card + 1 where the card has one, else 0 */
uint32_t tide_gen_account(uint32_t card); /* card + 1 of the account's first card */
uint64_t tide_gen_device(uint32_t card, uint32_t which);
uint64_t tide_gen_home_ip(uint32_t card);
uint32_t tide_gen_merchant_online(struct gen *g);
uint32_t tide_gen_merchant_in(struct gen *g, uint32_t city);
int64_t tide_gen_rhythm(uint32_t rhythm, int64_t time); /* 0..256: how awake people of this rhythm are */
int64_t tide_gen_hour_weight(int64_t time);             /* of all people together */

/* generate_life.c */
void tide_gen_visit(struct gen *g, int64_t time);       /* some customer does something */
void tide_gen_buy(struct gen *g, int64_t time, const struct tide_gen_plan *plan);
void tide_gen_replace_card(struct gen *g, uint32_t card);
void tide_gen_session(struct gen *g, int64_t time, enum tide_gen_type type, uint32_t card, uint64_t device, uint64_t ip, uint64_t email);

/* generate_fraud.c */
void tide_gen_fraud_start(struct gen *g, int64_t time);    /* keeps the share of fraud where it should be */
void tide_gen_fraud_step(struct gen *g, int64_t time, uint32_t campaign);
void tide_gen_fraud_skim(struct gen *g, int64_t time, uint32_t campaign, uint32_t card);
void tide_gen_fraud_after(struct gen *g, const struct tide_gen_record *auth, uint32_t card); /* the label, the new card */

/* generate_lists.c */
void tide_gen_lists_begin(struct gen *g);                              /* merchants that are trusted from the start */
void tide_gen_lists_lost(struct gen *g, int64_t time, uint32_t card);  /* the card is about to be replaced */
void tide_gen_lists_attack(struct gen *g, const struct tide_gen_record *auth); /* a thief's authorization was made */

/* generate_profiles.c */
extern const char *const tide_gen_segment[3];
void tide_gen_profiles_begin(struct gen *g);
void tide_gen_profiles_told(struct gen *g, int64_t time, uint32_t card); /* the card has a new number or limit */

/* generate_write.c */
void tide_gen_write_header(struct tide_buf *out);          /* CSV */
/* flaw 0: as it should be; 1..GEN_FLAWS: malformed. known_ms: when it came. */
void tide_gen_write(const struct gen *g, const struct tide_gen_record *record, int64_t known_ms, uint32_t flaw, struct tide_buf *out);

/* generate.c */
void tide_gen_emit(struct gen *g, const struct tide_gen_record *record); /* now: record->time is the time of the simulation */
void tide_gen_emit_at(struct gen *g, int64_t time, struct tide_gen_record record); /* later */

#endif
