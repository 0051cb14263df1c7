/* libmetafora: long-running tasks over a cluster of processes, each task in exactly one of them. */
#ifndef METAFORA_METAFORA_H
#define METAFORA_METAFORA_H

#include <metafora/balancer.h>
#include <metafora/broker.h>
#include <metafora/client.h>
#include <metafora/command.h>
#include <metafora/consumer.h>
#include <metafora/error.h>
#include <metafora/handler.h>
#include <metafora/log.h>
#include <metafora/loop.h>
#include <metafora/migrate.h>
#include <metafora/state.h>
#include <metafora/sync.h>
#include <metafora/task.h>
#include <metafora/version.h>

#endif
