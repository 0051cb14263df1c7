# Copies a source of the core, or of the embedded broker in it, to OUTPUT with the places of mutation.h in it broken on purpose, while
# mutation_in_force says so: cmake -D SOURCE=src/... -D OUTPUT=... -P mutants.cmake
#
# A place that is not found any more is told, and left as it is; its mutation is then not noticed,
# and the test fails.
cmake_minimum_required(VERSION 3.16)

function(mutant source old new)
  if(NOT SOURCE MATCHES "/${source}$")
    return()
  endif()
  string(FIND "${text}" "${old}" at)
  if(at EQUAL -1)
    message(WARNING "mutants.cmake: ${source} has no more: ${old}")
  endif()
  string(REPLACE "${old}" "${new}" text "${text}")
  set(text "${text}" PARENT_SCOPE)
endfunction()

# Semicolons and brackets mean something in CMake's lists; a string that is quoted keeps them.
file(READ "${SOURCE}" text)

mutant(coordinator/session.c
  "    mf__lease_renew_all(me);\n"
  "    if (mutation_in_force != MUTATION_REJOIN_RENEWS_NOTHING)\n        mf__lease_renew_all(me);\n")
mutant(coordinator/session.c
  "    me->join.takeover = false;\n"
  "    me->join.takeover &= mutation_in_force == MUTATION_TAKEOVER_KEPT;\n")
mutant(coordinator/session.c
  "me->holder_renewals == holder_renewals_of_life"
  "me->holder_renewals == (mutation_in_force == MUTATION_ONE_RENEWAL_IS_LIFE ? 1 : holder_renewals_of_life)")
mutant(coordinator/session.c
  "    mf__reconcile_all(of(watcher));\n"
  "    if (mutation_in_force != MUTATION_RESYNC_IGNORED)\n        mf__reconcile_all(of(watcher));\n")

mutant(coordinator/lease.c
  "for (size_t i = 0; i < l->renew.count; i++) {\n        mf_claim *claim = l->head.claims[i];\n        if (!is_renewed(me, claim))\n            continue;\n        set_deadline"
  "for (size_t i = 0; i < (mutation_in_force == MUTATION_JOINED_LATE_PROLONGED ? l->head.count : l->renew.count); i++) {\n        mf_claim *claim = l->head.claims[i];\n        if (!is_renewed(me, claim) && mutation_in_force != MUTATION_OVER_IS_RENEWED)\n            continue;\n        set_deadline")
mutant(coordinator/lease.c
  "if (!start_earlier(me->loop, &l->deadline_timer, next_event_us(me, claim)) ||"
  "if ((mutation_in_force != MUTATION_FIRST_DEADLINE_NOT_SET && !start_earlier(me->loop, &l->deadline_timer, next_event_us(me, claim))) ||")
mutant(coordinator/lease.c
  "    set_deadline(claim, earlier(claim->deadline_us, mf_loop_now_us(me->loop)));\n"
  "    if (mutation_in_force != MUTATION_LOST_KEEPS_DEADLINE)\n        set_deadline(claim, earlier(claim->deadline_us, mf_loop_now_us(me->loop)));\n")
mutant(coordinator/lease.c
  "claim->deadline_us - me->grace_us : claim->deadline_us;"
  "claim->deadline_us - (mutation_in_force == MUTATION_GRACE_DROPPED ? 0 : me->grace_us) : claim->deadline_us;")
mutant(coordinator/lease.c
  "        me->events->expired(me->arg, claim, claim->deadline_us);\n    else\n"
  "        mutation_in_force == MUTATION_OVERRUN_NOT_TOLD ? (void)0 : me->events->expired(me->arg, claim, claim->deadline_us);\n    else\n")
mutant(coordinator/lease.c
  "        l->renew_again = true;\n"
  "        l->renew_again = mutation_in_force != MUTATION_CHECK_NOT_REPEATED;\n")

mutant(coordinator/batch.c
  "    if (deadline - me->grace_us <= mf_loop_now_us(me->loop) && "
  "    if (mutation_in_force != MUTATION_LATE_GRANT_TAKEN && deadline - me->grace_us <= mf_loop_now_us(me->loop) && ")
