/* The rules for broker options. */
#ifndef MF_BROKER_OPTIONS_H
#define MF_BROKER_OPTIONS_H

#include <metafora/broker.h>

/* Checks all fields but name_space. MF_EINVAL names the field and the rule. */
int mf__broker_options_check(const mf_broker_options *options, mf_error *error);

#endif
