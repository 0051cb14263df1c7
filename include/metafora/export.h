/* Symbol visibility. */
#ifndef METAFORA_EXPORT_H
#define METAFORA_EXPORT_H

#define MF_EXPORT __attribute__((visibility("default")))
#define MF_PRINTF(format_index, first_argument) \
    __attribute__((format(printf, format_index, first_argument)))

#endif
