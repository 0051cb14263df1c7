/* The broker's URL, with the password from where no other user of the machine sees it. */
#ifndef METAFORACTL_ADDRESS_H
#define METAFORACTL_ADDRESS_H

#include <metafora/error.h>

/* The URL to open, to be freed: `url` of the command line, or $METAFORA_BROKER, or the driver's
 * default; with the password from `password_file`, or $METAFORA_PASSWORD, if there is one.
 * MF_EINVAL: the command line's has a password in it, or there are two, or the file has none;
 * MF_ESYSTEM: it cannot be read. */
int address_make(char **out, const char *url, const char *password_file, mf_error *error);

#endif
