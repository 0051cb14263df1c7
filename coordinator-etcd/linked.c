/* Makes etcd the broker that a program is linked with. */
#include <metafora/driver.h>
#include <metafora/etcd.h>

const mf_driver *const mf_linked_driver = &mf_etcd_driver;
