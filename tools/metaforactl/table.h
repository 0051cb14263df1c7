/* Tables for people: columns that are as wide as what is in them, the last cut at the terminal. */
#ifndef METAFORACTL_TABLE_H
#define METAFORACTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct text_table text_table;

typedef struct table_column {
    const char *title;
    bool is_number; /* to the right */
} table_column;

/* Borrows the columns. The titles come with the first row, or with the end. NULL: out of memory. */
text_table *table_new(FILE *to, const table_column *columns, size_t count);

/* The next cell; NULL is a dash. Text is written as mf_escape does. */
void table_text(text_table *table, const char *text);
void table_count(text_table *table, uint64_t number);
void table_number(text_table *table, double number); /* with up to two decimals */

/* Writes what is left, and frees it. NULL is let pass. */
void table_end(text_table *table);
/* Frees it; what it has not written is not written. */
void table_drop(text_table *table);

/* How many columns the terminal has that `to` is; 0: it is none. */
int table_terminal_width(FILE *to);

#endif
