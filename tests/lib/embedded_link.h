/* A link before the in-process broker, with the troubles of a real one: it can be cut, can fall
 * silent, and can lose what comes back.
 *
 * A driver for "embedded://NAME", which has no trouble, and for "troubled://NAME", the same store
 * behind the link. As on a connection, what is asked before a loss is carried out or not, what was
 * lost is not sent again, and an answer that is overdue ends the connection. Handles may be on
 * loops of several threads. */
#ifndef MF_TESTS_EMBEDDED_LINK_H
#define MF_TESTS_EMBEDDED_LINK_H

#include <metafora/driver.h>

extern const mf_driver embedded_link_driver;

/* Of all troubled handles, from now on. */
typedef enum embedded_trouble {
    EMBEDDED_PASS,        /* connections work, and those that were lost are made again */
    EMBEDDED_SILENT,      /* requests do not arrive, nor does anything else; nobody is told */
    EMBEDDED_LOSE_REPLIES /* requests are carried out; nothing comes back */
} embedded_trouble;
void embedded_link_set(embedded_trouble trouble);

/* Breaks the present connections. Until embedded_link_set no new ones are made. */
void embedded_link_cut(void);

/* Every request takes so long from now on, all of it on its way there; hints take no time. */
void embedded_link_delay(int64_t us);

/* The link before a handle of the broker, which is closed with it; for those that open their
 * own. */
mf_broker *embedded_link_before(mf_broker *inner, int64_t reply_timeout_ms);

#endif
