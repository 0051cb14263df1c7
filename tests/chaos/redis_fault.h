/* The faults of one redis-server. */
#ifndef MF_CHAOS_REDIS_FAULT_H
#define MF_CHAOS_REDIS_FAULT_H

#include "fault.h"
#include "redis_server.h"

/* As backend's. A moment's fault must befall a server that answers. */
bool redis_fault_begin(redis_server *server, const planned_fault *fault);
void redis_fault_end(redis_server *server, const planned_fault *fault);

/* Runs a command that may be refused; whether it was not. The server must answer. */
bool redis_fault_ask(redis_server *server, const char *command);

#endif