mutant(coordinator/batch.c
  "    return !mf__session_is_joined(me) && ("
  "    return mutation_in_force != MUTATION_ENDINGS_WAIT_FOR_EVER && !mf__session_is_joined(me) && (")
mutant(coordinator/batch.c
  "code == MF_ELATE || code == MF_EGONE)\n        on_end_answered"
  "code == MF_ELATE || code == MF_EGONE || mutation_in_force == MUTATION_REFUSED_ONCE_DROPPED)\n        on_end_answered")
mutant(coordinator/batch.c
  "if (!asked && is_forfeited(me, claim)) {"
  "if (!asked && (mutation_in_force == MUTATION_ENDING_NOT_REPEATED || is_forfeited(me, claim))) {")

mutant(coordinator/reconcile.c
  "        me->page_again = true;\n"
  "        me->page_again = mutation_in_force != MUTATION_PAGE_NOT_REPEATED;\n")
mutant(coordinator/reconcile.c
  "        me->mail_again = true;\n"
  "        me->mail_again = mutation_in_force != MUTATION_MAIL_NOT_REPEATED;\n")
mutant(coordinator/reconcile.c
  "        me->receive_again = true;\n"
  "        me->receive_again = mutation_in_force != MUTATION_RECEIVE_NOT_REPEATED;\n")

mutant(coordinator/holding.c
  "    if (listed == MF_HELD_UNKNOWN ||"
  "    if (mutation_in_force == MUTATION_ORPHANS_KEPT || listed == MF_HELD_UNKNOWN ||")

mutant(coordinator/batch.c
  "        bool asked = claim->state == CLAIM_ASKED;\n"
  "        bool asked = claim->state == CLAIM_ASKED;\n        if (!asked && mutation_in_force == MUTATION_ENDING_FORGOTTEN)\n            continue;\n")
mutant(coordinator/reconcile.c
  "command->sequence <= me->command_seen)"
  "command->sequence <= me->command_seen && mutation_in_force != MUTATION_COMMANDS_READ_AGAIN)")
mutant(coordinator/reconcile.c
  "    me->receive.acknowledged = me->command_seen;\n"
  "    me->receive.acknowledged = mutation_in_force == MUTATION_COMMANDS_READ_AGAIN ? 0 : me->command_seen;\n")

mutant(embedded/claims.c
  "            mf__space_delete(space, task);\n        else if"
  "            (mutation_in_force == MUTATION_DONE_GIVES_BACK ? mf__space_give_back : mf__space_delete)(space, task);\n        else if")
mutant(embedded/claims.c
  "    if (task->owner == NULL) {\n        task->fence = mf__space_next_fence(space, now_us);\n"
  "    if (task->owner == NULL) {\n        if (mutation_in_force != MUTATION_FENCE_STAYS || task->fence == 0)\n            task->fence = mf__space_next_fence(space, now_us);\n")
mutant(embedded/claims.c
  "    int64_t expires_us = now_us + request->session->lease_ms * 1000;\n"
  "    int64_t expires_us = now_us + request->session->lease_ms * (mutation_in_force == MUTATION_LEASE_TOO_SHORT ? 900 : 1000);\n")
mutant(embedded/sessions.c
  "        if (!request->takeover)\n"
  "        if (!request->takeover && mutation_in_force != MUTATION_NAME_NOT_REFUSED)\n")

mutant(consumer/tasks.c
  "           mf__claim_deadline_us(&task->claim) - task->consumer->stop_grace_us <=\n               mf_loop_now_us(task->consumer->loop);"
  "           (mutation_in_force != MUTATION_STOPPING_FORGETS_DEADLINE && mf__claim_deadline_us(&task->claim) - task->consumer->stop_grace_us <= mf_loop_now_us(task->consumer->loop));")

file(WRITE "${OUTPUT}" "#include \"mutation.h\"\n#line 1 \"${SOURCE}\"\n${text}")
