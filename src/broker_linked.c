/* Opening a broker of the linked driver: in a file of its own, so that a static program that names
 * its drivers itself need not link one. */
#include <metafora/driver.h>

int mf_broker_open(mf_broker **out, const char *url, const mf_broker_options *options,
                   mf_loop *loop, mf_error *error)
{
    const mf_driver *const drivers[] = {mf_linked_driver, &mf_embedded_driver, NULL};
    return mf_broker_open_any(out, url, options, loop, drivers, error);
}
