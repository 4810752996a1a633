/* Days and dates of the proleptic Gregorian calendar: what clock.c and zone.c share.
 *
 * Days count from 1970-01-01 (day 0, a Thursday); months from 1, days of a month from 1. Valid for the years 1 to 9999 and some on either side. */
#ifndef TIDE_CALENDAR_H
#define TIDE_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

/* Days since 1970-01-01 of a date; the date must exist. */
int64_t tide_days_of(int year, int month, int day);
/* The date of a day. */
void tide_date_of(int64_t days, int *ret_year, int *ret_month, int *ret_day);
bool tide_year_leap(int year);
int tide_month_days(int year, int month);

/* a / b rounded towards minus infinity, b > 0. */
static inline int64_t tide_floor_div(int64_t a, int64_t b) {
  return a / b - (a % b < 0);
}
/* ISO weekday of a day: Monday = 1, Sunday = 7. */
static inline int tide_weekday_of(int64_t days) {
  return (int)(days + 3 - 7 * tide_floor_div(days + 3, 7)) + 1;
}
/* Hour of the day of a number of seconds since 1970-01-01 00:00. */
static inline int tide_hour_of(int64_t s) {
  return (int)((s - 86400 * tide_floor_div(s, 86400)) / 3600);
}

#endif
