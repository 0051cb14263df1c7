/* Times as RFC 3339 has them, read strictly and written as Go's time.Time writes them. */
#include <metafora/state.h>

#include <stdio.h>
#include <string.h>

#include <metafora/driver.h>

/* Well beyond the year 9999, and far from an overflow. */
static const int64_t far_seconds = INT64_C(1) << 40;

enum { seconds_a_day = 86400, date_length = 19 /* 2006-01-02T15:04:05 */ };

/* Days from 1970-01-01 to the first of March of the year, and back: years that begin in March have
 * their leap day at the end, so that a month's first day is a matter of arithmetic. */
static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * years + years / 4 - years / 100);
    int64_t march_month = (5 * of_year + 2) / 153;

    *day = (int)(of_year - (153 * march_month + 2) / 5 + 1);
    *month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    *year = years + era * 400 + (*month <= 2);
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

mf_time mf_time_from_wall_us(int64_t wall_us)
{
    int64_t rest = wall_us % 1000000;
    return (mf_time){.seconds = floor_div(wall_us, 1000000),
                     .nanoseconds = (int32_t)(rest < 0 ? rest + 1000000 : rest) * 1000};
}

int64_t mf_time_to_wall_us(const mf_time *time)
{
    if (time->seconds >= INT64_MAX / 1000000)
        return INT64_MAX;
    if (time->seconds <= INT64_MIN / 1000000)
        return INT64_MIN;
    return time->seconds * 1000000 + time->nanoseconds / 1000;
}

/* Digits at a fixed place; -1: they are none, or not in the range. */
static int number_at(const char *text, int digits, int least, int most)
{
    int number = 0;

    for (int i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        number = number * 10 + text[i] - '0';
    }
    return number >= least && number <= most ? number : -1;
}

static const char *read_date(mf_time *out, const char *text)
{
    int year = number_at(text, 4, 0, 9999), month = number_at(text + 5, 2, 1, 12);
    if (year < 0 || text[4] != '-')
        return "the year is not of four digits";
    if (month < 0 || text[7] != '-')
        return "the month is not 01 to 12";
    int day = number_at(text + 8, 2, 1, days_in_month(year, month));
    if (day < 0 || text[10] != 'T')
        return "the day is not one of its month";
    int hour = number_at(text + 11, 2, 0, 23), minute = number_at(text + 14, 2, 0, 59);
    int second = number_at(text + 17, 2, 0, 59);
    if (hour < 0 || minute < 0 || second < 0 || text[13] != ':' || text[16] != ':')
        return "the time of day is not hh:mm:ss";
    out->seconds = days_of(year, month, day) * seconds_a_day + hour * 3600 + minute * 60 + second;
    return NULL;
}

static const char *read_fraction(mf_time *out, const char **at, const char *end)
{
    int32_t unit = 100000000;

    if (*at == end || **at != '.')
        return NULL;
    const char *first = ++*at;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at, unit /= 10)
        out->nanoseconds += unit * (**at - '0');
    return *at == first ? "the fraction has no digits" : NULL;
}

static const char *read_offset(mf_time *out, const char *at, const char *end)
{
    if (end - at == 1 && *at == 'Z')
        return NULL;
    if (end - at != 6 || (*at != '+' && *at != '-') || at[3] != ':')
        return "the offset is neither Z nor +hh:mm";
    int hours = number_at(at + 1, 2, 0, 23), minutes = number_at(at + 4, 2, 0, 59);
    if (hours < 0 || minutes < 0)
        return "the offset is neither Z nor +hh:mm";
    out->offset_minutes = (int16_t)((*at == '-' ? -1 : 1) * (hours * 60 + minutes));
    out->seconds -= out->offset_minutes * 60;
    return NULL;
}

int mf_time_parse(mf_time *out, const char *text, size_t length, mf_error *error)
{
    const char *why = "shorter than a date and a time", *at = text + date_length;

    *out = (mf_time){0};
    if (length > date_length)
        why = read_date(out, text);
    if (why == NULL)
        why = read_fraction(out, &at, text + length);
    if (why == NULL)
        why = read_offset(out, at, text + length);
    return why == NULL ? MF_OK : mf_error_set(error, MF_EINVAL, "time: %s", why);
}

static char *put_fraction(char *to, int32_t nanoseconds)
{
    if (nanoseconds == 0)
        return to;
    to += sprintf(to, ".%09d", (int)nanoseconds);
    while (to[-1] == '0')
        to--;
    return to;
}

int mf_time_format(char out[MF_TIME_SIZE], const mf_time *time, mf_error *error)
{
    int offset = time->offset_minutes;
    int64_t local = 0, year = -1;
    int month = 0, day = 0;

    out[0] = '\0';
    if (time->seconds > -far_seconds && time->seconds < far_seconds) {
        local = time->seconds + offset * 60;
        date_of(floor_div(local, seconds_a_day), &year, &month, &day);
    }
    if (year < 0 || year > 9999 || time->nanoseconds < 0 || time->nanoseconds > 999999999 ||
        offset <= -1440 || offset >= 1440)
        return mf_error_set(error, MF_EINVAL, "time: its year is not between 0 and 9999");
    int second = (int)(local - floor_div(local, seconds_a_day) * seconds_a_day);
    char *to = out + sprintf(out, "%04d-%02d-%02dT%02d:%02d:%02d", (int)year % 10000, month % 100,
                             day % 100, second / 3600 % 100, second / 60 % 60, second % 60);
    to = put_fraction(to, time->nanoseconds);
    if (offset == 0)
        strcpy(to, "Z");
    else
        sprintf(to, "%c%02d:%02d", offset < 0 ? '-' : '+',
                (offset < 0 ? -offset : offset) / 60 % 100, (offset < 0 ? -offset : offset) % 60);
    return MF_OK;
}
