/* Makes Redis the broker that a program is linked with. */
#include <metafora/driver.h>
#include <metafora/redis.h>

const mf_driver *const mf_linked_driver = &mf_redis_driver;
