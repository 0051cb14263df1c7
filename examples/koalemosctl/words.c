/* A line to words. */
#include "words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <metafora/driver.h>

typedef struct word_list {
    char **words;
    int count;
} word_list;

static int add_word(word_list *list, const char *text, size_t length)
{
    char **larger = realloc(list->words, (size_t)(list->count + 2) * sizeof *larger);
    if (larger == NULL)
        return -1;
    list->words = larger;
    list->words[list->count] = strndup(text, length);
    list->words[list->count + 1] = NULL;
    return list->words[list->count++] != NULL ? 0 : -1;
}

static int is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Unquotes one word from *at into `word`, which has room for the whole line. Returns its length; -1
 * for a quote without an end. */
static long take_word(const char **at, char *word)
{
    const char *from = *at;
    size_t length = 0;
    char quote = 0;

    for (; *from != '\0' && (quote != 0 || !is_blank(*from)); from++) {
        if (quote != 0 && *from == quote)
            quote = 0;
        else if (quote == 0 && (*from == '\'' || *from == '"'))
            quote = *from;
        else if (*from == '\\' && quote != '\'' && from[1] != '\0' &&
                 (quote == 0 || from[1] == '"' || from[1] == '\\'))
            word[length++] = *++from;
        else
            word[length++] = *from;
    }
    *at = from;
    return quote != 0 ? -1 : (long)length;
}

static int split_plain(word_list *list, const char *line, char *why, size_t why_size)
{
    char *word = malloc(strlen(line) + 1);
    int code = -1;

    snprintf(why, why_size, "out of memory");
    while (word != NULL) {
        while (is_blank(*line))
            line++;
        if (*line == '\0') {
            code = 0;
            break;
        }
        long length = take_word(&line, word);
        if (length < 0)
            snprintf(why, why_size, "a quote is not closed");
        if (length < 0 || add_word(list, word, (size_t)length) != 0)
            break;
    }
    free(word);
    return code;
}

/* cJSON takes more than JSON, and cuts strings at \u0000: the line is checked before. */
static int split_json(word_list *list, const char *line, char *why, size_t why_size)
{
    mf_error error;
    const cJSON *item;

    if (mf_check_document("the array", line, &error) != MF_OK) {
        snprintf(why, why_size, "%s", error.text);
        return -1;
    }
    cJSON *array = cJSON_Parse(line);
    int code = cJSON_IsArray(array) ? 0 : -1;

    cJSON_ArrayForEach(item, array)
    {
        if (!cJSON_IsString(item) || add_word(list, item->valuestring, strlen(item->valuestring)))
            code = -1;
    }
    if (code != 0)
        snprintf(why, why_size, "is not a JSON array of strings");
    cJSON_Delete(array);
    return code;
}

int words_split(char ***out, const char *line, char *why, size_t why_size)
{
    word_list list = {NULL, 0};

    while (is_blank(*line))
        line++;
    int code = 0;
    if (*line == '[')
        code = split_json(&list, line, why, why_size);
    else if (*line != '#')
        code = split_plain(&list, line, why, why_size);
    if (code != 0) {
        words_free(list.words);
        return -1;
    }
    *out = list.words;
    return list.count;
}

void words_free(char **words)
{
    for (char **at = words; at != NULL && *at != NULL; at++)
        free(*at);
    free(words);
}
