/* Agents: a coordinator of its own for a case, which remembers what it was told. */
#ifndef MF_TESTS_AGENT_H
#define MF_TESTS_AGENT_H

#include "contract.h"
#include "coordinator/coordinator.h"

/* What an agent knows of one task that it asked for. */
typedef struct agent_claim {
    mf_claim claim; /* first: events name it */
    struct agent_claim *next;
    unsigned grants, endings; /* how often it was called back */
    int granted, ended;       /* codes; 1: not yet */
    mf_stop_reason lost;
    int64_t lost_us, expired_us;
} agent_claim;

typedef struct agent {
    contract *c;
    mf_broker *broker;
    mf_coordinator *coordinator;
    agent_claim *claims;
    bool joined, closed;
    int failed; /* code */
    unsigned ups, downs;
    char **offered;
    size_t offered_count;
    char commands[4096]; /* each followed by a space */
} agent;

/* Opened on the URL, not yet joined. Closed at the end of the case. */
agent *agent_open(contract *c, const char *url, const char *node, int lease_ms, bool takeover);
agent *agent_joined(contract *c, const char *url, const char *node, int lease_ms);
void agent_close(agent *a);

agent_claim *agent_start_claim(agent *a, const char *id);
agent_claim *agent_claimed(agent *a, const char *id); /* granted */
void agent_end(agent *a, agent_claim *claim, mf_outcome outcome);

bool await_granted(agent *a, agent_claim *claim);
bool await_ended(agent *a, agent_claim *claim);
bool await_lost(agent *a, agent_claim *claim, int bound_ms);
bool await_expired(agent *a, agent_claim *claim, int bound_ms);
bool await_failed(agent *a, int bound_ms);
bool await_joined(agent *a, int bound_ms);
bool await_offered(agent *a, const char *id, int bound_ms);
/* A command with this text has come. */
bool await_command(agent *a, const char *text, int bound_ms);
bool await_ups(agent *a, unsigned count);

#endif
