/* Symbol visibility. */
#ifndef METAFORA_EXPORT_H
#define METAFORA_EXPORT_H

#define MF_EXPORT __attribute__((visibility("default")))
#define MF_PRINTF(format_index, first_argument) \
    __attribute__((format(printf, format_index, first_argument)))

/* Begins a struct's initializer. In C it names the field, so that compilers do not warn of the
 * others, which are zero. */
#ifdef __cplusplus
#define MF_FIRST_FIELD(field)
#else
#define MF_FIRST_FIELD(field) .field =
#endif

#endif
