/* The driver's operations, each in the file of its name or its like. */
#ifndef MF_ETCD_SLOTS_H
#define MF_ETCD_SLOTS_H

#include <metafora/driver.h>

void mf__etcd_join(mf_broker *broker, mf_join_request *request);
void mf__etcd_leave(mf_broker *broker, mf_session_request *request);
void mf__etcd_renew(mf_broker *broker, mf_renew_request *request);
void mf__etcd_claim(mf_broker *broker, mf_claims_request *request);
void mf__etcd_release(mf_broker *broker, mf_claims_request *request);
void mf__etcd_done(mf_broker *broker, mf_claims_request *request);
void mf__etcd_claimable(mf_broker *broker, mf_page_request *request);
void mf__etcd_receive(mf_broker *broker, mf_receive_request *request);
void mf__etcd_submit(mf_broker *broker, mf_items_request *request);
void mf__etcd_remove(mf_broker *broker, mf_items_request *request);
void mf__etcd_tasks(mf_broker *broker, mf_page_request *request);
void mf__etcd_lookup(mf_broker *broker, mf_lookup_request *request);
void mf__etcd_nodes(mf_broker *broker, mf_nodes_request *request);
void mf__etcd_send(mf_broker *broker, mf_send_request *request);
void mf__etcd_load(mf_broker *broker, mf_load_request *request);
void mf__etcd_store(mf_broker *broker, mf_store_request *request);
void mf__etcd_mail(mf_broker *broker, mf_mail_request *request);
void mf__etcd_tell(mf_broker *broker, mf_items_request *request);
void mf__etcd_forget(mf_broker *broker, mf_items_request *request);
void mf__etcd_states(mf_broker *broker, mf_states_request *request);
void mf__etcd_describe(mf_broker *broker, mf_describe_request *request);

#endif
